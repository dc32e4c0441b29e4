//! The engine: takes a GraphQL operation from its text to its response. It works with any schema
//! and knows nothing about the subject of the schema.
//!
//! [`Engine::prepare`] checks an operation, [`Engine::execute`] executes it once, and
//! [`Engine::follow`] executes it for each item of a subscription.
//!
//! async-graphql parses recursively, treats an omitted variable as null, and finds a value of the
//! wrong type in the middle of the execution. So, before anything is executed:
//!
//! 1. [`scan`](mod@scan) bounds the nesting and the number of tokens of the unparsed document.
//! 2. The document is parsed, the operation is chosen, `measure` bounds it with its fragments
//!    expanded, and `names` bounds its unknown names.
//! 3. `coerce` checks literals against the schema, and `written` expands the selections.
//! 4. `validate` checks rules that the library keeps only in part, and the library validates the
//!    document, by executing it over roots that resolve nothing (`root`).
//!
//! The result depends on the text alone and is kept for the next request (`kept`), which adds its
//! variables: `coerce` checks them and fills in defaults, `omit` removes those that are omitted, so
//! that omitted is not null, and `cost` checks the operation against the [`Limits`].
//!
//! Then the roots resolve the expanded selections, without the library's own preparation, and
//! `introspection` answers fields about the schema. Finally, `shape` brings the data into the shape of the document.
//!
//! **Invariant.** Faults of a request are known, with their code and field, before the first
//! resolver runs. Only faults that depend on the data or the role are found later.

#![warn(missing_docs)]

mod about;
mod cache;
mod coerce;
mod cost;
mod documents;
mod engine;
pub mod error;
mod expanded;
mod introspection;
pub mod json;
mod low_priority;
mod measure;
mod names;
pub mod object;
mod omit;
mod path;
mod prepare;
mod root;
mod rounded;
pub mod scan;
mod shape;
mod strings;
mod types;
mod validate;
mod weigh;

pub use about::{Kind, OperationInfo};
pub use cost::{Charge, Limits, Price, PricedField};
pub use documents::{Documents, WrongId};
pub use engine::{Engine, SubscriptionExecutor, was_executed};
pub use error::{Code, Error};
pub use introspection::Draw;
pub use json::text;
pub use low_priority::{lower_priority, run_at_low_priority};
pub use path::Path;
pub use prepare::{LookUp, Operation, Prepared};
pub use rounded::RoundedNumbers;
