//! `EngagementBucket`.

use async_graphql::{Context, SimpleObject};
use campaigns_analytics::{Activity, Bucket, Uniques};

use crate::scalars::DateTime;

/// What happened within a stretch of time, from its start on and before its end.
#[derive(Clone, SimpleObject)]
pub(crate) struct EngagementBucket {
    /// Its first instant.
    start: DateTime,
    /// The first instant after it, where the next one starts.
    end: DateTime,
    /// How often a send was opened.
    opens: i64,
    /// How often a link was clicked.
    clicks: i64,
    /// How often a recipient unsubscribed.
    unsubscribes: i64,
    /// How often a recipient reported spam.
    complaints: i64,
    /// How often a bounce was reported.
    bounces: i64,
    /// Sends that were opened at least once within it.
    unique_opens: i64,
    /// Sends in which at least one link was clicked within it.
    unique_clicks: i64,
}

impl From<(Bucket, Activity)> for EngagementBucket {
    fn from((bucket, activity): (Bucket, Activity)) -> Self {
        Self {
            start: bucket.start.into(),
            end: bucket.end.into(),
            opens: activity.opens,
            clicks: activity.clicks,
            unsubscribes: activity.unsubscribes,
            complaints: activity.complaints,
            bounces: activity.bounces,
            unique_opens: activity.unique_opens,
            unique_clicks: activity.unique_clicks,
        }
    }
}

impl EngagementBucket {
    /// Whether the field that returns these was asked for numbers of sends.
    pub(super) fn uniques(ctx: &Context<'_>) -> Uniques {
        let asked = ctx.look_ahead();
        if ["uniqueOpens", "uniqueClicks"].iter().any(|name| asked.field(name).exists()) {
            Uniques::With
        } else {
            Uniques::Without
        }
    }
}
