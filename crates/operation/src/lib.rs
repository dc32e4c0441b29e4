//! The engine: the way of a GraphQL operation from its text to its response. It knows the schema that it
//! is given and nothing of what that schema is about.
//!
//! [`Engine::prepare`] checks an operation, [`Engine::execute`] executes it once, [`Engine::follow`]
//! once for each thing that a subscription has to show.
//!
//! async-graphql parses recursively, takes an omitted variable for null and meets a value that does not
//! fit its type in the middle of the execution. So, before it executes anything:
//!
//! 1. [`scan`](mod@scan) bounds the nesting and the number of tokens of the unparsed document.
//! 2. The document is parsed, the operation chosen, and `measure` bounds it with its fragments
//!    written out.
//! 3. `coerce` checks literals against the schema, and `written` writes the selections out.
//! 4. The library validates the document, by executing it over roots that resolve nothing (`root`).
//!
//! What this comes to depends on the text alone and is kept for the next request (`kept`), which adds
//! its variables: `coerce` checks them and fills in defaults, `omit` takes out those that are omitted,
//! so that omitted is not null, and `cost` checks the operation against the [`Limits`].
//!
//! Then the roots resolve what is written, past the library's own preparations. Afterwards `shape` brings
//! the data into the shape of the document.
//!
//! **Invariant.** What is wrong with a request is known, with its code and field, before the first
//! resolver runs; only what depends on the data or the role is found later.

#![warn(missing_docs)]

mod about;
mod aside;
mod coerce;
mod cost;
mod engine;
pub mod error;
pub mod json;
mod kept;
mod measure;
pub mod object;
mod omit;
mod path;
mod prepare;
mod root;
pub mod scan;
mod shape;
mod types;
mod written;

pub use about::{About, Kind};
pub use aside::aside;
pub use cost::{Limits, List, Rows};
pub use engine::{Engine, Followed, was_executed};
pub use error::{Code, Error};
pub use json::text;
pub use path::Path;
pub use prepare::{Operation, Prepared};
