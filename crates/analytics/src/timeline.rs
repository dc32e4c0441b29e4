//! Time series: what happened when.

use std::collections::HashMap;

use campaigns_entity::campaign;
use campaigns_scope::{Dialect, Error, Given, Scope, Scoped, Sql};
use chrono::{DateTime, Utc};
use sea_orm::{DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::Bucket;

/// How many buckets one statement counts; each binds four values.
const CHUNK: usize = 5_000;

/// What happened within a bucket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Events: opens.
    pub opens: i64,
    /// Events: clicks.
    pub clicks: i64,
    /// Events: unsubscribes.
    pub unsubscribes: i64,
    /// Events: complaints.
    pub complaints: i64,
    /// Events: bounces.
    pub bounces: i64,
    /// Sends that were opened, within the bucket.
    pub unique_opens: i64,
    /// Sends in which something was clicked, within the bucket.
    pub unique_clicks: i64,
}

macro_rules! counts {
    () => {
        "count(*) FILTER (WHERE event_type = 'open') AS opens,
         count(*) FILTER (WHERE event_type = 'click') AS clicks,
         count(*) FILTER (WHERE event_type = 'unsubscribe') AS unsubscribes,
         count(*) FILTER (WHERE event_type = 'complaint') AS complaints,
         count(*) FILTER (WHERE event_type = 'bounce') AS bounces,
         count(DISTINCT CASE event_type WHEN 'open' THEN send_id END) AS unique_opens,
         count(DISTINCT CASE event_type WHEN 'click' THEN send_id END) AS unique_clicks"
    };
}

/// In `SQLite` a cross join looks up the events of one bucket after the other.
macro_rules! in_sqlite {
    ($condition:literal) => {
        Sql::new(concat!(
            "SELECT number, ",
            counts!(),
            " FROM buckets CROSS JOIN campaign_events
             WHERE occurred_at >= since AND occurred_at < until AND ",
            $condition,
            " GROUP BY number"
        ))
    };
}

const OF_EACH_IN_SQLITE: Sql = in_sqlite!("send_campaign_id = buckets.campaign");
const OF_ALL_IN_SQLITE: Sql = in_sqlite!("send_campaign_id IN (SELECT id FROM selected)");

// PostgreSQL takes such a join for a large one and compares each event with each bucket; counting
// within a lateral subquery leaves it no choice
const OF_EACH_IN_POSTGRES: Sql = Sql::new(concat!(
    "SELECT number, activity.* FROM buckets CROSS JOIN LATERAL (SELECT ",
    counts!(),
    " FROM campaign_events WHERE send_campaign_id = buckets.campaign
      AND occurred_at >= since AND occurred_at < until) AS activity"
));

// one pass over the events, each finding its bucket by bisection
const OF_ALL_IN_POSTGRES: Sql = Sql::new(concat!(
    "SELECT number, ",
    counts!(),
    " FROM
     (SELECT width_bucket(occurred_at, (SELECT array_agg(since ORDER BY since) FROM buckets))::bigint - 1
        AS number, event_type, send_id
      FROM campaign_events WHERE send_campaign_id IN (SELECT id FROM selected)
      AND occurred_at >= (SELECT min(since) FROM buckets)
      AND occurred_at < (SELECT max(until) FROM buckets)) AS events
     GROUP BY number"
));

const SPANS: Sql = Sql::new(
    "SELECT id AS campaign,
     (SELECT min(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id) AS first_at,
     (SELECT max(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id) AS last_at
     FROM selected",
);

/// What happened within each of the buckets, which follow each other, over all of the selected campaigns together.
///
/// # Errors
/// Those of the database.
pub async fn timeline(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
    buckets: &[Bucket],
) -> Result<Vec<Activity>, Error> {
    let rows = buckets
        .iter()
        .zip(0_i64..)
        .map(|(bucket, number)| vec![number.into(), bucket.start.into(), bucket.end.into()]);
    let sql = match scope.dialect() {
        Dialect::Postgres => OF_ALL_IN_POSTGRES,
        Dialect::Sqlite => OF_ALL_IN_SQLITE,
    };
    count(scope, sql, selected, "buckets (number, since, until)", rows.collect()).await
}

/// What happened within each of these buckets, campaign by campaign.
///
/// # Errors
/// Those of the database.
pub async fn timelines(scope: &Scope, buckets: &[(Uuid, Bucket)]) -> Result<Vec<Activity>, Error> {
    let sql = match scope.dialect() {
        Dialect::Postgres => OF_EACH_IN_POSTGRES,
        Dialect::Sqlite => OF_EACH_IN_SQLITE,
    };
    let mut activities = Vec::with_capacity(buckets.len());
    for chunk in buckets.chunks(CHUNK) {
        let rows = chunk.iter().zip(0_i64..).map(|((campaign, bucket), number)| {
            vec![number.into(), (*campaign).into(), bucket.start.into(), bucket.end.into()]
        });
        let (of, table) = (scope.find(), "buckets (number, campaign, since, until)");
        activities.extend(count(scope, sql, of, table, rows.collect()).await?);
    }
    Ok(activities)
}

/// When the first and the last event of each of the selected campaigns occurred; one without
/// events is not among them.
///
/// # Errors
/// Those of the database.
pub async fn event_spans(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, (DateTime<Utc>, DateTime<Utc>)>, Error> {
    let mut spans = HashMap::new();
    for row in scope.rows(SPANS, selected).await? {
        let time = |name: &str| row.try_get::<Option<DateTime<Utc>>>("", name);
        if let (Some(first), Some(last)) = (time("first_at")?, time("last_at")?) {
            spans.insert(row.try_get("", "campaign")?, (first, last));
        }
    }
    Ok(spans)
}

async fn count(
    scope: &Scope,
    sql: Sql,
    selected: Scoped<campaign::Entity>,
    table: &'static str,
    rows: Vec<Vec<Value>>,
) -> Result<Vec<Activity>, Error> {
    let mut activities = vec![Activity::default(); rows.len()];
    if rows.is_empty() {
        return Ok(activities);
    }
    for row in scope.rows_given(sql, selected, Some(Given { table, rows })).await? {
        let number: i64 = row.try_get("", "number")?;
        let place = usize::try_from(number).ok().and_then(|number| activities.get_mut(number));
        if let Some(place) = place {
            *place = read(&row)?;
        }
    }
    Ok(activities)
}

fn read(row: &QueryResult) -> Result<Activity, DbErr> {
    Ok(Activity {
        opens: row.try_get("", "opens")?,
        clicks: row.try_get("", "clicks")?,
        unsubscribes: row.try_get("", "unsubscribes")?,
        complaints: row.try_get("", "complaints")?,
        bounces: row.try_get("", "bounces")?,
        unique_opens: row.try_get("", "unique_opens")?,
        unique_clicks: row.try_get("", "unique_clicks")?,
    })
}
