//! The counts from `m0015_machines` on: their SQL is generated from one list ([`list`]).
//!
//! [`crate::m0008_counts`] explains what counts are and why they are exact, and [`crate::m0014_upkeep`] how they
//! stay exact. A migration that adds counts is [`Added`], and a line of the list for each count, which names it.
//! The columns of tables, the functions of PostgreSQL, the triggers of `SQLite`, and the views of recounts follow
//! from the list.
//!
//! **Invariant.** The definitions of a released migration never change: a test compares them with the printed ones
//! (`snapshots/`). Those of the first version are what `m0014_upkeep` leaves, so `down` restores them.
//!
//! **Migrating while others write.** In PostgreSQL, one transaction adds the columns and replaces the functions,
//! while no statement that writes events runs and no transaction that has written some is open. So all earlier
//! changes are without the new facts, and all later ones have them. Then each organization is counted in one
//! snapshot, minus its pending changes, with or without the facts. If a run is interrupted, the next one repeats
//! both.

mod definitions;
mod list;

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
use definitions::Definitions;
use list::{COUNTS, FACTS, FIRST, Of};

pub(crate) use list::MACHINES;

/// The table of pending changes of events, in PostgreSQL.
const CHANGES: &str = "campaign_event_changes";

/// The tables of counts that follow from the list: each with the columns that identify a row of an organization, and the
/// set of its counts.
const TABLES: [(&str, &str, &str); 4] = [
    ("campaign_counts", "campaign_id", "campaigns"),
    ("campaign_send_counts", "send_id, campaign_id", "events"),
    ("campaign_contact_counts", "contact_id", "contacts"),
    ("campaign_hour_counts", "campaign_id, hour", "events"),
];

/// The views of PostgreSQL, each after those that read it.
const VIEWS: [&str; 7] = [
    "campaign_link_counts_recounted",
    "campaign_send_link_counts_recounted",
    "campaign_hour_counts_recounted",
    "campaign_contact_counts_recounted",
    "campaign_counts_recounted",
    "campaign_send_counts_recounted",
    "campaign_events_to_count",
];

/// Keeps writers of events out, and sets the search path of the functions.
const BEGIN: &str = "LOCK TABLE campaign_events IN SHARE ROW EXCLUSIVE MODE;
    SELECT set_config('search_path', quote_ident(current_schema()) || ', pg_temp', true);";

/// A migration that adds the counts whose lines name it.
pub(crate) struct Added(pub(crate) &'static str);

impl MigrationName for Added {
    fn name(&self) -> &'static str {
        self.0
    }
}

#[async_trait]
impl MigrationTrait for Added {
    fn use_transaction(&self) -> Option<bool> {
        // each step is a transaction if the database has writers that would wait
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        up(manager, self.0).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        down(manager, self.0).await
    }
}

/// Adds the counts and facts of a migration.
async fn up(manager: &SchemaManager<'_>, version: &'static str) -> Result<(), DbErr> {
    let is_postgres = is_postgres(manager);
    let definitions = Definitions { version, is_postgres };
    if !is_postgres {
        drop_sqlite(manager, definitions).await?;
        for (table, column) in columns(version) {
            let add = format!("ALTER TABLE {table} ADD COLUMN {column} INTEGER NOT NULL DEFAULT 0");
            execute(manager, &add).await?;
        }
        execute(manager, &definitions.of_sqlite()).await?;
        return count_sqlite(manager, definitions).await;
    }
    let mut sql = BEGIN.to_owned();
    for (table, column) in columns(version) {
        sql += &format!(
            "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS {column} bigint NOT NULL DEFAULT 0;\n"
        );
    }
    for fact in FACTS.iter().filter(|fact| fact.since == version) {
        let (name, of_type) = (fact.name, fact.postgres_type);
        sql += &format!("ALTER TABLE {CHANGES} ADD COLUMN IF NOT EXISTS {name} {of_type};\n");
    }
    sql += &definitions.functions();
    // a replaced function keeps its privileges
    sql += &definitions.views("CREATE OR REPLACE VIEW");
    steps::locking(manager, &sql).await?;
    count_all(manager, definitions).await
}

/// Removes the counts and facts of a migration.
async fn down(manager: &SchemaManager<'_>, version: &'static str) -> Result<(), DbErr> {
    let is_postgres = is_postgres(manager);
    let former = Definitions { version: before(version), is_postgres };
    if !is_postgres {
        drop_sqlite(manager, former).await?;
        for (table, column) in columns(version) {
            execute(manager, &format!("ALTER TABLE {table} DROP COLUMN {column}")).await?;
        }
        return execute(manager, &former.of_sqlite()).await;
    }
    let mut sql = format!("{BEGIN} DROP VIEW IF EXISTS {};\n", VIEWS.join(", "));
    sql += &former.functions();
    for (table, column) in columns(version) {
        sql += &format!("ALTER TABLE {table} DROP COLUMN IF EXISTS {column};\n");
    }
    for fact in FACTS.iter().filter(|fact| fact.since == version) {
        sql += &format!("ALTER TABLE {CHANGES} DROP COLUMN IF EXISTS {};\n", fact.name);
    }
    sql += &former.views("CREATE VIEW");
    sql += &adopt::private(manager, &VIEWS, &[]).await?;
    steps::locking(manager, &sql).await
}

/// Creates the triggers of `SQLite` that are missing.
pub(crate) async fn restore_triggers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if is_postgres(manager) {
        return Ok(());
    }
    let script = Definitions { version: latest(), is_postgres: false }.of_sqlite();
    for (kind, name, definition) in objects(&script) {
        let is_there = format!("SELECT 1 FROM sqlite_master WHERE name = '{name}'");
        if kind == "TRIGGER" && !exists(manager, &is_there).await? {
            execute(manager, definition).await?;
        }
    }
    Ok(())
}

fn versions() -> impl Iterator<Item = &'static str> {
    COUNTS.iter().map(|count| count.since).chain(FACTS.iter().map(|fact| fact.since))
}

/// The last migration that adds counts.
fn latest() -> &'static str {
    versions().max().unwrap_or(FIRST)
}

/// The one before.
fn before(version: &'static str) -> &'static str {
    versions().filter(|of| *of < version).max().unwrap_or(FIRST)
}

/// The columns that a migration adds to tables of counts, each with its table.
fn columns(version: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let counts = COUNTS.iter().filter(move |count| count.since == version);
    counts.flat_map(|count| {
        let has = move |table: &str| match count.of {
            Of::Sends(_) | Of::SendsWith(..) => table == "campaign_counts",
            Of::Events(_) => true,
            Of::ContactEvents(_) => table == "campaign_contact_counts",
        };
        let tables = TABLES.iter().map(|(table, ..)| *table).filter(move |table| has(table));
        tables.map(|table| (table, count.name))
    })
}

/// Replaces the counts of a table by a recount.
fn recount(definitions: Definitions, condition: &str) -> String {
    let of = |(table, keys, set): &(&str, &str, &str)| {
        let columns = format!("org_id, {keys}, {}", definitions.names(set));
        format!(
            "DELETE FROM {table}{condition}; INSERT INTO {table} ({columns}) \
             SELECT {columns} FROM {table}_recounted{condition};\n"
        )
    };
    TABLES.iter().map(of).collect()
}

/// Counts an organization, in one snapshot that is newer than everything added to the counts before.
fn count_sql(definitions: Definitions, organization: &str) -> String {
    let begin = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; \
         LOCK TABLE campaign_sends, campaign_events IN ACCESS SHARE MODE; \
         LOCK TABLE campaign_counts IN SHARE ROW EXCLUSIVE MODE; \
         SELECT set_config('campaigns.counting', 'on', true);\n";
    begin.to_owned() + &recount(definitions, &format!(" WHERE org_id = '{organization}'"))
}

/// Counts each organization, beside writers.
async fn count_all(manager: &SchemaManager<'_>, definitions: Definitions) -> Result<(), DbErr> {
    if script::is_recording() {
        let each = count_sql(definitions, "<each organization>");
        script::record(&each, script::Effect::Counts);
        return Ok(());
    }
    let ids = TABLES.map(|(table, ..)| format!("SELECT org_id AS id FROM {table}"));
    let organizations = format!(
        "SELECT CAST(id AS text) AS id FROM (SELECT id FROM organizations UNION {}) AS all_of_them ORDER BY id",
        ids.join(" UNION ")
    );
    let statement = Statement::from_string(manager.get_database_backend(), organizations);
    let organizations = manager.get_connection().query_all_raw(statement).await?;
    for (number, row) in organizations.iter().enumerate() {
        let id: String = row.try_get("", "id")?;
        steps::repeating(manager, &count_sql(definitions, &id)).await?;
        progress::tell("counts", number as u64 + 1, organizations.len() as u64);
    }
    Ok(())
}

async fn count_sqlite(manager: &SchemaManager<'_>, definitions: Definitions) -> Result<(), DbErr> {
    execute(manager, &recount(definitions, "")).await
}

/// Drops what a script of `SQLite` creates.
async fn drop_sqlite(manager: &SchemaManager<'_>, definitions: Definitions) -> Result<(), DbErr> {
    for (kind, name, _) in objects(&definitions.of_sqlite()) {
        execute(manager, &format!("DROP {kind} IF EXISTS {name}")).await?;
    }
    Ok(())
}

/// What a script of `SQLite` creates: its kind, its name and its definition.
fn objects(script: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    script.match_indices("CREATE ").filter_map(|(at, create)| {
        let text = &script[at..];
        let mut words = text[create.len()..].split_whitespace();
        let (kind, name) = (words.next()?, words.next()?);
        let end = if kind == "TRIGGER" { "\nEND;" } else { ";" };
        Some((kind, name, &text[..text.find(end)? + end.len()]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: [&str; 5] = [
        include_str!("../m0014_upkeep/functions_postgres.sql"),
        include_str!("../m0008_counts/fold_postgres.sql"),
        include_str!("../m0008_counts/recounted.sql"),
        include_str!("../m0014_upkeep/up_sqlite.sql"),
        include_str!("../m0008_counts/up_sqlite.sql"),
    ];

    /// The tokens of a definition, without comments.
    fn words(text: &str) -> Vec<&str> {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with("--"));
        lines.flat_map(str::split_whitespace).collect()
    }

    #[test]
    fn the_first_definitions_are_those_of_the_migrations_before() {
        let [postgres, sqlite] =
            [true, false].map(|is_postgres| Definitions { version: FIRST, is_postgres });
        let [functions, fold, views, upkeep, counts] = BEFORE.map(|text| {
            text.replace("CREATE OR REPLACE FUNCTION", "CREATE FUNCTION")
                .replace("{counts: ", "{is counted: ")
                .replace("{noted event}", "{noted event: campaign_events}")
        });
        let begin = "BEGIN\n    IF NOT pg_try_advisory_xact_lock";
        let counting = "BEGIN\n    PERFORM set_config('campaigns.counting', 'on', true);\n    IF NOT \
                        pg_try_advisory_xact_lock";
        let fold = fold.replace(begin, counting);
        let generated =
            postgres.functions().replace("CREATE OR REPLACE FUNCTION", "CREATE FUNCTION");
        let of_sqlite = sqlite.of_sqlite();
        let mut compared = 0;
        let mut compare = |definitions: Definitions, generated: &str, texts: &[&str], end: &str| {
            for definition in generated.split_inclusive(end).filter(|text| text.contains("CREATE "))
            {
                let definition = definition.find("CREATE ").map_or("", |at| &definition[at..]);
                // up to the name
                let name: Vec<&str> = definition.split_inclusive([' ', '(']).take(3).collect();
                let former = texts.iter().find_map(|text| {
                    let text = &text[text.find(&name.concat())?..];
                    Some(&text[..text.find(end)? + end.len()])
                });
                let former = former.unwrap_or_else(|| panic!("{name:?}"));
                let former = definitions.filled(former, "CREATE VIEW");
                assert_eq!(words(definition), words(&former), "{name:?}");
                compared += 1;
            }
        };
        compare(postgres, &generated, &[&functions, &fold], "$$;\n");
        let (of_events, recounted) =
            of_sqlite.split_once("CREATE VIEW campaign_send_counts").unwrap();
        let recounted = format!("CREATE VIEW campaign_send_counts{recounted}");
        compare(postgres, &recounted, &[&views], ";\n");
        for (kind, name, definition) in objects(of_events) {
            let end = if kind == "TRIGGER" { "END;\n" } else { ";\n" };
            compare(sqlite, &format!("{definition}\n"), &[&upkeep, &counts], end);
            assert!(!name.is_empty());
        }
        assert_eq!(compared, 4 + 6 + 12);
    }

    #[test]
    fn every_line_names_a_migration() {
        let names = crate::names();
        assert!(versions().all(|version| names.iter().any(|name| name == version)));
    }

    #[test]
    fn the_definitions_of_a_released_migration_do_not_change() {
        let [postgres, sqlite] =
            [true, false].map(|is_postgres| Definitions { version: MACHINES, is_postgres });
        insta::with_settings!({ prepend_module_to_snapshot => false }, {
            let of_postgres = postgres.functions() + &postgres.views("CREATE VIEW");
            insta::assert_snapshot!("m0015_postgres", of_postgres);
            insta::assert_snapshot!("m0015_sqlite", sqlite.of_sqlite());
        });
    }
}
