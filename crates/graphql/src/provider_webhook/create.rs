//! `createProviderWebhook`.

use async_graphql::{Context, InputObject};
use campaigns_entity::{provider_key, provider_path, provider_webhook};
use campaigns_scope::{Admin, new_path_token};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{
    CONFIGURE, MAX_WEBHOOKS, ProviderWebhook, ProviderWebhookPayload, keys, object::Provider,
};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
};

/// Input for `createProviderWebhook`.
#[derive(InputObject)]
pub(crate) struct CreateProviderWebhookInput {
    /// The name of the webhook, with 1 to 500 characters.
    name: String,
    /// The provider that posts to the webhook.
    provider: Provider,
    /// The keys, any of which can sign a request, up to 5. SES has none. SENDGRID and POSTAL: public keys. MAILGUN and
    /// MANDRILL: signing keys. RESEND: signing secrets, which start with `whsec_`. POSTMARK, BREVO, SPARKPOST and MAILJET:
    /// `user:password`, or a bearer token.
    keys: Option<Vec<String>>,
    /// The ARNs of the topics of Amazon SNS whose messages are accepted. Required for SES, and not allowed for others.
    topic_arns: Option<Vec<String>>,
}

/// The rows of a webhook.
struct NewWebhook {
    webhook: provider_webhook::ActiveModel,
    path: provider_path::ActiveModel,
    keys: Vec<provider_key::ActiveModel>,
}

pub(super) async fn create(
    ctx: &Context<'_>,
    input: CreateProviderWebhookInput,
) -> Result<ProviderWebhookPayload, Error> {
    let admin = ctx.admin_to(CONFIGURE)?;
    let path = Path::argument("input");
    let name = input::name(input.name, path.field("name"))?;
    let (texts, topics) = (input.keys.unwrap_or_default(), input.topic_arns.unwrap_or_default());
    let provider = input.provider.into();
    let webhook = keys::validated(provider, &texts, &topics, path)?;
    let (id, now) = (Uuid::now_v7(), ctx.now());
    let keys = keys::sealed((id, &webhook), &texts, &ctx.live().keyring, now)?;
    let new = NewWebhook {
        webhook: provider_webhook::ActiveModel {
            id: Set(id),
            name: Set(name),
            provider: Set(provider.name().to_owned()),
            is_enabled: Set(true),
            topic_arns: Set(keys::topics(&webhook).into()),
            created_at: Set(now.into()),
            updated_at: Set(now.into()),
            ..Default::default()
        },
        path: provider_path::ActiveModel {
            id: Set(id),
            token: Set(new_path_token()),
            ..Default::default()
        },
        keys,
    };
    let webhook = ctx.change(|| store(&admin, &new)).await?;
    Ok(ProviderWebhookPayload { provider_webhook: ProviderWebhook(rows::from_model(webhook)) })
}

async fn store(admin: &Admin<'_>, new: &NewWebhook) -> Result<provider_webhook::Model, Error> {
    admin
        .transaction(async |admin| {
            let scope = admin.scope();
            let existing = scope.count(scope.find::<provider_webhook::Entity>()).await?;
            if existing >= MAX_WEBHOOKS as u64 {
                let message = format!("An organization can have at most {MAX_WEBHOOKS} webhooks.");
                return Err(Error::limit(Path::argument("input"), message));
            }
            let webhook = scope.insert::<provider_webhook::Entity>(new.webhook.clone()).await?;
            scope.insert::<provider_path::Entity>(new.path.clone()).await?;
            keys::store(admin, &new.keys).await?;
            Ok(webhook)
        })
        .await
}
