//! What providers report: events of sends, and how far their delivery has come.
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
//!
//! [`SendStatus::may_become`]: campaigns_entity::send::SendStatus::may_become

#![warn(missing_docs)]

mod events;
mod sends;
mod together;

pub use events::{NewEvent, RecordError, Recorded};
pub use sends::{Report, ReportError, Updated};

/// Takes what providers report, for all organizations of a process. Cloning shares it.
#[derive(Clone, Default)]
pub struct Intake {
    events: together::Together<events::Events>,
    reports: together::Together<sends::Reports>,
}

/// How many rows a call takes.
pub const MAX_ROWS: usize = 10_000;
