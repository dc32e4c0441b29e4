//! Figures of campaigns, computed from sends and events: one statement, however many campaigns.

use std::collections::HashMap;

use campaigns_entity::campaign;
use campaigns_scope::{Error, Scope, Scoped, Sql};
use chrono::{DateTime, Utc};
use sea_orm::{DbErr, QueryResult, sea_query::Expr};
use uuid::Uuid;

use crate::percentage;

/// What became of sends. Counts are over sends and events; "unique" ones over the sends that have
/// at least one such event.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Sends in any status.
    pub sends: i64,
    /// Sends that wait.
    pub queued: i64,
    /// Sends that the provider has.
    pub sent: i64,
    /// Sends whose delivery is confirmed.
    pub delivered: i64,
    /// Sends that came back.
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
    /// Sends in which something was clicked.
    pub unique_clicks: i64,
    /// Sends that made somebody unsubscribe.
    pub unique_unsubscribes: i64,
    /// Sends that somebody complained of.
    pub unique_complaints: i64,
    /// When the first event occurred.
    pub first_event_at: Option<DateTime<Utc>>,
    /// When the last event occurred.
    pub last_event_at: Option<DateTime<Utc>>,
}

/// The rates, in percent; see [`percentage`].
impl Figures {
    /// Delivered of all sends.
    #[must_use]
    pub fn delivery_rate(&self) -> Option<f64> {
        percentage(self.delivered, self.sends)
    }

    /// Opened sends of the delivered.
    #[must_use]
    pub fn open_rate(&self) -> Option<f64> {
        percentage(self.unique_opens, self.delivered)
    }

    /// Clicked sends of the delivered.
    #[must_use]
    pub fn click_rate(&self) -> Option<f64> {
        percentage(self.unique_clicks, self.delivered)
    }

    /// Clicked sends of the opened.
    #[must_use]
    pub fn click_to_open_rate(&self) -> Option<f64> {
        percentage(self.unique_clicks, self.unique_opens)
    }

    /// Bounced of all sends.
    #[must_use]
    pub fn bounce_rate(&self) -> Option<f64> {
        percentage(self.bounced, self.sends)
    }

    /// Sends that made somebody unsubscribe, of the delivered.
    #[must_use]
    pub fn unsubscribe_rate(&self) -> Option<f64> {
        percentage(self.unique_unsubscribes, self.delivered)
    }

    /// Sends that somebody complained of, of the delivered.
    #[must_use]
    pub fn complaint_rate(&self) -> Option<f64> {
        percentage(self.unique_complaints, self.delivered)
    }
}

/// The counts over `campaign_sends`.
macro_rules! send_counts {
    () => {
        "count(*) AS sends,
         count(*) FILTER (WHERE status = 'queued') AS queued,
         count(*) FILTER (WHERE status = 'sent') AS sent,
         count(*) FILTER (WHERE status = 'delivered') AS delivered,
         count(*) FILTER (WHERE status = 'bounced') AS bounced,
         count(*) FILTER (WHERE status = 'failed') AS failed"
    };
}

/// The counts over `campaign_events`.
macro_rules! event_counts {
    () => {
        "count(*) FILTER (WHERE event_type = 'open') AS opens,
         count(*) FILTER (WHERE event_type = 'click') AS clicks,
         count(*) FILTER (WHERE event_type = 'unsubscribe') AS unsubscribes,
         count(*) FILTER (WHERE event_type = 'complaint') AS complaints,
         count(*) FILTER (WHERE event_type = 'bounce') AS bounces,
         count(DISTINCT CASE event_type WHEN 'open' THEN send_id END) AS unique_opens,
         count(DISTINCT CASE event_type WHEN 'click' THEN send_id END) AS unique_clicks,
         count(DISTINCT CASE event_type WHEN 'unsubscribe' THEN send_id END) AS unique_unsubscribes,
         count(DISTINCT CASE event_type WHEN 'complaint' THEN send_id END) AS unique_complaints,
         min(occurred_at) AS first_event_at, max(occurred_at) AS last_event_at"
    };
}

/// The names of all counts.
macro_rules! names {
    () => {
        "sends, queued, sent, delivered, bounced, failed, opens, clicks, unsubscribes, complaints, bounces,
         unique_opens, unique_clicks, unique_unsubscribes, unique_complaints, first_event_at, last_event_at"
    };
}

const BY_CAMPAIGN: Sql = Sql::new(concat!(
    "SELECT campaign, ",
    names!(),
    " FROM
     (SELECT campaign_id AS campaign, ",
    send_counts!(),
    " FROM campaign_sends WHERE campaign_id IN (SELECT id FROM selected)
      GROUP BY campaign_id) AS of_sends
     LEFT JOIN
     (SELECT send_campaign_id, ",
    event_counts!(),
    " FROM campaign_events WHERE send_campaign_id IN (SELECT id FROM selected)
      GROUP BY send_campaign_id) AS of_events
     ON send_campaign_id = campaign"
));

const TOTAL: Sql = Sql::new(concat!(
    "SELECT ",
    names!(),
    " FROM (SELECT ",
    send_counts!(),
    " FROM campaign_sends WHERE campaign_id IN (SELECT id FROM selected)) AS of_sends
     CROSS JOIN
     (SELECT ",
    event_counts!(),
    " FROM campaign_events WHERE send_campaign_id IN (SELECT id FROM selected)) AS of_events"
));

/// The figures of each of the selected campaigns; one without sends is not among them, and all of
/// its figures are 0.
///
/// # Errors
/// Those of the database.
pub async fn by_campaign(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, Figures>, Error> {
    let rows = scope.rows(BY_CAMPAIGN, selected).await?;
    Ok(rows
        .iter()
        .map(|row| Ok((row.try_get("", "campaign")?, read(row)?)))
        .collect::<Result<_, DbErr>>()?)
}

/// The figures of a campaign as they are; `None` where there is no such campaign.
///
/// # Errors
/// Those of the database.
pub async fn figures_of(scope: &Scope, campaign: Uuid) -> Result<Option<Figures>, Error> {
    let selected = scope.find::<campaign::Entity>().id(campaign);
    let figures = by_campaign(scope, selected.clone()).await?.remove(&campaign);
    // in this order: those of a campaign that is deleted meanwhile are not taken for zeros
    let there = scope.one(selected).await?.is_some();
    Ok(there.then(|| figures.unwrap_or_default()))
}

/// The figures over all of the selected campaigns together.
///
/// # Errors
/// Those of the database.
pub async fn total(scope: &Scope, selected: Scoped<campaign::Entity>) -> Result<Figures, Error> {
    let rows = scope.rows(TOTAL, selected).await?;
    Ok(rows.first().map(read).transpose()?.unwrap_or_default())
}

fn read(row: &QueryResult) -> Result<Figures, DbErr> {
    // null where a campaign has sends and no event
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
        first_event_at: row.try_get("", "first_event_at")?,
        last_event_at: row.try_get("", "last_event_at")?,
    })
}

/// A figure that campaigns can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderBy {
    /// The number of sends.
    Sends,
    /// The open rate, null where nothing was delivered.
    OpenRate,
    /// The click rate, null where nothing was delivered.
    ClickRate,
    /// The bounce rate, null where there are no sends.
    BounceRate,
}

const SENDS: Sql = Sql::new("SELECT count(*) FROM campaign_sends WHERE campaign_id = campaigns.id");

const BOUNCE_RATE: Sql = Sql::new(
    "SELECT (2000 * count(*) FILTER (WHERE status = 'bounced') + count(*)) / nullif(2 * count(*), 0)
     FROM campaign_sends WHERE campaign_id = campaigns.id",
);

/// The sends with such an event, in tenths of a percent of the delivered.
macro_rules! engagement_rate {
    ($event:literal) => {
        Sql::new(concat!(
            "SELECT (2000 * count(*) FILTER (WHERE EXISTS
                 (SELECT 1 FROM campaign_events WHERE send_id = campaign_sends.id AND event_type = '",
            $event,
            "')) + count(*) FILTER (WHERE status = 'delivered'))
             / nullif(2 * count(*) FILTER (WHERE status = 'delivered'), 0)
             FROM campaign_sends WHERE campaign_id = campaigns.id"
        ))
    };
}

const OPEN_RATE: Sql = engagement_rate!("open");
const CLICK_RATE: Sql = engagement_rate!("click");

/// The figure of a row of `campaigns`, as a whole number: a rate in tenths of a percent, rounded
/// as [`percentage`] does, so that rows are ordered by the value that is shown.
#[must_use]
pub fn order_expression(scope: &Scope, figure: OrderBy) -> Expr {
    scope.expression(match figure {
        OrderBy::Sends => SENDS,
        OrderBy::OpenRate => OPEN_RATE,
        OrderBy::ClickRate => CLICK_RATE,
        OrderBy::BounceRate => BOUNCE_RATE,
    })
}
