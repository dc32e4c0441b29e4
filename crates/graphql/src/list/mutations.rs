//! What may be done with lists.

use async_graphql::{Context, ID, Object};

use super::{ListPayload, contacts};
use crate::error::Error;

#[derive(Default)]
pub(crate) struct ListMutations;

#[Object]
impl ListMutations {
    /// Adds contacts to the campaign's list. Entries of contacts that are on it already stay as they are.
    /// All contacts are added, or none.
    async fn add_contacts_to_list(
        &self,
        ctx: &Context<'_>,
        campaign_id: ID,
        #[graphql(desc = "The contacts, up to 10,000. A contact that is given twice counts once.")]
        contact_ids: Vec<ID>,
    ) -> Result<ListPayload, Error> {
        contacts::add(ctx, &campaign_id, &contact_ids).await
    }

    /// Adds the contacts that match the segment's rules now to the campaign's list. Entries of contacts that
    /// are on it already stay as they are, also those from another segment. CONFLICT if another program
    /// has stored rules that cannot be read.
    async fn add_segment_to_list(
        &self,
        ctx: &Context<'_>,
        campaign_id: ID,
        segment_id: ID,
    ) -> Result<ListPayload, Error> {
        contacts::add_segment(ctx, &campaign_id, &segment_id).await
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
