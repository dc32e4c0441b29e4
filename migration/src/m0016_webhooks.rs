//! Webhooks of mail providers: what an admin configures, what became of the events that came in, and the
//! provider's IDs of messages, by which a send is found.
//!
//! | table | a row for | contains |
//! | --- | --- | --- |
//! | `campaign_provider_webhooks` | a webhook | its name, its provider, its topics at Amazon SNS |
//! | `campaign_provider_paths` | a webhook | the token in its path, which only admins see |
//! | `campaign_provider_keys` | a key of a webhook | the key, sealed under `--encryption-key`, and a hint |
//! | `campaign_provider_stats` | a part of a webhook's figures | numbers of requests and events, the last times |
//! | `campaign_provider_tokens` | a token that counts once | its hash, that of the events that came with it |
//! | `campaign_provider_reports` | a report that is no event | its ID, for as long as it can be repeated |
//! | `campaign_message_ids` | a send | the provider's ID of its message |
//! | `campaign_unmatched_events` | an event whose send is not known yet | what to record, without addresses |
//! | `campaign_awaited_messages` | a message ID that such an event waits for | the event |
//!
//! **Figures without contention.** A transaction that takes events inserts a part, a row of numbers to add, and
//! locks nothing that another one needs. The figures of a webhook are the sums of its parts, in any snapshot.
//! The service merges parts in one statement each, which deletes them and inserts their sum, and skips those
//! that another process is merging.
//!
//! **Unmatched events** wait with everything that is needed to record them, so that the transaction that stores
//! a message ID can record them as well. The recipient is kept as a keyed hash: an event that names one counts
//! for a send to that address only. Two transactions that store an event and its message ID at the same time do
//! not see each other, so the service looks for such pairs as well, and for sends whose ID came first.
//!
//! **Without references.** Other programs empty and delete rows of the organizations and of the sends, on
//! adopted tables in ways that a reference would change or forbid. So no table here refers to another. What
//! reads them looks for the organization or the send at the same time, and the service sweeps away rows whose
//! organization or send is gone. If the service created the table of organizations, a trigger there does so at
//! once.
//!
//! **Invariants.** A secret is stored sealed, with the ID of its row. No row has an address: hints, hashes and
//! texts without addresses alone. Each table has `org_id`, and row security like the others.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    adopt,
    made::{self, execute, exists, is_postgres},
    script,
    sqlite::time_check,
    steps,
};

pub(crate) struct Webhooks;

impl MigrationName for Webhooks {
    fn name(&self) -> &'static str {
        "m0016_webhooks"
    }
}

const TABLES_SQL: &str = include_str!("m0016_webhooks/tables.sql");
const ERASED_POSTGRES: &str = include_str!("m0016_webhooks/erased_postgres.sql");

/// The tables, in the order of their creation.
pub(crate) const TABLES: [&str; 9] = [
    "campaign_provider_webhooks",
    "campaign_provider_paths",
    "campaign_provider_keys",
    "campaign_provider_stats",
    "campaign_provider_tokens",
    "campaign_provider_reports",
    "campaign_message_ids",
    "campaign_unmatched_events",
    "campaign_awaited_messages",
];

/// The indexes.
const INDEXES: [&str; 11] = [
    "campaign_provider_webhooks_organization",
    "campaign_provider_paths_organization",
    "campaign_provider_keys_webhook",
    "campaign_provider_stats_webhook",
    "campaign_provider_tokens_until",
    "campaign_provider_reports_received",
    "campaign_message_ids_compared",
    "campaign_unmatched_events_received",
    "campaign_unmatched_events_organization",
    "campaign_unmatched_events_send",
    "campaign_awaited_messages_event",
];

/// The tables and indexes of PostgreSQL.
pub(crate) fn relations() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().chain(INDEXES)
}

/// The function of PostgreSQL, and the trigger on the organizations that calls it.
pub(crate) const FUNCTIONS: [&str; 1] = ["campaign_provider_erased"];
const TRIGGER: &str = "campaign_provider_erased";

#[async_trait]
impl MigrationTrait for Webhooks {
    fn use_transaction(&self) -> Option<bool> {
        // a transaction of its own, which gives up instead of waiting for a lock
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            execute(manager, &tables(false)).await?;
            return execute(manager, &erased_sqlite()).await;
        }
        let is_there = format!("SELECT 1 WHERE to_regclass('{}') IS NOT NULL", TABLES[0]);
        if !script::is_recording() && exists(manager, &is_there).await? {
            return Ok(());
        }
        let relations: Vec<&str> = relations().collect();
        let mut all = tables(true);
        let private = if made::by_service(manager, "organizations").await? {
            all += &erased_postgres();
            adopt::private(manager, &relations, &FUNCTIONS).await?
        } else {
            adopt::private(manager, &relations, &[]).await?
        };
        // only admins see these, and no policy is there yet
        let hidden = adopt::revoked(&[TABLES[1], TABLES[2]], &[]);
        steps::locking(manager, &[all, private, hidden].join("\n")).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = TABLES.iter().rev().map(|table| format!("DROP TABLE IF EXISTS {table};\n"));
        let tables: String = tables.collect();
        if !is_postgres(manager) {
            return execute(manager, &format!("DROP TRIGGER IF EXISTS {TRIGGER};\n{tables}")).await;
        }
        let trigger = format!(
            "DROP TRIGGER IF EXISTS {TRIGGER} ON organizations;\nDROP FUNCTION IF EXISTS {TRIGGER};\n"
        );
        steps::locking(manager, &[trigger, tables].concat()).await
    }
}

/// The tables in the types of a database.
fn tables(is_postgres: bool) -> String {
    let words = if is_postgres {
        [
            ("{id}", "uuid"),
            ("{bytes}", "bytea"),
            ("{boolean}", "boolean"),
            ("{json}", "jsonb"),
            ("{integer}", "integer"),
            ("{count}", "bigint NOT NULL DEFAULT 0"),
            ("{options}", ""),
        ]
    } else {
        [
            ("{id}", "BLOB"),
            ("{bytes}", "BLOB"),
            ("{boolean}", "INTEGER"),
            ("{json}", "TEXT"),
            ("{integer}", "INTEGER"),
            ("{count}", "INTEGER NOT NULL DEFAULT 0"),
            ("{options}", " STRICT"),
        ]
    };
    let sql = words.iter().fold(TABLES_SQL.to_owned(), |sql, (name, word)| sql.replace(name, word));
    let mut parts = sql.split("{time: ");
    let mut all = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (column, rest) = part.split_once('}').unwrap_or((part, ""));
        let (name, null) = column.split_once(' ').unwrap_or((column, ""));
        if is_postgres {
            all += &format!("{name} timestamptz {null}");
        } else {
            all += &format!("{name} TEXT {null} CHECK ({})", time_check(name));
        }
        all += rest;
    }
    all
}

/// What deletes the rows of organizations that were deleted.
fn erased_postgres() -> String {
    let deletes = TABLES.map(|table| {
        format!("    DELETE FROM {table} WHERE org_id IN (SELECT id FROM deleted);\n")
    });
    ERASED_POSTGRES.replace("{deletes}", &deletes.concat())
}

fn erased_sqlite() -> String {
    let deletes = TABLES.map(|table| format!("DELETE FROM {table} WHERE org_id = OLD.id; "));
    format!("CREATE TRIGGER {TRIGGER} AFTER DELETE ON organizations BEGIN {}END", deletes.concat())
}
