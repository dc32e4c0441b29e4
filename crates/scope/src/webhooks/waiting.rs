//! Events that wait for their send.

use std::collections::{BTreeSet, HashSet};

use campaigns_entity::StoredJson;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{given_ids, is_given_text, tokens::text};
use crate::{Dialect, Error, Scope};

/// An event that waits is known by its webhook and its ID.
pub type WaitingKey = (Uuid, Uuid);

/// The most events that one statement lists.
const AT_ONCE: u32 = 1_000;

/// An event that waits for its send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingEvent {
    /// The webhook, and the ID of the event.
    pub key: WaitingKey,
    /// The send, if the provider named one that may come.
    pub send_id: Option<Uuid>,
    /// The message IDs that it waits for, in the form to compare.
    pub message_ids: Vec<String>,
    /// What to record.
    pub details: Json,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

impl Scope {
    /// Lets events wait, and returns those that did not wait before.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn add_waiting(&self, events: &[WaitingEvent]) -> Result<HashSet<WaitingKey>, Error> {
        let mut sorted: Vec<&WaitingEvent> = events.iter().collect();
        sorted.sort_by_key(|event| event.key);
        sorted.dedup_by_key(|event| event.key);
        let rows: Json = sorted.iter().map(|event| row(event)).collect();
        let (given, order) = match self.dialect() {
            Dialect::Postgres => (
                "json_to_recordset(CAST($2 AS json)) AS given(webhook_id uuid, id uuid, send_id uuid, details jsonb, \
                 received_at timestamptz)",
                "ORDER BY webhook_id, id",
            ),
            Dialect::Sqlite => (
                "(SELECT unhex(replace(value ->> 'webhook_id', '-', '')) AS webhook_id, \
                 unhex(replace(value ->> 'id', '-', '')) AS id, \
                 unhex(replace(value ->> 'send_id', '-', '')) AS send_id, value -> 'details' AS details, \
                 value ->> 'received_at' AS received_at FROM json_each($2)) AS given",
                "",
            ),
        };
        let sql = format!(
            "INSERT INTO campaign_unmatched_events (org_id, webhook_id, id, send_id, details, received_at) \
             SELECT $1, webhook_id, id, send_id, details, received_at FROM {given} WHERE true {order} \
             ON CONFLICT DO NOTHING RETURNING webhook_id, id"
        );
        let new = self.executor().query_all_raw(self.with_rows(sql, &rows)).await?;
        let new: HashSet<WaitingKey> = new.iter().map(key).collect::<Result<_, _>>()?;
        let awaited = sorted.iter().filter(|event| new.contains(&event.key)).flat_map(|event| {
            let (webhook, id) = event.key;
            event.message_ids.iter().map(move |message| {
                json!({ "message_id": message, "webhook_id": webhook, "event_id": id })
            })
        });
        let awaited: Vec<Json> = awaited.collect();
        if awaited.is_empty() {
            return Ok(new);
        }
        let given = match self.dialect() {
            Dialect::Postgres => {
                "json_to_recordset(CAST($2 AS json)) AS given(message_id text, webhook_id uuid, event_id uuid)"
            }
            Dialect::Sqlite => {
                "(SELECT value ->> 'message_id' AS message_id, \
                 unhex(replace(value ->> 'webhook_id', '-', '')) AS webhook_id, \
                 unhex(replace(value ->> 'event_id', '-', '')) AS event_id FROM json_each($2)) AS given"
            }
        };
        let sql = format!(
            "INSERT INTO campaign_awaited_messages (org_id, message_id, webhook_id, event_id) \
             SELECT $1, message_id, webhook_id, event_id FROM {given} WHERE true ON CONFLICT DO NOTHING"
        );
        self.executor().execute_raw(self.with_rows(sql, &Json::Array(awaited))).await?;
        Ok(new)
    }

    /// The next events after this one that wait for one of these message IDs, in the form to compare.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn waiting_for_messages(
        &self,
        ids: &[String],
        after: WaitingKey,
    ) -> Result<Vec<WaitingEvent>, Error> {
        let (webhook, id) = after;
        let sql = format!(
            "SELECT DISTINCT waiting.webhook_id AS webhook_id, waiting.id AS id FROM campaign_awaited_messages AS awaited \
             JOIN campaign_unmatched_events AS waiting ON waiting.webhook_id = awaited.webhook_id \
             AND waiting.id = awaited.event_id AND waiting.org_id = awaited.org_id \
             WHERE awaited.org_id = $1 AND (awaited.webhook_id, awaited.event_id) > ($3, $4) AND {} \
             ORDER BY webhook_id, id LIMIT {AT_ONCE}",
            is_given_text(self.dialect(), "awaited.message_id")
        );
        let values =
            [self.organization().into(), json!(ids).to_string().into(), webhook.into(), id.into()];
        let backend = self.executor().get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, values);
        // not through another session: the transaction has to see what others have committed by now
        let keys = self.executor().query_all_raw(statement).await?;
        let keys = keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Ok(Vec::new()) } else { self.waiting(keys).await }
    }

    /// The events that wait under these keys.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn waiting(
        &self,
        keys: impl IntoIterator<Item = WaitingKey>,
    ) -> Result<Vec<WaitingEvent>, Error> {
        let given = given_ids(self.dialect(), &["webhook_id", "id"]);
        let sql = format!(
            "SELECT waiting.webhook_id AS webhook_id, waiting.id AS id, waiting.send_id AS send_id, \
             waiting.details AS details FROM {given} \
             JOIN campaign_unmatched_events AS waiting ON waiting.webhook_id = given.webhook_id \
             AND waiting.id = given.id WHERE waiting.org_id = $1 ORDER BY waiting.webhook_id, waiting.id"
        );
        let rows = self.executor().query_all_raw(self.with_rows(sql, &rows(keys))).await?;
        let waiting = rows.iter().map(|row| {
            let StoredJson(details) = row.try_get("", "details")?;
            Ok(WaitingEvent {
                key: key(row)?,
                send_id: row.try_get("", "send_id")?,
                message_ids: Vec::new(),
                details,
                received_at: DateTime::UNIX_EPOCH,
            })
        });
        Ok(waiting.collect::<Result<_, DbErr>>()?)
    }

    /// Removes waiting events, and returns those that still waited: another transaction can have taken the others.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn remove_waiting(
        &self,
        keys: impl IntoIterator<Item = WaitingKey>,
    ) -> Result<HashSet<WaitingKey>, Error> {
        let rows = rows(keys);
        let dialect = self.dialect();
        // in one order, so that two calls with the same events do not deadlock
        let lock = match dialect {
            Dialect::Postgres => "ORDER BY waiting.webhook_id, waiting.id FOR UPDATE OF waiting",
            Dialect::Sqlite => "",
        };
        let sql = format!(
            "SELECT waiting.webhook_id AS webhook_id, waiting.id AS id FROM {} \
             JOIN campaign_unmatched_events AS waiting ON waiting.webhook_id = given.webhook_id \
             AND waiting.id = given.id WHERE waiting.org_id = $1 {lock}",
            given_ids(dialect, &["webhook_id", "id"]),
        );
        let found = self.executor().query_all_raw(self.with_rows(sql, &rows)).await?;
        let found: HashSet<WaitingKey> = found.iter().map(key).collect::<Result<_, _>>()?;
        for (table, id) in
            [("campaign_awaited_messages", "event_id"), ("campaign_unmatched_events", "id")]
        {
            let sql = format!(
                "DELETE FROM {table} WHERE org_id = $1 AND (webhook_id, {id}) IN (SELECT webhook_id, id FROM {})",
                given_ids(dialect, &["webhook_id", "id"]),
            );
            self.executor().execute_raw(self.with_rows(sql, &rows)).await?;
        }
        Ok(found)
    }
}

fn row(event: &WaitingEvent) -> Json {
    let (webhook, id) = event.key;
    json!({
        "webhook_id": webhook,
        "id": id,
        "send_id": event.send_id,
        "details": event.details,
        "received_at": text(event.received_at),
    })
}

fn rows(keys: impl IntoIterator<Item = WaitingKey>) -> Json {
    let sorted: BTreeSet<WaitingKey> = keys.into_iter().collect();
    sorted.into_iter().map(|(webhook, id)| json!({ "webhook_id": webhook, "id": id })).collect()
}

fn key(row: &QueryResult) -> Result<WaitingKey, DbErr> {
    Ok((row.try_get("", "webhook_id")?, row.try_get("", "id")?))
}
