//! Companies that contacts work for.

mod object;

pub(crate) use object::Company;
