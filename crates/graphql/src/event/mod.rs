//! Engagement events: what became of sends.

mod mutations;
mod object;

pub(crate) use mutations::EventMutations;
pub(crate) use object::EngagementEvent;
