//! Support for tests: a database for each, a service on it, and clients.

#![expect(clippy::disallowed_methods, reason = "a test also bypasses the scope")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::missing_panics_doc, reason = "a test fails by panicking")]

mod app;
mod binary;
mod client;
mod database;
mod fixtures;
mod oracle;
mod other_program;
mod pooler;
mod proxy;
mod python;
mod sender;
mod socket;
mod waiting;

pub use app::{Organization, Sent, TestApp, TestAppBuilder, keyring};
pub use binary::{
    Binary, Example, Finished, FollowerReport, Followers, Issuer, NodeProgram, node, node_passes,
    serve_arguments,
};
pub use campaigns_tests_macros::{on_both_databases, on_every_database};
pub use client::{Answer, Client};
pub use database::{Backend, Postgres, TestDatabase, no_space, postgres_program};
pub use fixtures::{Fixtures, MARKS};
pub use oracle::{Oracle, assert_exact, fold_all};
pub use other_program::{Statuses, assert_same_schema};
pub use pooler::Pooler;
pub use proxy::{Proxy, free_port};
pub use python::python;
pub use sender::{Fixture, PROVIDERS, RECIPIENT, Sender, mailgun, webhook_settings};
pub use socket::{Received, Socket};
pub use waiting::{LOCK_WAITERS, until, until_at_most};
