//! The figures of campaigns, from running counts. One statement serves any number of campaigns and
//! reads a few rows of each, however many sends and events it has.

use std::collections::HashMap;

use campaigns_entity::campaign;
use campaigns_scope::{Error, Scope, Scoped, Sql};
use chrono::{DateTime, Utc};
use sea_orm::{DbErr, QueryResult, sea_query::Expr};
use uuid::Uuid;

use crate::percentage;

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
    /// When the first event occurred.
    pub first_event_at: Option<DateTime<Utc>>,
    /// When the last event occurred.
    pub last_event_at: Option<DateTime<Utc>>,
}

/// The rates, in percent; see [`percentage`].
impl Figures {
    /// Delivered sends, of all sends.
    #[must_use]
    pub fn delivery_rate(&self) -> Option<f64> {
        percentage(self.delivered, self.sends)
    }

    /// Opened sends, of the delivered ones.
    #[must_use]
    pub fn open_rate(&self) -> Option<f64> {
        percentage(self.unique_opens, self.delivered)
    }

    /// Clicked sends, of the delivered ones.
    #[must_use]
    pub fn click_rate(&self) -> Option<f64> {
        percentage(self.unique_clicks, self.delivered)
    }

    /// Clicked sends, of the opened ones.
    #[must_use]
    pub fn click_to_open_rate(&self) -> Option<f64> {
        percentage(self.unique_clicks, self.unique_opens)
    }

    /// Bounced sends, of all sends.
    #[must_use]
    pub fn bounce_rate(&self) -> Option<f64> {
        percentage(self.bounced, self.sends)
    }

    /// Sends that led to an unsubscribe, of the delivered ones.
    #[must_use]
    pub fn unsubscribe_rate(&self) -> Option<f64> {
        percentage(self.unique_unsubscribes, self.delivered)
    }

    /// Sends that led to a complaint, of the delivered ones.
    #[must_use]
    pub fn complaint_rate(&self) -> Option<f64> {
        percentage(self.unique_complaints, self.delivered)
    }
}

/// The counts of the selected campaigns in parts that add up: the stored counts, and the changes
/// that wait to be added. A change of a send counts if it adds the first of its kind or removes the
/// last one.
macro_rules! parts {
    () => {
        "(SELECT campaign_id, sends, queued, sent, delivered, bounced, failed,
            opens, clicks, unsubscribes, complaints, bounces,
            unique_opens, unique_clicks, unique_unsubscribes, unique_complaints
          FROM campaign_counts WHERE campaign_id IN (SELECT id FROM selected)
          UNION ALL
          SELECT campaign_id, number,
            CASE status WHEN 'queued' THEN number ELSE 0 END, CASE status WHEN 'sent' THEN number ELSE 0 END,
            CASE status WHEN 'delivered' THEN number ELSE 0 END, CASE status WHEN 'bounced' THEN number ELSE 0 END,
            CASE status WHEN 'failed' THEN number ELSE 0 END,
            0, 0, 0, 0, 0, 0, 0, 0, 0
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
          ON had.send_id = now.send_id AND had.campaign_id = now.campaign_id) AS parts"
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

/// The times of the first and the last event of each selected campaign, which are the ends of an
/// index.
macro_rules! spans {
    () => {
        "(SELECT id,
            (SELECT min(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id) AS first_at,
            (SELECT max(occurred_at) FROM campaign_events WHERE send_campaign_id = selected.id) AS last_at
          FROM selected) AS spans"
    };
}

const BY_CAMPAIGN: Sql = Sql::new(concat!(
    "SELECT campaign_id AS campaign, ",
    sums!(),
    ", CAST(NULL AS timestamptz) AS first_at, CAST(NULL AS timestamptz) AS last_at FROM ",
    parts!(),
    " GROUP BY campaign_id"
));

const BY_CAMPAIGN_WITH_SPANS: Sql = Sql::new(concat!(
    "SELECT campaign, sends, queued, sent, delivered, bounced, failed, opens, clicks, unsubscribes, complaints,
       bounces, unique_opens, unique_clicks, unique_unsubscribes, unique_complaints, first_at, last_at
     FROM (SELECT campaign_id AS campaign, ",
    sums!(),
    " FROM ",
    parts!(),
    " GROUP BY campaign_id) AS figures JOIN ",
    spans!(),
    " ON spans.id = campaign"
));

const TOTAL: Sql = Sql::new(concat!(
    "SELECT ",
    sums!(),
    ", CAST(NULL AS timestamptz) AS first_at, CAST(NULL AS timestamptz) AS last_at FROM ",
    parts!()
));

const TOTAL_WITH_SPANS: Sql = Sql::new(concat!(
    "SELECT sends, queued, sent, delivered, bounced, failed, opens, clicks, unsubscribes, complaints,
       bounces, unique_opens, unique_clicks, unique_unsubscribes, unique_complaints,
       (SELECT min(first_at) FROM ",
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

/// The figures of each selected campaign. Campaigns without sends are omitted; all of their figures
/// are 0.
///
/// # Errors
/// Any error of the database.
pub async fn by_campaign(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
    spans: Spans,
) -> Result<HashMap<Uuid, Figures>, Error> {
    let sql = if spans == Spans::With { BY_CAMPAIGN_WITH_SPANS } else { BY_CAMPAIGN };
    let rows = scope.rows(sql, selected).await?;
    Ok(rows
        .iter()
        .map(|row| Ok((row.try_get("", "campaign")?, read(row)?)))
        .collect::<Result<_, DbErr>>()?)
}

/// The current figures of a campaign, or `None` if it does not exist.
///
/// # Errors
/// Any error of the database.
pub async fn figures_of(scope: &Scope, campaign: Uuid) -> Result<Option<Figures>, Error> {
    let selected = scope.find::<campaign::Entity>().id(campaign);
    let figures = by_campaign(scope, selected.clone(), Spans::With).await?.remove(&campaign);
    // in this order, so that the figures of a campaign deleted in between are not taken for zeros
    let there = scope.one(selected).await?.is_some();
    Ok(there.then(|| figures.unwrap_or_default()))
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
    Ok(rows.first().map(read).transpose()?.unwrap_or_default())
}

fn read(row: &QueryResult) -> Result<Figures, DbErr> {
    // null if nothing is selected
    let count = |name: &str| Ok::<_, DbErr>(row.try_get::<Option<i64>>("", name)?.unwrap_or(0));
    Ok(Figures {
        sends: count("sends")?,
        queued: count("queued")?,
        sent: count("sent")?,
        delivered: count("delivered")?,
        bounced: count("bounced")?,
        failed: count("failed")?,
        opens: count("opens")?,
        clicks: count("clicks")?,
        unsubscribes: count("unsubscribes")?,
        complaints: count("complaints")?,
        bounces: count("bounces")?,
        unique_opens: count("unique_opens")?,
        unique_clicks: count("unique_clicks")?,
        unique_unsubscribes: count("unique_unsubscribes")?,
        unique_complaints: count("unique_complaints")?,
        first_event_at: row.try_get("", "first_at")?,
        last_event_at: row.try_get("", "last_at")?,
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
/// like [`percentage`], so that rows are ordered by the displayed value.
#[must_use]
pub fn order_expression(scope: &Scope, figure: OrderBy) -> Expr {
    scope.expression(match figure {
        OrderBy::Sends => SENDS,
        OrderBy::OpenRate => OPEN_RATE,
        OrderBy::ClickRate => CLICK_RATE,
        OrderBy::BounceRate => BOUNCE_RATE,
    })
}
