//! Analytics: figures and time series of campaigns, the engagement of contacts, and the use of segments.
//!
//! **Invariants.** A figure equals a count over sends and events at the time of the request, regardless of
//! the program that wrote them. It is read from running counts and their pending changes, in one statement.
//! The migration `m0008_counts` explains why the sum is exact. A rate is computed from two such integers:
//! in Rust for display, and in SQL to order campaigns. Both are generated from one list, and agree to the
//! last digit.

#![warn(missing_docs)]

mod calendar;
mod contacts;
mod engagement;
mod figures;
mod keeper;
mod links;
mod rate;
mod segments;
mod sql;
mod state;
mod suppression;
mod timeline;
mod upkeep;

pub use calendar::{Bucket, Interval, MAX_BUCKETS, TooManyBuckets, buckets};
pub use contacts::{
    ContactCampaign, ContactNumber, ContactTime, has_any, has_time, with_campaign,
    with_clicked_link, with_number, with_time, with_time_after,
};
pub use engagement::{Engagement, Scan, contact_had, of_sends, send_had};
pub use figures::{Figures, OrderBy, Rate, Spans, by_campaign, order_expression, total};
pub use keeper::Keeper;
pub use links::{Link, links};
pub use rate::{Decimals, percentage};
pub use segments::{campaigns_used_in, of_campaigns, used_in_expression};
pub use state::{State, states};
pub use suppression::{is_suppressed, suppressing_events};
pub use timeline::{Activity, Uniques, event_spans, timeline, timelines};
