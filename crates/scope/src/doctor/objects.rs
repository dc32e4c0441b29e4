//! Indexes and triggers that must exist.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::{Check, Look};
use crate::{Error, connections::Session};

/// The columns that an index of a table must start with. Without them, the most common queries read
/// whole tables.
const INDEXES: [(&str, &[&str]); 12] = [
    ("contacts", &["org_id"]),
    ("contact_companies", &["contact_id"]),
    ("campaigns", &["org_id", "created_at"]),
    ("campaign_lists", &["campaign_id"]),
    ("campaign_lists", &["contact_id"]),
    ("campaign_lists", &["segment_id"]),
    ("campaign_sends", &["campaign_id"]),
    ("campaign_sends", &["contact_id"]),
    ("campaign_events", &["send_id"]),
    ("campaign_events", &["send_campaign_id"]),
    ("campaign_events", &["send_contact_id"]),
    ("campaign_events", &["org_id", "feed_position"]),
];

/// The PostgreSQL triggers, and when they fire: `A` always, `O` in all sessions except those of
/// replication, `R` only in those.
const TRIGGERS: [(&str, &str, &str); 14] = [
    ("campaign_events", "campaign_feed_enter", "A"),
    ("campaign_events", "campaign_feed_change", "A"),
    ("campaign_sends", "campaign_feed_moves", "A"),
    ("campaign_sends", "campaign_feed_moved", "A"),
    ("campaign_sends", "campaign_counts_insert", "O"),
    ("campaign_sends", "campaign_counts_update", "O"),
    ("campaign_sends", "campaign_counts_delete", "O"),
    ("campaign_sends", "campaign_counts_row", "R"),
    ("campaign_sends", "campaign_counts_truncate", "A"),
    ("campaign_events", "campaign_counts_insert", "O"),
    ("campaign_events", "campaign_counts_update", "O"),
    ("campaign_events", "campaign_counts_delete", "O"),
    ("campaign_events", "campaign_counts_row", "R"),
    ("campaign_events", "campaign_counts_truncate", "A"),
];

/// The SQLite triggers. They can be dropped but not turned off.
const TRIGGERS_OF_SQLITE: [&str; 14] = [
    "campaign_events_enter_feed",
    "campaign_events_change",
    "campaign_sends_arrived",
    "campaign_sends_moved",
    "campaign_counts_send_replace",
    "campaign_counts_send_replaced",
    "campaign_counts_event_replace",
    "campaign_counts_event_replaced",
    "campaign_counts_send_insert",
    "campaign_counts_send_delete",
    "campaign_counts_send_update",
    "campaign_counts_event_insert",
    "campaign_counts_event_delete",
    "campaign_counts_event_update",
];

pub(super) fn checks() -> [Check; 2] {
    [
        Check {
            wrong: "indexes are missing or not valid".to_owned(),
            remedy: "Create the index (in PostgreSQL CONCURRENTLY). Drop one that is not valid first.".to_owned(),
            look: Look::Indexes,
        },
        Check {
            wrong: "triggers are missing or turned off".to_owned(),
            remedy: "Run the statement beside each trigger, then `campaigns stats check`, which tells whether counts are wrong. \
                     To restore a missing trigger, run `campaigns migrate down` and `campaigns migrate`."
                .to_owned(),
            look: Look::Triggers,
        },
    ]
}

/// The indexes of the tables above, each with its columns in their order and whether it is valid.
const OF_POSTGRES: &str = "SELECT CAST(c.relname AS text) AS of_table, CAST(i.relname AS text) AS index, x.indisvalid AS valid, \
     CAST(k.place AS bigint) AS place, CAST(a.attname AS text) AS of_column \
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS c ON c.oid = x.indrelid \
     CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k(attribute, place) \
     JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attribute \
     WHERE x.indrelid = to_regclass($1) AND x.indpred IS NULL";
const OF_SQLITE: &str = "SELECT l.name AS \"index\", true AS valid, k.seqno AS place, k.name AS of_column \
     FROM pragma_index_list($1) AS l CROSS JOIN pragma_index_info(l.name) AS k WHERE l.partial = 0";

pub(super) async fn missing_indexes(session: &Session) -> Result<Vec<String>, Error> {
    let backend = session.get_database_backend();
    let sql = if backend == DbBackend::Postgres { OF_POSTGRES } else { OF_SQLITE };
    let mut wrong = Vec::new();
    let mut known: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
    for (table, columns) in INDEXES {
        if !known.contains_key(table) {
            let statement = Statement::from_sql_and_values(backend, sql, [table.into()]);
            let mut indexes: BTreeMap<String, (bool, BTreeMap<i64, String>)> = BTreeMap::new();
            for row in session.query_all_raw(statement).await? {
                let index = indexes.entry(row.try_get("", "index")?).or_default();
                index.0 = row.try_get("", "valid")?;
                index.1.insert(row.try_get("", "place")?, row.try_get("", "of_column")?);
            }
            let not_valid = indexes.iter().filter(|(_, (valid, _))| !valid);
            wrong.extend(not_valid.map(|(name, _)| format!("{name} on {table} is not valid")));
            let valid = indexes.into_values().filter(|(valid, _)| *valid);
            known
                .insert(table, valid.map(|(_, columns)| columns.into_values().collect()).collect());
        }
        if !known[table].iter().any(|index| {
            index.iter().map(String::as_str).take(columns.len()).eq(columns.iter().copied())
        }) {
            wrong.push(format!("{table} has no index that begins with {}", columns.join(", ")));
        }
    }
    Ok(wrong)
}

pub(super) async fn broken_triggers(session: &Session) -> Result<Vec<String>, Error> {
    if session.get_database_backend() != DbBackend::Postgres {
        return missing_in_sqlite(session).await;
    }
    let mut broken = Vec::new();
    for (table, trigger, wanted) in TRIGGERS {
        let sql = "SELECT CAST(tgenabled AS text) AS state FROM pg_trigger \
                   WHERE tgrelid = to_regclass($1) AND tgname = $2";
        let values = [table.into(), trigger.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let row = session.query_one_raw(statement).await?;
        let state: Option<String> = row.map(|row| row.try_get("", "state")).transpose()?;
        let enable = match wanted {
            "A" => "ENABLE ALWAYS",
            "R" => "ENABLE REPLICA",
            _ => "ENABLE",
        };
        match state.as_deref() {
            None => broken.push(format!("{trigger} on {table} is missing")),
            Some(state) if state == wanted => {}
            Some(_) => broken.push(format!(
                "{trigger} on {table} does not fire when it has to: ALTER TABLE {table} {enable} TRIGGER {trigger}"
            )),
        }
    }
    Ok(broken)
}

async fn missing_in_sqlite(session: &Session) -> Result<Vec<String>, Error> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = session.query_all_raw(statement).await?;
    let there: Vec<String> =
        rows.iter().map(|row| row.try_get("", "name")).collect::<Result<_, _>>()?;
    let missing = TRIGGERS_OF_SQLITE.iter().filter(|name| !there.iter().any(|of| of == *name));
    Ok(missing.map(|name| format!("{name} is missing")).collect())
}
