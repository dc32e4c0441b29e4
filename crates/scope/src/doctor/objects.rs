//! Required indexes and triggers, and triggers that were turned off for a time.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::check::{Check, Probe};
use crate::{Error, connections::Session};

/// The required indexes: a table, and the first columns of an index on it. Without them, the most
/// common queries read whole tables.
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

pub(super) fn checks() -> [Check; 3] {
    [
        Check {
            wrong: "indexes are missing or not valid".to_owned(),
            remedy: "Create the index, in PostgreSQL CONCURRENTLY. Drop an index that is not valid first.".to_owned(),
            probe: Probe::Indexes,
        },
        Check {
            wrong: "triggers are missing or turned off".to_owned(),
            remedy: "New rows are not counted, or do not appear in the feed. Run `campaigns repair`."
                .to_owned(),
            probe: Probe::BrokenTriggers,
        },
        Check {
            wrong: "triggers were turned off for a time, or recreated, as by a restore".to_owned(),
            remedy: "Rows that were written meanwhile may not be counted. Run `campaigns repair`, which corrects wrong \
                     counts."
                .to_owned(),
            probe: Probe::SwitchedTriggers,
        },
    ]
}

/// The indexes of a table, each with its columns in order, and whether it is valid.
const POSTGRES_INDEXES: &str = "SELECT CAST(c.relname AS text) AS of_table, CAST(i.relname AS text) AS index, x.indisvalid AS valid, \
     CAST(k.place AS bigint) AS place, CAST(a.attname AS text) AS of_column \
     FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_class AS c ON c.oid = x.indrelid \
     CROSS JOIN LATERAL unnest(x.indkey) WITH ORDINALITY AS k(attribute, place) \
     JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k.attribute \
     WHERE x.indrelid = to_regclass($1) AND x.indpred IS NULL";
const SQLITE_INDEXES: &str = "SELECT l.name AS \"index\", true AS valid, k.seqno AS place, k.name AS of_column \
     FROM pragma_index_list($1) AS l CROSS JOIN pragma_index_info(l.name) AS k WHERE l.partial = 0";

pub(super) async fn missing_indexes(session: &Session) -> Result<Vec<String>, Error> {
    let backend = session.get_database_backend();
    let sql = if backend == DbBackend::Postgres { POSTGRES_INDEXES } else { SQLITE_INDEXES };
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
