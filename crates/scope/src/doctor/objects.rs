//! Indexes and triggers that must exist, and triggers that must have fired all the time.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::check::{Check, Probe};
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

pub(super) fn checks() -> [Check; 3] {
    [
        Check {
            wrong: "indexes are missing or not valid".to_owned(),
            remedy: "Create the index (in PostgreSQL CONCURRENTLY). Drop one that is not valid first.".to_owned(),
            look: Probe::Indexes,
        },
        Check {
            wrong: "triggers are missing or turned off".to_owned(),
            remedy: "What is written is not counted, or does not appear in the feed. Run `campaigns repair`."
                .to_owned(),
            look: Probe::BrokenTriggers,
        },
        Check {
            wrong: "triggers were turned off for a time, or created again, as by a restore".to_owned(),
            remedy: "What was written meanwhile may not be counted. Run `campaigns repair`, which counts again where counts \
                     are wrong."
                .to_owned(),
            look: Probe::SwitchedTriggers,
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
