//! The GraphQL schema, and the way of an operation through it.
//!
//! A feature is a folder: its objects, queries, mutations, filter and order. [`Api`] takes an
//! operation from its text to its response; see [`request`](mod@request) for what is checked on
//! that way before anything is executed.
//!
//! **Invariants.**
//! - A resolver sees rows through the scope of the viewer alone.
//! - An error shows what was written for the client, or a request id ([`error`]).
//! - The number of SQL statements of an operation depends on its shape, not on the number of rows
//!   (`rows`).

#![warn(missing_docs)]

mod campaign;
mod company;
mod connection;
mod contact;
mod context;
mod cursor;
pub mod error;
mod event;
mod filter;
mod input;
mod list;
mod live;
mod node;
pub mod request;
mod rows;
mod scalars;
mod schema;
mod segment;
mod send;
mod shown;
mod stats;
mod timeline;
mod viewer;

pub use error::{Code, Error};
pub use live::{Live, Payload, Subscription};
pub use request::{Api, Asked, Limits, Operation, Prepared};
