//! Running counts: a query reads a few rows, however long the history is.
//!
//! | table | a row for | contains |
//! | --- | --- | --- |
//! | `campaign_counts` | a campaign | its sends by status, its events by type, its sends with such an event |
//! | `campaign_send_counts` | a send with events, within a campaign | its events by type |
//! | `campaign_contact_counts` | a contact with events | its events by type, and those that suppress it |
//! | `campaign_hour_counts` | an hour of a campaign | its events by type |
//! | `campaign_link_counts` | a link of a campaign | its clicks, its sends with such a click |
//! | `campaign_send_link_counts` | a link of a send | its clicks |
//!
//! **Invariant.** In every snapshot of the database, a count plus its waiting changes equals a
//! recount of sends and events. For each table, the view with its name and `_recounted` is that
//! recount, minus the waiting changes. A row with only zero counts is not kept.
//!
//! **PostgreSQL.** Triggers append the changes of each statement to `campaign_send_changes` and
//! `campaign_event_changes`. Since nothing is updated, writers wait for nobody, whatever the
//! campaign and the isolation level. `campaign_counts_fold()` adds these changes to the counts, one
//! caller at a time, each kind in one statement and so in one snapshot: a change is either waiting
//! or added. Readers read both in one statement. The number of *sends* that were opened does not
//! follow from a change alone; the fold, which runs alone, looks at the previous counts of the
//! send.
//!
//! Statements are counted from their transition tables. A worker of logical replication fires only
//! row triggers, so these exist as well, for replication sessions. Events deleted by a cascade
//! contain their campaign ([`crate::m0007_feed`]). TRUNCATE empties the counts of what it empties
//! while it keeps the fold out. It is refused if its snapshot could not see the latest counts.
//!
//! **`SQLite`.** There is one writer at a time, so triggers add to the counts at once. The tables
//! of changes are views there, always empty, and inserting into them adds to the counts, so the
//! same queries serve both databases. The order in which triggers fire is not documented, so a row
//! counts from each state to the next, whichever trigger brought it there.
//!
//! **Migrating while others write.** The triggers come with the tables, so from then on every
//! change is waiting. Then each organization is counted in one snapshot, minus its waiting changes.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbErr, Statement},
};

use crate::{
    adopt,
    made::{execute, exists, is_postgres},
    progress, script, steps,
};

pub(crate) struct Counts;

impl MigrationName for Counts {
    fn name(&self) -> &'static str {
        "m0008_counts"
    }
}

const TABLES: &str = include_str!("m0008_counts/tables.sql");
const RECOUNTED: &str = include_str!("m0008_counts/recounted.sql");
const UP_POSTGRES: &str = include_str!("m0008_counts/up_postgres.sql");
const FOLD_POSTGRES: &str = include_str!("m0008_counts/fold_postgres.sql");
const UP_SQLITE: &str = include_str!("m0008_counts/up_sqlite.sql");
const DOWN: &str = include_str!("m0008_counts/down.sql");
const DOWN_POSTGRES: &str = include_str!("m0008_counts/down_postgres.sql");
const DOWN_SQLITE: &str = include_str!("m0008_counts/down_sqlite.sql");
const DOWN_FUNCTIONS: &str = "DROP FUNCTION IF EXISTS campaign_event_suppresses; \
    DROP FUNCTION IF EXISTS campaign_event_url; DROP FUNCTION IF EXISTS campaign_event_hour";

/// The tables and indexes of PostgreSQL.
pub(crate) const RELATIONS: [&str; 13] = [
    "campaign_counts",
    "campaign_send_counts",
    "campaign_contact_counts",
    "campaign_hour_counts",
    "campaign_link_counts",
    "campaign_send_link_counts",
    "campaign_send_changes",
    "campaign_event_changes",
    "campaign_hour_counts_hour",
    "campaign_send_changes_campaign",
    "campaign_event_changes_campaign",
    "campaign_event_changes_contact",
    LINK_INDEX,
];

/// The views of PostgreSQL.
pub(crate) const VIEWS: [&str; 8] = [
    "campaign_sends_to_count",
    "campaign_events_to_count",
    "campaign_counts_recounted",
    "campaign_send_counts_recounted",
    "campaign_contact_counts_recounted",
    "campaign_hour_counts_recounted",
    "campaign_link_counts_recounted",
    "campaign_send_link_counts_recounted",
];

/// The functions of PostgreSQL.
pub(crate) const FUNCTIONS: [&str; 10] = [
    "campaign_counts_fold",
    "campaign_counts_lock",
    "campaign_counts_truncated",
    "campaign_sends_changed",
    "campaign_sends_changed_row",
    "campaign_events_changed",
    "campaign_events_changed_row",
    // these determine the counts of an event for those who read a view
    "campaign_event_suppresses",
    "campaign_event_url",
    "campaign_event_hour",
];

/// The triggers of PostgreSQL.
pub(crate) const TRIGGERS: [&str; 5] = [
    "campaign_counts_insert",
    "campaign_counts_update",
    "campaign_counts_delete",
    "campaign_counts_row",
    "campaign_counts_truncate",
];

/// Each table with its columns.
const COUNTED: [(&str, &str); 6] = [
    (
        "campaign_counts",
        "org_id, campaign_id, sends, queued, sent, delivered, bounced, failed, opens, clicks, \
         unsubscribes, complaints, bounces, unique_opens, unique_clicks, unique_unsubscribes, unique_complaints",
    ),
    (
        "campaign_send_counts",
        "org_id, send_id, campaign_id, opens, clicks, unsubscribes, complaints, bounces",
    ),
    (
        "campaign_contact_counts",
        "org_id, contact_id, opens, clicks, unsubscribes, complaints, bounces, suppressing",
    ),
    (
        "campaign_hour_counts",
        "org_id, campaign_id, hour, opens, clicks, unsubscribes, complaints, bounces",
    ),
    ("campaign_link_counts", "org_id, campaign_id, link, url, clicks, unique_clicks"),
    ("campaign_send_link_counts", "org_id, send_id, campaign_id, link, clicks"),
];

/// The index for looking up the last click of a link, and the first and last event of a campaign.
const LINK_INDEX: &str = "campaign_events_link";

/// The tables in the types of a database: id, count, time, link, text, options.
fn tables(words: [&str; 6]) -> String {
    let names = ["{id}", "{count}", "{time}", "{link}", "{text}", "{options}"];
    names.iter().zip(words).fold(TABLES.to_owned(), |sql, (name, word)| sql.replace(name, word))
}

/// The changes and triggers of PostgreSQL, with the types of the counted tables.
async fn up_postgres(manager: &SchemaManager<'_>) -> Result<String, DbErr> {
    let mut sql = UP_POSTGRES.to_owned();
    for (table, column, of) in [
        ("campaign_sends", "status", "send_status"),
        ("campaign_events", "event_type", "campaign_event_type"),
    ] {
        let of_column = adopt::column_type(manager, table, column, of).await?;
        sql = sql.replace(&format!(" {of}"), &format!(" {of_column}"));
    }
    Ok(sql)
}

/// The triggers of SQLite, with the counts of an event, for a row with this name.
fn up_sqlite() -> String {
    let suppresses = |row: &str| {
        format!(
            "({row}.event_type IN ('unsubscribe', 'complaint') OR {row}.event_type = 'bounce' \
             AND coalesce({row}.metadata ->> 'bounce_type', 'hard') <> 'soft')"
        )
    };
    let url = |row: &str| format!("CASE WHEN {row}.event_type = 'click' THEN {row}.url END");
    let hour = |row: &str| format!("substr({row}.occurred_at, 1, 13) || ':00:00+00:00'");
    let mut sql = UP_SQLITE
        .replace("{suppresses: campaign_events}", &suppresses("campaign_events"))
        .replace("{url: campaign_events}", &url("campaign_events"))
        .replace("{hour: campaign_events}", &hour("campaign_events"));
    for row in ["OLD", "NEW"] {
        let counts_as = format!(
            "{row}.org_id, {row}.send_campaign_id, {row}.send_contact_id, {row}.send_id, {row}.event_type, \
             {}, {url}, {url}, {}",
            suppresses(row),
            hour(row),
            url = url(row),
        );
        sql = sql.replace(&format!("{{row: {row}}}"), &counts_as);
    }
    sql
}

#[async_trait]
impl MigrationTrait for Counts {
    fn use_transaction(&self) -> Option<bool> {
        // each step is a transaction if the database has writers that would wait
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            let count = "INTEGER NOT NULL DEFAULT 0";
            let words = ["BLOB", count, "TEXT", "TEXT", "TEXT", " STRICT, WITHOUT ROWID"];
            execute(manager, &tables(words)).await?;
            execute(manager, &up_sqlite()).await?;
            execute(manager, RECOUNTED).await?;
            let index = format!(
                "CREATE INDEX {LINK_INDEX} ON campaign_events (send_campaign_id, org_id, url, occurred_at) \
                 WHERE event_type = 'click'"
            );
            execute(manager, &index).await?;
            for (table, columns) in COUNTED {
                let fill = format!(
                    "INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_recounted"
                );
                execute(manager, &fill).await?;
            }
            return Ok(());
        }
        if !exists(manager, "SELECT 1 WHERE to_regclass('campaign_counts') IS NOT NULL").await? {
            let count = "bigint NOT NULL DEFAULT 0";
            let tables =
                tables(["uuid", count, "timestamptz", "uuid", "text", " WITH (fillfactor = 80)"]);
            let relations: Vec<&str> = RELATIONS.iter().chain(&VIEWS).copied().collect();
            let private = adopt::private(manager, &relations, &FUNCTIONS[..7]).await?;
            let all = [&tables, &up_postgres(manager).await?, RECOUNTED, FOLD_POSTGRES, &private];
            steps::locking(manager, &all.join("\n")).await?;
        }
        let keys = "send_campaign_id, org_id, md5(url), occurred_at";
        steps::index_where(manager, LINK_INDEX, "campaign_events", keys, "event_type = 'click'")
            .await?;
        if script::is_recording() {
            let each = count_sql("<each organization>");
            script::record(&each, script::Effect::Counts);
            return Ok(());
        }
        let statement = Statement::from_string(
            manager.get_database_backend(),
            "SELECT CAST(id AS text) AS id FROM organizations ORDER BY id",
        );
        let organizations = manager.get_connection().query_all_raw(statement).await?;
        for (number, row) in organizations.iter().enumerate() {
            let id: String = row.try_get("", "id")?;
            count(manager, &id).await?;
            progress::tell("counts", number as u64 + 1, organizations.len() as u64);
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if is_postgres(manager) {
            let down = DOWN.replace("{changes}", "TABLE");
            return steps::locking(manager, &[DOWN_POSTGRES, &down, DOWN_FUNCTIONS].join("\n"))
                .await;
        }
        execute(manager, DOWN_SQLITE).await?;
        execute(manager, &DOWN.replace("{changes}", "VIEW")).await
    }
}

/// Counts an organization, in one snapshot that is newer than everything added to the counts
/// before.
fn count_sql(organization: &str) -> String {
    let of = format!("WHERE org_id = '{organization}'");
    let mut sql = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
         LOCK TABLE campaign_sends, campaign_events IN ACCESS SHARE MODE; \
         LOCK TABLE campaign_counts IN SHARE ROW EXCLUSIVE MODE;"
        .to_owned();
    for (table, columns) in COUNTED {
        sql += &format!(
            "DELETE FROM {table} {of}; \
             INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_recounted {of};"
        );
    }
    sql
}

async fn count(manager: &SchemaManager<'_>, organization: &str) -> Result<(), DbErr> {
    let transaction = manager.begin().await?;
    execute(&transaction, &count_sql(organization)).await?;
    transaction.commit().await
}
