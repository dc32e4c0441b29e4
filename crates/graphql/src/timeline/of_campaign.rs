//! `Campaign.timeline`.

use std::{collections::HashMap, fmt::Write};

use async_graphql::Context;
use campaigns_analytics::Bucket;
use campaigns_entity::campaign;
use campaigns_operation::object::Objects;
use chrono::{DateTime as ChronoDateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::{Calendar, EngagementBucket, arguments::check_order};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows::{Key, Row},
    scalars::DateTime,
};

type Time = ChronoDateTime<Utc>;

/// The maximum number of buckets of all campaigns of a page.
const MAX_TOTAL_BUCKETS: usize = 50_000;

/// The time series of a campaign, counted for all campaigns that were read with it. A missing bound
/// comes from the campaign's events: the first, and just after the last.
pub(crate) async fn of_campaign(
    ctx: &Context<'_>,
    row: &Row<campaign::Entity>,
    calendar: Calendar,
    from: Option<DateTime>,
    to: Option<DateTime>,
) -> Result<Objects<EngagementBucket>, Error> {
    let time = |time: Option<DateTime>, name| {
        time.map(|time| input::time(&time, Path::argument(name))).transpose()
    };
    let (from, to) = (time(from, "from")?, time(to, "to")?);
    if let (Some(from), Some(to)) = (from, to) {
        check_order(from, to)?;
    }
    let scope = ctx.scope();
    let spans = if from.is_some() && to.is_some() {
        None
    } else {
        let spans = row.gather(scope, "event spans", |selected| async move {
            Ok(campaigns_analytics::event_spans(scope, selected).await?)
        });
        Some(spans.await?)
    };
    let buckets_of = |id: &Uuid| {
        let span = spans.as_ref().map_or(Some((Time::MIN_UTC, Time::MAX_UTC)), |spans| {
            spans.get(id).map(|(first, last)| (*first, *last + TimeDelta::microseconds(1)))
        });
        // no events, no buckets
        let Some((first, last)) = span else { return Ok(Vec::new()) };
        calendar.buckets(from.unwrap_or(first), to.unwrap_or(last))
    };
    let uniques = EngagementBucket::uniques(ctx);
    let key =
        Key::of_field(ctx, |key| write!(key, "timeline {calendar:?} {from:?} {to:?} {uniques:?}"));
    let timelines = row
        .load_for_all(key, async |campaigns| {
            let wanted: Vec<(Uuid, Bucket)> = campaigns
                .into_iter()
                .filter_map(|campaign| Some((campaign, buckets_of(&campaign).ok()?)))
                .flat_map(|(id, buckets)| buckets.into_iter().map(move |bucket| (id, bucket)))
                .collect();
            if wanted.len() > MAX_TOTAL_BUCKETS {
                let message = format!(
                    "The campaigns would have more than {MAX_TOTAL_BUCKETS} periods in total."
                );
                return Err(Error::limit("interval", message));
            }
            let activities = campaigns_analytics::timelines(scope, &wanted, uniques).await?;
            let mut timelines: HashMap<Uuid, Vec<EngagementBucket>> = HashMap::new();
            for ((id, bucket), activity) in wanted.into_iter().zip(activities) {
                let bucket = EngagementBucket((bucket, activity));
                timelines.entry(id).or_default().push(bucket);
            }
            Ok(timelines)
        })
        .await?;
    // fail if this campaign has too many
    let id = row.id();
    buckets_of(&id)?;
    Ok(Objects(timelines.get(&id).cloned().unwrap_or_default()))
}
