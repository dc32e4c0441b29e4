//! The expected running counts, computed in Rust from the rows of sends and events, independently
//! of the service.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chrono::{DateTime, Timelike, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, QueryResult, Statement};
use uuid::Uuid;

/// The counts of a row, by the names of their columns.
type Row = BTreeMap<&'static str, i64>;
/// The rows of a table with a count other than 0, by their keys.
type Table = BTreeMap<Vec<String>, Row>;

const EVENTS: [&str; 7] =
    ["opens", "clicks", "unsubscribes", "complaints", "bounces", "machine_opens", "machine_clicks"];

/// Each count of events, with the count of sends that have such an event.
const UNIQUE: [(&str, &str); 4] = [
    ("opens", "unique_opens"),
    ("clicks", "unique_clicks"),
    ("unsubscribes", "unique_unsubscribes"),
    ("complaints", "unique_complaints"),
];

/// Each count of events, that of machines' events among them, and that of the sends that have another.
const UNIQUE_HUMAN: [(&str, &str, &str); 2] = [
    ("opens", "machine_opens", "unique_human_opens"),
    ("clicks", "machine_clicks", "unique_human_clicks"),
];

/// Each table with its keys, as SQL, and its counts. A link is identified by its URL.
const TABLES: [(&str, &[&str], &[&str]); 6] = [
    (
        "campaign_counts",
        &["org_id", "campaign_id"],
        &[
            "sends",
            "queued",
            "sent",
            "delivered",
            "bounced",
            "failed",
            "opens",
            "clicks",
            "unsubscribes",
            "complaints",
            "bounces",
            "unique_opens",
            "unique_clicks",
            "unique_unsubscribes",
            "unique_complaints",
            "machine_opens",
            "machine_clicks",
            "unique_human_opens",
            "unique_human_clicks",
        ],
    ),
    ("campaign_send_counts", &["org_id", "send_id", "campaign_id"], &EVENTS),
    (
        "campaign_contact_counts",
        &["org_id", "contact_id"],
        &[
            "opens",
            "clicks",
            "unsubscribes",
            "complaints",
            "bounces",
            "suppressing",
            "machine_opens",
            "machine_clicks",
        ],
    ),
    ("campaign_hour_counts", &["org_id", "campaign_id", "hour"], &EVENTS),
    ("campaign_link_counts", &["org_id", "campaign_id", "url"], &["clicks", "unique_clicks"]),
    (
        "campaign_send_link_counts AS c JOIN \
         (SELECT org_id AS o, campaign_id AS c, link AS l, url FROM campaign_link_counts) AS links \
         ON o = org_id AND links.c = campaign_id AND l = link",
        &["org_id", "send_id", "campaign_id", "url"],
        &["clicks"],
    ),
];

/// The counts of a database, and the events that belong to a send.
#[derive(Debug, Default)]
pub struct Oracle {
    tables: BTreeMap<&'static str, Table>,
    /// The events with a send, of each organization.
    pub events: BTreeMap<Uuid, BTreeSet<Uuid>>,
}

struct Send {
    organization: Uuid,
    campaign: Uuid,
    contact: Uuid,
}

async fn rows(sql: &DatabaseConnection, query: &str) -> Vec<QueryResult> {
    let statement = Statement::from_string(sql.get_database_backend(), query);
    sql.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{query}: {error}"))
}

fn id(row: &QueryResult, column: &str) -> Uuid {
    row.try_get("", column).unwrap()
}

fn hour(at: DateTime<Utc>) -> String {
    at.with_nanosecond(0).unwrap().with_second(0).unwrap().with_minute(0).unwrap().to_rfc3339()
}

impl Oracle {
    /// Counts what is in a database.
    pub async fn of(sql: &DatabaseConnection) -> Self {
        let mut counted = Self::default();
        let mut sends: HashMap<Uuid, Send> = HashMap::new();
        let query = "SELECT id, org_id, campaign_id, contact_id, CAST(status AS text) AS status \
                     FROM campaign_sends";
        for row in rows(sql, query).await {
            let send = Send {
                organization: id(&row, "org_id"),
                campaign: id(&row, "campaign_id"),
                contact: id(&row, "contact_id"),
            };
            let status: String = row.try_get("", "status").unwrap();
            let key = [send.organization, send.campaign];
            counted.add("campaign_counts", &key, &[], "sends");
            counted.add("campaign_counts", &key, &[], &status);
            sends.insert(id(&row, "id"), send);
        }
        let query = "SELECT id, org_id, send_id, CAST(event_type AS text) AS event_type, url, \
                     occurred_at, CAST(metadata AS text) AS metadata FROM campaign_events";
        for row in rows(sql, query).await {
            let send_id = id(&row, "send_id");
            let Some(send) = sends.get(&send_id) else { continue };
            if send.organization == id(&row, "org_id") {
                counted.event(&row, send_id, send);
            }
        }
        let sends = counted.tables.get("campaign_send_counts").cloned().unwrap_or_default();
        for (key, row) in sends {
            let campaign = vec![key[0].clone(), key[2].clone()];
            for (of, unique) in UNIQUE {
                if row.contains_key(of) {
                    counted.add_named("campaign_counts", campaign.clone(), unique);
                }
            }
            for (of, machine, unique) in UNIQUE_HUMAN {
                if row.get(of) > row.get(machine) {
                    counted.add_named("campaign_counts", campaign.clone(), unique);
                }
            }
        }
        let links = counted.tables.get(TABLES[5].0).cloned().unwrap_or_default();
        for key in links.into_keys() {
            let key = vec![key[0].clone(), key[2].clone(), key[3].clone()];
            counted.add_named("campaign_link_counts", key, "unique_clicks");
        }
        counted
    }

    fn event(&mut self, row: &QueryResult, send_id: Uuid, send: &Send) {
        let organization = send.organization;
        self.events.entry(organization).or_default().insert(id(row, "id"));
        let kind: String = row.try_get("", "event_type").unwrap();
        let number = match kind.as_str() {
            "open" => "opens",
            "click" => "clicks",
            "unsubscribe" => "unsubscribes",
            "complaint" => "complaints",
            "bounce" => "bounces",
            // a type that only a later version knows
            _ => return,
        };
        let url: Option<String> = row.try_get("", "url").unwrap();
        let at: DateTime<Utc> = row.try_get("", "occurred_at").unwrap();
        let machine = match number {
            "opens" if metadata(row)["machine"] == true => Some("machine_opens"),
            "clicks" if metadata(row)["machine"] == true => Some("machine_clicks"),
            _ => None,
        };
        for number in [Some(number), machine].into_iter().flatten() {
            self.add("campaign_counts", &[organization, send.campaign], &[], number);
            self.add("campaign_send_counts", &[organization, send_id, send.campaign], &[], number);
            self.add("campaign_contact_counts", &[organization, send.contact], &[], number);
            self.add("campaign_hour_counts", &[organization, send.campaign], &[hour(at)], number);
        }
        if kind == "unsubscribe" || kind == "complaint" || kind == "bounce" && !is_soft(row) {
            let key = [organization, send.contact];
            self.add("campaign_contact_counts", &key, &[], "suppressing");
        }
        if let Some(url) = url.filter(|_| kind == "click") {
            let key = [organization, send.campaign];
            self.add("campaign_link_counts", &key, std::slice::from_ref(&url), "clicks");
            let key = [organization, send_id, send.campaign];
            self.add(TABLES[5].0, &key, &[url], "clicks");
        }
    }

    fn add(&mut self, table: &'static str, ids: &[Uuid], texts: &[String], count: &str) {
        let key = ids.iter().map(Uuid::to_string).chain(texts.iter().cloned()).collect();
        self.add_named(table, key, count);
    }

    fn add_named(&mut self, table: &'static str, key: Vec<String>, count: &str) {
        let (.., counts) = TABLES.iter().find(|(name, ..)| *name == table).unwrap();
        // a status that only a later version knows counts only in the number of sends
        if let Some(name) = counts.iter().find(|name| **name == count) {
            let row = self.tables.entry(table).or_default().entry(key).or_default();
            *row.entry(name).or_default() += 1;
        }
    }

    /// The differences between the stored counts of a database and these.
    pub async fn differences(&self, sql: &DatabaseConnection) -> Vec<String> {
        let mut differences = Vec::new();
        for (table, keys, counts) in TABLES {
            let stored = stored(sql, table, keys, counts).await;
            let mut counted = self.tables.get(table).cloned().unwrap_or_default();
            let columns = columns(sql, table).await;
            for row in counted.values_mut() {
                row.retain(|name, _| columns.iter().any(|column| column == name));
            }
            let all: BTreeSet<_> = stored.keys().chain(counted.keys()).collect();
            for key in all {
                let (stored, counted) = (stored.get(key), counted.get(key));
                if stored != counted {
                    differences.push(format!("{table} {key:?}: {stored:?} should be {counted:?}"));
                }
            }
        }
        differences
    }
}

fn is_soft(row: &QueryResult) -> bool {
    metadata(row)["bounce_type"] == "soft"
}

/// The metadata of an event, null if it is not JSON.
fn metadata(row: &QueryResult) -> serde_json::Value {
    let text: Option<String> = row.try_get("", "metadata").unwrap();
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// The columns of a table of counts, of which a former version of the tables has fewer.
async fn columns(sql: &DatabaseConnection, table: &str) -> Vec<String> {
    let table = table.split(' ').next().unwrap();
    let query = match sql.get_database_backend() {
        DbBackend::Postgres => format!(
            "SELECT CAST(attname AS text) AS name FROM pg_attribute WHERE attnum > 0 AND NOT \
             attisdropped AND attrelid = '{table}'::regclass"
        ),
        _ => format!("SELECT name FROM pragma_table_info('{table}')"),
    };
    rows(sql, &query).await.iter().map(|row| row.try_get("", "name").unwrap()).collect()
}

async fn stored(
    sql: &DatabaseConnection,
    table: &str,
    keys: &[&str],
    counts: &'static [&'static str],
) -> Table {
    let there = columns(sql, table).await;
    let counts: Vec<_> =
        counts.iter().filter(|count| there.contains(&(**count).to_owned())).collect();
    let names: Vec<&str> = keys.iter().copied().chain(counts.iter().map(|count| **count)).collect();
    let query = format!("SELECT {} FROM {table}", names.join(", "));
    let read = |row: &QueryResult| {
        let key = keys.iter().map(|key| match *key {
            "url" => row.try_get("", key).unwrap(),
            "hour" => hour(row.try_get("", key).unwrap()),
            _ => id(row, key).to_string(),
        });
        let values = counts.iter().map(|count| (**count, row.try_get("", count).unwrap()));
        (key.collect(), values.filter(|(_, value)| *value != 0).collect())
    };
    rows(sql, &query).await.iter().map(read).collect()
}

/// Adds all pending changes to the counts.
pub async fn fold_all(sql: &DatabaseConnection) {
    if sql.get_database_backend() != DbBackend::Postgres {
        return;
    }
    let waiting = "SELECT 1 FROM campaign_send_changes UNION ALL SELECT 1 FROM \
                   campaign_event_changes LIMIT 1";
    while !rows(sql, waiting).await.is_empty() {
        rows(sql, "SELECT campaign_counts_fold() AS added").await;
    }
}

/// Asserts that the stored counts, with all changes added, equal those of the oracle.
///
/// # Panics
/// If they differ.
pub async fn assert_exact(sql: &DatabaseConnection) -> Oracle {
    fold_all(sql).await;
    let oracle = Oracle::of(sql).await;
    let differences = oracle.differences(sql).await;
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    oracle
}
