//! Engagement events: what happened to sends.

pub(crate) mod feed_cursor;
mod filter;
mod mutations;
mod object;
mod order;
mod queries;
mod record;

pub(crate) use filter::EngagementEventFilter;
pub(crate) use mutations::EventMutations;
pub(crate) use object::EngagementEvent;
pub(crate) use order::EngagementEventOrder;
pub(crate) use queries::EventQueries;
