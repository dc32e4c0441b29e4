//! The mutations of sends.

use async_graphql::{Context, ID, Object};
use campaigns_entity::send;

use super::{
    queue::{self, QueueSendsPayload},
    update::{self, UpdateSendInput, UpdateSendsPayload},
};
use crate::{delete::DeletePayload, error::Error};

#[derive(Default)]
pub(crate) struct SendMutations;

#[Object]
impl SendMutations {
    /// Queues a send for every contact on the campaign's list that has no send of this campaign yet.
    /// Skips contacts that are suppressed and, if the campaign's channel is `email`, contacts without
    /// an e-mail address. Safe to repeat. `CONFLICT` if the campaign is SENT or CANCELED.
    async fn queue_sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] campaign_id: ID,
    ) -> Result<QueueSendsPayload, Error> {
        queue::queue(ctx, &campaign_id).await
    }

    /// Applies up to 10,000 delivery reports in the order given, in one transaction. A status only
    /// moves forward: from QUEUED to any other, from SENT to DELIVERED, BOUNCED or FAILED, and from
    /// DELIVERED to BOUNCED. Any other report is late or repeated: it changes nothing and counts as
    /// unchanged, so retries are safe.
    async fn update_sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The sends and their new fields, up to 10,000.")] input: Vec<
            UpdateSendInput,
        >,
    ) -> Result<UpdateSendsPayload, Error> {
        update::update(ctx, input).await
    }

    /// Deletes a send with its events. Requires the ADMIN role.
    async fn delete_send(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the send.")] id: ID,
    ) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<send::Entity>(ctx, &id, "send").await
    }
}
