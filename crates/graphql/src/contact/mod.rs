//! Contacts: the people who receive campaigns.

mod filter;
mod object;
mod order;
mod queries;
mod suppression;

pub(crate) use filter::ContactFilter;
pub(crate) use object::Contact;
pub(crate) use order::ContactOrder;
pub(crate) use queries::ContactQueries;
