//! The mutations of webhooks.

use async_graphql::{Context, ID, Object};
use campaigns_entity::provider_webhook;

use super::{ProviderWebhookPayload, create, update};
use crate::{delete::DeletePayload, error::Error};

#[derive(Default)]
pub(crate) struct ProviderWebhookMutations;

#[Object]
impl ProviderWebhookMutations {
    /// Creates a webhook of a mail provider. Give its `path` to the provider. Requires the ADMIN role.
    async fn create_provider_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The webhook to create.")] input: create::CreateProviderWebhookInput,
    ) -> Result<ProviderWebhookPayload, Error> {
        create::create(ctx, input).await
    }

    /// Updates the fields that are given. Requires the ADMIN role.
    async fn update_provider_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The webhook, and the fields to change. Omitted fields stay as they are."
        )]
        input: update::UpdateProviderWebhookInput,
    ) -> Result<ProviderWebhookPayload, Error> {
        update::update(ctx, input).await
    }

    /// Deletes a webhook with its path, its keys, its figures, and the events that wait for their send. Recorded events
    /// stay. Requires the ADMIN role.
    async fn delete_provider_webhook(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the webhook.")] id: ID,
    ) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<provider_webhook::Entity>(ctx, &id, "webhook").await
    }
}
