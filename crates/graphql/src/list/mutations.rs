//! The mutations of lists.

use async_graphql::{Context, ID, Object};

use super::{ListPayload, contacts};
use crate::error::Error;

#[derive(Default)]
pub(crate) struct ListMutations;

#[Object]
impl ListMutations {
    /// Adds contacts to the campaign's list. Entries of contacts that are already on it stay as they
    /// are. If one contact does not exist, none is added.
    async fn add_contacts_to_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] campaign_id: ID,
        #[graphql(
            desc = "The IDs of the contacts, up to 10,000. A contact that is given twice counts once."
        )]
        contact_ids: Vec<ID>,
    ) -> Result<ListPayload, Error> {
        contacts::add(ctx, &campaign_id, &contact_ids).await
    }

    /// Adds the contacts that match the segment's rules now to the campaign's list. Entries of contacts
    /// that are already on it stay as they are, including those from another segment. `CONFLICT` if
    /// another program has stored rules that cannot be read.
    async fn add_segment_to_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] campaign_id: ID,
        #[graphql(desc = "The ID of the segment.")] segment_id: ID,
    ) -> Result<ListPayload, Error> {
        contacts::add_segment(ctx, &campaign_id, &segment_id).await
    }

    /// Removes contacts from the campaign's list. Their sends are kept. Requires the ADMIN role.
    async fn remove_contacts_from_list(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] campaign_id: ID,
        #[graphql(
            desc = "The IDs of the contacts, up to 10,000. Contacts that are not on the list are ignored."
        )]
        contact_ids: Vec<ID>,
    ) -> Result<ListPayload, Error> {
        contacts::remove(ctx, &campaign_id, &contact_ids).await
    }
}
