//! `EngagementEvent`.

use async_graphql::{Context, Enum, ID, Object};
use campaigns_entity::{
    campaign, contact,
    event::{self, EventType},
    send,
};

use crate::{
    campaign::Campaign,
    connection::Listed,
    contact::Contact,
    context::RequestContext,
    error::Error,
    rows::objects,
    scalars::DateTime,
    send::Send,
    shown::{Json, Text},
};

objects! {
    /// A row of `campaign_events`.
    EngagementEvent of event;
}

/// What happened to a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "EventType")]
pub(crate) enum EngagementEventType {
    /// The recipient opened the message.
    Open,
    /// The recipient clicked a link.
    Click,
    /// The recipient wants no more messages.
    Unsubscribe,
    /// The recipient reported the message as spam.
    Complaint,
    /// The message came back.
    Bounce,
}

/// Whether a bounce is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum BounceType {
    /// It is: there is no such address.
    Hard,
    /// It is not: the mailbox is full, or the server does not answer.
    Soft,
}

impl Listed for EngagementEvent {
    type Entity = event::Entity;
    const NAME: &'static str = "event";
}

/// Something that became of a send.
#[Object]
impl EngagementEvent {
    /// The event's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// What happened.
    async fn r#type(&self) -> EngagementEventType {
        self.0.event_type.into()
    }

    /// The link that was clicked; of a CLICK alone.
    async fn url(&self) -> Option<Text<&str>> {
        self.0.url.as_deref().map(Text)
    }

    /// Whether it is for good; of a BOUNCE alone. One that does not say is HARD.
    async fn bounce_type(&self) -> Option<BounceType> {
        if self.0.event_type != EventType::Bounce {
            return None;
        }
        let said = self.0.metadata.as_ref().and_then(|metadata| metadata.get("bounce_type"));
        Some(match said.and_then(|said| said.as_str()) {
            Some("soft") => BounceType::Soft,
            _ => BounceType::Hard,
        })
    }

    /// When it happened.
    async fn occurred_at(&self) -> DateTime {
        self.0.occurred_at.into()
    }

    /// When it was recorded.
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

    /// The send that it is of.
    async fn send(&self, ctx: &Context<'_>) -> Result<Send, Error> {
        Ok(Send(self.0.owner::<send::Entity>(ctx.scope(), "send", |row| row.send_id).await?))
    }

    /// Whose send it was.
    async fn contact(&self, ctx: &Context<'_>) -> Result<Contact, Error> {
        Ok(Contact(
            self.0
                .owner::<contact::Entity>(ctx.scope(), "contact", |row| row.send_contact_id)
                .await?,
        ))
    }

    /// The campaign that the send was of.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        Ok(Campaign(
            self.0
                .owner::<campaign::Entity>(ctx.scope(), "campaign", |row| row.send_campaign_id)
                .await?,
        ))
    }
}
