//! The figures of campaigns, from running counts. One statement serves any number of campaigns and
//! reads a few rows of each, however many sends and events it has.

use std::{collections::HashMap, ops::AddAssign};

use campaigns_entity::{StoredTime, campaign};
use campaigns_scope::{Error, Scope, Scoped, Sql};
use chrono::{DateTime, Utc};
use sea_orm::{DbErr, QueryResult, sea_query::Expr};
use uuid::Uuid;

use crate::{Decimals, percentage, timeline::occurred_in_range};

/// The figures of sends. Counts are over sends and events; "unique" ones are over the sends that
/// have at least one such event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Sends in any status.
    pub sends: i64,
    /// Queued sends.
    pub queued: i64,
    /// Sends that the provider has accepted.
    pub sent: i64,
    /// Sends whose delivery is confirmed.
    pub delivered: i64,
    /// Sends that bounced.
    pub bounced: i64,
    /// Sends that could not be sent.
    pub failed: i64,
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
    /// Sends that were opened.
    pub unique_opens: i64,
    /// Sends in which a link was clicked.
    pub unique_clicks: i64,
    /// Sends that led to an unsubscribe.
    pub unique_unsubscribes: i64,
    /// Sends that led to a complaint.
    pub unique_complaints: i64,
    /// When the first event occurred. An event with a time that RFC 3339 cannot write has none.
    pub first_event_at: Option<DateTime<Utc>>,
    /// When the last event occurred, with the same exception.
    pub last_event_at: Option<DateTime<Utc>>,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        let counts = [
            (&mut self.sends, other.sends),
            (&mut self.queued, other.queued),
            (&mut self.sent, other.sent),
            (&mut self.delivered, other.delivered),
            (&mut self.bounced, other.bounced),
            (&mut self.failed, other.failed),
            (&mut self.opens, other.opens),
            (&mut self.clicks, other.clicks),
            (&mut self.unsubscribes, other.unsubscribes),
            (&mut self.complaints, other.complaints),
            (&mut self.bounces, other.bounces),
            (&mut self.unique_opens, other.unique_opens),
            (&mut self.unique_clicks, other.unique_clicks),
            (&mut self.unique_unsubscribes, other.unique_unsubscribes),
            (&mut self.unique_complaints, other.unique_complaints),
        ];
        for (count, more) in counts {
            *count += more;
        }
        self.first_event_at = match (self.first_event_at, other.first_event_at) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        self.last_event_at = self.last_event_at.max(other.last_event_at);
    }
}

/// The rates, in percent; see [`percentage`].
impl Figures {
    /// Delivered sends, of all sends.
    #[must_use]
    pub fn delivery_rate(&self, decimals: Decimals) -> Option<f64> {
        percentage(self.delivered, self.sends, decimals)
    }

    /// Opened sends, of the delivered ones.
    #[must_use]
    pub fn open_rate(&self, decimals: Decimals) -> Option<f64> {
        percentage(self.unique_opens, self.delivered, decimals)
    }

    /// Clicked sends, of the delivered ones.
    #[must_use]
    pub fn click_rate(&self, decimals: Decimals) -> Option<f64> {
        percentage(self.unique_clicks, self.delivered, decimals)
    }

    /// Clicked sends, of the opened ones.
    #[must_use]
    pub fn click_to_open_rate(&self, decimals: Decimals) -> Option<f64> {
        percentage(self.unique_clicks, self.unique_opens, decimals)
    }

    /// Bounced sends, of all sends.
    #[must_use]
    pub fn bounce_rate(&self, decimals: Decimals) -> Option<f64> {
        percentage(self.bounced, self.sends, decimals)
    }

    /// Sends that led to an unsubscribe, of the delivered ones.
    #[must_use]
    pub fn unsubscribe_rate(&self, decimals: Decimals) -> Option<f64> {
        percentage(self.unique_unsubscribes, self.delivered, decimals)
    }

    /// Sends that led to a complaint, of the delivered ones.
    #[must_use]
    pub fn complaint_rate(&self, decimals: Decimals) -> Option<f64> {
        percentage(self.unique_complaints, self.delivered, decimals)
    }
}

/// The columns of counts.
macro_rules! counts {
    () => {
        "sends, queued, sent, delivered, bounced, failed, opens, clicks, unsubscribes, complaints, bounces,
         unique_opens, unique_clicks, unique_unsubscribes, unique_complaints"
    };
}

/// The stored counts of the selected campaigns.
macro_rules! stored {
    () => {
        concat!(
            "SELECT campaign_id, ",
            counts!(),
            " FROM campaign_counts WHERE campaign_id IN (SELECT id FROM selected)"
        )
    };
}

/// The changes of the selected campaigns that wait to be added. A change of a send counts if it adds
/// the first of its kind or removes the last one.
macro_rules! waiting {
    () => {
        "SELECT campaign_id, number AS sends,
            CASE status WHEN 'queued' THEN number ELSE 0 END AS queued,
            CASE status WHEN 'sent' THEN number ELSE 0 END AS sent,
            CASE status WHEN 'delivered' THEN number ELSE 0 END AS delivered,
            CASE status WHEN 'bounced' THEN number ELSE 0 END AS bounced,
            CASE status WHEN 'failed' THEN number ELSE 0 END AS failed,
            0 AS opens, 0 AS clicks, 0 AS unsubscribes, 0 AS complaints, 0 AS bounces,
            0 AS unique_opens, 0 AS unique_clicks, 0 AS unique_unsubscribes, 0 AS unique_complaints
          FROM campaign_send_changes WHERE campaign_id IN (SELECT id FROM selected)
          UNION ALL
          SELECT now.campaign_id, 0, 0, 0, 0, 0, 0,
            now.opens, now.clicks, now.unsubscribes, now.complaints, now.bounces,
            CASE WHEN coalesce(had.opens, 0) + now.opens > 0 THEN 1 ELSE 0 END
              - CASE WHEN had.opens > 0 THEN 1 ELSE 0 END,
            CASE WHEN coalesce(had.clicks, 0) + now.clicks > 0 THEN 1 ELSE 0 END
              - CASE WHEN had.clicks > 0 THEN 1 ELSE 0 END,
            CASE WHEN coalesce(had.unsubscribes, 0) + now.unsubscribes > 0 THEN 1 ELSE 0 END
              - CASE WHEN had.unsubscribes > 0 THEN 1 ELSE 0 END,
            CASE WHEN coalesce(had.complaints, 0) + now.complaints > 0 THEN 1 ELSE 0 END
              - CASE WHEN had.complaints > 0 THEN 1 ELSE 0 END
          FROM (SELECT campaign_id, send_id,
              coalesce(sum(number) FILTER (WHERE event_type = 'open'), 0) AS opens,
              coalesce(sum(number) FILTER (WHERE event_type = 'click'), 0) AS clicks,
              coalesce(sum(number) FILTER (WHERE event_type = 'unsubscribe'), 0) AS unsubscribes,
              coalesce(sum(number) FILTER (WHERE event_type = 'complaint'), 0) AS complaints,
              coalesce(sum(number) FILTER (WHERE event_type = 'bounce'), 0) AS bounces
            FROM campaign_event_changes WHERE campaign_id IN (SELECT id FROM selected)
            GROUP BY campaign_id, send_id) AS now
          LEFT JOIN campaign_send_counts AS had
          ON had.send_id = now.send_id AND had.campaign_id = now.campaign_id"
    };
}

/// The counts of the selected campaigns in parts that add up.
macro_rules! parts {
    () => {
        concat!("(", stored!(), " UNION ALL ", waiting!(), ") AS parts")
    };
}

/// The sums over parts.
macro_rules! sums {
    () => {
        "CAST(sum(sends) AS bigint) AS sends, CAST(sum(queued) AS bigint) AS queued,
         CAST(sum(sent) AS bigint) AS sent, CAST(sum(delivered) AS bigint) AS delivered,
         CAST(sum(bounced) AS bigint) AS bounced, CAST(sum(failed) AS bigint) AS failed,
         CAST(sum(opens) AS bigint) AS opens, CAST(sum(clicks) AS bigint) AS clicks,
         CAST(sum(unsubscribes) AS bigint) AS unsubscribes, CAST(sum(complaints) AS bigint) AS complaints,
         CAST(sum(bounces) AS bigint) AS bounces,
         CAST(sum(unique_opens) AS bigint) AS unique_opens, CAST(sum(unique_clicks) AS bigint) AS unique_clicks,
         CAST(sum(unique_unsubscribes) AS bigint) AS unique_unsubscribes,
         CAST(sum(unique_complaints) AS bigint) AS unique_complaints"
    };
}

/// The times of the first and the last event of each selected campaign, which are the ends of a
/// range of an index.
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

/// Parts that add up for each campaign. PostgreSQL adds integers as decimals of any length, which takes
/// longer than everything else here, so stored counts are only read, and added to what waits, if
/// anything does, by [`by_campaign`].
macro_rules! parts_of_campaigns {
    () => {
        concat!(
            "SELECT campaign_id AS campaign, ",
            counts!(),
            ", CAST(NULL AS timestamptz) AS first_at, CAST(NULL AS timestamptz) AS last_at FROM (",
            stored!(),
            ") AS stored UNION ALL SELECT campaign_id, ",
            sums!(),
            ", CAST(NULL AS timestamptz), CAST(NULL AS timestamptz) FROM (",
            waiting!(),
            ") AS waiting GROUP BY campaign_id"
        )
    };
}

const BY_CAMPAIGN: Sql = Sql::new(parts_of_campaigns!());

const BY_CAMPAIGN_WITH_SPANS: Sql = Sql::new(concat!(
    parts_of_campaigns!(),
    " UNION ALL SELECT id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, first_at, last_at FROM ",
    spans!()
));

const TOTAL: Sql = Sql::new(concat!(
    "SELECT ",
    sums!(),
    ", CAST(NULL AS timestamptz) AS first_at, CAST(NULL AS timestamptz) AS last_at FROM ",
    parts!()
));

const TOTAL_WITH_SPANS: Sql = Sql::new(concat!(
    "SELECT ",
    counts!(),
    ", (SELECT min(first_at) FROM ",
    spans!(),
    ") AS first_at, (SELECT max(last_at) FROM ",
    spans!(),
    ") AS last_at FROM (SELECT ",
    sums!(),
    " FROM ",
    parts!(),
    ") AS figures"
));

/// Whether [`Figures`] include the times of the first and the last event, which cost more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spans {
    /// Without them: they are `None`.
    Without,
    /// With them.
    With,
}

/// The figures of each selected campaign. One that has none may be omitted; all of its figures are 0.
///
/// # Errors
/// Any error of the database.
pub async fn by_campaign(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
    spans: Spans,
) -> Result<HashMap<Uuid, Figures>, Error> {
    let sql = if spans == Spans::With { BY_CAMPAIGN_WITH_SPANS } else { BY_CAMPAIGN };
    let mut figures: HashMap<Uuid, Figures> = HashMap::new();
    for row in scope.rows(sql, selected).await? {
        *figures.entry(row.try_get_by_index(0)?).or_default() += read(&row, 1)?;
    }
    Ok(figures)
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

/// The figures of a row, whose columns from `first` on are the counts and the times. They are read by
/// their places, since looking up 17 names in each row takes longer.
fn read(row: &QueryResult, first: usize) -> Result<Figures, DbErr> {
    // null if nothing is selected
    let count =
        |place| Ok::<_, DbErr>(row.try_get_by_index::<Option<i64>>(first + place)?.unwrap_or(0));
    let time = |place| {
        let time = row.try_get_by_index::<Option<StoredTime>>(first + place)?;
        Ok::<_, DbErr>(time.and_then(|time| time.get()))
    };
    Ok(Figures {
        sends: count(0)?,
        queued: count(1)?,
        sent: count(2)?,
        delivered: count(3)?,
        bounced: count(4)?,
        failed: count(5)?,
        opens: count(6)?,
        clicks: count(7)?,
        unsubscribes: count(8)?,
        complaints: count(9)?,
        bounces: count(10)?,
        unique_opens: count(11)?,
        unique_clicks: count(12)?,
        unique_unsubscribes: count(13)?,
        unique_complaints: count(14)?,
        first_event_at: time(15)?,
        last_event_at: time(16)?,
    })
}

/// A figure that campaigns can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The number of sends.
    Sends,
    /// The open rate, null if nothing was delivered.
    OpenRate,
    /// The click rate, null if nothing was delivered.
    ClickRate,
    /// The bounce rate, null if there are no sends.
    BounceRate,
}

/// A figure of one row of `campaigns`.
macro_rules! of_one {
    ($figure:expr) => {
        Sql::new(concat!(
            "SELECT ",
            $figure,
            " FROM (WITH selected AS (SELECT campaigns.id AS id) SELECT * FROM ",
            parts!(),
            ") AS parts"
        ))
    };
}

/// In tenths of a percent.
macro_rules! rate_of_one {
    ($part:literal of $whole:literal) => {
        of_one!(concat!(
            "CAST(2000 * sum(",
            $part,
            ") + sum(",
            $whole,
            ") AS bigint) / nullif(CAST(2 * sum(",
            $whole,
            ") AS bigint), 0)"
        ))
    };
}

const SENDS: Sql = of_one!("coalesce(CAST(sum(sends) AS bigint), 0)");
const OPEN_RATE: Sql = rate_of_one!("unique_opens" of "delivered");
const CLICK_RATE: Sql = rate_of_one!("unique_clicks" of "delivered");
const BOUNCE_RATE: Sql = rate_of_one!("bounced" of "sends");

/// The figure of a row of `campaigns`, as an integer. A rate is in tenths of a percent and rounded
/// like [`percentage`] with one decimal, so that rows are ordered by the value that is displayed if the
/// client asks for nothing else.
#[must_use]
pub fn order_expression(scope: &Scope, figure: OrderBy) -> Expr {
    scope.expression(match figure {
        OrderBy::Sends => SENDS,
        OrderBy::OpenRate => OPEN_RATE,
        OrderBy::ClickRate => CLICK_RATE,
        OrderBy::BounceRate => BOUNCE_RATE,
    })
}
