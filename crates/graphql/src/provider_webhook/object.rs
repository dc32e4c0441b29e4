//! `ProviderWebhook`.

use std::{collections::HashMap, sync::Arc};

use async_graphql::{Context, Enum, ID, Object};
use campaigns_entity::{StoredJson, provider_key, provider_path, provider_webhook};
use campaigns_operation::object::Objects;
use campaigns_scope::{Role, WebhookStats};
use chrono::{DateTime as ChronoDateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::{
    context::RequestContext,
    error::Error,
    json_columns::Text,
    object::{async_fields, object, value_object},
    scalars::DateTime,
};

/// A mail provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "campaigns_providers::Provider")]
pub(crate) enum Provider {
    /// Amazon SES, whose events come through topics of Amazon SNS.
    Ses,
    /// Twilio SendGrid.
    Sendgrid,
    /// Postmark.
    Postmark,
    /// Mailgun.
    Mailgun,
    /// Resend.
    Resend,
    /// Brevo.
    Brevo,
    /// SparkPost.
    Sparkpost,
    /// Mailjet.
    Mailjet,
    /// Mailchimp Transactional, formerly Mandrill.
    Mandrill,
    /// Postal, which is self-hosted.
    Postal,
}

object! {
    /// A webhook of a mail provider: the provider posts events of messages to its path, and they are recorded like
    /// those of `recordEvents` and `updateSends`.
    ProviderWebhook of provider_webhook, async ProviderWebhookFields {
        "provider" needs Provider;
        "enabled" needs IsEnabled;
        "topicArns" needs TopicArns;
    }
    /// The webhook's UUID.
    "id": ID = Id;
    /// The webhook's name.
    "name": String = Name;
    /// When the webhook was created.
    "createdAt": DateTime = CreatedAt;
    /// When the webhook was last updated.
    "updatedAt": DateTime = UpdatedAt;
}

async_fields!(ProviderWebhookFields of provider_webhook);

value_object! {
    /// A key of a webhook. The key itself is never shown.
    WebhookKey of provider_key::Model {
        /// The end of the key, or the user name, to recognize it by.
        "hint": &str = |key| &key.hint;
        /// When the key was stored.
        "createdAt": ChronoDateTime<Utc> = |key| key.created_at.nearest();
    }
}

value_object! {
    /// What became of the requests to a webhook, and of the events in them. An event is counted as exactly one of
    /// `recorded`, `repeated`, `ignored`, `unmatched`, `dropped` and `unreadable`.
    ProviderWebhookStats of WebhookStats {
        /// The number of requests that were accepted.
        "accepted": i64 = |of| of.accepted;
        /// The number of requests that were refused, such as those with a wrong signature.
        "refused": i64 = |of| of.refused;
        /// The number of events that were recorded, or changed the status of a send.
        "recorded": i64 = |of| of.recorded;
        /// The number of events that were recorded before.
        "repeated": i64 = |of| of.repeated;
        /// The number of events about which there is nothing to record.
        "ignored": i64 = |of| of.ignored;
        /// The number of events that wait for their send now, for up to seven days.
        "unmatched": i64 = |of| of.unmatched;
        /// The number of events that waited for too long, or were too many.
        "dropped": i64 = |of| of.dropped;
        /// The number of events that lack a required value.
        "unreadable": i64 = |of| of.unreadable;
        /// When a request was last accepted.
        "lastAcceptedAt": Option<ChronoDateTime<Utc>> = |of| of.last_accepted_at;
        /// When a request was last refused.
        "lastRefusedAt": Option<ChronoDateTime<Utc>> = |of| of.last_refused_at;
        /// Why a request was last refused.
        "lastRefusal": Option<&str> = |of| of.last_refusal.as_deref();
    }
}

impl ProviderWebhookFields {
    /// The keys of all webhooks that were loaded together, by webhook.
    async fn all_keys(
        &self,
        ctx: &Context<'_>,
    ) -> Result<Arc<HashMap<Uuid, Vec<provider_key::Model>>>, Error> {
        self.0
            .load_for_all("keys", async |ids| {
                let column = provider_key::Column::WebhookId;
                let mut keys = ctx.scope().by_column::<provider_key::Entity>(column, ids).await?;
                keys.sort_by_key(|key| key.place);
                let mut of_webhooks = HashMap::<_, Vec<_>>::new();
                for key in keys {
                    of_webhooks.entry(key.webhook_id).or_default().push(key);
                }
                Ok(of_webhooks)
            })
            .await
    }
}

#[Object]
impl ProviderWebhookFields {
    /// The provider that posts to the webhook.
    async fn provider(&self) -> Result<Provider, Error> {
        let name: String = self.0.get(provider_webhook::Column::Provider)?;
        let provider: campaigns_providers::Provider = name.parse().map_err(|error| {
            Error::Internal(Arc::new(DbErr::Type(format!("provider {name}: {error}"))))
        })?;
        Ok(provider.into())
    }

    /// Whether the webhook takes events.
    async fn enabled(&self) -> Result<bool, Error> {
        self.0.get(provider_webhook::Column::IsEnabled)
    }

    /// The topics of Amazon SNS whose messages are accepted. Empty for other providers than SES.
    async fn topic_arns(&self) -> Result<Vec<Text<String>>, Error> {
        let StoredJson(arns) = self.0.get(provider_webhook::Column::TopicArns)?;
        let arns = arns.as_array().into_iter().flatten().filter_map(|arn| arn.as_str());
        Ok(arns.map(|arn| Text(arn.to_owned())).collect())
    }

    /// The keys, any of which can sign a request.
    async fn keys(&self, ctx: &Context<'_>) -> Result<Objects<WebhookKey>, Error> {
        let keys = self.all_keys(ctx).await?;
        let own = keys.get(&self.0.id()).cloned().unwrap_or_default();
        Ok(Objects(own.into_iter().map(WebhookKey).collect()))
    }

    /// The path that the provider posts to, such as `/webhooks/…`. It is a secret: null if you are not an admin.
    async fn path(&self, ctx: &Context<'_>) -> Result<Option<Text<String>>, Error> {
        if ctx.viewer().role() != Role::Admin {
            return Ok(None);
        }
        let paths = self.0.load_for_all("paths", async |ids| {
            let paths = ctx.scope().by_ids::<provider_path::Entity>(ids).await?;
            Ok(paths.into_iter().map(|path| (path.id, path.token)).collect::<HashMap<_, _>>())
        });
        Ok(paths.await?.get(&self.0.id()).map(|token| Text(format!("/webhooks/{token}"))))
    }

    /// What became of requests and events.
    async fn stats(&self, ctx: &Context<'_>) -> Result<ProviderWebhookStats, Error> {
        let stats =
            self.0.load_for_all("stats", async |ids| Ok(ctx.scope().webhook_stats(ids).await?));
        Ok(ProviderWebhookStats(stats.await?.get(&self.0.id()).cloned().unwrap_or_default()))
    }
}
