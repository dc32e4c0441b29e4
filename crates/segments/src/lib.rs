//! The rule language of segments: the JSON that react-querybuilder exports, or a flat object, becomes a
//! checked tree ([`Rules::parse`]), and the tree a condition on `contacts` ([`Rules::condition`]).
//!
//! **Invariants.**
//! - What has been parsed can be compiled and run: an error is found by parsing, with the path to it.
//! - Fields, their types and their operators stand in one table ([`FIELDS`]), which the parser, the
//!   compiler and the schema's `segmentFields` all read.
//! - Rules are two-valued: a negative operator and `not` select exactly the contacts that their positive
//!   counterpart does not. What can be null is negated by [`Dialect::not`], which takes null for false.
//! - Values are bound, never text, keys of metadata included.
//! - Both databases select the same contacts.
//!
//! [`Dialect::not`]: campaigns_scope::Dialect::not

#![warn(missing_docs)]

mod condition;
mod fields;
mod operators;
mod parse;
mod rules;
mod values;
mod whole;

pub use fields::{FIELDS, Field};
pub use parse::RuleError;
pub use rules::Rules;
