//! The rule language of segments. The JSON format of react-querybuilder, or a flat object, is parsed into a
//! checked tree ([`Rules::parse`]), and the tree is compiled to a condition on `contacts`
//! ([`Rules::select`]).
//!
//! **Invariants.**
//! - Parsed rules can be compiled and executed: the parser finds every error, with its path.
//! - Fields, their types and their operators are in one table ([`FIELDS`]), which the parser, the
//!   compiler and the schema's `segmentFields` all read.
//! - Rules are two-valued: a negative operator and `not` select exactly the contacts that their positive
//!   counterpart does not. Nullable conditions are negated by [`Dialect::not`], which treats null as false.
//! - Values, including metadata keys, are bound and never become SQL text.
//! - Both databases select the same contacts.
//!
//! [`Dialect::not`]: campaigns_scope::Dialect::not

#![warn(missing_docs)]

mod condition;
mod error;
mod fields;
mod operators;
mod parse;
mod rules;
mod values;
mod whole;

pub use error::RuleError;
pub use fields::{FIELDS, Field};
pub use rules::Rules;
