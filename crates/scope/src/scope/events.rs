//! Inserts events, with their positions in the feed, and with another key if a different organization
//! already uses the ID.
//!
//! **Invariants.**
//! - Feed positions follow the given order. They are drawn last, because the organization's feed waits
//!   from then until the transaction ends.
//! - An ID that another organization uses is accepted: the same statement stores the event under a
//!   random key, with the ID in a column. (The migration `m0013_event_ids` explains chosen IDs.)
//! - Rows are inserted in the order of their IDs, so that two calls with the same new IDs do not
//!   deadlock.

use std::collections::HashSet;

use campaigns_entity::event;
use sea_orm::{ActiveValue, ConnectionTrait, IdenStatic, Statement};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::{
    Scope,
    bulk::{GivenRows, ROWS},
};
use crate::{Dialect, Error, WebhookPart, webhooks};

/// A new random key.
const NEW_KEY: &str = "gen_random_uuid()";
/// A new random key in `SQLite`: a version 4 UUID.
const NEW_KEY_OF_SQLITE: &str = "CAST(randomblob(6) \
    || substr(x'404142434445464748494a4b4c4d4e4f', 1 + (random() & 15), 1) || randomblob(1) \
    || substr(x'808182838485868788898a8b8c8d8e8f', 1 + (random() & 15), 1) || randomblob(7) AS BLOB)";

impl Scope {
    /// Inserts the events with IDs that are new to the organization, and returns these IDs. The first
    /// row with a repeated ID counts. All rows have the same columns set. `are_chosen` states whether
    /// clients chose the IDs, so that other organizations can have chosen the same. Outside a
    /// transaction, the call is its own transaction.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] if the organization does not have one of the sends. No event is
    /// inserted then.
    pub async fn insert_events(
        &self,
        rows: &[event::ActiveModel],
        are_chosen: bool,
    ) -> Result<HashSet<Uuid>, Error> {
        let given = GivenRows::<event::Entity>::of(rows);
        let sql = match self.dialect() {
            Dialect::Postgres if are_chosen => of_postgres(&given, rows, Inserted::Chosen),
            Dialect::Postgres => of_postgres(&given, rows, Inserted::Plain),
            Dialect::Sqlite => of_sqlite(&given, are_chosen),
        };
        self.insert_given::<event::Entity>(&self.with_rows(sql, &given.rows), rows).await
    }

    /// Inserts events with chosen IDs that came to one webhook, and adds a part to the figures of the webhook: those of
    /// the part, the new events as recorded, and the others as repeated. Returns the IDs of the new events, or `None` if
    /// the organization does not have one of the sends, or the contact of one has another address than its recipient.
    /// Addresses are compared in lower case. Nothing is stored then. PostgreSQL does all of it in one statement.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn insert_events_of_webhook(
        &self,
        rows: &[event::ActiveModel],
        recipients: &[SendRecipient],
        part: &WebhookPart,
    ) -> Result<Option<HashSet<Uuid>>, Error> {
        let mut part = part.clone();
        let all = i64::try_from(rows.len()).unwrap_or(i64::MAX);
        if self.dialect() == Dialect::Sqlite {
            return self
                .transaction(async |scope| {
                    if !scope.has_sends_to(rows, recipients).await? {
                        return Ok(None);
                    }
                    let new = scope.insert_events(rows, true).await?;
                    part.stats.recorded = i64::try_from(new.len()).unwrap_or(i64::MAX);
                    part.stats.repeated = all - part.stats.recorded;
                    scope.add_webhook_parts(&[part]).await?;
                    Ok(Some(new))
                })
                .await;
        }
        part.stats.repeated = all;
        let given = GivenRows::<event::Entity>::of(rows);
        let part = webhooks::row_of_part(&part);
        let recipients: Json = recipients.iter().map(SendRecipient::to_json).collect();
        let values = [
            self.organization().into(),
            given.rows.to_string().into(),
            Json::from(vec![part.clone()]).to_string().into(),
            recipients.to_string().into(),
        ];
        let backend = self.executor().get_database_backend();
        let sql = of_postgres(&given, rows, Inserted::OfWebhook);
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let mut stored = self.write_given(&statement).await?;
        let is_whole = part["id"].as_str().and_then(|id| id.parse().ok());
        Ok(is_whole.is_some_and(|id: Uuid| stored.remove(&id)).then_some(stored))
    }

    /// Whether the organization has the sends of all events, to contacts with the addresses of the recipients.
    async fn has_sends_to(
        &self,
        rows: &[event::ActiveModel],
        recipients: &[SendRecipient],
    ) -> Result<bool, Error> {
        let ids = rows.iter().filter_map(|row| row.send_id.try_as_ref().copied());
        let sends = self.found_sends(ids.clone()).await?;
        let is_to = |recipient: &SendRecipient| {
            let address = sends.get(&recipient.send_id).and_then(|send| send.address.as_ref());
            address.is_some_and(|address| address.to_lowercase() == recipient.address)
        };
        Ok(ids.into_iter().all(|id| sends.contains_key(&id)) && recipients.iter().all(is_to))
    }
}

/// The address that a send has to be to.
#[derive(Clone, PartialEq, Eq)]
pub struct SendRecipient {
    /// The send.
    pub send_id: Uuid,
    /// The address, in lower case.
    pub address: String,
}

impl SendRecipient {
    fn to_json(&self) -> Json {
        json!({ "send_id": self.send_id, "address": self.address })
    }
}

/// The condition that the sends of the recipients in `$4` are the organization's and to these addresses. Each send is
/// looked up by its ID.
const ARE_TO_RECIPIENTS: &str = "NOT EXISTS (SELECT 1 FROM json_to_recordset(CAST($4 AS json)) \
    AS recipient(send_id uuid, address text) WHERE recipient.address IS DISTINCT FROM \
    (SELECT lower(contact.email) FROM campaign_sends AS send JOIN contacts AS contact \
     ON contact.id = send.contact_id AND contact.org_id = send.org_id \
     WHERE send.id = recipient.send_id AND send.org_id = $1))";

/// How events are inserted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inserted {
    /// With IDs that the service made.
    Plain,
    /// With IDs that clients chose, so that other organizations can have chosen the same.
    Chosen,
    /// With chosen IDs, if the recipients in `$4` are right, and with the part in `$3`.
    OfWebhook,
}

/// The columns that are given, but for the ID.
fn others(given: &GivenRows<event::Entity>) -> String {
    let names = given.columns.iter().map(IdenStatic::as_str).filter(|name| *name != "id");
    names.collect::<Vec<_>>().join(", ")
}

/// The statement returns the IDs of the new events, and with [`Inserted::OfWebhook`] that of the part.
fn of_postgres(
    given: &GivenRows<event::Entity>,
    rows: &[event::ActiveModel],
    inserted: Inserted,
) -> String {
    let others = others(given);
    let are_chosen = inserted != Inserted::Plain;
    let is_ordered = rows.is_sorted_by_key(|row| match &row.id {
        ActiveValue::Set(id) => Some(*id),
        _ => None,
    });
    // rows in the order of their IDs get their positions when they are inserted
    let is_placed = rows.len() > 1 && (are_chosen || !is_ordered);
    let (mut tables, mut whole) = GivenRows::<event::Entity>::referenced(Dialect::Postgres);
    let (mut added, mut all) = (String::new(), "SELECT id FROM new");
    if inserted == Inserted::OfWebhook {
        // first, so that nothing is locked otherwise
        whole = format!("{ARE_TO_RECIPIENTS} AND {whole}");
        added = webhooks::part_of_events(&whole);
        all = "SELECT id FROM new UNION ALL SELECT id FROM added";
    }
    let typed = given.typed(Dialect::Postgres);
    let (place, position, order) = if is_placed {
        tables.insert(
            0,
            format!(
                "given AS MATERIALIZED (SELECT * FROM ROWS FROM ({ROWS} AS ({typed})) \
             WITH ORDINALITY AS given)"
            ),
        );
        // drawn with the first row, when the sends are already locked
        tables.push(
            "drawn AS MATERIALIZED (SELECT campaign_feed_draw_for($1, (SELECT CAST(count(*) AS integer) FROM given)) \
             AS places)"
                .to_owned(),
        );
        let position = "((SELECT places FROM drawn))[CAST(ordinality AS integer)], ";
        ("feed_position, ", position, "id, ordinality")
    } else {
        tables.insert(0, format!("given AS (SELECT * FROM {ROWS} AS given({typed}))"));
        ("", "", "id")
    };
    let insert = format!(
        "INSERT INTO campaign_events (org_id, {place}id, {others}) \
         SELECT $1, {position}id, {others} FROM given WHERE {whole} ORDER BY {order} \
         ON CONFLICT DO NOTHING RETURNING {}",
        Scope::returning_given(Dialect::Postgres, "campaign_events.id"),
    );
    if !are_chosen {
        return format!("WITH {} {insert}", tables.join(", "));
    }
    // the remaining rows are duplicates, or have the ID of another organization's event; the unique
    // index on the ID that the organization sees distinguishes them, also under concurrent calls
    format!(
        "WITH {}, inserted AS ({insert}), \
         under_new_keys AS (INSERT INTO campaign_events (org_id, {place}id, chosen_id, {others}) \
           SELECT $1, {position}{NEW_KEY}, id, {others} FROM given \
           WHERE {whole} AND id NOT IN (SELECT id FROM inserted) \
           AND 0 = (SELECT count(*) FROM campaign_events AS stored \
             WHERE coalesce(stored.chosen_id, stored.id) = given.id AND stored.org_id IS NOT DISTINCT FROM $1) \
           ORDER BY {order} ON CONFLICT DO NOTHING RETURNING chosen_id AS id), \
         new AS (SELECT id FROM inserted UNION ALL SELECT id FROM under_new_keys) {added} {all}",
        tables.join(", ")
    )
}

fn of_sqlite(given: &GivenRows<event::Entity>, are_chosen: bool) -> String {
    let others = others(given);
    let (mut tables, whole) = GivenRows::<event::Entity>::referenced(Dialect::Sqlite);
    tables.insert(0, format!("given AS (SELECT * FROM {})", given.table(Dialect::Sqlite)));
    if !are_chosen {
        return format!(
            "WITH {} INSERT INTO campaign_events (org_id, id, {others}) SELECT $1, id, {others} FROM given \
             WHERE {whole} ON CONFLICT DO NOTHING RETURNING id",
            tables.join(", ")
        );
    }
    // SQLite has one writer at a time, so the looked-up rows cannot change
    tables.push(
        "keyed AS (SELECT given.*, EXISTS (SELECT 1 FROM campaign_events AS stored WHERE stored.id = given.id \
         AND (stored.org_id <> $1 OR stored.chosen_id IS NOT NULL)) AS is_taken FROM given)"
            .to_owned(),
    );
    format!(
        "WITH {} INSERT INTO campaign_events (org_id, id, chosen_id, {others}) \
         SELECT $1, CASE WHEN is_taken THEN {NEW_KEY_OF_SQLITE} ELSE id END, CASE WHEN is_taken THEN id END, \
         {others} FROM keyed WHERE {whole} AND NOT EXISTS (SELECT 1 FROM campaign_events AS stored \
           WHERE stored.chosen_id = keyed.id AND stored.org_id = $1) \
         ON CONFLICT DO NOTHING RETURNING coalesce(chosen_id, id) AS id",
        tables.join(", ")
    )
}
