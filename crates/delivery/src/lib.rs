//! The delivery of campaigns: lists, lifecycle steps, queued sends, and providers' reports about sends:
//! events and delivery statuses.
//!
//! **Invariants.**
//! - A call is written in one transaction, which concurrent small calls share (`batcher`). If one of
//!   its rows is invalid, nothing is written, and the error names the row.
//! - A call can be repeated. An event counts once, by its ID. A report that has no effect counts as
//!   unchanged.
//! - A send's status only moves forward ([`SendStatus::may_become`]). The exception is a hard
//!   bounce, which is always final.
//! - Sends are locked in the order of their IDs, then events are inserted in the order of their IDs,
//!   regardless of the order of the call. So two calls with common rows, such as a provider's retries,
//!   never deadlock.
//! - A campaign changes its status according to [`NEXT`], while its row is locked. Queueing sends holds
//!   the same lock, so a contact never gets two sends of a campaign.
//! - Filling a list and queueing sends take one statement for any number of rows, in the order of the
//!   contacts' IDs.
//!
//! [`NEXT`]: campaigns_entity::campaign::NEXT
//! [`SendStatus::may_become`]: campaigns_entity::send::SendStatus::may_become

#![warn(missing_docs)]

mod batcher;
mod events;
mod lifecycle;
mod lists;
mod queue;
mod sends;
mod webhooks;
mod worker;

pub use events::{NewEvent, RecordError, RecordOutcome};
pub use lifecycle::{Step, StepError, StepKind, step};
pub use lists::{ListError, ListOutcome, add_contacts, add_segment, remove_contacts};
pub use queue::{QueueError, QueueOutcome, queue_sends};
pub use sends::{Report, ReportError, UpdateOutcome};
pub use webhooks::{WebhookKeeper, WebhookOutcome, WebhookRequest};
pub use worker::{WORKER_CONNECTIONS, WORKER_LIMIT, work};

/// Writes events and delivery reports, for all organizations of a process. Clones share the
/// transactions, so a process needs only one.
#[derive(Clone, Default)]
pub struct Intake {
    events: batcher::Batcher<events::Events>,
    reports: batcher::Batcher<sends::Reports>,
    webhooks: batcher::Batcher<webhooks::Requests>,
    refusals: batcher::Batcher<webhooks::Refusals>,
}

/// The maximum number of rows of a call.
pub const MAX_ROWS: usize = 10_000;
