//! The feed: every event of an organization once, in one order, to whoever follows it.
//!
//! All events have a position in one order (the migration `m0007_feed` says how, and why a reader that
//! stays at or below what is *settled* misses nothing that commits late). Each process runs one
//! reader ([`Feed`]), which polls for new events of those organizations that somebody listens to,
//! and keeps the latest of each in a log of bounded size. Who follows ([`Follower`]) has a cursor,
//! the position of the last event it was given, and takes what comes after it: from the log where
//! the log reaches back so far, otherwise from pages of the table ([`shelf`]) that all who are
//! behind share. So there is one code path for what is stored and what is live, and no seam between
//! them; and who is slow costs no memory, but falls out of the log and is served at its own pace.
//!
//! **Invariants.**
//! - A log has every event of its organization with `floor < position <= tip` that can be read.
//! - `tip` and every cursor are positions of events that were visible, or 0. (Not a number that was
//!   merely drawn from the sequence: a crash of the database takes such numbers back, and gives
//!   them to other events.)
//! - A follower's cursor only grows; it is given the events with `position > cursor` in their
//!   order. What was there before it came it is given as it stands in the table.
//! - Where a failover or a restore takes back what somebody has seen, everybody who follows is told
//!   ([`FollowError::WentBack`]): nobody waits behind a cursor that the feed has yet to reach.
//! - Where nobody listens nothing is asked of the database.
//! - What is kept is drawn from the budgets of the organizations. Where one is exhausted, less is
//!   kept, and more is read.

#![warn(missing_docs)]

mod batch;
mod follower;
mod log;
mod reader;
mod shelf;

pub use batch::Event;
pub use follower::{FollowError, Follower, Wanted};
pub use reader::{Feed, FeedState};
