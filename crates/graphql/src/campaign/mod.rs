//! Campaigns: the object, lists and mutations.

mod create;
mod duplicate;
mod filter;
mod links;
mod mutations;
mod object;
mod order;
mod queries;
mod step;
mod update;

pub(crate) use filter::CampaignFilter;
pub(crate) use mutations::CampaignMutations;
pub(crate) use object::{Campaign, CampaignStatus};
pub(crate) use queries::CampaignQueries;

use async_graphql::SimpleObject;

/// The result of creating or changing a campaign.
#[derive(SimpleObject)]
pub(crate) struct CampaignPayload {
    /// The campaign after the change.
    campaign: Campaign,
}
