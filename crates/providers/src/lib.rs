//! Webhooks of mail providers: bytes, headers, keys and a time go in; a verdict on the signature comes out,
//! and then a list of reports about sends. There is no I/O here, and no clock.
//!
//! The steps of a request:
//!
//! 1. [`Webhook::new`] validates the configuration: the provider, keys, topics and the public URL.
//! 2. [`Webhook::verify`] returns the [`Verdict`] on the signature.
//! 3. [`Accepted::read`] returns an [`Outcome`] for each event: a [`Report`], or why there is none.
//! 4. [`Correlation`] says how to find the send, [`Report::id`] identifies the event in retries, and
//!    [`Report::metadata`] is what is kept.
//! 5. [`Provider::status`] is the status to answer.
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
//! Each provider is a file in `provider/`, which reads like a table of its facts: how it signs, which status
//! ends its retries, and what its events mean. What providers share is in the other modules: lenient reading
//! (`json`, `times`), addresses (`address`), classes of bounces (`bounce`), checks of signatures (`verify`),
//! and the rest of an event (`draft`).
//!
//! **Invariants.**
//! - Bytes are verified before they are read: only [`Webhook::verify`] makes an [`Accepted`], and only an
//!   [`Accepted`] has events.
//! - Secrets are compared in constant time, and every key of a webhook is tried. Neither debug output nor a
//!   reason contains a key.
//! - No URL is taken from a request: the URLs to fetch are built from the topic's region.
//! - Reading never panics, and an unreadable event does not affect the others of its request.
//! - The key of an event is made of its content, so it is the same in each delivery, in any order.
//! - What is kept of an event is bounded ([`bounds`]) and contains no address. The recipient and the key of a
//!   report can contain one, and are not for storing.

#![warn(missing_docs)]

mod address;
mod bounce;
pub mod bounds;
mod draft;
mod json;
mod key;
mod key_error;
pub mod machine;
mod provider;
mod report;
mod send_id;
mod standard_webhooks;
mod times;
mod topic;
mod verdict;
mod verify;
mod webhook;

pub use address::Address;
pub use bounce::{Bounce, BounceClass};
pub use key::Key;
pub use key_error::KeyError;
pub use machine::MachineAgents;
pub use provider::{Provider, Situation, UnknownProvider};
pub use report::{Correlation, Event, Outcome, Report, Status, message_id};
pub use topic::{TopicArn, TopicError};
pub use verdict::{Accepted, Once, Refusal, Verdict};
pub use verify::{Certificate, Request};
pub use webhook::{Webhook, WebhookError};
