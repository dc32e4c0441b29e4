//! Recipient lists: which contacts a campaign is meant for.

mod object;

pub(crate) use object::ListEntry;
