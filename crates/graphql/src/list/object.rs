//! `ListEntry`.

use async_graphql::{Context, ID, Object};
use campaigns_entity::{campaign, contact, list_entry, segment};

use crate::{
    campaign::Campaign, connection::Listed, contact::Contact, context::RequestContext,
    error::Error, rows::objects, scalars::DateTime, segment::Segment, shown::Json,
};

objects! {
    /// A row of `campaign_lists`.
    ListEntry of list_entry;
}

impl Listed for ListEntry {
    type Entity = list_entry::Entity;
    const NAME: &'static str = "list entry";
}

/// That a contact is on a campaign's list.
#[Object]
impl ListEntry {
    /// The entry's UUID.
    pub(crate) async fn id(&self) -> ID {
        self.0.id.into()
    }

    /// Whose list it is on.
    async fn campaign(&self, ctx: &Context<'_>) -> Result<Campaign, Error> {
        Ok(Campaign(
            self.0
                .owner::<campaign::Entity>(ctx.scope(), "campaign", |row| row.campaign_id)
                .await?,
        ))
    }

    /// The segment that put the contact there; null where it was put there by itself, or the
    /// segment is gone.
    async fn segment(&self, ctx: &Context<'_>) -> Result<Option<Segment>, Error> {
        let segment =
            self.0.referred::<segment::Entity>(ctx.scope(), "segment", |row| row.segment_id);
        Ok(segment.await?.map(Segment))
    }

    /// Who is on the list.
    async fn contact(&self, ctx: &Context<'_>) -> Result<Contact, Error> {
        Ok(Contact(
            self.0.owner::<contact::Entity>(ctx.scope(), "contact", |row| row.contact_id).await?,
        ))
    }

    /// When the contact was put there.
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
}
