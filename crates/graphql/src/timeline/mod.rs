//! Time series: what happened to sends, in buckets of a calendar.

mod arguments;
mod object;
mod of_campaign;
mod queries;

pub(crate) use arguments::{Calendar, TimeInterval};
pub(crate) use object::EngagementBucket;
pub(crate) use of_campaign::of_campaign;
pub(crate) use queries::TimelineQueries;
