//! What a user sees, over HTTP and on both databases.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adopting;
mod bad_input;
mod bounds;
mod campaign_mutations;
mod campaign_stats;
mod command;
mod configuration;
mod connections;
mod contacts_and_segments;
mod counts;
mod demo;
mod deploy;
mod doctor;
mod event_feed;
mod event_stream;
mod events;
mod filters;
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
mod queueing;
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
mod viewer_and_nodes;
mod watching;
mod worker;
