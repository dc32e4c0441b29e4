//! What a user sees, over HTTP and on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::too_many_lines, reason = "a test reads from its beginning to its end")]

mod adopting;
mod bad_input;
mod bounds;
mod campaign_mutations;
mod campaign_stats;
mod clients;
mod command;
mod configuration;
mod connections;
mod contacts_and_segments;
mod counts;
mod cursors;
mod demo;
mod deploy;
mod doctor;
mod documents;
mod event_feed;
mod event_ids;
mod event_stream;
mod events;
mod filters;
mod horizons;
mod http_protocol;
mod intake;
mod jwks;
mod lifecycle;
mod links;
mod lists;
mod memberships;
mod output;
mod pages;
mod persisted;
mod plans;
mod prepared;
mod proxies;
mod queueing;
mod refusals;
mod row_security;
mod schema_history;
mod secrets;
mod segment_rules;
mod selections;
mod six_questions;
mod socket_protocol;
mod statements;
mod tenant_isolation;
mod timeline;
mod tokens;
mod traces;
mod upkeep;
mod viewer_and_nodes;
mod watching;
mod worker;
