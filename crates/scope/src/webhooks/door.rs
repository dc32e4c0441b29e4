//! From the token in a path to a webhook and the scope of its organization.

use std::time::Duration;

use campaigns_entity::StoredJson;
use sea_orm::{ConnectionTrait, Statement};
use uuid::Uuid;

use crate::{
    Database, Error, Role, Scope,
    connections::{Lane, Session},
};

/// A webhook as it is configured. Its keys are sealed.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its ID.
    pub id: Uuid,
    /// The organization.
    pub organization: Uuid,
    /// The name of its provider.
    pub provider: String,
    /// Whether it takes events.
    pub is_enabled: bool,
    /// Its topics.
    pub topic_arns: Vec<String>,
    /// Its keys: the ID of each row, and the sealed key.
    pub keys: Vec<(Uuid, Vec<u8>)>,
}

/// How long a webhook is reused if there are many look-ups in a second.
pub(crate) const REUSED: Duration = Duration::from_secs(1);

impl Database {
    /// The webhook with this token in its path, if there is one, and its organization exists. Under many look-ups,
    /// the result can be a second old.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn webhook(&self, token: &str) -> Result<Option<Webhook>, Error> {
        // other texts are no tokens, and cost no look-up
        let Some(key) = parsed(token) else { return Ok(None) };
        let token = token.to_owned();
        let found = self.webhooks().get(key, |until| {
            // queued fairly with the organizations, as anyone can ask for a token that does not exist
            let session = self.session(Lane::Organization(Uuid::nil())).until(until);
            async move { look_up(&session.reading(), token).await }
        });
        found.await
    }

    /// The scope of a webhook's organization.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn enter_webhook(&self, webhook: &Webhook) -> Result<Scope, Error> {
        self.scope_of(webhook.organization).await
    }

    /// The scope of an organization for work that is not for one viewer, with the key of the database.
    pub(crate) async fn scope_of(&self, organization: Uuid) -> Result<Scope, Error> {
        let session = self.session(Lane::Organization(organization));
        let scope = Scope::of(session, self.budgets().clone(), organization, Role::Member);
        Ok(scope.with_cursor_key(self.cursor_key().await?))
    }
}

/// A token as bytes, if it has the form of one.
fn parsed(token: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if token.len() != 2 * bytes.len() || !token.bytes().all(is_hex) {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&token[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

async fn look_up(session: &Session, token: String) -> Result<Option<Webhook>, Error> {
    let backend = session.get_database_backend();
    let sql = "SELECT webhook.id AS id, webhook.org_id AS org_id, webhook.provider AS provider, \
         webhook.is_enabled AS is_enabled, webhook.topic_arns AS topic_arns, key.id AS key_id, key.sealed AS sealed \
         FROM campaign_provider_paths AS path \
         JOIN campaign_provider_webhooks AS webhook ON webhook.id = path.id AND webhook.org_id = path.org_id \
         JOIN organizations AS organization ON organization.id = webhook.org_id \
         LEFT JOIN campaign_provider_keys AS key ON key.webhook_id = webhook.id AND key.org_id = webhook.org_id \
         WHERE path.token = $1 ORDER BY key.place";
    let statement = Statement::from_sql_and_values(backend, sql, [token.into()]);
    let rows = session.query_all_raw(statement).await?;
    let Some(first) = rows.first() else { return Ok(None) };
    let StoredJson(topics) = first.try_get("", "topic_arns")?;
    let topics = topics.as_array().into_iter().flatten();
    let mut keys = Vec::with_capacity(rows.len());
    for row in &rows {
        if let Some(id) = row.try_get::<Option<Uuid>>("", "key_id")? {
            keys.push((id, row.try_get("", "sealed")?));
        }
    }
    Ok(Some(Webhook {
        id: first.try_get("", "id")?,
        organization: first.try_get("", "org_id")?,
        provider: first.try_get("", "provider")?,
        is_enabled: first.try_get("", "is_enabled")?,
        topic_arns: topics.filter_map(|topic| topic.as_str().map(str::to_owned)).collect(),
        keys,
    }))
}
