//! What a user sees, over HTTP and on both databases.

#![expect(clippy::disallowed_methods, reason = "a test looks past the door, too")]

mod bad_input;
mod campaign_filters;
mod campaign_mutations;
mod campaign_stats;
mod command;
mod connections;
mod http_protocol;
mod schema_history;
mod statements;
mod tenant_isolation;
mod tokens;
mod viewer_and_nodes;
