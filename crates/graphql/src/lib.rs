//! The GraphQL schema, and the way of an operation through it.
//!
//! A feature is a folder: its objects, queries, mutations, filter and order. [`Api`] takes an
//! operation of a viewer through the engine, which checks it before anything is executed.
//!
//! **Invariants.**
//! - A resolver sees rows through the scope of the viewer alone.
//! - An error shows what was written for the client, or a request id ([`error`]).
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
pub mod error;
mod event;
mod filter;
mod input;
mod limits;
mod list;
mod live;
mod node;
mod object;
mod rows;
mod scalars;
mod schema;
mod segment;
mod send;
mod shown;
mod stats;
mod subscriptions;
mod timeline;
mod viewer;

pub use api::{Api, Asked, Executed, Subscription};
pub use error::{Code, Error};
pub use limits::Limits;
pub use live::{Live, Payload};
