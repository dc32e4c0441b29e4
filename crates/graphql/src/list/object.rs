//! `ListEntry`.

use async_graphql::{Context, ID, Object};
use campaigns_entity::list_entry;

use crate::{
    campaign::Campaign,
    connection::ConnectionNode,
    contact::Contact,
    error::Error,
    object::{async_fields, object},
    rows::{owners_in_place, referred_in_place},
    scalars::{DateTime, Json},
    segment::Segment,
};

object! {
    /// An entry of a campaign's list: a contact that the campaign is for.
    ListEntry of list_entry, async ListEntryFields {
        "campaign" needs CampaignId;
        "segment" needs SegmentId;
        "contact" needs ContactId;
    } in place {
        "campaign": |ctx, of| owners_in_place::<_, _, Campaign>(ctx, of, list_entry::Column::CampaignId);
        "segment": |ctx, of| referred_in_place::<_, _, Segment>(ctx, of, list_entry::Column::SegmentId);
        "contact": |ctx, of| owners_in_place::<_, _, Contact>(ctx, of, list_entry::Column::ContactId);
    }
    /// The entry's UUID.
    "id": ID = Id;
    /// When the contact was added.
    "createdAt": DateTime = CreatedAt;
    /// When the entry was last updated.
    "updatedAt": DateTime = UpdatedAt;
    /// Custom data stored with the entry, as a JSON object.
    "metadata": Json = Metadata;
}

async_fields!(ListEntryFields of list_entry);

impl ConnectionNode for ListEntry {
    const NAME: &'static str = "list entry";
}

#[Object]
impl ListEntryFields {
    /// The campaign that the list belongs to.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        self.0.owner(ctx, "campaign", list_entry::Column::CampaignId).await
    }

    /// The segment that the contact was added from. Null if the contact was added directly, or if the
    /// segment was deleted.
    async fn segment(&self, ctx: &Context<'_>) -> Result<Option<Segment>, Error> {
        self.0.referred(ctx, list_entry::Column::SegmentId).await
    }

    /// The contact on the list.
    async fn contact(&self, ctx: &Context<'_>) -> Result<Contact, Error> {
        self.0.owner(ctx, "contact", list_entry::Column::ContactId).await
    }
}
