//! A GraphQL engine, from the text of an operation to its response. It works with any schema.
//!
//! [`Engine::prepare`] checks an operation, [`Engine::execute`] executes it once, and
//! [`Engine::follow`] executes it for each item of a subscription.
//!
//! async-graphql parses recursively, treats an omitted variable as null, and detects a value of the
//! wrong type only during execution. So before an operation is executed:
//!
//! 1. [`scan`](mod@scan) bounds the nesting and the number of tokens of the unparsed document.
//! 2. The document is parsed, the operation is selected, `measure` bounds it with its fragments
//!    expanded, and `names` bounds its unknown names.
//! 3. `coerce` checks literals against the schema, and `expanded` expands the selections.
//! 4. `validate` checks rules that the library checks only in part, and the library validates the
//!    document, by executing it over roots that resolve nothing (`root`).
//!
//! The result depends only on the text and is cached for later requests (`cache`). A request adds its
//! variables: `coerce` checks them and fills in defaults, `omit` removes omitted ones, so that omitted
//! is not null, and `cost` checks the operation against the [`Limits`].
//!
//! Then the roots resolve the expanded selections, without the library's own preparation, in `turns` of a
//! millisecond, and `introspection` answers introspection fields. Finally, `shape` brings the data into
//! the shape of the document.
//!
//! **Invariant.** Errors of a request are found, with their code and field, before the first resolver
//! runs. Only errors that depend on the data or the role are found later.

#![warn(missing_docs)]

mod about;
mod arguments;
mod cache;
mod coerce;
mod cost;
pub mod description;
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
mod turns;
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
pub use prepare::{LookUp, Memory, Operation, Prepared};
pub use rounded::RoundedNumbers;
pub use turns::pass_turn;
pub use types::MaxText;
