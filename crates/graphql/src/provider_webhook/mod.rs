//! Webhooks of mail providers, which admins configure.
//!
//! **Invariants.** Everything that changes one takes an [`Admin`](campaigns_scope::Admin). A key goes in and
//! does not come out again, and the path is shown to admins only.

mod create;
mod keys;
mod mutations;
mod object;
mod queries;
mod update;

pub(crate) use mutations::ProviderWebhookMutations;
pub(crate) use object::ProviderWebhook;
pub(crate) use queries::ProviderWebhookQueries;

use async_graphql::SimpleObject;

/// The maximum number of webhooks of an organization.
pub(crate) const MAX_WEBHOOKS: usize = 50;

/// What members may not do, as an error says it.
const CONFIGURE: &str = "configure webhooks";

/// The result of creating or changing a webhook.
#[derive(SimpleObject)]
pub(crate) struct ProviderWebhookPayload {
    /// The webhook after the change.
    provider_webhook: ProviderWebhook,
}
