//! Figures: what became of the sends of a campaign, or of many, and when; which segments were used.
//!
//! **Invariants.** A figure is a count over sends and events as they stand when it is asked for,
//! whoever wrote them. A rate is made here, in Rust, from two of these integers, so that both
//! databases and every place that shows or orders by it agree on the last digit.

#![warn(missing_docs)]

mod calendar;
mod figures;
mod links;
mod rate;
mod segments;
mod suppression;
mod timeline;

pub use calendar::{Bucket, Interval, MAX_BUCKETS, TooManyBuckets, buckets};
pub use figures::{Figures, OrderBy, by_campaign, figures_of, order_expression, total};
pub use links::{Link, links};
pub use rate::percentage;
pub use segments::{campaigns_used_in, of_campaigns, used_in_expression};
pub use suppression::{is_suppressed, suppressing_events};
pub use timeline::{Activity, event_spans, timeline, timelines};
