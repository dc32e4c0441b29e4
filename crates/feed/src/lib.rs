//! The feed: every event of an organization, once and in one order, for everyone who follows it.
//!
//! All events have a position in one order. The migrations `m0007_feed` and `m0012_horizons` explain
//! how, and why a reader that stays at or below the *settled* position of an organization misses
//! nothing that commits late. Each process runs one reader ([`Feed`]), which polls for new events of
//! the organizations that have listeners, and keeps the latest events of each in a log of bounded
//! size. A [`Follower`] has a
//! cursor, the position of the last event that it was given, and takes the events after it: from
//! the log if the log goes back far enough, and otherwise from pages of the table ([`shelf`]),
//! which all followers behind the log share. So stored and live events take one code path, without
//! a seam between them. A slow follower costs no memory: it falls behind the log and is served at
//! its own pace.
//!
//! **Invariants.**
//! - A log has every readable event of its organization with `floor < position <= tip`.
//! - `tip` and every cursor are positions of events that were visible, or 0. They are never numbers
//!   that were only drawn from the sequence: a crash of the database takes such numbers back and
//!   gives them to other events.
//! - A follower's cursor only grows. The follower is given the events with `position > cursor` in
//!   their order. Events that existed before it came are given as they are in the table.
//! - If a failover or a restore takes back an event that a follower has seen, every follower gets
//!   [`FollowError::WentBack`]. No follower waits behind a cursor that the feed has not reached
//!   yet.
//! - Without listeners, the database is not queried.
//! - What is written for one organization does not delay another: each feed settles by itself, and an
//!   organization with many new events is read in slices, after those with few.
//! - A reader that panics starts again and continues after the tips of the logs, so followers miss
//!   nothing and get nothing twice. An event that cannot be read, or makes it panic, is left out.
//! - What is kept is drawn from the budgets of the organizations. If a budget is exhausted, less is
//!   kept, and more is read.

#![warn(missing_docs)]

mod batch;
mod follower;
mod log;
mod reader;
mod shelf;
mod stalled;

pub use batch::Event;
pub use follower::{EventSelection, FollowError, Follower};
pub use reader::{Feed, FeedState};
