//! Figures: the counts and rates of campaigns.

mod object;
mod queries;

pub(crate) use object::CampaignStats;
pub(crate) use queries::StatsQueries;
