//! Sends: the message of a campaign to one contact.

mod filter;
mod mutations;
mod object;
mod order;
mod queries;
mod queue;
mod update;

pub(crate) use filter::SendFilter;
pub(crate) use mutations::SendMutations;
pub(crate) use object::Send;
pub(crate) use order::SendOrder;
pub(crate) use queries::SendQueries;
