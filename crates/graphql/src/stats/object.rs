//! `CampaignStats`.

use async_graphql::{
    Context, InputType,
    registry::{MetaInputValue, Registry},
};
use campaigns_analytics::{Decimals, Figures, Spans};
use campaigns_operation::object::argument;
use chrono::{DateTime, Utc};

use crate::{
    error::Error,
    input::Path,
    object::{Argument, value_object},
};

value_object! {
    /// The figures of a set of sends: counts of the sends and their events, and rates computed from
    /// them. A rate is a percentage with one decimal, or as many as `decimals` says, rounded half up. It
    /// is null if its denominator is 0.
    CampaignStats of Figures {
        /// The number of sends, in any status.
        "sends": i64 = |of| of.sends;
        /// The number of sends that wait to be sent.
        "queued": i64 = |of| of.queued;
        /// The number of sends that the provider has accepted but not confirmed yet.
        "sent": i64 = |of| of.sent;
        /// The number of sends whose delivery is confirmed.
        "delivered": i64 = |of| of.delivered;
        /// The number of sends that bounced.
        "bounced": i64 = |of| of.bounced;
        /// The number of sends that could not be sent.
        "failed": i64 = |of| of.failed;
        /// The total number of opens.
        "opens": i64 = |of| of.opens;
        /// The total number of clicks.
        "clicks": i64 = |of| of.clicks;
        /// The total number of unsubscribes.
        "unsubscribes": i64 = |of| of.unsubscribes;
        /// The total number of spam complaints.
        "complaints": i64 = |of| of.complaints;
        /// The total number of bounces that were reported, hard and soft.
        "bounces": i64 = |of| of.bounces;
        /// The number of sends that were opened at least once.
        "uniqueOpens": i64 = |of| of.unique_opens;
        /// The number of sends in which at least one link was clicked.
        "uniqueClicks": i64 = |of| of.unique_clicks;
        /// The number of sends that led to an unsubscribe.
        "uniqueUnsubscribes": i64 = |of| of.unique_unsubscribes;
        /// The number of sends that led to a spam complaint.
        "uniqueComplaints": i64 = |of| of.unique_complaints;
        /// `delivered` as a percentage of `sends`.
        "deliveryRate" given Decimals: Option<f64> = Figures::delivery_rate;
        /// `uniqueOpens` as a percentage of `delivered`.
        "openRate" given Decimals: Option<f64> = Figures::open_rate;
        /// `uniqueClicks` as a percentage of `delivered`.
        "clickRate" given Decimals: Option<f64> = Figures::click_rate;
        /// `uniqueClicks` as a percentage of `uniqueOpens`.
        "clickToOpenRate" given Decimals: Option<f64> = Figures::click_to_open_rate;
        /// `bounced` as a percentage of `sends`.
        "bounceRate" given Decimals: Option<f64> = Figures::bounce_rate;
        /// `uniqueUnsubscribes` as a percentage of `delivered`.
        "unsubscribeRate" given Decimals: Option<f64> = Figures::unsubscribe_rate;
        /// `uniqueComplaints` as a percentage of `delivered`.
        "complaintRate" given Decimals: Option<f64> = Figures::complaint_rate;
        /// When the first event occurred. Null if there are no events.
        "firstEventAt": Option<DateTime<Utc>> = |of| of.first_event_at;
        /// When the last event occurred. Null if there are no events.
        "lastEventAt": Option<DateTime<Utc>> = |of| of.last_event_at;
    }
}

impl From<Figures> for CampaignStats {
    fn from(figures: Figures) -> Self {
        Self(figures)
    }
}

impl CampaignStats {
    /// Whether the times of events are selected.
    pub(crate) fn spans(ctx: &Context<'_>) -> Spans {
        let asked = ctx.look_ahead();
        if ["firstEventAt", "lastEventAt"].iter().any(|name| asked.field(name).exists()) {
            Spans::With
        } else {
            Spans::Without
        }
    }
}

/// The name of the argument.
const DECIMALS: &str = "decimals";

impl Argument for Decimals {
    fn describe(registry: &mut Registry) -> MetaInputValue {
        let ty = i32::create_type_info(registry);
        argument(DECIMALS, "The number of decimals, from 0 to 6.", ty, "1")
    }

    fn of(field: &Context<'_>) -> Result<Self, Error> {
        // the engine has checked its type
        let value = field.param_value(DECIMALS, Some(|| 1)).map(|(_, value): (_, i32)| value);
        value.ok().and_then(Self::new).ok_or_else(|| {
            let path = Path::argument(DECIMALS);
            Error::bad_input(path, format!("This must be between 0 and {}.", Self::MAX))
        })
    }
}
