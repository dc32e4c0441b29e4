//! What triggers fill and count stays right, or is found and mended, whatever restores, replication and
//! programs with SQL do.
//!
//! **Triggers that are turned off and on.** `ALTER TABLE … ENABLE TRIGGER ALL`, as of a restore with
//! `--disable-triggers`, lets every trigger fire in all sessions except those of replication. So which
//! trigger counts does not depend on how it is enabled, but on the session: a row's trigger counts
//! in sessions of replication alone, and a statement's trigger in all others. Each can be off, and then
//! something is not counted, but nothing is counted twice. `campaign_triggers` remembers the row
//! version of each trigger in the catalog. It changes whenever the trigger is turned off or on, so it
//! shows afterwards that triggers were off for a time, of which they can know nothing.
//!
//! **Events that wait.** An event is *filed* if `send_campaign_id` and `send_contact_id` are those of
//! its send. Without a send, which can come later in the same transaction or by replication, or while
//! triggers are off, it is not, and it waits: it has no place in the feed, no list shows it, and it does
//! not count. Whoever inserts its send files it. Two transactions that insert an event and its send at the
//! same time do not see each other, so the service looks for such events as well
//! (`campaign_events_file_waiting`), in an index that has those that wait and no others. Once filed, an
//! event gets a place at the end of the feed, which it keeps: if it loses its send, the place is negative
//! until the send is back. In the feed of another organization it has had no place, so where it moves
//! there it gets a new one, or waits for it. So nothing that triggers fill has to be there: in PostgreSQL, the columns are
//! null or the ID of nothing, and in `SQLite`, 0 and the ID of nothing.
//!
//! **Invariant.** Every event is filed under its send, or under nothing where it has none, and each
//! change of a filed event is counted. Then the counts plus the waiting changes equal a recount, which
//! joins events to their sends and reads no column that a trigger fills. Counts follow these columns, so
//! a recount is stored in a snapshot in which all events are filed: `campaign_events_refile` files the
//! rest within it.
//!
//! **Tables of counts** come from the service alone. A dump of the data that is loaded while triggers
//! count its events, or a publication of all tables, writes to them as well, and is ignored.
//!
//! **Links** are told apart by 128 bits of the SHA-256 of their URL. Two URLs with the same MD5 can be
//! made on purpose. For SHA-256 no two texts with the same first 128 bits are published. It hashes the
//! bytes of the text as the database has them: `convert_to` is not immutable, and fails for text of
//! some encodings, which would refuse rows of other programs. While this migration runs, a link can be
//! listed under both keys until its organization is counted.
//!
//! **`SQLite`.** A trigger cannot be off. REPLACE deletes rows, with triggers or without: by an insert,
//! or by an update of a key, and of rowid. The rows that may go are noted before, and a note is crossed
//! out if the trigger of the deletion fires. References are not checked where a connection does not
//! ask for it, so a deleted send can leave events behind, which count no more.

use std::time::Duration;

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbErr, Statement, prelude::Uuid},
};

use crate::{
    adopt,
    made::{execute, exists, is_postgres},
    progress, script, steps,
};

pub(crate) struct Upkeep;

impl MigrationName for Upkeep {
    fn name(&self) -> &'static str {
        "m0014_upkeep"
    }
}

const FUNCTIONS_POSTGRES: &str = include_str!("m0014_upkeep/functions_postgres.sql");
const TRIGGERS_POSTGRES: &str = include_str!("m0014_upkeep/triggers_postgres.sql");
const UP_SQLITE: &str = include_str!("m0014_upkeep/up_sqlite.sql");

/// What this replaces, as it was.
mod former {
    pub(super) const TABLES: &str = include_str!("m0008_counts/tables.sql");
    pub(super) const FEED_FUNCTIONS: &str = include_str!("m0007_feed/functions_postgres.sql");
    pub(super) const KEEP: &str = include_str!("m0007_feed/adopted_postgres.sql");
    pub(super) const FEED: &str = include_str!("m0007_feed/up_postgres.sql");
    pub(super) const CHANGE: &str = include_str!("m0012_horizons/triggers_postgres.sql");
    pub(super) const COUNTS: &str = include_str!("m0008_counts/up_postgres.sql");
    pub(super) const FOLD: &str = include_str!("m0008_counts/fold_postgres.sql");
    pub(super) const FEED_SQLITE: &str = include_str!("m0007_feed/up_sqlite.sql");
    pub(super) const CAME_SQLITE: &str = include_str!("m0012_horizons/up_sqlite.sql");
    pub(super) const IDS_SQLITE: &str = include_str!("m0013_event_ids/up_sqlite.sql");
    pub(super) const COUNTS_SQLITE: &str = include_str!("m0008_counts/up_sqlite.sql");
}

const EVENTS: &str = "campaign_events";
/// The columns of an event that triggers fill.
const COLUMNS: [&str; 3] = ["feed_position", "send_campaign_id", "send_contact_id"];
const TYPES: &str = "'open', 'click', 'unsubscribe', 'complaint', 'bounce'";

const WAITING: &str = "campaign_events_waiting";
const CLICKED: &str = "campaign_events_clicked";
/// The index that [`CLICKED`] replaces, and its keys.
const FORMER_CLICKED: (&str, &str) =
    ("campaign_events_link", "send_campaign_id, org_id, md5(url), occurred_at");
const TRIGGERS_TABLE: &str = "campaign_triggers";

/// The other relations that are created in PostgreSQL.
pub(crate) const RELATIONS: [&str; 3] = [TRIGGERS_TABLE, WAITING, CLICKED];

/// The functions in PostgreSQL that only the service and the triggers call.
const PRIVATE_FUNCTIONS: [&str; 8] = [
    "campaign_events_blank",
    "campaign_events_wait",
    "campaign_events_file",
    "campaign_events_can_be_filed",
    "campaign_events_file_waiting",
    "campaign_events_refile",
    "campaign_counts_forget_changes",
    "campaign_counts_guard",
];
const LINK_FUNCTION: &str = "campaign_event_link";

/// All functions that are created in PostgreSQL.
pub(crate) fn functions() -> impl Iterator<Item = &'static str> {
    PRIVATE_FUNCTIONS.into_iter().chain([LINK_FUNCTION])
}

/// The triggers that are created in PostgreSQL on the tables of events and sends.
pub(crate) const TRIGGERS: [&str; 3] =
    ["campaign_feed_blank", "campaign_feed_wait", "campaign_feed_file"];

/// The tables that count, with those of waiting changes, whose rows come from the service alone.
const GUARDED: [&str; 8] = [
    "campaign_counts",
    "campaign_send_counts",
    "campaign_contact_counts",
    "campaign_hour_counts",
    "campaign_link_counts",
    "campaign_send_link_counts",
    "campaign_send_changes",
    "campaign_event_changes",
];

/// How many events are filed at once.
const FILED_AT_ONCE: usize = 2_000;

#[async_trait]
impl MigrationTrait for Upkeep {
    fn use_transaction(&self) -> Option<bool> {
        // each step is a transaction if the database has writers that would wait
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if is_postgres(manager) { up_postgres(manager).await } else { up_sqlite(manager).await }
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if is_postgres(manager) { down_postgres(manager).await } else { down_sqlite(manager).await }
    }
}

/// Replaces each `{word: name}` of a text by what it stands for.
fn filled(text: &str, word: &str, stands_for: impl Fn(&str) -> String) -> String {
    let start = format!("{{{word}: ");
    let mut parts = text.split(start.as_str());
    let mut all = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        all += &stands_for(name);
        all += rest;
    }
    all
}

/// A text of PostgreSQL with all that it names filled in.
fn postgres(text: &str) -> String {
    let none = "00000000-0000-0000-0000-000000000000";
    let text = filled(text, "waits", |row| waits(&format!("{row}.")));
    let text = filled(&text, "counts", |row| {
        format!(
            "{row}.feed_position IS NOT NULL AND {row}.send_campaign_id <> '{none}' \
             AND {row}.event_type IN ({TYPES})"
        )
    });
    let text = filled(&text, "event", |row| {
        format!(
            "{row}.org_id, {row}.send_campaign_id, {row}.send_contact_id, {row}.send_id, {row}.event_type, \
             campaign_event_suppresses({row}.event_type, {row}.metadata), \
             campaign_event_url({row}.event_type, {row}.url), \
             campaign_event_link(campaign_event_url({row}.event_type, {row}.url)), \
             campaign_event_hour({row}.occurred_at)"
        )
    });
    let text = filled(&text, "file", |names| {
        let (event, send) = names.split_once(" under ").unwrap_or((names, ""));
        format!(
            "send_campaign_id = CASE {event}.send_campaign_id WHEN {send}.campaign_id THEN '{{none}}' \
             ELSE {send}.campaign_id END, send_contact_id = {send}.contact_id"
        )
    });
    text.replace("{none}", none)
}

/// The condition that an event waits for a send, or for its place in the feed.
fn waits(row: &str) -> String {
    format!(
        "({row}feed_position IS NULL OR {row}send_campaign_id IS NULL \
         OR {row}send_campaign_id = '00000000-0000-0000-0000-000000000000')"
    )
}

/// The definition of a function or trigger of PostgreSQL in a script.
fn cut<'a>(script: &'a str, start: &str, end: &str) -> &'a str {
    let text = script.find(start).map_or("", |at| &script[at..]);
    text.find(end).map_or(text, |at| &text[..at + end.len()])
}

fn again(definition: &str) -> String {
    definition
        .replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
        .replace("CREATE TRIGGER", "CREATE OR REPLACE TRIGGER")
        .replace("CREATE VIEW", "CREATE OR REPLACE VIEW")
}

/// The recount of events, from their sends.
const EVENTS_TO_COUNT: &str = "CREATE OR REPLACE VIEW campaign_events_to_count AS
    SELECT event.org_id, send.campaign_id, send.contact_id, event.send_id, event.event_type,
        campaign_event_suppresses(event.event_type, event.metadata) AS suppresses,
        campaign_event_url(event.event_type, event.url) AS url,
        campaign_event_link(campaign_event_url(event.event_type, event.url)) AS link,
        campaign_event_hour(event.occurred_at) AS hour, 1 AS number
    FROM campaign_events AS event
    JOIN campaign_sends AS send ON send.org_id = event.org_id AND send.id = event.send_id
    WHERE event.event_type IN ({types})
    UNION ALL
    SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, link, hour, -number
    FROM campaign_event_changes;";

const BEGIN_FOLD: &str = "BEGIN\n    IF NOT pg_try_advisory_xact_lock";

/// The fold, which [`guards`] let through.
fn fold() -> String {
    let said = BEGIN_FOLD.replacen(
        "BEGIN\n",
        "BEGIN\n    PERFORM set_config('campaigns.counting', 'on', true);\n",
        1,
    );
    again(former::FOLD).replacen(BEGIN_FOLD, &said, 1)
}

/// Triggers that ignore what others insert into tables of counts and of changes, and what replication
/// updates and deletes there, in a session that does not count. Changes are inserted by triggers alone.
fn guards() -> String {
    let others = " AND current_setting('campaigns.counting', true) IS DISTINCT FROM 'on'";
    let each = GUARDED.map(|table| {
        let inserted = match table {
            "campaign_send_changes" | "campaign_event_changes" => "",
            _ => others,
        };
        format!(
            "CREATE OR REPLACE TRIGGER campaign_counts_guard BEFORE INSERT ON {table} \
             FOR EACH ROW WHEN (pg_trigger_depth() = 0{inserted}) EXECUTE FUNCTION campaign_counts_guard();\n\
             CREATE OR REPLACE TRIGGER campaign_counts_keep BEFORE UPDATE OR DELETE ON {table} \
             FOR EACH ROW WHEN (pg_trigger_depth() = 0{others}) EXECUTE FUNCTION campaign_counts_guard();\n\
             ALTER TABLE {table} ENABLE ALWAYS TRIGGER campaign_counts_guard, \
             ENABLE REPLICA TRIGGER campaign_counts_keep;\n"
        )
    });
    each.concat()
}

/// All triggers that this migration creates or replaces, each in its mode.
fn triggers() -> String {
    postgres(TRIGGERS_POSTGRES) + &guards()
}

/// Remembers the row version of each trigger.
const SEE_TRIGGERS: &str = "DELETE FROM campaign_triggers;
    INSERT INTO campaign_triggers (table_name, trigger_name, version)
        SELECT relations.relname, triggers.tgname, CAST(triggers.xmin AS text)
        FROM pg_trigger AS triggers JOIN pg_class AS relations ON relations.oid = triggers.tgrelid
        WHERE relations.relnamespace = to_regnamespace(quote_ident(current_schema()))
        AND NOT triggers.tgisinternal AND triggers.tgname LIKE '%campaign_%';";

async fn up_postgres(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let functions = postgres(FUNCTIONS_POSTGRES);
    let path = functions.lines().next().unwrap_or("");
    let start = format!("CREATE OR REPLACE FUNCTION {LINK_FUNCTION}");
    let link = cut(&functions, &start, "TO PUBLIC;");
    steps::making(manager, &format!("{path}\n{link}")).await?;
    let condition = waits("");
    steps::index_where(manager, WAITING, EVENTS, "send_id", &condition).await?;
    let keys = format!("send_campaign_id, org_id, {LINK_FUNCTION}(url), occurred_at");
    steps::index_where(manager, CLICKED, EVENTS, &keys, "event_type = 'click'").await?;
    let nullable = COLUMNS.map(|column| format!("ALTER COLUMN {column} DROP NOT NULL"));
    steps::locking(manager, &format!("ALTER TABLE {EVENTS} {}", nullable.join(", "))).await?;
    fold_all(manager).await?;
    let private = adopt::private(manager, &[TRIGGERS_TABLE], &PRIVATE_FUNCTIONS).await?;
    let table = format!(
        "CREATE TABLE IF NOT EXISTS {TRIGGERS_TABLE} \
         (table_name text NOT NULL, trigger_name text NOT NULL, version text NOT NULL); \
         ALTER TABLE {TRIGGERS_TABLE} REPLICA IDENTITY FULL;"
    );
    let all = [
        functions.as_str(),
        &EVENTS_TO_COUNT.replace("{types}", TYPES),
        &fold(),
        &table,
        &triggers(),
        // no writer is at it, so all changes that wait have the former key
        "UPDATE campaign_event_changes SET link = campaign_event_link(url) WHERE link IS NOT NULL;",
        SEE_TRIGGERS,
        &private,
    ];
    steps::locking(manager, &all.join("\n")).await?;
    count_all(manager, true).await?;
    steps::locking(manager, &format!("DROP INDEX IF EXISTS {}", FORMER_CLICKED.0)).await
}

async fn down_postgres(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let is_begun = format!("SELECT 1 WHERE to_regproc('{LINK_FUNCTION}') IS NOT NULL");
    if !exists(manager, &is_begun).await? {
        return Ok(());
    }
    let (former_clicked, keys) = FORMER_CLICKED;
    steps::index_where(manager, former_clicked, EVENTS, keys, "event_type = 'click'").await?;
    let mut sql =
        "SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);\n"
            .to_owned();
    for table in GUARDED {
        sql += &format!(
            "DROP TRIGGER IF EXISTS campaign_counts_guard ON {table};\n\
             DROP TRIGGER IF EXISTS campaign_counts_keep ON {table};\n"
        );
    }
    for trigger in TRIGGERS {
        sql += &format!("DROP TRIGGER IF EXISTS {trigger} ON {EVENTS};\n");
    }
    // of events that have lost their send
    sql += &format!(
        "ALTER TABLE {EVENTS} DISABLE TRIGGER campaign_feed_change;\n\
         UPDATE {EVENTS} SET feed_position = -feed_position WHERE {} AND feed_position < 0;\n\
         ALTER TABLE {EVENTS} ENABLE ALWAYS TRIGGER campaign_feed_change;\n",
        waits("")
    );
    sql +=
        cut(former::FEED_FUNCTIONS, "CREATE OR REPLACE FUNCTION campaign_sends_moved", "\n$$;\n");
    sql += cut(former::FEED, "CREATE OR REPLACE TRIGGER campaign_feed_moves", ";\n");
    sql += cut(former::FEED, "CREATE OR REPLACE TRIGGER campaign_feed_moved", ";\n");
    sql += "ALTER TABLE campaign_sends ENABLE ALWAYS TRIGGER campaign_feed_moves, \
            ENABLE ALWAYS TRIGGER campaign_feed_moved;\n";
    for function in [
        "campaign_sends_changed()",
        "campaign_sends_changed_row()",
        "campaign_events_changed()",
        "campaign_events_changed_row()",
        "campaign_counts_truncated()",
    ] {
        sql += &again(cut(former::COUNTS, &format!("CREATE FUNCTION {function}"), "\n$$;\n"));
    }
    sql += &again(cut(former::COUNTS, "CREATE VIEW campaign_events_to_count", ";\n"));
    let triggers = "CREATE TRIGGER campaign_counts_insert AFTER INSERT ON campaign_sends";
    sql += &again(former::COUNTS.find(triggers).map_or("", |at| &former::COUNTS[at..]));
    sql += &again(former::FOLD);
    sql +=
        "UPDATE campaign_event_changes SET link = CAST(md5(url) AS uuid) WHERE link IS NOT NULL;\n";
    sql += &format!("DROP INDEX IF EXISTS {WAITING}; DROP INDEX IF EXISTS {CLICKED};\n");
    for function in PRIVATE_FUNCTIONS {
        sql += &format!("DROP FUNCTION IF EXISTS {function};\n");
    }
    sql += &format!("DROP TABLE IF EXISTS {TRIGGERS_TABLE};");
    fold_all(manager).await?;
    steps::locking(manager, &sql).await?;
    // the update trigger fills them
    let quietly = are_quiet(manager).await?;
    let set = "feed_position = 0, send_campaign_id = NULL";
    steps::touch_all(
        manager,
        EVENTS,
        set,
        "feed_position IS NULL OR send_campaign_id IS NULL",
        quietly,
    )
    .await?;
    steps::forbid_null(manager, EVENTS, &COLUMNS).await?;
    count_all(manager, false).await?;
    // the first that was made: until now, this can be repeated
    steps::making(manager, &format!("DROP FUNCTION {LINK_FUNCTION}")).await
}

/// Adds the changes that wait to the counts, so that few are left.
async fn fold_all(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    const FEW: i32 = 1_000;
    if script::is_recording() {
        return Ok(());
    }
    loop {
        let fold = "SELECT campaign_counts_fold(20000) AS added";
        let statement = Statement::from_string(manager.get_database_backend(), fold);
        let row = manager.get_connection().query_one_raw(statement).await?;
        match row.map_or(Ok(None), |row| row.try_get::<Option<i32>>("", "added"))? {
            Some(..FEW) => return Ok(()),
            Some(_) => {}
            // another process is doing it
            None => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Each table of counts, with its columns.
fn counted() -> Vec<(&'static str, String)> {
    let tables = former::TABLES.split("CREATE TABLE ").skip(1);
    let table = |text: &'static str| {
        let name = text.split(' ').next().unwrap_or("");
        let columns = text.lines().filter_map(|line| line.strip_prefix("    "));
        let columns =
            columns.filter_map(|line| line.split(' ').next()).filter(|word| *word != "PRIMARY");
        (name, columns.collect::<Vec<_>>().join(", "))
    };
    tables.map(table).collect()
}

/// Counts an organization, in one snapshot that is newer than everything added to the counts before
/// and, with `files`, in which each of its events is filed and no change of it waits.
fn count_sql(organization: &str, files: bool) -> String {
    let mut sql = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
         LOCK TABLE campaign_sends, campaign_events IN ACCESS SHARE MODE; \
         LOCK TABLE campaign_counts IN SHARE ROW EXCLUSIVE MODE; \
         SELECT set_config('campaigns.counting', 'on', true);"
        .to_owned();
    if files {
        sql += &format!(
            "SELECT campaign_events_refile('{organization}', 2147483647); \
             SELECT campaign_counts_forget_changes('{organization}');"
        );
    }
    for (table, columns) in counted() {
        sql += &format!(
            "DELETE FROM {table} WHERE org_id = '{organization}'; INSERT INTO {table} ({columns}) \
             SELECT {columns} FROM {table}_recounted WHERE org_id = '{organization}';"
        );
    }
    sql
}

/// Files the events of each organization and counts it, beside writers.
async fn count_all(manager: &SchemaManager<'_>, files: bool) -> Result<(), DbErr> {
    if script::is_recording() {
        script::record(&count_sql("<each organization>", files), script::Effect::Counts);
        return Ok(());
    }
    let quietly = files && are_quiet(manager).await?;
    if files {
        file_waiting(manager, quietly).await?;
    }
    let ids = counted()
        .iter()
        .map(|(table, _)| format!("SELECT org_id AS id FROM {table}"))
        .collect::<Vec<_>>();
    let organizations = format!(
        "SELECT CAST(id AS text) AS id FROM (SELECT id FROM organizations UNION {}) AS all_of_them ORDER BY id",
        ids.join(" UNION ")
    );
    let statement = Statement::from_string(manager.get_database_backend(), organizations);
    let organizations = manager.get_connection().query_all_raw(statement).await?;
    for (number, row) in organizations.iter().enumerate() {
        let id: String = row.try_get("", "id")?;
        if files {
            let refile =
                format!("SELECT campaign_events_refile('{id}', {FILED_AT_ONCE}) AS result");
            // events that cannot be filed are found each time; the recount files the rest
            let passes = format!(
                "SELECT count(*) / {FILED_AT_ONCE} + 10 AS number FROM {EVENTS} WHERE org_id = '{id}'"
            );
            for _ in 0..steps::number(manager, &passes).await? {
                if steps::result_of(manager, &refile, quietly).await? <= Some(0) {
                    break;
                }
            }
        }
        steps::repeating(manager, &count_sql(&id, files)).await?;
        progress::tell("counts", number as u64 + 1, organizations.len() as u64);
    }
    Ok(())
}

/// Whether the triggers of other programs do not fire for the events that are filed.
async fn are_quiet(manager: &SchemaManager<'_>) -> Result<bool, DbErr> {
    Ok(adopt::is_adopted(manager, EVENTS).await? && steps::can_be_quiet(manager).await?)
}

/// Files the events that wait and have a send.
async fn file_waiting(manager: &SchemaManager<'_>, quietly: bool) -> Result<(), DbErr> {
    let mut after = "00000000-0000-0000-0000-000000000000".to_owned();
    loop {
        let sql = format!(
            "SELECT CAST(last AS text) AS result FROM campaign_events_file_waiting('{after}', {FILED_AT_ONCE})"
        );
        match steps::result_of(manager, &sql, quietly).await? {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

/// The triggers of PostgreSQL, as the last migration leaves them.
pub(crate) async fn restore_triggers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if !is_postgres(manager) {
        return restore_triggers_of_sqlite(manager).await;
    }
    let first = "CREATE OR REPLACE TRIGGER campaign_feed_enter";
    let feed = former::FEED.find(first).map_or("", |at| &former::FEED[at..]);
    let keep = if adopt::is_adopted(manager, EVENTS).await? { former::KEEP } else { "" };
    let all = [feed, former::CHANGE, keep, &triggers(), RESTORE_REFERENCES];
    steps::locking(manager, &all.join("\n")).await
}

/// Turns on the triggers of references that are turned off. Only a superuser could do that, and can
/// undo it.
const RESTORE_REFERENCES: &str = "DO $$
    DECLARE
        found record;
    BEGIN
        FOR found IN SELECT tgrelid::regclass AS of_table, tgname FROM pg_trigger
            WHERE tgisinternal AND tgenabled IN ('D', 'R')
            AND tgrelid IN ('campaign_events'::regclass, 'campaign_sends'::regclass)
        LOOP
            EXECUTE format('ALTER TABLE %s ENABLE TRIGGER %I', found.of_table, found.tgname);
        END LOOP;
    END
    $$;";

/// Gives a place in the feed that is no other event's to each event that has one, and returns how many
/// wait for it now. Writers with their own numbers can leave such places while triggers are off.
pub(crate) async fn restore_places(manager: &SchemaManager<'_>) -> Result<u64, DbErr> {
    if !is_postgres(manager) {
        return Ok(0);
    }
    // places that were never given are at the end of the feed from now on
    let forward = "SELECT setval('campaign_feed_position', last) FROM \
         (SELECT max(feed_position) AS last FROM campaign_events) AS places \
         WHERE last > (SELECT last_value FROM campaign_feed_position)";
    execute(manager, forward).await?;
    let repeated = "SELECT id FROM (SELECT id, row_number() OVER \
         (PARTITION BY org_id, feed_position ORDER BY created_at, id) AS number \
         FROM campaign_events WHERE feed_position IS NOT NULL) AS places WHERE number > 1";
    let statement = Statement::from_string(manager.get_database_backend(), repeated);
    let rows = manager.get_connection().query_all_raw(statement).await?;
    let ids = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<Vec<Uuid>, _>>()?;
    let quiet = if are_quiet(manager).await? { steps::QUIETLY } else { "" };
    for some in ids.chunks(FILED_AT_ONCE) {
        let some: Vec<String> = some.iter().map(|id| format!("'{id}'")).collect();
        // a place is kept by these two, whatever is written
        let take = format!(
            "{quiet} ALTER TABLE {EVENTS} DISABLE TRIGGER campaign_feed_change, DISABLE TRIGGER campaign_feed_file; \
             UPDATE {EVENTS} SET feed_position = NULL WHERE id IN ({}); \
             ALTER TABLE {EVENTS} ENABLE ALWAYS TRIGGER campaign_feed_change, ENABLE ALWAYS TRIGGER campaign_feed_file",
            some.join(", ")
        );
        steps::locking(manager, &take).await?;
    }
    Ok(ids.len() as u64)
}

const NONE_SQLITE: &str = "x'00000000000000000000000000000000'";

/// A text of SQLite with all that it names filled in.
fn sqlite(text: &str) -> String {
    let suppresses = |row: &str| {
        format!(
            "({row}.event_type IN ('unsubscribe', 'complaint') OR {row}.event_type = 'bounce' \
             AND coalesce({row}.metadata ->> 'bounce_type', 'hard') <> 'soft')"
        )
    };
    let url = |row: &str| format!("CASE WHEN {row}.event_type = 'click' THEN {row}.url END");
    let hour = |row: &str| format!("substr({row}.occurred_at, 1, 13) || ':00:00+00:00'");
    let event = |row: &str| {
        format!(
            "{row}.org_id, {row}.send_campaign_id, {row}.send_contact_id, {row}.send_id, {row}.event_type, \
             {}, {url}, {url}, {}",
            suppresses(row),
            hour(row),
            url = url(row),
        )
    };
    let counts = |row: &str| {
        format!("{row}.send_campaign_id <> {NONE_SQLITE} AND {row}.event_type IN ({TYPES})")
    };
    let noted = format!(
        "rowid, id, org_id, send_campaign_id, send_contact_id, send_id, event_type, {}, {}, {}",
        suppresses(EVENTS),
        url(EVENTS),
        hour(EVENTS),
    );
    let mut text = text
        .replace("{noted event}", &noted)
        .replace("{replaced sends}", REPLACED_SENDS)
        .replace("{replaced events}", REPLACED_EVENTS)
        .replace("{file}", FILE_SQLITE)
        .replace("{types}", TYPES);
    text = filled(&text, "gone", gone);
    text = filled(&text, "send", |row| format!("id = {row}.send_id AND org_id = {row}.org_id"));
    text = filled(&text, "suppresses", suppresses);
    text = filled(&text, "url", url);
    text = filled(&text, "hour", hour);
    text = filled(&text, "event", event);
    // as it was called before
    text = filled(&text, "row", event);
    text = filled(&text, "counts", counts);
    text.replace("{none}", NONE_SQLITE)
}

/// Sets the columns of events to those of their sends. An event that loses its send leaves the feed, and
/// comes back to its place with it.
const FILE_SQLITE: &str = "send_campaign_id = coalesce((SELECT send.campaign_id FROM campaign_sends AS send
            WHERE send.id = campaign_events.send_id AND send.org_id = campaign_events.org_id), {none}),
        send_contact_id = coalesce((SELECT send.contact_id FROM campaign_sends AS send
            WHERE send.id = campaign_events.send_id AND send.org_id = campaign_events.org_id), {none}),
        feed_position = CASE WHEN EXISTS (SELECT 1 FROM campaign_sends AS send
            WHERE send.id = campaign_events.send_id AND send.org_id = campaign_events.org_id)
            THEN abs(feed_position) ELSE -abs(feed_position) END";

const REPLACED_SENDS: &str =
    "INSERT INTO campaign_send_changes SELECT org_id, campaign_id, status, -1
        FROM campaign_sends_replaced WHERE {gone: campaign_sends};
    UPDATE campaign_events SET {file}
        WHERE send_id IN (SELECT id FROM campaign_sends_replaced WHERE {gone: campaign_sends});
    DELETE FROM campaign_sends_replaced WHERE {gone: campaign_sends};";

const REPLACED_EVENTS: &str = "INSERT INTO campaign_event_changes
        SELECT org_id, campaign_id, contact_id, send_id, event_type, suppresses, url, url, hour, -1
        FROM campaign_events_replaced WHERE {gone: campaign_events};
    DELETE FROM campaign_events_replaced WHERE {gone: campaign_events};";

/// The condition that a noted row was replaced by what has just been written.
fn gone(table: &str) -> String {
    format!(
        "(id = NEW.id OR number = NEW.rowid OR NOT EXISTS \
         (SELECT 1 FROM {table} AS stored WHERE stored.rowid = number AND stored.id = {table}_replaced.id))"
    )
}

/// The triggers that [`up_sqlite`] replaces.
const FORMER_TRIGGERS_SQLITE: [&str; 15] = [
    "campaign_events_came",
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

/// The definition of each trigger of a script of SQLite, by its name.
fn triggers_of(script: &str) -> impl Iterator<Item = (&str, &str)> {
    script.match_indices("CREATE TRIGGER ").map(|(at, create)| {
        let definition = cut(&script[at..], "", "\nEND;\n");
        let name = definition[create.len()..].split_whitespace().next().unwrap_or("");
        (name, definition)
    })
}

async fn up_sqlite(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let names = FORMER_TRIGGERS_SQLITE.into_iter();
    replace_sqlite(manager, names, &sqlite(UP_SQLITE)).await?;
    let file = format!(
        "UPDATE campaign_events SET {FILE_SQLITE} WHERE NOT EXISTS (SELECT 1 FROM campaign_sends AS send \
         WHERE send.id = send_id AND send.org_id = campaign_events.org_id \
         AND send.campaign_id = send_campaign_id AND send.contact_id = send_contact_id)"
    );
    execute(manager, &sqlite(&file)).await?;
    count_sqlite(manager).await
}

async fn down_sqlite(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let mut former = String::new();
    let feed = triggers_of(former::FEED_SQLITE).chain(triggers_of(former::CAME_SQLITE));
    for (_, definition) in feed {
        former += definition;
    }
    former += cut(former::COUNTS_SQLITE, "CREATE VIEW campaign_events_to_count", ";\n");
    let replaced = former::COUNTS_SQLITE.find("CREATE TABLE campaign_sends_replaced");
    former += replaced.map_or("", |at| &former::COUNTS_SQLITE[at..]);
    let names: Vec<&str> = triggers_of(UP_SQLITE).map(|(name, _)| name).collect();
    replace_sqlite(manager, names.into_iter(), &sqlite(&former)).await?;
    count_sqlite(manager).await
}

async fn replace_sqlite(
    manager: &SchemaManager<'_>,
    triggers: impl Iterator<Item = &str>,
    script: &str,
) -> Result<(), DbErr> {
    for name in triggers {
        execute(manager, &format!("DROP TRIGGER IF EXISTS {name}")).await?;
    }
    execute(
        manager,
        "UPDATE campaign_events SET feed_position = -feed_position WHERE feed_position < 0",
    )
    .await?;
    let rest = "DROP VIEW campaign_events_to_count; DROP TABLE campaign_sends_replaced; \
         DROP TABLE campaign_events_replaced";
    execute(manager, rest).await?;
    execute(manager, script).await
}

async fn count_sqlite(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for (table, columns) in counted() {
        let count = format!(
            "DELETE FROM {table}; INSERT INTO {table} ({columns}) SELECT {columns} FROM {table}_recounted"
        );
        execute(manager, &count).await?;
    }
    Ok(())
}

/// Creates the triggers that are missing.
async fn restore_triggers_of_sqlite(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let script = sqlite(UP_SQLITE);
    for (name, definition) in triggers_of(&script).chain(triggers_of(former::IDS_SQLITE)) {
        let is_there =
            format!("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND name = '{name}'");
        if !exists(manager, &is_there).await? {
            execute(manager, definition).await?;
        }
    }
    Ok(())
}
