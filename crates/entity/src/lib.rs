//! The tables as Rust: each module is a table, with its row, its columns and its enums. No I/O.
//!
//! **Invariant.** Each model matches the migrations, column by column, with its type and
//! nullability. A test compares them on both databases.

#![expect(clippy::disallowed_methods, reason = "the derived code calls them")]

pub mod campaign;
pub mod company;
pub mod contact;
pub mod contact_company;
pub mod event;
mod json;
pub mod list_entry;
pub mod membership;
pub mod organization;
pub mod segment;
pub mod send;
pub mod user;

pub use json::StoredJson;
