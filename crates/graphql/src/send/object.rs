//! `Send`.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, Object};
use campaigns_analytics::Engagement;
use campaigns_entity::{event, message_id, send};

use crate::{
    campaign::Campaign,
    connection::{Connection, ConnectionNode, PageArguments},
    contact::Contact,
    context::RequestContext,
    error::Error,
    event::{EngagementEvent, EngagementEventFilter, EngagementEventOrder},
    json_columns::{EnumColumn, Text},
    object::{async_fields, object},
    rows::owners_in_place,
    scalars::{DateTime, Json},
};

object! {
    /// A send: the message of a campaign to one contact, with its delivery status.
    Send of send, async SendFields {
        "campaign" needs CampaignId;
        "contact" needs ContactId;
    } in place {
        "campaign": |ctx, of| owners_in_place::<_, _, Campaign>(ctx, of, send::Column::CampaignId);
        "contact": |ctx, of| owners_in_place::<_, _, Contact>(ctx, of, send::Column::ContactId);
    }
    /// The send's UUID.
    "id": ID = Id;
    /// The delivery status.
    "status": EnumColumn<SendStatus, send::SendStatus> = Status;
    /// When the message was sent. Null if it has not been sent yet.
    "sentAt": Option<DateTime> = SentAt;
    /// When the delivery was confirmed. Null if it has not been confirmed.
    "deliveredAt": Option<DateTime> = DeliveredAt;
    /// Why the message bounced or failed. Null if unknown, or if it did not.
    "error": Option<String> = Error;
    /// When the send was queued.
    "createdAt": DateTime = CreatedAt;
    /// When the send was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the send, as a JSON object.
    "metadata": Json = Metadata;
}

async_fields!(SendFields of send);

impl ConnectionNode for Send {
    const NAME: &'static str = "send";
}

/// The delivery status of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "send::SendStatus")]
pub(crate) enum SendStatus {
    /// The message waits to be sent.
    Queued,
    /// The provider has accepted the message but has not confirmed its delivery yet.
    Sent,
    /// The provider has confirmed the delivery.
    Delivered,
    /// The message bounced.
    Bounced,
    /// The message could not be sent. See `error`.
    Failed,
}

impl SendFields {
    /// Its engagement, loaded for all sends that were read with it.
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
    /// The campaign that the send belongs to.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        self.0.owner(ctx, "campaign", send::Column::CampaignId).await
    }

    /// The recipient.
    async fn contact(&self, ctx: &Context<'_>) -> Result<Contact, Error> {
        self.0.owner(ctx, "contact", send::Column::ContactId).await
    }

    /// The provider's ID of the message, as `updateSends` stored it. Null if it is not known.
    async fn message_id(&self, ctx: &Context<'_>) -> Result<Option<Text<String>>, Error> {
        let ids = self.0.load_for_all("message_ids", async |ids| {
            let stored = ctx.scope().by_ids::<message_id::Entity>(ids).await?;
            let ids = stored.into_iter().map(|stored| (stored.send_id, stored.message_id));
            Ok(ids.collect::<HashMap<_, _>>())
        });
        Ok(ids.await?.get(&self.0.id()).cloned().map(Text))
    }

    /// The total number of opens of the message.
    async fn opens(&self, ctx: &Context<'_>) -> Result<i64, Error> {
        Ok(self.engagement(ctx).await?.opens)
    }

    /// The total number of clicks on links in the message.
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
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let of = event::Column::SendId;
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::children(ctx, &self.0, of, filter.as_ref(), Some(&order_by), page)
    }
}
