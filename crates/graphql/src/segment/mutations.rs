//! The mutations of segments.

use async_graphql::{Context, ID, Object};
use campaigns_entity::segment;

use super::{SegmentPayload, create, refresh, update};
use crate::{delete::DeletePayload, error::Error};

#[derive(Default)]
pub(crate) struct SegmentMutations;

#[Object]
impl SegmentMutations {
    /// Creates a segment.
    async fn create_segment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The segment to create.")] input: create::CreateSegmentInput,
    ) -> Result<SegmentPayload, Error> {
        create::create(ctx, input).await
    }

    /// Updates the fields that are given. Null clears a field that can be null.
    async fn update_segment(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The segment, and the fields to change. Omitted fields stay as they are."
        )]
        input: update::UpdateSegmentInput,
    ) -> Result<SegmentPayload, Error> {
        update::update(ctx, input).await
    }

    /// Counts the contacts that match the segment's rules now, and stores the number as `contactCount`.
    async fn refresh_segment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the segment.")] id: ID,
    ) -> Result<SegmentPayload, Error> {
        refresh::refresh(ctx, &id).await
    }

    /// Deletes a segment. Contacts that were added to lists from it stay on those lists. Requires the
    /// ADMIN role.
    async fn delete_segment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the segment.")] id: ID,
    ) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<segment::Entity>(ctx, &id, "segment").await
    }
}
