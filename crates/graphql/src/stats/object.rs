//! `CampaignStats`.

use async_graphql::{
    Context, InputType,
    registry::{MetaInputValue, Registry},
};
use campaigns_analytics::{Decimals, Figures, Rate, Spans};
use campaigns_operation::description::argument;
use campaigns_scope::campaign_counts;
use chrono::{DateTime, Utc};

use crate::{
    error::Error,
    input::Path,
    object::{Argument, value_object},
};

macro_rules! campaign_stats {
    ($($(#[doc = $doc:literal])* $shown:literal $count:ident: $kind:ident $(($($of:tt)+))?;)*) => {
        value_object! {
            /// The figures of a set of sends: counts of the sends and their events, and rates computed from
            /// them. A rate is a percentage with one decimal, or as many as `decimals` says, rounded half up. It
            /// is null if its denominator is 0.
            CampaignStats of Figures {
                $($(#[doc = $doc])* $shown: i64 = |of| of.$count;)*
                /// `delivered` as a percentage of `sends`.
                "deliveryRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::Delivery, to);
                /// `uniqueOpens` as a percentage of `delivered`.
                "openRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::Open, to);
                /// `uniqueClicks` as a percentage of `delivered`.
                "clickRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::Click, to);
                /// `uniqueClicks` as a percentage of `uniqueOpens`.
                "clickToOpenRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::ClickToOpen, to);
                /// `bounced` as a percentage of `sends`.
                "bounceRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::Bounce, to);
                /// `uniqueUnsubscribes` as a percentage of `delivered`.
                "unsubscribeRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::Unsubscribe, to);
                /// `uniqueComplaints` as a percentage of `delivered`.
                "complaintRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::Complaint, to);
                /// `uniqueHumanOpens` as a percentage of `delivered`.
                "humanOpenRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::HumanOpen, to);
                /// `uniqueHumanClicks` as a percentage of `delivered`.
                "humanClickRate" given Decimals: Option<f64> = |of, to| of.rate(Rate::HumanClick, to);
                /// When the first event occurred. Null if there are no events.
                "firstEventAt": Option<DateTime<Utc>> = |of| of.first_event_at;
                /// When the last event occurred. Null if there are no events.
                "lastEventAt": Option<DateTime<Utc>> = |of| of.last_event_at;
            }
        }
    };
}

campaign_counts!(campaign_stats);

impl From<Figures> for CampaignStats {
    fn from(figures: Figures) -> Self {
        Self(figures)
    }
}

impl CampaignStats {
    /// Whether the times of events are selected.
    pub(crate) fn spans(ctx: &Context<'_>) -> Spans {
        let selection = ctx.look_ahead();
        if ["firstEventAt", "lastEventAt"].iter().any(|name| selection.field(name).exists()) {
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
