//! `Company`.

use async_graphql::ID;
use campaigns_entity::company;
use campaigns_operation::object::NoFields;

use crate::object::object;

object! {
    /// A company that contacts work for.
    Company of company, async NoFields
    /// The company's UUID.
    "id": ID = Id;
    /// The company's name.
    "name": String = Name;
    /// The company's domain.
    "domain": Option<String> = Domain;
    /// The company's industry.
    "industry": Option<String> = Industry;
    /// The company's size.
    "size": Option<String> = Size;
}
