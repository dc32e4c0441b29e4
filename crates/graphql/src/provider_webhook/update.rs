//! `updateProviderWebhook`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use campaigns_encryption::Keyring;
use campaigns_entity::{provider_key, provider_webhook};
use campaigns_providers::{Provider, WebhookError};
use campaigns_scope::Admin;
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{CONFIGURE, ProviderWebhook, ProviderWebhookPayload, keys};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path, set},
    rows,
};

/// Input for `updateProviderWebhook`. Fields that are omitted stay as they are.
#[derive(InputObject)]
pub(crate) struct UpdateProviderWebhookInput {
    /// The ID of the webhook.
    id: ID,
    /// The name of the webhook, with 1 to 500 characters.
    name: MaybeUndefined<String>,
    /// Whether the webhook takes events.
    enabled: MaybeUndefined<bool>,
    /// The keys, as for `createProviderWebhook`. Replaces all keys.
    keys: MaybeUndefined<Vec<String>>,
    /// The ARNs of the topics of Amazon SNS. Replaces all topics.
    topic_arns: MaybeUndefined<Vec<String>>,
}

/// The changes.
struct Changes {
    name: Option<String>,
    is_enabled: Option<bool>,
    keys: Option<Vec<String>>,
    topics: Option<Vec<String>>,
    now: DateTime<Utc>,
}

pub(super) async fn update(
    ctx: &Context<'_>,
    input: UpdateProviderWebhookInput,
) -> Result<ProviderWebhookPayload, Error> {
    let admin = ctx.admin_to(CONFIGURE)?;
    let path = Path::argument("input");
    let id = input::id(&input.id, path.field("id"))?;
    let changes = Changes {
        name: input::required(input.name, path.field("name"))?
            .map(|name| input::name(name, path.field("name")))
            .transpose()?,
        is_enabled: input::required(input.enabled, path.field("enabled"))?,
        keys: input::required(input.keys, path.field("keys"))?,
        topics: input::required(input.topic_arns, path.field("topicArns"))?,
        now: ctx.now(),
    };
    let keyring = &ctx.live().keyring;
    let webhook = ctx.change(|| store(&admin, id, &changes, keyring)).await?;
    Ok(ProviderWebhookPayload { provider_webhook: ProviderWebhook(rows::from_model(webhook)) })
}

async fn store(
    admin: &Admin<'_>,
    id: Uuid,
    changes: &Changes,
    keyring: &Keyring,
) -> Result<provider_webhook::Model, Error> {
    admin
        .transaction(async |admin| {
            let (scope, path) = (admin.scope(), Path::argument("input"));
            let not_found = || Error::not_found("webhook", path.field("id"));
            let before = scope.lock::<provider_webhook::Entity>(id).await?.ok_or_else(not_found)?;
            let mut row = provider_webhook::ActiveModel {
                name: set(changes.name.clone()),
                is_enabled: set(changes.is_enabled),
                ..Default::default()
            };
            let provider = before.provider.parse().map_err(|_| {
                Error::stored_conflict(
                    path.field("id"),
                    "A newer version of the service created this webhook for a provider that this version does not know.",
                )
            })?;
            let keys = configure(provider, &before, changes, &mut row, keyring)?;
            if row == provider_webhook::ActiveModel::default() && keys.is_none() {
                return Ok(before);
            }
            if let Some(keys) = &keys {
                let column = provider_key::Column::WebhookId;
                let stored = scope.by_column::<provider_key::Entity>(column, [id]).await?;
                let stored = stored.into_iter().map(|key| key.id);
                let of_webhook = (column, id);
                let by_id = provider_key::Column::Id;
                admin.delete_of::<provider_key::Entity>(of_webhook, by_id, stored).await?;
                keys::store(admin, keys).await?;
            }
            row.updated_at = Set(changes.now.into());
            scope.update::<provider_webhook::Entity>(id, row).await?.ok_or_else(not_found)
        })
        .await
}

/// Validates keys and topics, sets the topics of a row, and returns the rows of new keys.
fn configure(
    provider: Provider,
    before: &provider_webhook::Model,
    changes: &Changes,
    row: &mut provider_webhook::ActiveModel,
    keyring: &Keyring,
) -> Result<Option<Vec<provider_key::ActiveModel>>, Error> {
    let path = Path::argument("input");
    let has_topics = provider == Provider::Ses;
    let stored = || {
        let arns = before.topic_arns.0.as_array().into_iter().flatten();
        arns.filter_map(|arn| arn.as_str().map(str::to_owned)).collect()
    };
    let topics = changes.topics.clone().unwrap_or_else(stored);
    match (&changes.keys, &changes.topics) {
        (None, None) => Ok(None),
        // the stored keys stay as they are
        (None, Some(topics)) if !has_topics => {
            let allowed = topics.is_empty();
            let error = WebhookError::TopicsNotAllowed;
            if allowed { Ok(None) } else { Err(keys::invalid(error, path)) }
        }
        (given, _) => {
            let texts = given.clone().unwrap_or_default();
            let webhook = keys::validated(provider, &texts, &topics, path)?;
            if changes.topics.is_some() {
                row.topic_arns = Set(keys::topics(&webhook).into());
            }
            let sealed = keys::sealed((before.id, &webhook), &texts, keyring, changes.now)?;
            Ok(given.is_some().then_some(sealed))
        }
    }
}
