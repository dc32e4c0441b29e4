//! The delivery of campaigns: their lists, the steps they take, the sends that are queued, and what
//! providers report of these: events, and how far their delivery has come.
//!
//! **Invariants.**
//! - A call is written in one transaction, which small calls that arrive together share
//!   ([`together`]): all of it, or nothing where one of its rows cannot be taken; the error says which.
//! - A call may be repeated. An event counts once, by its id; a report that changes nothing any
//!   more counts as unchanged.
//! - A send's status goes forward alone ([`SendStatus::may_become`]), but for a bounce for good,
//!   which is final whatever came before.
//! - Sends are locked in the order of their ids, then events are inserted in the order of theirs,
//!   whatever the order of the call. So two calls that touch the same rows, as a provider's retries
//!   do, never wait for each other in a circle.
//! - A campaign steps as [`NEXT`] says, while its row is locked. Whoever queues sends holds the same
//!   lock, so no contact gets two sends of a campaign by it.
//! - Lists are filled and sends are queued by one statement, whatever their number, in the order of
//!   their contacts' ids.
//!
//! [`NEXT`]: campaigns_entity::campaign::NEXT
//! [`SendStatus::may_become`]: campaigns_entity::send::SendStatus::may_become

#![warn(missing_docs)]

mod events;
mod lifecycle;
mod lists;
mod queue;
mod sends;
mod together;
mod worker;

pub use events::{NewEvent, RecordError, Recorded};
pub use lifecycle::{Step, StepError, step};
pub use lists::{ListError, Listed, add_contacts, add_segment, remove_contacts};
pub use queue::{QueueError, Queued, queue_sends};
pub use sends::{Report, ReportError, Updated};
pub use worker::{WORKER_CONNECTIONS, WORKER_LIMIT, work};

/// Takes what providers report, for all organizations of a process. Cloning shares it.
#[derive(Clone, Default)]
pub struct Intake {
    events: together::Together<events::Events>,
    reports: together::Together<sends::Reports>,
}

/// How many rows a call takes.
pub const MAX_ROWS: usize = 10_000;
