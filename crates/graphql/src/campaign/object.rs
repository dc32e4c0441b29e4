//! `Campaign`.

use async_graphql::{Context, Enum, ID, Object};
use campaigns_analytics::{Figures, Spans};
use campaigns_entity::{campaign, event, list_entry, segment, send, user};

use super::links::{self, LinkStats};
use crate::{
    connection::{Connection, Listed, PageArguments, UNFILTERED, UNORDERED},
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, EngagementEventOrder},
    list::ListEntry,
    rows::{self, objects},
    scalars::DateTime,
    segment::Segment,
    send::{Send, SendFilter, SendOrder},
    shown::{Json, Text},
    stats::CampaignStats,
    timeline::{self, Calendar, EngagementBucket, TimeInterval},
    viewer::User,
};

objects! {
    /// A row of `campaigns`.
    Campaign of campaign;
}

impl Listed for Campaign {
    type Entity = campaign::Entity;
    const NAME: &'static str = "campaign";
}

/// The state of a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "campaign::CampaignStatus")]
pub(crate) enum CampaignStatus {
    /// It is being composed.
    Draft,
    /// It is to be sent at scheduledAt.
    Scheduled,
    /// It is being sent.
    Sending,
    /// It has been sent. Final.
    Sent,
    /// Its sending has been halted.
    Paused,
    /// It has been called off. Final.
    Canceled,
}

/// A campaign: one message to many contacts.
#[Object]
impl Campaign {
    /// The campaign's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Who made it; null where that is not known, or the user is gone.
    async fn creator(&self, ctx: &Context<'_>) -> Result<Option<User>, Error> {
        let creator = self.0.referred::<user::Entity>(ctx.scope(), "creator", |row| row.creator_id);
        Ok(creator.await?.map(User))
    }

    /// What people call it.
    async fn name(&self) -> Text<&str> {
        Text(&self.0.name)
    }

    /// The subject or headline of the message.
    async fn subject(&self) -> Option<Text<&str>> {
        self.0.subject.as_deref().map(Text)
    }

    /// The message.
    async fn body(&self) -> Option<Text<&str>> {
        self.0.body.as_deref().map(Text)
    }

    /// How it is delivered: email, sms, push, …
    async fn channel(&self) -> Text<&str> {
        Text(&self.0.channel)
    }

    /// Where it stands.
    async fn status(&self) -> CampaignStatus {
        self.0.status.into()
    }

    /// When it is to be sent.
    async fn scheduled_at(&self) -> Option<DateTime> {
        self.0.scheduled_at.map(Into::into)
    }

    /// When it was sent.
    async fn sent_at(&self) -> Option<DateTime> {
        self.0.sent_at.map(Into::into)
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When anything of it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// Whatever you keep with it.
    async fn metadata(&self) -> Json<'_> {
        Json(self.0.metadata.as_ref())
    }

    /// What became of its sends: counts and rates, as they are now.
    async fn stats(&self, ctx: &Context<'_>) -> Result<CampaignStats, Error> {
        let (scope, spans) = (ctx.scope(), CampaignStats::spans(ctx));
        let key = if spans == Spans::With { "stats with times" } else { "stats" };
        let figures = self
            .0
            .gather(scope, key, |selected| async move {
                Ok(campaigns_analytics::by_campaign(scope, selected, spans).await?)
            })
            .await?;
        Ok(figures.get(&self.0.id).cloned().unwrap_or_else(Figures::default).into())
    }

    /// What happened when: every bucket that the time from from on, before to, touches, whole and in
    /// their order, 1,000 at most; those in which nothing happened are there with zeros. Without a
    /// bound it is that of the campaign's events; without events there is no bucket then.
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How long a bucket is.")] interval: TimeInterval,
        #[graphql(desc = "A time in the first bucket; that of the first event without it.")]
        from: Option<DateTime>,
        #[graphql(
            desc = "The first time that need not be in a bucket; just after the last event without it."
        )]
        to: Option<DateTime>,
        #[graphql(
            desc = "The time zone whose calendar it is: Europe/Berlin, America/New_York, …",
            default = "UTC"
        )]
        timezone: String,
    ) -> Result<Vec<EngagementBucket>, Error> {
        let calendar = Calendar::of(interval, &timezone)?;
        timeline::of_campaign(ctx, &self.0, calendar, from, to).await
    }

    /// The links that were clicked, the most clicked first, then by url.
    async fn links(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many, 500 at most.", default = 50)] first: i32,
    ) -> Result<Vec<LinkStats>, Error> {
        links::of(ctx, &self.0, first).await
    }

    /// The segments from which its list has entries, by name.
    async fn segments(&self, ctx: &Context<'_>) -> Result<Vec<Segment>, Error> {
        let scope = ctx.scope();
        let segments = self
            .0
            .gather(scope, "segments", |selected| async move {
                let of_campaigns = campaigns_analytics::of_campaigns(scope, selected).await?;
                let ids = of_campaigns.values().flatten().copied();
                let found = scope.by_ids::<segment::Entity>(ids).await?;
                let found = rows::by_id(rows::together::<segment::Entity>(found));
                Ok(of_campaigns
                    .into_iter()
                    .map(|(campaign, ids)| {
                        let mut segments: Vec<_> =
                            ids.iter().filter_map(|id| found.get(id).cloned()).collect();
                        segments.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
                        (campaign, segments)
                    })
                    .collect())
            })
            .await?;
        let segments = segments.get(&self.0.id).cloned().unwrap_or_default();
        Ok(segments.into_iter().map(Segment).collect())
    }

    /// Who the campaign is meant for.
    async fn list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<ListEntry>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = list_entry::Column::CampaignId;
        Connection::children(ctx.scope(), &self.0, of, UNFILTERED, UNORDERED, page)
    }

    /// The messages of this campaign, one for each contact that it went to.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<SendFilter>,
        #[graphql(desc = "In this order; by id without it.")] order_by: Option<Vec<SendOrder>>,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<Send>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = send::Column::CampaignId;
        Connection::children(ctx.scope(), &self.0, of, filter.as_ref(), order_by.as_deref(), page)
    }
    /// What became of its sends.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<
            EngagementEventFilter,
        >,
        #[graphql(desc = "In this order; as they came in without it.")] order_by: Option<
            Vec<EngagementEventOrder>,
        >,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = event::Column::SendCampaignId;
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::children(ctx.scope(), &self.0, of, filter.as_ref(), Some(&order_by), page)
    }
}
