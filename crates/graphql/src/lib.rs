//! The GraphQL schema, and how an operation passes through it.
//!
//! A feature is a folder with its objects, queries, mutations, filter and order. [`Api`] takes a
//! viewer's operation through the engine, which checks it before anything is executed.
//!
//! **Invariants.**
//! - A resolver sees rows only through the viewer's scope.
//! - An error shows text that was written for the client, or a request ID ([`error`]).
//! - The number of SQL statements of an operation depends on its shape, not on the number of rows
//!   (`rows`).

#![warn(missing_docs)]

mod api;
mod campaign;
mod company;
mod connection;
mod contact;
mod context;
mod cursor;
mod delete;
mod digest;
pub mod error;
mod event;
mod filter;
mod input;
mod json_columns;
mod limits;
mod list;
mod live;
mod node;
mod object;
mod outcome;
mod provider_webhook;
mod rows;
mod scalars;
mod schema;
mod segment;
mod send;
mod stats;
mod subscriptions;
mod timeline;
mod viewer;
mod wire;

pub use api::{Api, Executed, OperationContext, Subscription};
pub use error::{Code, Error};
pub use event::feed_cursor::place as feed_place;
pub use limits::{Limits, Rate};
pub use subscriptions::Payload;
