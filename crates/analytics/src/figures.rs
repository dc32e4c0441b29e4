//! The figures of campaigns, from running counts. One statement serves any number of campaigns, and reads a
//! few rows of each, regardless of the number of its sends and events.
//!
//! **Invariant.** The figures equal the stored counts plus the pending changes of one snapshot. Most of the
//! time no change is pending, and reading the changes takes longer than reading the counts. So the first
//! statement reads the counts and whether any change of the organization is pending. Only if one is, a
//! second statement reads both, and the result of the first is discarded.
//!
//! The list of counts is [`campaign_counts`], and the list of rates is in this file. The code and the SQL
//! for counts and rates are generated from these lists.

use std::{collections::HashMap, ops::AddAssign};

use campaigns_entity::{StoredTime, campaign};
use campaigns_scope::{Error, Scope, Scoped, Sql, campaign_counts};
use chrono::{DateTime, Utc};
use sea_orm::{DbErr, QueryResult, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Decimals, percentage,
    sql::{columns, sums},
    timeline::occurred_in_range,
};

/// Generates [`Figures`] from the list of counts.
macro_rules! figures {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        /// The figures of campaigns. A "unique" count is the number of sends with at least one such event.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Figures {
            $($(#[$doc])* pub $count: i64,)*
            /// When the first event occurred. Times that RFC 3339 cannot represent are ignored.
            pub first_event_at: Option<DateTime<Utc>>,
            /// When the last event occurred. Times that RFC 3339 cannot represent are ignored.
            pub last_event_at: Option<DateTime<Utc>>,
        }

        impl AddAssign for Figures {
            fn add_assign(&mut self, other: Self) {
                $(self.$count += other.$count;)*
                self.first_event_at = match (self.first_event_at, other.first_event_at) {
                    (Some(one), Some(other)) => Some(one.min(other)),
                    (one, other) => one.or(other),
                };
                self.last_event_at = self.last_event_at.max(other.last_event_at);
            }
        }

        /// Reads the figures of a row. From the column `first`, it has the times and the counts. They are
        /// read by position, because looking up 21 names in each row takes longer.
        fn read(row: &QueryResult, first: usize) -> Result<Figures, DbErr> {
            let mut position = first;
            let mut next = || {
                position += 1;
                position - 1
            };
            let mut time = || {
                let time = row.try_get_by_index::<Option<StoredTime>>(next())?;
                Ok::<_, DbErr>(time.and_then(|time| time.get()))
            };
            let (first_event_at, last_event_at) = (time()?, time()?);
            // null if no campaign is selected
            let mut count =
                || Ok::<_, DbErr>(row.try_get_by_index::<Option<i64>>(next())?.unwrap_or(0));
            Ok(Figures { $($count: count()?,)* first_event_at, last_event_at })
        }
    };
}

macro_rules! of_sends {
    (sends) => {
        "number"
    };
    (status $status:literal) => {
        concat!("CASE status WHEN '", $status, "' THEN number ELSE 0 END")
    };
    ($of_events:ident $($of:tt)+) => {
        "0"
    };
}

/// The changes of counts by the pending changes of a send's events. A unique count changes with the first
/// of its events, or with the removal of the last one.
macro_rules! of_events {
    (events $count:ident $condition:literal) => {
        concat!("now.", stringify!($count))
    };
    (sends_with $count:ident $events:ident $(> $others:ident)?) => {
        concat!(
            "CASE WHEN coalesce(had.",
            stringify!($events),
            ", 0) + now.",
            stringify!($events),
            " > 0",
            $(" + coalesce(had.", stringify!($others), ", 0) + now.", stringify!($others),)?
            " THEN 1 ELSE 0 END - CASE WHEN had.",
            stringify!($events),
            " > 0",
            $(" + had.", stringify!($others),)?
            " THEN 1 ELSE 0 END"
        )
    };
    ($of_sends:ident $count:ident $($of:tt)*) => {
        "0"
    };
}

macro_rules! events_of {
    (events $count:ident $condition:literal) => {
        concat!(
            ", coalesce(sum(number) FILTER (WHERE ",
            $condition,
            "), 0) AS ",
            stringify!($count)
        )
    };
    ($other:ident $count:ident $($of:tt)*) => {
        ""
    };
}

/// A zero for each count.
macro_rules! zeros {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        concat!($(zero!($count)),*)
    };
}

macro_rules! zero {
    ($count:ident) => {
        ", 0"
    };
}

/// The changes of counts by a pending change of sends.
macro_rules! of_send_change {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        concat!($(", ", of_sends!($kind $($($of)+)?), " AS ", stringify!($count)),*)
    };
}

/// The changes of counts by the pending changes of a send's events.
macro_rules! of_event_changes {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        concat!($(", ", of_events!($kind $count $($($of)+)?)),*)
    };
}

/// The number of events of each count that pending changes add to a send.
macro_rules! events_of_changes {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        concat!($(events_of!($kind $count $($($of)+)?)),*)
    };
}

/// Generates a macro with the changes of one count: by a pending change of sends, and by the pending changes
/// of a send's events.
macro_rules! changes_of_one {
    ($($(#[$doc:meta])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        macro_rules! change {
            $(
                ($count by sends) => { of_sends!($kind $($($of)+)?) };
                ($count by events) => { of_events!($kind $count $($($of)+)?) };
            )*
        }
    };
}

campaign_counts!(figures);
campaign_counts!(changes_of_one);

/// Generates the rates from one list: as a method, and as SQL.
macro_rules! rates {
    ($($(#[$doc:meta])* $rate:ident: $part:ident of $whole:ident;)*) => {
        /// A rate: one count as a percentage of another (see [`percentage`]).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Rate {
            $($(#[$doc])* $rate,)*
        }

        impl Figures {
            /// A rate, in percent. `None` if the divisor is 0.
            #[must_use]
            pub fn rate(&self, rate: Rate, decimals: Decimals) -> Option<f64> {
                match rate {
                    $(Rate::$rate => percentage(self.$part, self.$whole, decimals),)*
                }
            }
        }

        impl Rate {
            /// The rate of one row of `campaigns`, in tenths of a percent.
            fn of_one(self) -> Sql {
                match self {
                    $(Self::$rate => const { rate_of_one!($part of $whole) },)*
                }
            }
        }
    };
}

/// The stored counts of the selected campaigns.
macro_rules! stored {
    () => {
        concat!(
            "SELECT campaign_id",
            campaign_counts!(columns),
            " FROM {campaign_counts BY campaign_id}"
        )
    };
}

/// The pending changes of the selected campaigns.
macro_rules! waiting {
    () => {
        concat!(
            "SELECT campaign_id",
            campaign_counts!(of_send_change),
            " FROM {campaign_send_changes BY campaign_id}
              UNION ALL SELECT now.campaign_id",
            campaign_counts!(of_event_changes),
            " FROM ",
            changed_sends!()
        )
    };
}

/// The events that pending changes add to each send of the selected campaigns, and those that it had.
macro_rules! changed_sends {
    () => {
        concat!(
            "(SELECT campaign_id, send_id",
            campaign_counts!(events_of_changes),
            " FROM {campaign_event_changes BY campaign_id}
                GROUP BY campaign_id, send_id) AS now
              LEFT JOIN campaign_send_counts AS had
              ON had.send_id = now.send_id AND had.campaign_id = now.campaign_id"
        )
    };
}

/// The counts of the selected campaigns, as rows whose sums are the counts.
macro_rules! parts {
    () => {
        concat!("(", stored!(), " UNION ALL ", waiting!(), ") AS parts")
    };
}

/// The times of the first and the last event of each selected campaign: the ends of an index range.
macro_rules! spans {
    () => {
        concat!(
            "(SELECT id,
            (SELECT min(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id AND ",
            occurred_in_range!(),
            ") AS first_at,
            (SELECT max(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id AND ",
            occurred_in_range!(),
            ") AS last_at
          FROM selected) AS spans"
        )
    };
}

/// Null in place of the times of events.
macro_rules! no_times {
    () => {
        "CAST(NULL AS timestamptz) AS first_at, CAST(NULL AS timestamptz) AS last_at"
    };
}

/// A row that says whether a change of the organization is pending, followed by the stored counts of each
/// campaign.
macro_rules! stored_with_flag {
    () => {
        concat!(
            "SELECT CAST(NULL AS uuid) AS campaign,
            EXISTS (SELECT 1 FROM campaign_send_changes)
              OR EXISTS (SELECT 1 FROM campaign_event_changes) AS is_pending, ",
            no_times!(),
            campaign_counts!(zeros),
            " UNION ALL SELECT campaign_id, CAST(NULL AS boolean), ",
            no_times!(),
            campaign_counts!(columns),
            " FROM (",
            stored!(),
            ") AS stored"
        )
    };
}

const STORED_BY_CAMPAIGN: Sql = Sql::new(stored_with_flag!());

const STORED_BY_CAMPAIGN_WITH_SPANS: Sql = Sql::new(concat!(
    stored_with_flag!(),
    " UNION ALL SELECT id, CAST(NULL AS boolean), first_at, last_at",
    campaign_counts!(zeros),
    " FROM ",
    spans!()
));

/// The counts of each campaign, as one or two rows. PostgreSQL sums bigints as numeric, which takes longer
/// than the rest of the statement. So SQL does not sum the stored counts, and [`by_campaign`] adds the
/// pending changes, if there are any.
macro_rules! parts_of_campaigns {
    () => {
        concat!(
            "SELECT campaign_id AS campaign, ",
            no_times!(),
            campaign_counts!(columns),
            " FROM (",
            stored!(),
            ") AS stored UNION ALL SELECT campaign_id, ",
            no_times!(),
            campaign_counts!(sums),
            " FROM (",
            waiting!(),
            ") AS waiting GROUP BY campaign_id"
        )
    };
}

const BY_CAMPAIGN: Sql = Sql::new(parts_of_campaigns!());

const BY_CAMPAIGN_WITH_SPANS: Sql = Sql::new(concat!(
    parts_of_campaigns!(),
    " UNION ALL SELECT id, first_at, last_at",
    campaign_counts!(zeros),
    " FROM ",
    spans!()
));

const TOTAL: Sql =
    Sql::new(concat!("SELECT ", no_times!(), campaign_counts!(sums), " FROM ", parts!()));

const TOTAL_WITH_SPANS: Sql = Sql::new(concat!(
    "SELECT (SELECT min(first_at) FROM ",
    spans!(),
    ") AS first_at, (SELECT max(last_at) FROM ",
    spans!(),
    ") AS last_at",
    campaign_counts!(columns),
    " FROM (SELECT 1 AS one",
    campaign_counts!(sums),
    " FROM ",
    parts!(),
    ") AS figures"
));

/// Whether [`Figures`] include the times of the first and the last event, which cost more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spans {
    /// Without the times, which are `None`.
    Without,
    /// With the times.
    With,
}

/// The figures of each selected campaign. A campaign whose figures are all 0 can be omitted.
///
/// # Errors
/// Any error of the database.
pub async fn by_campaign(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
    spans: Spans,
) -> Result<HashMap<Uuid, Figures>, Error> {
    let (stored, with_pending) = match spans {
        Spans::Without => (STORED_BY_CAMPAIGN, BY_CAMPAIGN),
        Spans::With => (STORED_BY_CAMPAIGN_WITH_SPANS, BY_CAMPAIGN_WITH_SPANS),
    };
    // while events keep arriving, the first statement would find pending changes each time
    if !scope.had_pending_changes() {
        let rows = scope.rows(stored, selected.clone()).await?;
        if let Some(figures) = unless_pending(&rows)? {
            return Ok(figures);
        }
        scope.note_pending();
    }
    let mut figures: HashMap<Uuid, Figures> = HashMap::new();
    for row in scope.rows(with_pending, selected).await? {
        *figures.entry(row.try_get_by_index(0)?).or_default() += read(&row, 1)?;
    }
    Ok(figures)
}

/// The figures of rows with stored counts, unless a change is pending.
fn unless_pending(rows: &[QueryResult]) -> Result<Option<HashMap<Uuid, Figures>>, DbErr> {
    let mut figures: HashMap<Uuid, Figures> = HashMap::with_capacity(rows.len());
    for row in rows {
        match row.try_get_by_index::<Option<Uuid>>(0)? {
            Some(campaign) => *figures.entry(campaign).or_default() += read(row, 2)?,
            None if row.try_get_by_index(1)? => return Ok(None),
            None => {}
        }
    }
    Ok(Some(figures))
}

/// The figures of all selected campaigns together.
///
/// # Errors
/// Any error of the database.
pub async fn total(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
    spans: Spans,
) -> Result<Figures, Error> {
    let sql = if spans == Spans::With { TOTAL_WITH_SPANS } else { TOTAL };
    let rows = scope.rows(sql, selected).await?;
    Ok(rows.first().map(|row| read(row, 0)).transpose()?.unwrap_or_default())
}

/// A figure that campaigns can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The number of sends.
    Sends,
    /// A rate. Null if the divisor is 0.
    Rate(Rate),
}

/// A figure of one row of `campaigns`, from the sums of two counts. It reads no others, so that the statement of a
/// list that is ordered by it stays short, however many counts there are.
macro_rules! of_one {
    ($figure:literal from $part:ident, $whole:ident) => {
        Sql::new(concat!(
            "SELECT ",
            $figure,
            " FROM (WITH selected AS (SELECT campaigns.id AS id) SELECT ",
            stringify!($part),
            " AS part, ",
            stringify!($whole),
            " AS whole FROM {campaign_counts BY campaign_id} UNION ALL SELECT ",
            change!($part by sends),
            ", ",
            change!($whole by sends),
            " FROM {campaign_send_changes BY campaign_id} UNION ALL SELECT ",
            change!($part by events),
            ", ",
            change!($whole by events),
            " FROM ",
            changed_sends!(),
            ") AS parts"
        ))
    };
}

/// A rate of one row of `campaigns`, in tenths of a percent.
macro_rules! rate_of_one {
    ($part:ident of $whole:ident) => {
        of_one!(
            "CAST(2000 * sum(part) + sum(whole) AS bigint) / nullif(CAST(2 * sum(whole) AS bigint), 0)"
            from $part, $whole
        )
    };
}

const SENDS: Sql = of_one!("coalesce(CAST(sum(part) AS bigint), 0)" from sends, sends);

rates! {
    /// Delivered sends, of all sends.
    Delivery: delivered of sends;
    /// Opened sends, of the delivered ones.
    Open: unique_opens of delivered;
    /// Clicked sends, of the delivered ones.
    Click: unique_clicks of delivered;
    /// Clicked sends, of the opened ones.
    ClickToOpen: unique_clicks of unique_opens;
    /// Bounced sends, of all sends.
    Bounce: bounced of sends;
    /// Sends that led to an unsubscribe, of the delivered ones.
    Unsubscribe: unique_unsubscribes of delivered;
    /// Sends that led to a complaint, of the delivered ones.
    Complaint: unique_complaints of delivered;
    /// Sends opened by a human, of the delivered ones.
    HumanOpen: unique_human_opens of delivered;
    /// Sends clicked by a human, of the delivered ones.
    HumanClick: unique_human_clicks of delivered;
}

/// The figure of a row of `campaigns`, as an integer. A rate is in tenths of a percent, rounded like
/// [`percentage`] with one decimal, so that rows are ordered by the values that the API returns by default.
#[must_use]
pub fn order_expression(scope: &Scope, figure: OrderBy) -> Expr {
    scope.expression(match figure {
        OrderBy::Sends => SENDS,
        OrderBy::Rate(rate) => rate.of_one(),
    })
}
