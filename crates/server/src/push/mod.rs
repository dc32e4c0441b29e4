//! What sockets and event streams have in common: messages that are pushed to a peer for as long as
//! its caller is allowed to get them.
//!
//! An operation sends through a queue that is bounded in messages and bytes ([`writer`]). If the peer
//! does not read, the queue is full, the operation waits, and nothing grows. A subscription that waits
//! falls behind, and the feed serves it from the table later. All of it runs on threads that serve
//! nothing else ([`threads`]), of which an organization uses half at most ([`polls`]).
//!
//! **Invariants.**
//! - Nothing is sent after the token has expired. A socket or a stream also ends, within
//!   [`Settings::socket_check`](crate::Settings) and the time that results are remembered, after its
//!   organization or its user's membership there has ended ([`guard`]).
//! - An organization's sockets and streams are counted and bounded together ([`sockets`]).

mod guard;
mod polls;
mod sockets;
mod threads;
mod writer;

pub(crate) use guard::{Ended, Ending, Guard, NotAdmitted};
pub(crate) use polls::Permits;
pub(crate) use sockets::{Pending, Sockets};
pub(crate) use threads::lasting;
pub(crate) use writer::{FAREWELL, Queue, start as start_writer};
