//! What may be done with events.

use async_graphql::{Context, ID, Object};
use campaigns_entity::event;

use crate::{error::Error, schema::DeletePayload};

#[derive(Default)]
pub(crate) struct EventMutations;

#[Object]
impl EventMutations {
    /// Deletes an event, as if it had never been. For admins.
    async fn delete_event(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<event::Entity>(ctx, &id, "event").await
    }
}
