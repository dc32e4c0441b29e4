//! What may be done with lists.

use async_graphql::{Context, ID, Object};

use super::{ListPayload, contacts};
use crate::error::Error;

#[derive(Default)]
pub(crate) struct ListMutations;

#[Object]
impl ListMutations {
    /// Adds contacts to the campaign's list. Entries of contacts that are on it already stay as they are.
    async fn add_contacts_to_list(
        &self,
        ctx: &Context<'_>,
        campaign_id: ID,
        #[graphql(desc = "The contacts, up to 10,000. A contact that is given twice counts once.")]
        contact_ids: Vec<ID>,
    ) -> Result<ListPayload, Error> {
        contacts::add(ctx, &campaign_id, &contact_ids).await
    }

    /// Removes contacts from the campaign's list. Their sends are kept. For admins.
    async fn remove_contacts_from_list(
        &self,
        ctx: &Context<'_>,
        campaign_id: ID,
        #[graphql(desc = "The contacts, up to 10,000. Those not on the list are ignored.")]
        contact_ids: Vec<ID>,
    ) -> Result<ListPayload, Error> {
        contacts::remove(ctx, &campaign_id, &contact_ids).await
    }
}
