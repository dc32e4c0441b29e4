//! `Send`.

use async_graphql::{Context, Enum, ID, Object};
use campaigns_analytics::Engagement;
use campaigns_entity::{event, send};

use crate::{
    campaign::Campaign,
    connection::{Connection, Listed, PageArguments},
    contact::Contact,
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, EngagementEventOrder},
    object::{object, waiting},
    scalars::{DateTime, Json},
    shown::OneOf,
};

object! {
    /// The message of a campaign to one contact, and what became of it.
    Send of send, waits SendFields {
        "campaign" needs CampaignId;
        "contact" needs ContactId;
    }
    /// The send's UUID.
    "id": ID = Id;
    /// The delivery status.
    "status": OneOf<SendStatus, send::SendStatus> = Status;
    /// When the message was sent.
    "sentAt": Option<DateTime> = SentAt;
    /// When the delivery was confirmed.
    "deliveredAt": Option<DateTime> = DeliveredAt;
    /// Why the message bounced or failed.
    "error": Option<String> = Error;
    /// When the send was queued.
    "createdAt": DateTime = CreatedAt;
    /// When the send was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the send, as a JSON object.
    "metadata": Json = Metadata;
}

waiting!(SendFields of send);

impl Listed for Send {
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

impl SendFields {
    /// What it had; loaded for all sends that came with it.
    async fn engagement(&self, ctx: &Context<'_>) -> Result<Engagement, Error> {
        let scope = ctx.scope();
        let of_sends = self
            .0
            .gather(scope, "engagement", |selected| async move {
                Ok(campaigns_analytics::of_sends(scope, selected).await?)
            })
            .await?;
        Ok(of_sends.get(&self.0.id()).copied().unwrap_or_default())
    }
}

#[Object]
impl SendFields {
    /// The campaign that was sent.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        self.0.owner(ctx, "campaign", send::Column::CampaignId).await
    }

    /// The contact that it was sent to.
    async fn contact(&self, ctx: &Context<'_>) -> Result<Contact, Error> {
        self.0.owner(ctx, "contact", send::Column::ContactId).await
    }

    /// The number of opens.
    async fn opens(&self, ctx: &Context<'_>) -> Result<i64, Error> {
        Ok(self.engagement(ctx).await?.opens)
    }

    /// The number of clicks on its links.
    async fn clicks(&self, ctx: &Context<'_>) -> Result<i64, Error> {
        Ok(self.engagement(ctx).await?.clicks)
    }

    /// The engagement events of the send.
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
        #[graphql(desc = "Returns the first n elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with first.")] after: Option<
            String,
        >,
        #[graphql(desc = "Returns the last n elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with last.")] before: Option<
            String,
        >,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = event::Column::SendId;
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::children(ctx, &self.0, of, filter.as_ref(), Some(&order_by), page)
    }
}
