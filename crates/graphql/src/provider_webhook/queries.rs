//! `providerWebhooks`.

use async_graphql::{Context, Object};
use campaigns_entity::provider_webhook;
use campaigns_operation::object::Objects;

use super::ProviderWebhook;
use crate::{context::RequestContext, error::Error, rows};

#[derive(Default)]
pub(crate) struct ProviderWebhookQueries;

#[Object]
impl ProviderWebhookQueries {
    /// The webhooks of your organization, by which mail providers report what became of messages. Oldest first.
    async fn provider_webhooks(
        &self,
        ctx: &Context<'_>,
    ) -> Result<Objects<ProviderWebhook>, Error> {
        let scope = ctx.scope();
        let mut webhooks = scope.all(scope.find::<provider_webhook::Entity>()).await?;
        webhooks.sort_by_key(|webhook| (webhook.created_at.nearest(), webhook.id));
        let rows = rows::from_models::<provider_webhook::Entity>(webhooks);
        Ok(Objects(rows.into_iter().map(ProviderWebhook).collect()))
    }
}
