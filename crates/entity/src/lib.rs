//! The tables as Rust types: each module is a table, with its row, its columns and its enums. No I/O.
//!
//! **Invariants.** Each model matches the migrations, column by column, in type and nullability. A test
//! compares them in both databases. Reading a value never panics, for any value that the type of its column
//! allows ([`stored`]).

#![expect(clippy::disallowed_methods, reason = "the derived code calls them")]

pub mod campaign;
pub mod company;
pub mod contact;
pub mod contact_company;
mod date;
pub mod event;
mod json;
pub mod list_entry;
mod log_throttle;
pub mod membership;
pub mod message_id;
mod number;
pub mod organization;
pub mod provider_key;
pub mod provider_path;
pub mod provider_webhook;
pub mod segment;
pub mod send;
mod stored;
mod text;
mod time;
pub mod user;

pub use date::StoredDate;
pub use json::StoredJson;
pub use log_throttle::LogThrottle;
pub use number::StoredNumber;
pub use text::StoredText;
pub use time::{StoredTime, postgres_parts};
