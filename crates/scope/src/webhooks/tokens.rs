//! Tokens that count once, and reports that are no events.

use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::ConnectionTrait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{given_ids, hex};
use crate::{Dialect, Error, Scope};

/// A token of a request that counts once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OnceToken {
    /// The webhook.
    pub webhook: Uuid,
    /// The hash of the token.
    pub token: [u8; 32],
    /// The hash of what came with it.
    pub events: [u8; 32],
    /// The time until which it is remembered.
    pub until: DateTime<Utc>,
}

impl Scope {
    /// Remembers tokens, and returns whether each came with other events before. The transaction waits for others
    /// that remember the same.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn remember_tokens(&self, tokens: &[OnceToken]) -> Result<Vec<bool>, Error> {
        let mut first = HashMap::new();
        for token in tokens {
            first.entry((token.webhook, token.token)).or_insert(token.events);
        }
        // in one order, so that two calls with the same tokens do not deadlock
        let sorted: BTreeSet<&OnceToken> = tokens.iter().collect();
        let rows: Json = sorted.into_iter().map(row).collect();
        let (given, order) = match self.dialect() {
            Dialect::Postgres => (
                "SELECT webhook_id, decode(token, 'hex') AS token, decode(events, 'hex') AS events, until \
                 FROM json_to_recordset(CAST($2 AS json)) \
                 AS given(webhook_id uuid, token text, events text, until timestamptz)",
                "ORDER BY webhook_id, token",
            ),
            Dialect::Sqlite => (
                "SELECT unhex(replace(value ->> 'webhook_id', '-', '')) AS webhook_id, unhex(value ->> 'token') AS token, \
                 unhex(value ->> 'events') AS events, value ->> 'until' AS until FROM json_each($2)",
                "",
            ),
        };
        let insert = format!(
            "INSERT INTO campaign_provider_tokens (org_id, webhook_id, token, events, until) \
             SELECT $1, webhook_id, token, events, until FROM ({given}) AS given WHERE true {order} \
             ON CONFLICT DO NOTHING"
        );
        self.executor().execute_raw(self.with_rows(insert, &rows)).await?;
        let select = format!(
            "SELECT stored.webhook_id AS webhook_id, stored.token AS token, stored.events AS events \
             FROM ({given}) AS given JOIN campaign_provider_tokens AS stored ON stored.org_id = $1 \
             AND stored.webhook_id = given.webhook_id AND stored.token = given.token"
        );
        let mut stored: HashMap<(Uuid, Vec<u8>), Vec<u8>> = HashMap::new();
        for found in self.executor().query_all_raw(self.with_rows(select, &rows)).await? {
            let key = (found.try_get("", "webhook_id")?, found.try_get("", "token")?);
            stored.insert(key, found.try_get("", "events")?);
        }
        let is_other = |token: &OnceToken| {
            let key = (token.webhook, token.token.to_vec());
            let of_database = stored.get(&key).is_some_and(|events| *events != token.events);
            of_database || first.get(&(token.webhook, token.token)) != Some(&token.events)
        };
        Ok(tokens.iter().map(is_other).collect())
    }

    /// Notes reports of webhooks that are no events, and returns those that are new.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn note_reports(
        &self,
        reports: impl IntoIterator<Item = (Uuid, Uuid)>,
        now: DateTime<Utc>,
    ) -> Result<HashSet<(Uuid, Uuid)>, Error> {
        let sorted: BTreeSet<(Uuid, Uuid)> = reports.into_iter().collect();
        let row = |(webhook, id)| json!({ "webhook_id": webhook, "id": id });
        let rows: Json = sorted.into_iter().map(row).collect();
        let order = match self.dialect() {
            Dialect::Postgres => "ORDER BY webhook_id, id",
            Dialect::Sqlite => "",
        };
        let sql = format!(
            "INSERT INTO campaign_provider_reports (org_id, webhook_id, id, received_at) \
             SELECT $1, webhook_id, id, {} FROM {} WHERE true {order} ON CONFLICT DO NOTHING \
             RETURNING webhook_id, id",
            time(self.dialect(), now),
            given_ids(self.dialect(), &["webhook_id", "id"]),
        );
        let new = self.executor().query_all_raw(self.with_rows(sql, &rows)).await?;
        let new =
            new.iter().map(|row| Ok((row.try_get("", "webhook_id")?, row.try_get("", "id")?)));
        Ok(new.collect::<Result<_, sea_orm::DbErr>>()?)
    }
}

fn row(token: &OnceToken) -> Json {
    json!({
        "webhook_id": token.webhook,
        "token": hex(&token.token),
        "events": hex(&token.events),
        "until": text(token.until),
    })
}

/// A time as both databases store it.
pub(super) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}

/// A time as a literal.
pub(super) fn time(dialect: Dialect, time: DateTime<Utc>) -> String {
    match dialect {
        Dialect::Postgres => format!("CAST('{}' AS timestamptz)", text(time)),
        Dialect::Sqlite => format!("'{}'", text(time)),
    }
}
