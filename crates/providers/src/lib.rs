//! Webhooks of mail providers: bytes, headers, keys and a time go in; a verdict on the signature comes out,
//! and then a list of reports about sends. There is no I/O here, and no clock.
//!
//! The way of a request:
//!
//! 1. A [`Webhook`] is made of what is configured: the provider, its keys, its topics, its public URL.
//!    [`Webhook::new`] says what is wrong with a key.
//! 2. [`Webhook::verify`] gives the [`Verdict`]. It reads no event before the signature holds.
//! 3. [`Accepted::read`] gives an [`Outcome`] for each event: a [`Report`], or why there is none.
//! 4. [`Report::id`] identifies an event over repeats, [`Correlation`] finds its send,
//!    [`Report::metadata`] is what is kept of it.
//! 5. [`Provider::status`] is what to answer: each provider takes another status for "do not try again".
//!
//! ```
//! use campaigns_providers::{MachineAgents, Outcome, Provider, Request, Status, Verdict, Webhook};
//!
//! let webhook = Webhook::new(Provider::Postmark, &["user:password"], &[] as &[&str], None)?;
//! let headers = [(http::header::AUTHORIZATION, "Basic dXNlcjpwYXNzd29yZA==".parse()?)].into_iter().collect();
//! let body = br#"{"RecordType":"Delivery","MessageID":"m","DeliveredAt":"2026-08-29T11:58:02Z"}"#;
//! let received_at = chrono::DateTime::from_timestamp(1_788_004_800, 0).expect("a time");
//! let request = Request { headers: &headers, body, received_at };
//! let Verdict::Accepted(accepted) = webhook.verify(request, None) else { panic!("refused") };
//! let outcomes = accepted.read(&MachineAgents::default()).map_err(|refusal| refusal.reason().to_owned())?;
//! let [Outcome::Report(report)] = &outcomes[..] else { panic!("no report") };
//! assert_eq!(report.status, Some(Status::Delivered));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! A provider is one file in `provider/`, which reads like a table of its facts: how it signs, what it
//! answers to, what its events mean. What providers share is beside: lenient reading (`json`, `times`),
//! addresses (`address`), classes of bounces (`bounce`), and the rest of an event (`report`).
//!
//! **Invariants.**
//! - The signature covers the bytes that are read. Events are read from an [`Accepted`] alone, and
//!   [`Webhook::verify`] alone makes one.
//! - Secrets are compared in constant time, all keys of a webhook are tried, and no key appears in debug
//!   output or in a reason.
//! - A URL is never taken from a request: those to fetch are built from the topic's region.
//! - Reading never panics, and an event that cannot be read does not affect the others of its request.
//! - The key of an event is made of its content, so it is the same in each delivery. Order does not matter.
//! - What a report keeps is bounded (`bounds`), and has no address and no IP, except for the recipient to
//!   compare, and the key, which are not for storing.

#![warn(missing_docs)]

mod address;
mod bounce;
pub mod bounds;
mod json;
mod key;
pub mod machine;
mod provider;
mod report;
mod standard_webhooks;
mod times;
mod verdict;
mod verify;
mod webhook;

pub use address::Address;
pub use bounce::{Bounce, BounceClass};
pub use key::{Key, KeyError};
pub use machine::MachineAgents;
pub use provider::{Provider, Situation, UnknownProvider};
pub use report::{Correlation, Event, Outcome, Report, Status, message_id};
pub use verdict::{Accepted, Once, Refusal, Verdict};
pub use verify::{Certificate, Request};
pub use webhook::{TopicArn, TopicError, Webhook, WebhookError};
