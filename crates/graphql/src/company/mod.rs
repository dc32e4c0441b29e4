//! Companies: whom contacts work for.

mod object;

pub(crate) use object::Company;
