//! `Send`.

use async_graphql::{Context, Enum, ID, Object};
use campaigns_analytics::Engagement;
use campaigns_entity::{campaign, contact, event, send};

use crate::{
    campaign::Campaign,
    connection::{Connection, Listed, PageArguments},
    contact::Contact,
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, EngagementEventOrder},
    rows::objects,
    scalars::DateTime,
    shown::{Json, Text},
};

objects! {
    /// A row of `campaign_sends`.
    Send of send;
}

impl Listed for Send {
    type Entity = send::Entity;
    const NAME: &'static str = "send";
}

/// How far the delivery of a send has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "send::SendStatus")]
pub(crate) enum SendStatus {
    /// It waits to be sent.
    Queued,
    /// The provider has it.
    Sent,
    /// The provider has confirmed its delivery.
    Delivered,
    /// It came back.
    Bounced,
    /// It could not be sent; see error.
    Failed,
}

impl Send {
    /// What it had; loaded for all sends that came with it.
    async fn engagement(&self, ctx: &Context<'_>) -> Result<Engagement, Error> {
        let scope = ctx.scope();
        let of_sends = self
            .0
            .gather(scope, "engagement", |selected| async move {
                Ok(campaigns_analytics::of_sends(scope, selected).await?)
            })
            .await?;
        Ok(of_sends.get(&self.0.id).copied().unwrap_or_default())
    }
}

/// The message of a campaign to one contact, and what became of it.
#[Object]
impl Send {
    /// The send's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// The campaign that it is of.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        Ok(Campaign(
            self.0
                .owner::<campaign::Entity>(ctx.scope(), "campaign", |row| row.campaign_id)
                .await?,
        ))
    }

    /// The contact that it is for.
    async fn contact(&self, ctx: &Context<'_>) -> Result<Contact, Error> {
        Ok(Contact(
            self.0.owner::<contact::Entity>(ctx.scope(), "contact", |row| row.contact_id).await?,
        ))
    }

    /// How far its delivery has come.
    async fn status(&self) -> SendStatus {
        self.0.status.into()
    }

    /// When it was sent.
    async fn sent_at(&self) -> Option<DateTime> {
        self.0.sent_at.map(Into::into)
    }

    /// When its delivery was confirmed.
    async fn delivered_at(&self) -> Option<DateTime> {
        self.0.delivered_at.map(Into::into)
    }

    /// Why it bounced or failed.
    async fn error(&self) -> Option<Text<&str>> {
        self.0.error.as_deref().map(Text)
    }

    /// When it was queued.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When anything of it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// Whatever is kept with it.
    async fn metadata(&self) -> Json<'_> {
        Json(self.0.metadata.as_ref())
    }

    /// How often it was opened.
    async fn opens(&self, ctx: &Context<'_>) -> Result<i64, Error> {
        Ok(self.engagement(ctx).await?.opens)
    }

    /// How often a link in it was clicked.
    async fn clicks(&self, ctx: &Context<'_>) -> Result<i64, Error> {
        Ok(self.engagement(ctx).await?.clicks)
    }
    /// What became of it.
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
        let of = event::Column::SendId;
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::children(ctx.scope(), &self.0, of, filter.as_ref(), Some(&order_by), page)
    }
}
