//! The provider's IDs of messages.

use std::collections::HashSet;

use sea_orm::ConnectionTrait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{Dialect, Error, Scope};

/// The provider's ID of a send's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageId {
    /// The send.
    pub send_id: Uuid,
    /// The ID as it was given.
    pub given: String,
    /// The ID in the form to compare.
    pub compared: String,
}

impl Scope {
    /// Stores the message IDs of sends that this transaction has locked, one for each send, and returns the sends
    /// whose message ID changed.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn set_message_ids(&self, ids: &[MessageId]) -> Result<HashSet<Uuid>, Error> {
        let rows: Json = ids
            .iter()
            .map(|MessageId { send_id, given, compared }| {
                json!({ "send_id": send_id, "message_id": given, "compared": compared })
            })
            .collect();
        let select = match self.dialect() {
            Dialect::Postgres => {
                "SELECT $1, send_id, message_id, compared FROM json_to_recordset(CAST($2 AS json)) \
                 AS given(send_id uuid, message_id text, compared text) ORDER BY send_id"
            }
            Dialect::Sqlite => {
                "SELECT $1, unhex(replace(value ->> 'send_id', '-', '')), value ->> 'message_id', value ->> 'compared' \
                 FROM json_each($2) WHERE true"
            }
        };
        let sql = format!(
            "INSERT INTO campaign_message_ids AS stored (org_id, send_id, message_id, compared) {select} \
             ON CONFLICT (send_id) DO UPDATE SET message_id = excluded.message_id, compared = excluded.compared \
             WHERE stored.org_id = excluded.org_id AND stored.message_id <> excluded.message_id RETURNING send_id"
        );
        let changed = self.executor().query_all_raw(self.with_rows(sql, &rows)).await?;
        Ok(changed.iter().map(|row| row.try_get("", "send_id")).collect::<Result<_, _>>()?)
    }
}
