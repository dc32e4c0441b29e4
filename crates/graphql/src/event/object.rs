//! `EngagementEvent`.

use async_graphql::{Context, Enum, Object};
use campaigns_entity::{
    StoredJson,
    event::{self, EventType},
};

use crate::{
    campaign::Campaign,
    connection::ConnectionNode,
    contact::Contact,
    error::Error,
    json_columns::{ChosenId, EnumColumn, Machine, Text},
    object::{async_fields, object},
    rows::owners_in_place,
    scalars::{DateTime, Json},
    send::Send,
};

object! {
    /// An engagement event: something that happened to a send.
    EngagementEvent of event, async EngagementEventFields {
        "bounceType" needs EventType and Metadata;
        "machineReasons" needs Metadata;
        "send" needs SendId;
        "contact" needs SendContactId;
        "campaign" needs SendCampaignId;
    } in place {
        "send": |ctx, of| owners_in_place::<_, _, Send>(ctx, of, event::Column::SendId);
        "contact": |ctx, of| owners_in_place::<_, _, Contact>(ctx, of, event::Column::SendContactId);
        "campaign": |ctx, of| owners_in_place::<_, _, Campaign>(ctx, of, event::Column::SendCampaignId);
    }
    /// The event's UUID.
    "id": ChosenId = Id;
    /// The type of the event: what happened.
    "type": EnumColumn<EngagementEventType, EventType> = EventType;
    /// The URL of the clicked link. Null unless the event is a CLICK.
    "url": Option<String> = Url;
    /// Whether a machine caused the event, and not a human: a mail program that loads images in advance, or a
    /// scanner that follows links. True if `machine` in the metadata is true.
    "machine": Machine = Metadata;
    /// When the event happened.
    "occurredAt": DateTime = OccurredAt;
    /// When the event was recorded.
    "createdAt": DateTime = CreatedAt;
    /// When the event was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the event, as a JSON object.
    "metadata": Json = Metadata;
}

async_fields!(EngagementEventFields of event);

/// The type of an engagement event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "EventType")]
pub(crate) enum EngagementEventType {
    /// The recipient opened the message.
    Open,
    /// The recipient clicked a link.
    Click,
    /// The recipient unsubscribed.
    Unsubscribe,
    /// The recipient reported the message as spam.
    Complaint,
    /// The message bounced.
    Bounce,
}

/// Whether a bounce is permanent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum BounceType {
    /// The bounce is permanent: the address does not exist.
    Hard,
    /// The bounce is temporary: the mailbox is full, or the server does not respond.
    Soft,
}

impl ConnectionNode for EngagementEvent {
    const NAME: &'static str = "event";
    const SEALED: bool = true;
}

#[Object]
impl EngagementEventFields {
    /// Whether the bounce is permanent. Null unless the event is a BOUNCE. HARD if the provider did not
    /// say.
    async fn bounce_type(&self) -> Result<Option<BounceType>, Error> {
        if self.0.get::<EventType>(event::Column::EventType)? != EventType::Bounce {
            return Ok(None);
        }
        let metadata = self.0.get::<Option<StoredJson>>(event::Column::Metadata)?;
        let said = metadata.as_ref().and_then(|metadata| metadata.0.get("bounce_type"));
        Ok(Some(match said.and_then(|said| said.as_str()) {
            Some("soft") => BounceType::Soft,
            _ => BounceType::Hard,
        }))
    }

    /// Why the event counts as a machine's, if the service found out: `apple-mpp` (Apple Mail Privacy Protection),
    /// `scanner`, `burst` (several links within two seconds), or what another program wrote as `machineReasons`
    /// in the metadata.
    async fn machine_reasons(&self) -> Result<Vec<Text<String>>, Error> {
        let metadata = self.0.get::<Option<StoredJson>>(event::Column::Metadata)?;
        let metadata = metadata.as_ref().map(|metadata| &metadata.0);
        let is_machine = metadata.is_some_and(|metadata| metadata["machine"] == true);
        let reasons = metadata.and_then(|metadata| metadata["machineReasons"].as_array());
        let reasons = reasons.filter(|_| is_machine).into_iter().flatten();
        Ok(reasons.filter_map(|reason| Some(Text(reason.as_str()?.to_owned()))).collect())
    }

    /// The send that the event belongs to.
    async fn send(&self, ctx: &Context<'_>) -> Result<Send, Error> {
        self.0.owner(ctx, "send", event::Column::SendId).await
    }

    /// The recipient of the send.
    async fn contact(&self, ctx: &Context<'_>) -> Result<Contact, Error> {
        self.0.owner(ctx, "contact", event::Column::SendContactId).await
    }

    /// The campaign of the send.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        self.0.owner(ctx, "campaign", event::Column::SendCampaignId).await
    }
}
