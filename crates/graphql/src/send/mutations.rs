//! What may be done with sends.

use async_graphql::{Context, ID, Object};
use campaigns_entity::send;

use crate::{error::Error, schema::DeletePayload};

#[derive(Default)]
pub(crate) struct SendMutations;

#[Object]
impl SendMutations {
    /// Deletes a send with its events. For admins.
    async fn delete_send(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<send::Entity>(ctx, &id, "send").await
    }
}
