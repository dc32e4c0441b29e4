//! `CampaignStats`.

use async_graphql::{Context, SimpleObject};
use campaigns_analytics::{Figures, Spans};

use crate::scalars::DateTime;

/// What became of sends: counts over sends and events as they stand, and rates made of them. A rate
/// is a percentage with one decimal, a half rounded up; it is null where it would be of nothing.
#[derive(SimpleObject)]
pub(crate) struct CampaignStats {
    /// Sends in any status.
    sends: i64,
    /// Sends that wait to be sent.
    queued: i64,
    /// Sends that the provider has, and has not confirmed yet.
    sent: i64,
    /// Sends whose delivery is confirmed.
    delivered: i64,
    /// Sends that came back.
    bounced: i64,
    /// Sends that could not be sent.
    failed: i64,
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
    /// Sends that were opened at least once.
    unique_opens: i64,
    /// Sends in which at least one link was clicked.
    unique_clicks: i64,
    /// Sends that made their recipient unsubscribe.
    unique_unsubscribes: i64,
    /// Sends that their recipient reported as spam.
    unique_complaints: i64,
    /// delivered of sends.
    delivery_rate: Option<f64>,
    /// uniqueOpens of delivered.
    open_rate: Option<f64>,
    /// uniqueClicks of delivered.
    click_rate: Option<f64>,
    /// uniqueClicks of uniqueOpens.
    click_to_open_rate: Option<f64>,
    /// bounced of sends.
    bounce_rate: Option<f64>,
    /// uniqueUnsubscribes of delivered.
    unsubscribe_rate: Option<f64>,
    /// uniqueComplaints of delivered.
    complaint_rate: Option<f64>,
    /// When the first event occurred.
    first_event_at: Option<DateTime>,
    /// When the last event occurred.
    last_event_at: Option<DateTime>,
}

impl From<Figures> for CampaignStats {
    fn from(figures: Figures) -> Self {
        Self {
            sends: figures.sends,
            queued: figures.queued,
            sent: figures.sent,
            delivered: figures.delivered,
            bounced: figures.bounced,
            failed: figures.failed,
            opens: figures.opens,
            clicks: figures.clicks,
            unsubscribes: figures.unsubscribes,
            complaints: figures.complaints,
            bounces: figures.bounces,
            unique_opens: figures.unique_opens,
            unique_clicks: figures.unique_clicks,
            unique_unsubscribes: figures.unique_unsubscribes,
            unique_complaints: figures.unique_complaints,
            delivery_rate: figures.delivery_rate(),
            open_rate: figures.open_rate(),
            click_rate: figures.click_rate(),
            click_to_open_rate: figures.click_to_open_rate(),
            bounce_rate: figures.bounce_rate(),
            unsubscribe_rate: figures.unsubscribe_rate(),
            complaint_rate: figures.complaint_rate(),
            first_event_at: figures.first_event_at.map(Into::into),
            last_event_at: figures.last_event_at.map(Into::into),
        }
    }
}

impl CampaignStats {
    /// Whether the field that returns these was asked for the times of events.
    pub(crate) fn spans(ctx: &Context<'_>) -> Spans {
        let asked = ctx.look_ahead();
        if ["firstEventAt", "lastEventAt"].iter().any(|name| asked.field(name).exists()) {
            Spans::With
        } else {
            Spans::Without
        }
    }
}
