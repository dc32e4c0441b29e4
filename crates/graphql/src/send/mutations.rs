//! What may be done with sends.

use async_graphql::{Context, ID, Object};
use campaigns_entity::send;

use super::{
    queue::{self, QueueSendsPayload},
    update::{self, UpdateSendInput, UpdateSendsPayload},
};
use crate::{error::Error, schema::DeletePayload};

#[derive(Default)]
pub(crate) struct SendMutations;

#[Object]
impl SendMutations {
    /// Queues a send for every contact on the campaign's list that has none of this campaign yet, except
    /// contacts that are suppressed and, if the campaign's channel is email, contacts without an e-mail
    /// address. Safe to repeat. CONFLICT if the campaign is SENT or CANCELED.
    async fn queue_sends(
        &self,
        ctx: &Context<'_>,
        campaign_id: ID,
    ) -> Result<QueueSendsPayload, Error> {
        queue::queue(ctx, &campaign_id).await
    }

    /// Takes reports of how far the delivery of sends has come, 10,000 at most, one after the other and
    /// in one transaction. A status goes forward alone: QUEUED to any other, SENT to DELIVERED, BOUNCED
    /// or FAILED, DELIVERED to BOUNCED. Any other report, a late or repeated one, changes nothing and
    /// counts as unchanged, so a delivery worker may repeat itself.
    async fn update_sends(
        &self,
        ctx: &Context<'_>,
        input: Vec<UpdateSendInput>,
    ) -> Result<UpdateSendsPayload, Error> {
        update::update(ctx, input).await
    }

    /// Deletes a send with its events. For admins.
    async fn delete_send(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<send::Entity>(ctx, &id, "send").await
    }
}
