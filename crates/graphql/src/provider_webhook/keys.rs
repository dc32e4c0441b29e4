//! What is configured for a webhook: valid keys and topics, and the keys as they are stored.

use campaigns_encryption::Keyring;
use campaigns_entity::provider_key;
use campaigns_providers::{Provider, Webhook, WebhookError};
use campaigns_scope::{Admin, Error as ScopeError};
use chrono::{DateTime, Utc};
use sea_orm::ActiveValue::Set;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    error::Error,
    input::{self, Path},
};

/// Validates keys and topics.
pub(super) fn validated(
    provider: Provider,
    keys: &[String],
    topics: &[String],
    path: Path<'_>,
) -> Result<Webhook, Error> {
    for (name, values) in [("keys", keys), ("topicArns", topics)] {
        for (index, value) in values.iter().enumerate() {
            // the databases cannot store all text, and the error does not repeat it
            input::text(value.clone(), path.field(name).index(index))?;
        }
    }
    Webhook::new(provider, keys, topics, None).map_err(|error| invalid(error, path))
}

/// The error of the invalid field.
pub(super) fn invalid(error: WebhookError, path: Path<'_>) -> Error {
    let (name, index) = error.field();
    let field = path.field(name);
    match (error, index) {
        (WebhookError::ManyKeys | WebhookError::ManyTopics, _) => {
            Error::limit(field, error.to_string())
        }
        (_, Some(index)) => Error::bad_input(field.index(index), error.to_string()),
        (_, None) => Error::bad_input(field, error.to_string()),
    }
}

/// The topics of a webhook, as they are stored.
pub(super) fn topics(webhook: &Webhook) -> Json {
    webhook.topics().iter().map(campaigns_providers::TopicArn::as_str).collect()
}

/// The rows of the keys of a webhook.
pub(super) fn sealed(
    webhook: (Uuid, &Webhook),
    texts: &[String],
    keyring: &Keyring,
    now: DateTime<Utc>,
) -> Result<Vec<provider_key::ActiveModel>, Error> {
    let (id, webhook) = webhook;
    let keys = (0..).zip(webhook.keys()).zip(texts);
    keys.map(|((place, key), text)| {
        let row = Uuid::now_v7();
        let sealed = keyring.seal(row, text.trim().as_bytes()).map_err(|_| {
            Error::conflict(
                "Keys of webhooks are stored encrypted, and this service has no key to encrypt them with. Start it with \
                 --encryption-key.",
            )
        })?;
        Ok(provider_key::ActiveModel {
            id: Set(row),
            webhook_id: Set(id),
            place: Set(place),
            sealed: Set(sealed),
            hint: Set(key.hint().to_owned()),
            created_at: Set(now.into()),
            ..Default::default()
        })
    })
    .collect()
}

/// Stores the keys of a webhook.
pub(super) async fn store(
    admin: &Admin<'_>,
    keys: &[provider_key::ActiveModel],
) -> Result<(), ScopeError> {
    admin.scope().insert_all::<provider_key::Entity>(keys.to_vec()).await
}
