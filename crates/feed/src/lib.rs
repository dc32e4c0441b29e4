//! The feed: every event of an organization, once and in one order, for all of its followers.
//!
//! All events have a position in one order. The migrations `m0007_feed` and `m0012_horizons` explain
//! positions, and why a reader that stays at or below the *settled* position of an organization misses
//! no event that commits late. Each process runs one reader ([`Feed`]), which polls for new events of
//! the organizations that have listeners, and keeps the latest events of each in a log of bounded
//! size. A [`Follower`] has a cursor, the position of the last event that it returned, and reads the
//! events after it: from the log if the log goes back far enough, and otherwise from pages of the
//! table ([`page_cache`]), which all followers behind the log share. So stored and live events take one
//! code path, without a gap between them. A slow follower costs no memory: it falls behind the log and
//! reads at its own pace.
//!
//! **Invariants.**
//! - A log has every readable event of its organization with `floor < position <= tip`.
//! - `tip` and every cursor are positions of events that were visible, or 0. They are never positions
//!   that were only drawn from the sequence: a crash of the database can lose such a draw, and the
//!   position then goes to another event.
//! - A follower's cursor only grows. The follower returns the events with `position > cursor` in order.
//!   Events that are older than the follower are returned as they are in the table.
//! - If a failover or a restore loses an event that a follower has seen, every follower gets
//!   [`FollowError::WentBack`]. No follower waits at a cursor that the feed has not reached.
//! - Without listeners, the database is not queried.
//! - Writes of one organization do not delay another: each feed settles separately, and organizations
//!   with many new events are read in slices, after the others.
//! - A reader that panics restarts and continues after the tips of the logs, so followers miss no event
//!   and get none twice. An event that cannot be read, or makes the reader panic, is left out.
//! - Logs and pages are drawn from the budgets of the organizations. If a budget is exhausted, less is
//!   kept in memory, and more is read from the table.

#![warn(missing_docs)]

mod batch;
mod follower;
mod log;
mod page_cache;
mod reader;
mod stalled;

pub use batch::Event;
pub use follower::{EventSelection, FollowError, Follower};
pub use reader::{Feed, FeedState};
