//! Time series: the number of events in each period.

use std::collections::HashMap;

use campaigns_entity::{StoredTime, campaign};
use campaigns_scope::{Dialect, Error, Scope, Scoped, Sql, ValuesTable, event_counts};
use chrono::{DateTime, TimeDelta, Timelike, Utc};
use sea_orm::{DbErr, QueryResult, Value};
use uuid::Uuid;

use crate::{
    Bucket,
    sql::{columns, sums},
};

/// The maximum number of buckets in one statement.
const CHUNK: usize = 5_000;
/// The same for statements in which a bucket has up to three spans.
const CHUNK_OF_SPANS: usize = 2_000;

/// Generates [`Activity`] from the list of event counts.
macro_rules! activity {
    ($($(#[$doc:meta])* $shown:literal $count:ident: events ($condition:literal);)*) => {
        /// The activity within a bucket.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Activity {
            $($(#[$doc])* pub $count: i64,)*
            /// The number of sends that were opened within the bucket.
            pub unique_opens: i64,
            /// The number of sends in which a link was clicked within the bucket.
            pub unique_clicks: i64,
        }

        fn read(row: &QueryResult) -> Result<Activity, DbErr> {
            Ok(Activity {
                $($count: row.try_get("", stringify!($count))?,)*
                unique_opens: row.try_get("", "unique_opens")?,
                unique_clicks: row.try_get("", "unique_clicks")?,
            })
        }
    };
}

event_counts!(activity);

/// The counts of events, and of sends with events.
macro_rules! counts {
    ($($(#[$doc:meta])* $shown:literal $count:ident: events ($condition:literal);)*) => {
        concat!(
            $("count(*) FILTER (WHERE ", $condition, ") AS ", stringify!($count), ", ",)*
            "count(DISTINCT CASE event_type WHEN 'open' THEN send_id END) AS unique_opens,
             count(DISTINCT CASE event_type WHEN 'click' THEN send_id END) AS unique_clicks"
        )
    };
}

/// The change of the counts by an event.
macro_rules! of_event {
    ($($(#[$doc:meta])* $shown:literal $count:ident: events ($condition:literal);)*) => {
        concat!($(", CASE WHEN ", $condition, " THEN 1 ELSE 0 END"),*)
    };
}

/// The change of the counts by a pending change, whose number is `number_of`.
macro_rules! of_change {
    ($($(#[$doc:meta])* $shown:literal $count:ident: events ($condition:literal);)*) => {
        concat!($(", CASE WHEN ", $condition, " THEN number_of ELSE 0 END"),*)
    };
}

/// In `SQLite`, a cross join looks up the events of one bucket after the other.
macro_rules! in_sqlite {
    ($condition:literal) => {
        Sql::new(concat!(
            "SELECT number, ",
            event_counts!(counts),
            " FROM buckets CROSS JOIN campaign_events
             WHERE occurred_at >= since AND occurred_at < until AND ",
            $condition,
            " GROUP BY number"
        ))
    };
}

const OF_EACH_IN_SQLITE: Sql = in_sqlite!("send_campaign_id = buckets.campaign");
const OF_ALL_IN_SQLITE: Sql = in_sqlite!("send_campaign_id IN (SELECT id FROM selected)");

// for a plain join, PostgreSQL would compare each event with each bucket; counting within a lateral
// subquery forces an index look-up per bucket
const OF_EACH_IN_POSTGRES: Sql = Sql::new(concat!(
    "SELECT number, activity.* FROM buckets CROSS JOIN LATERAL (SELECT ",
    event_counts!(counts),
    " FROM campaign_events WHERE send_campaign_id = buckets.campaign
      AND occurred_at >= since AND occurred_at < until) AS activity"
));

// one pass over the events; width_bucket finds the bucket of each by bisection
const OF_ALL_IN_POSTGRES: Sql = Sql::new(concat!(
    "SELECT number, ",
    event_counts!(counts),
    " FROM
     (SELECT width_bucket(occurred_at, (SELECT array_agg(since ORDER BY since) FROM buckets))::bigint - 1
        AS number, event_type, machine, send_id
      FROM campaign_events WHERE send_campaign_id IN (SELECT id FROM selected)
      AND occurred_at >= (SELECT min(since) FROM buckets)
      AND occurred_at < (SELECT max(until) FROM buckets)) AS events
     GROUP BY number"
));

/// The counts of spans, which are whole hours or parts of hours. Whole hours are read from running counts
/// and pending changes, parts from events, by an index. In PostgreSQL, a lateral subquery looks up each
/// span; in SQLite, a cross join does the same.
macro_rules! of_spans {
    ($number:literal, $from:literal, $of_counts:literal, $of_events:literal) => {
        concat!(
            "SELECT ",
            $number,
            event_counts!(columns),
            " FROM ",
            $from,
            " campaign_hour_counts WHERE whole AND hour >= since AND hour < until AND ",
            $of_counts,
            " UNION ALL SELECT ",
            $number,
            event_counts!(of_change),
            " FROM ",
            $from,
            " (SELECT campaign_id, event_type, machine, hour, number AS number_of FROM campaign_event_changes) AS changes
              WHERE whole AND hour >= since AND hour < until AND ",
            $of_counts,
            " UNION ALL SELECT ",
            $number,
            event_counts!(of_event),
            " FROM ",
            $from,
            " campaign_events WHERE NOT whole AND occurred_at >= since AND occurred_at < until AND ",
            $of_events
        )
    };
}

macro_rules! sums_of_spans {
    ($from:expr) => {
        Sql::new(concat!(
            "SELECT number",
            event_counts!(sums),
            ", CAST(0 AS bigint) AS unique_opens, CAST(0 AS bigint) AS unique_clicks FROM ",
            $from,
            ") AS parts GROUP BY number"
        ))
    };
}

const SPANS_OF_EACH_IN_POSTGRES: Sql = sums_of_spans!(concat!(
    "spans CROSS JOIN LATERAL (",
    of_spans!("1 AS one", "", "campaign_id = spans.campaign", "send_campaign_id = spans.campaign")
));
const SPANS_OF_EACH_IN_SQLITE: Sql = sums_of_spans!(concat!(
    "(",
    of_spans!(
        "number",
        "spans CROSS JOIN",
        "campaign_id = spans.campaign",
        "send_campaign_id = spans.campaign"
    )
));
const SPANS_OF_ALL_IN_POSTGRES: Sql = sums_of_spans!(concat!(
    "spans CROSS JOIN LATERAL (",
    of_spans!(
        "1 AS one",
        "",
        "campaign_id IN (SELECT id FROM selected)",
        "send_campaign_id IN (SELECT id FROM selected)"
    )
));
const SPANS_OF_ALL_IN_SQLITE: Sql = sums_of_spans!(concat!(
    "(",
    of_spans!(
        "number",
        "spans CROSS JOIN",
        "campaign_id IN (SELECT id FROM selected)",
        "send_campaign_id IN (SELECT id FROM selected)"
    )
));

/// Whether an [`Activity`] includes the number of *sends* that were opened and clicked. They cannot be
/// summed over hours, so they require reading every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Uniques {
    /// Without these numbers, which are 0.
    Without,
    /// With these numbers.
    With,
}

/// The spans of a bucket: its whole hours, if any, and the partial hours around them. Each has its bounds,
/// and whether it consists of whole hours.
fn spans(bucket: &Bucket) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>, bool)> {
    let before = |time: DateTime<Utc>| {
        let past = i64::from(time.minute() * 60 + time.second());
        time - TimeDelta::seconds(past) - TimeDelta::nanoseconds(time.nanosecond().into())
    };
    let last = before(bucket.end);
    let first = before(bucket.start + TimeDelta::hours(1) - TimeDelta::nanoseconds(1));
    let spans = if first < last {
        [(bucket.start, first, false), (first, last, true), (last, bucket.end, false)]
    } else {
        let nothing = (bucket.end, bucket.end, false);
        [(bucket.start, bucket.end, false), nothing, nothing]
    };
    spans.into_iter().filter(|(since, until, _)| since < until)
}

fn has_whole_hours(bucket: &Bucket) -> bool {
    spans(bucket).any(|(_, _, whole)| whole)
}

/// The condition that RFC 3339 can represent the time of an event.
macro_rules! occurred_in_range {
    () => {
        "occurred_at >= '0001-01-01T00:00:00+00:00'
         AND occurred_at <= '9999-12-31T23:59:59.999999+00:00'"
    };
}
pub(crate) use occurred_in_range;

const SPANS: Sql = Sql::new(concat!(
    "SELECT id AS campaign,
     (SELECT min(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id AND ",
    occurred_in_range!(),
    ") AS first_at,
     (SELECT max(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id AND ",
    occurred_in_range!(),
    ") AS last_at
     FROM selected"
));

/// The activity within each of the consecutive buckets, of all selected campaigns together.
///
/// # Errors
/// Any error of the database.
pub async fn timeline(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
    buckets: &[Bucket],
    uniques: Uniques,
) -> Result<Vec<Activity>, Error> {
    if uniques == Uniques::Without && buckets.iter().any(has_whole_hours) {
        let sql = match scope.dialect() {
            Dialect::Postgres => SPANS_OF_ALL_IN_POSTGRES,
            Dialect::Sqlite => SPANS_OF_ALL_IN_SQLITE,
        };
        let rows = buckets.iter().zip(0_i64..).flat_map(|(bucket, number)| {
            spans(bucket).map(move |(since, until, whole)| {
                vec![number.into(), since.into(), until.into(), whole.into()]
            })
        });
        let table = "spans (number, since, until, whole)";
        return count(scope, sql, selected, table, rows.collect(), buckets.len()).await;
    }
    let rows = buckets
        .iter()
        .zip(0_i64..)
        .map(|(bucket, number)| vec![number.into(), bucket.start.into(), bucket.end.into()]);
    let sql = match scope.dialect() {
        Dialect::Postgres => OF_ALL_IN_POSTGRES,
        Dialect::Sqlite => OF_ALL_IN_SQLITE,
    };
    let table = "buckets (number, since, until)";
    count(scope, sql, selected, table, rows.collect(), buckets.len()).await
}

/// The activity within each of these buckets, by campaign.
///
/// # Errors
/// Any error of the database.
pub async fn timelines(
    scope: &Scope,
    buckets: &[(Uuid, Bucket)],
    uniques: Uniques,
) -> Result<Vec<Activity>, Error> {
    if uniques == Uniques::Without && buckets.iter().any(|(_, bucket)| has_whole_hours(bucket)) {
        return timelines_of_spans(scope, buckets).await;
    }
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
        activities.extend(count(scope, sql, of, table, rows.collect(), chunk.len()).await?);
    }
    Ok(activities)
}

/// [`timelines`] without uniques, from running counts.
async fn timelines_of_spans(
    scope: &Scope,
    buckets: &[(Uuid, Bucket)],
) -> Result<Vec<Activity>, Error> {
    let sql = match scope.dialect() {
        Dialect::Postgres => SPANS_OF_EACH_IN_POSTGRES,
        Dialect::Sqlite => SPANS_OF_EACH_IN_SQLITE,
    };
    let mut activities = Vec::with_capacity(buckets.len());
    for chunk in buckets.chunks(CHUNK_OF_SPANS) {
        let rows = chunk.iter().zip(0_i64..).flat_map(|((campaign, bucket), number)| {
            spans(bucket).map(move |(since, until, whole)| {
                vec![number.into(), (*campaign).into(), since.into(), until.into(), whole.into()]
            })
        });
        let (of, table) = (scope.find(), "spans (number, campaign, since, until, whole)");
        activities.extend(count(scope, sql, of, table, rows.collect(), chunk.len()).await?);
    }
    Ok(activities)
}

/// The times of the first and the last event of each selected campaign. Times that RFC 3339 cannot represent
/// are ignored. Campaigns without events are omitted.
///
/// # Errors
/// Any error of the database.
pub async fn event_spans(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, (DateTime<Utc>, DateTime<Utc>)>, Error> {
    let mut spans = HashMap::new();
    for row in scope.rows(SPANS, selected).await? {
        let time = |name: &str| {
            let time = row.try_get::<Option<StoredTime>>("", name)?;
            Ok::<_, DbErr>(time.and_then(|time| time.get()))
        };
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
    buckets: usize,
) -> Result<Vec<Activity>, Error> {
    let mut activities = vec![Activity::default(); buckets];
    if rows.is_empty() {
        return Ok(activities);
    }
    for row in scope.rows_given(sql, selected, Some(ValuesTable { table, rows })).await? {
        let number: i64 = row.try_get("", "number")?;
        let place = usize::try_from(number).ok().and_then(|number| activities.get_mut(number));
        if let Some(place) = place {
            *place = read(&row)?;
        }
    }
    Ok(activities)
}
