//! Sends that reports are about, with the addresses of their contacts.

use std::collections::HashMap;

use campaigns_entity::{StoredText, StoredTime};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbErr, QueryResult};
use serde_json::Value as Json;
use uuid::Uuid;

use super::is_given_text;
use crate::{Error, Scope, scope::is_given};

/// The most sends that one look-up by address reads.
const MOST_BY_ADDRESS: u32 = 10_000;

/// A send that a report can be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSend {
    /// Its ID.
    pub id: Uuid,
    /// The address of its contact, if it is known.
    pub address: Option<String>,
    /// When it was sent, or queued.
    pub at: DateTime<Utc>,
}

/// What is read of a send, and where from.
const COLUMNS: &str =
    "send.id AS id, contact.email AS address, coalesce(send.sent_at, send.created_at) AS sent";
const CONTACT: &str =
    "JOIN contacts AS contact ON contact.id = send.contact_id AND contact.org_id = send.org_id";

impl Scope {
    /// The organization's sends with these IDs.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn found_sends(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<HashMap<Uuid, FoundSend>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM campaign_sends AS send {CONTACT} WHERE send.org_id = $1 AND {}",
            is_given(self.dialect(), "send.id")
        );
        let rows = self.reader(true).query_all_raw(self.with_ids(sql, ids)).await?;
        let sends = rows.iter().map(found).collect::<Result<Vec<_>, _>>()?;
        Ok(sends.into_iter().map(|send| (send.id, send)).collect())
    }

    /// The organization's sends whose messages have these IDs, by message ID, in the form to compare.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn sends_by_message_ids(
        &self,
        ids: impl IntoIterator<Item = String>,
    ) -> Result<HashMap<String, Vec<FoundSend>>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, message.compared AS found_by FROM campaign_message_ids AS message \
             JOIN campaign_sends AS send ON send.id = message.send_id AND send.org_id = message.org_id {CONTACT} \
             WHERE message.org_id = $1 AND {} ORDER BY send.id",
            is_given_text(self.dialect(), "message.compared")
        );
        self.by_texts(sql, ids, true).await
    }

    /// The organization's latest sends to these addresses, by address in lower case.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn sends_by_addresses(
        &self,
        addresses: impl IntoIterator<Item = String>,
    ) -> Result<HashMap<String, Vec<FoundSend>>, Error> {
        let sql = format!(
            "SELECT {COLUMNS}, lower(contact.email) AS found_by FROM campaign_sends AS send {CONTACT} \
             WHERE send.org_id = $1 AND contact.org_id = $1 AND {} \
             ORDER BY sent DESC, send.id LIMIT {MOST_BY_ADDRESS}",
            is_given_text(self.dialect(), "lower(contact.email)")
        );
        self.by_texts(sql, addresses, false).await
    }

    async fn by_texts(
        &self,
        sql: String,
        texts: impl IntoIterator<Item = String>,
        by_key: bool,
    ) -> Result<HashMap<String, Vec<FoundSend>>, Error> {
        let texts: Json = texts.into_iter().map(Json::String).collect();
        let rows = self.reader(by_key).query_all_raw(self.with_rows(sql, &texts)).await?;
        let mut sends = HashMap::<_, Vec<_>>::new();
        for row in &rows {
            let StoredText(by) = row.try_get("", "found_by")?;
            sends.entry(by).or_default().push(found(row)?);
        }
        Ok(sends)
    }
}

fn found(row: &QueryResult) -> Result<FoundSend, DbErr> {
    let address: Option<StoredText> = row.try_get("", "address")?;
    let at: StoredTime = row.try_get("", "sent")?;
    Ok(FoundSend {
        id: row.try_get("", "id")?,
        address: address.map(|StoredText(address)| address),
        at: at.nearest(),
    })
}
