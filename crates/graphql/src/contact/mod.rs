//! Contacts: the people whom campaigns are sent to.

mod object;

pub(crate) use object::Contact;
