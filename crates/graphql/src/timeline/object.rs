//! `EngagementBucket`.

use async_graphql::SimpleObject;
use campaigns_analytics::{Activity, Bucket};

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
