//! `EngagementBucket`.

use async_graphql::Context;
use campaigns_analytics::{Activity, Bucket, Uniques};
use chrono::{DateTime, Utc};

use crate::object::value_object;

macro_rules! engagement_bucket {
    ($($(#[doc = $doc:literal])* $shown:literal $count:ident: events ($condition:literal);)*) => {
        value_object! {
            /// The figures of one period of a time series, from `start` inclusive to `end` exclusive.
            EngagementBucket of (Bucket, Activity) {
                /// The first instant of the period.
                "start": DateTime<Utc> = |(bucket, _)| bucket.start;
                /// The first instant after the period, which is the start of the next period.
                "end": DateTime<Utc> = |(bucket, _)| bucket.end;
                $($(#[doc = $doc])* $shown: i64 = |(_, activity)| activity.$count;)*
                /// The number of sends that were opened at least once in the period.
                "uniqueOpens": i64 = |(_, activity)| activity.unique_opens;
                /// The number of sends in which at least one link was clicked in the period.
                "uniqueClicks": i64 = |(_, activity)| activity.unique_clicks;
            }
        }
    };
}

campaigns_scope::event_counts!(engagement_bucket);

impl EngagementBucket {
    /// Whether numbers of sends are selected.
    pub(super) fn uniques(ctx: &Context<'_>) -> Uniques {
        let selection = ctx.look_ahead();
        if ["uniqueOpens", "uniqueClicks"].iter().any(|name| selection.field(name).exists()) {
            Uniques::With
        } else {
            Uniques::Without
        }
    }
}
