//! `Campaign`.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Enum, ID, Object};
use campaigns_analytics::{Figures, Spans};
use campaigns_delivery::StepKind;
use campaigns_entity::{campaign, event, list_entry, segment, send};
use campaigns_operation::object::{InPlace, Objects, write_in_place};
use uuid::Uuid;

use super::links::{self, LinkStats};
use crate::{
    connection::{Connection, ConnectionNode, PageArguments, UNFILTERED, UNORDERED},
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, EngagementEventOrder},
    json_columns::EnumColumn,
    list::ListEntry,
    object::{async_fields, object},
    rows::{self, Row},
    scalars::{DateTime, Json},
    segment::Segment,
    send::{Send, SendFilter, SendOrder},
    stats::CampaignStats,
    timeline::{self, Calendar, EngagementBucket, TimeInterval},
    viewer::User,
};

object! {
    /// A campaign: one message sent to many contacts.
    Campaign of campaign, async CampaignFields {
        "creator" needs CreatorId;
        "availableSteps" needs Status;
    } in place {
        "creator": |ctx, of| rows::referred_in_place::<_, _, User>(ctx, of, campaign::Column::CreatorId);
        "stats": stats_in_place;
    }
    /// The campaign's UUID.
    "id": ID = Id;
    /// The campaign's name.
    "name": String = Name;
    /// The subject line or headline of the message.
    "subject": Option<String> = Subject;
    /// The body of the message.
    "body": Option<String> = Body;
    /// The delivery channel, such as `email`, `sms` or `push`.
    "channel": String = Channel;
    /// The campaign's status.
    "status": EnumColumn<CampaignStatus, campaign::CampaignStatus> = Status;
    /// When the campaign is scheduled to start. Null if no time is set.
    "scheduledAt": Option<DateTime> = ScheduledAt;
    /// When the campaign was sent. Null if it has not been sent yet.
    "sentAt": Option<DateTime> = SentAt;
    /// When the campaign was created.
    "createdAt": DateTime = CreatedAt;
    /// When the campaign was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the campaign, as a JSON object.
    "metadata": Json = Metadata;
}

async_fields!(CampaignFields of campaign);

impl ConnectionNode for Campaign {
    const NAME: &'static str = "campaign";
}

/// The status of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "campaign::CampaignStatus", display)]
pub(crate) enum CampaignStatus {
    /// The campaign is being composed.
    Draft,
    /// The campaign is scheduled: a worker starts it at `scheduledAt`.
    Scheduled,
    /// The campaign is being sent.
    Sending,
    /// The campaign was sent. This status is final.
    Sent,
    /// Sending is paused.
    Paused,
    /// The campaign was canceled. This status is final.
    Canceled,
}

/// A step of a campaign from one status to the next. There is a mutation for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "campaigns_delivery::StepKind")]
pub(crate) enum CampaignStep {
    /// `scheduleCampaign`: the campaign becomes SCHEDULED.
    Schedule,
    /// `unscheduleCampaign`: the campaign becomes a DRAFT again.
    Unschedule,
    /// `startCampaign`: the campaign becomes SENDING, and sends are queued for its list.
    Start,
    /// `pauseCampaign`: the campaign becomes PAUSED.
    Pause,
    /// `resumeCampaign`: the campaign becomes SENDING again, with the sends that it has.
    Resume,
    /// `cancelCampaign`: the campaign becomes CANCELED.
    Cancel,
    /// `completeCampaign`: the campaign becomes SENT.
    Complete,
}

/// The figures of a campaign and its siblings.
async fn figures_of_siblings(
    ctx: &Context<'_>,
    row: &Row<campaign::Entity>,
) -> Result<Arc<HashMap<Uuid, Figures>>, Error> {
    let (scope, spans) = (ctx.scope(), CampaignStats::spans(ctx));
    let key = if spans == Spans::With { "stats with times" } else { "stats" };
    row.gather(scope, key, |selected| async move {
        Ok(campaigns_analytics::by_campaign(scope, selected, spans).await?)
    })
    .await
}

/// Writes the figures of the campaigns of a list.
fn stats_in_place<'a>(ctx: &'a Context<'a>, campaigns: &'a [Campaign]) -> InPlace<'a> {
    Box::pin(async move {
        let mut stats = Vec::with_capacity(campaigns.len());
        // of the last campaign and its siblings
        let (mut last, mut figures) = (None, Arc::default());
        for Campaign(row) in campaigns {
            if last.is_none_or(|last| !row.is_sibling_of(last)) {
                figures = figures_of_siblings(ctx, row).await.ok()?;
                last = Some(row);
            }
            let own = figures.get(&row.id()).cloned().unwrap_or_else(Figures::default);
            stats.push(Some(CampaignStats::from(own)));
        }
        write_in_place(ctx, stats.into_iter()).await
    })
}

#[Object]
impl CampaignFields {
    /// The steps that lead from the campaign's status to another one. COMPLETE is among them even
    /// while sends are QUEUED, when `completeCampaign` is a `CONFLICT`.
    async fn available_steps(&self) -> Result<Vec<CampaignStep>, Error> {
        let status = self.0.get(campaign::Column::Status)?;
        Ok(StepKind::from(status).map(CampaignStep::from).collect())
    }

    /// The user who created the campaign. Null if unknown, or if the user was deleted.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        self.0.referred(ctx, campaign::Column::CreatorId).await
    }

    /// The campaign's current figures: counts of its sends and their events, and rates.
    async fn stats(&self, ctx: &Context<'_>) -> Result<CampaignStats, Error> {
        let figures = figures_of_siblings(ctx, &self.0).await?;
        Ok(figures.get(&self.0.id()).cloned().unwrap_or_else(Figures::default).into())
    }

    /// A time series of the campaign's events. Returns every period between `from` and `to` in order,
    /// including those without events. The first and the last are whole periods. Without `from` and
    /// `to`, the series spans the campaign's events, and is empty if there are none. More than 1,000
    /// periods are `BAD_USER_INPUT`.
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The length of a period.")] interval: TimeInterval,
        #[graphql(
            desc = "A time within the first period. The default is the time of the first event."
        )]
        from: Option<DateTime>,
        #[graphql(
            desc = "The end of the series, exclusive. The default is just after the last event."
        )]
        to: Option<DateTime>,
        #[graphql(
            desc = "The IANA time zone of the periods, such as Europe/Berlin or America/New_York.",
            default = "UTC"
        )]
        timezone: String,
    ) -> Result<Objects<EngagementBucket>, Error> {
        let calendar = Calendar::of(interval, &timezone)?;
        timeline::of_campaign(ctx, &self.0, calendar, from, to).await
    }

    /// The links that were clicked, ordered by the number of clicks, most first, and then by URL.
    async fn links(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.", default = 50)] first: i32,
    ) -> Result<Objects<LinkStats>, Error> {
        links::of(ctx, &self.0, first).await
    }

    /// The segments that the entries of the campaign's list came from, ordered by name.
    async fn segments(&self, ctx: &Context<'_>) -> Result<Objects<Segment>, Error> {
        let scope = ctx.scope();
        let segments = self
            .0
            .gather(scope, "segments", |selected| async move {
                let of_campaigns = campaigns_analytics::of_campaigns(scope, selected).await?;
                let ids = of_campaigns.values().flatten().copied();
                let found = scope.by_ids::<segment::Entity>(ids).await?;
                // by name, and then each in that order
                let mut found: Vec<_> =
                    found.into_iter().map(|of| ((of.name.clone(), of.id), of)).collect();
                found.sort_by(|(a, _), (b, _)| a.cmp(b));
                let order: HashMap<Uuid, usize> =
                    found.iter().enumerate().map(|(place, (_, of))| (of.id, place)).collect();
                let rows =
                    rows::from_models::<segment::Entity>(found.into_iter().map(|(_, of)| of));
                Ok(of_campaigns
                    .into_iter()
                    .map(|(campaign, ids)| {
                        let mut places: Vec<usize> =
                            ids.iter().filter_map(|id| order.get(id).copied()).collect();
                        places.sort_unstable();
                        (
                            campaign,
                            places.into_iter().map(|place| rows[place].clone()).collect::<Vec<_>>(),
                        )
                    })
                    .collect())
            })
            .await?;
        let segments = segments.get(&self.0.id()).cloned().unwrap_or_default();
        Ok(Objects(segments.into_iter().map(Segment).collect()))
    }

    /// The campaign's list: the contacts that the campaign is for, ordered by the ID of the entry.
    async fn list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<ListEntry>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = list_entry::Column::CampaignId;
        Connection::children(ctx, &self.0, of, UNFILTERED, UNORDERED, page)
    }

    /// The campaign's sends: its messages to individual contacts.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            SendFilter,
        >,
        #[graphql(desc = "The order of the list. The default is by ID.")] order_by: Option<
            Vec<SendOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<Send>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = send::Column::CampaignId;
        Connection::children(ctx, &self.0, of, filter.as_ref(), order_by.as_deref(), page)
    }

    /// The engagement events of the campaign's sends.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            EngagementEventFilter,
        >,
        #[graphql(desc = "The order of the list. The default is the order of the feed.")] order_by: Option<
            Vec<EngagementEventOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = event::Column::SendCampaignId;
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::children(ctx, &self.0, of, filter.as_ref(), Some(&order_by), page)
    }
}
