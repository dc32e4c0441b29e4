//! Contacts: the people who campaigns are sent to.

mod filter;
mod object;
mod order;
mod queries;
mod suppression;

pub(crate) use filter::ContactFilter;
pub(crate) use object::Contact;
pub(crate) use order::ContactOrder;
pub(crate) use queries::ContactQueries;
