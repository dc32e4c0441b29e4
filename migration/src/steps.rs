//! Changing a large table of PostgreSQL while others write to it.
//!
//! **Invariants.** Whatever locks a table against writers is short, and is given up where the lock
//! does not come at once: a statement that waits for it would make everybody behind it wait, too.
//! Whatever takes long locks a few rows, or none. Every step can be repeated, so a run that was cut
//! off goes on where it ended.

use std::time::Duration;

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement, sqlx},
};

use crate::{
    made::{execute, exists},
    progress,
};

/// How long a step waits for a lock on a table.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";
/// How long others have their turn before it is tried again.
const PAUSE: Duration = Duration::from_millis(500);
/// How often it is tried: some minutes.
const ATTEMPTS: usize = 600;

/// Runs statements that lock a table, in a transaction of their own.
pub(crate) async fn locking(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    for _ in 1..ATTEMPTS {
        match try_locking(manager, sql).await {
            Err(error) if is_lock_not_available(&error) => tokio::time::sleep(PAUSE).await,
            done => return done,
        }
    }
    try_locking(manager, sql).await
}

async fn try_locking(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let transaction = manager.begin().await?;
    execute(&transaction, LOCK_TIMEOUT).await?;
    execute(&transaction, sql).await?;
    transaction.commit().await
}

fn is_lock_not_available(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match &**error {
                // also deadlock_detected
                sqlx::Error::Database(error) => {
                    matches!(error.code().as_deref(), Some("55P03" | "40P01"))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// How many blocks of a table one transaction touches: some thousand rows.
const BLOCKS: usize = 64;

/// Touches the rows of a table that fulfil a condition, a few at a time and in the order in which
/// they lie there, until there are none: `set` makes a row that does not fulfil it any more.
pub(crate) async fn touch_all(
    manager: &SchemaManager<'_>,
    table: &str,
    set: &str,
    condition: &str,
) -> Result<(), DbErr> {
    loop {
        let blocks = number(
            manager,
            &format!(
                "SELECT pg_relation_size('{table}') / current_setting('block_size')::bigint AS number"
            ),
        )
        .await?;
        for first in (0..=blocks).step_by(BLOCKS) {
            let last = first + BLOCKS;
            let sql = format!(
                "UPDATE {table} SET {set} WHERE ctid >= '({first},0)' AND ctid < '({last},0)' AND {condition}"
            );
            locking(manager, &sql).await?;
            progress::tell(table, first as u64, blocks as u64);
        }
        // rows that somebody else moved meanwhile
        if !exists(manager, &format!("SELECT 1 FROM {table} WHERE {condition} LIMIT 1")).await? {
            return Ok(());
        }
    }
}

/// Forbids nulls in columns that have none, without a scan under a lock.
pub(crate) async fn forbid_null(
    manager: &SchemaManager<'_>,
    table: &str,
    columns: &[&str],
) -> Result<(), DbErr> {
    let filled = format!("{table}_filled");
    let each = |joined: &str, of: &dyn Fn(&str) -> String| {
        columns.iter().map(|column| of(column)).collect::<Vec<_>>().join(joined)
    };
    let check = each(" AND ", &|column| format!("{column} IS NOT NULL"));
    let set = each(", ", &|column| format!("ALTER COLUMN {column} SET NOT NULL"));
    let drop = format!("ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {filled}");
    locking(
        manager,
        &format!("{drop}; ALTER TABLE {table} ADD CONSTRAINT {filled} CHECK ({check}) NOT VALID"),
    )
    .await?;
    // looks at each row, and lets everybody read and write meanwhile
    execute(manager, &format!("ALTER TABLE {table} VALIDATE CONSTRAINT {filled}")).await?;
    locking(manager, &format!("ALTER TABLE {table} {set}; {drop}")).await
}

/// Makes an index while others write.
pub(crate) async fn index(
    manager: &SchemaManager<'_>,
    name: &str,
    table: &str,
    columns: &str,
) -> Result<(), DbErr> {
    make_index(manager, name, &format!("{table} ({columns})")).await
}

/// Makes an index of the rows that fulfil a condition, while others write.
pub(crate) async fn index_where(
    manager: &SchemaManager<'_>,
    name: &str,
    table: &str,
    keys: &str,
    condition: &str,
) -> Result<(), DbErr> {
    make_index(manager, name, &format!("{table} ({keys}) WHERE {condition}")).await
}

async fn make_index(manager: &SchemaManager<'_>, name: &str, on: &str) -> Result<(), DbErr> {
    let is_invalid = format!(
        "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid"
    );
    if exists(manager, &is_invalid).await? {
        // of a run that was cut off
        execute(manager, &format!("DROP INDEX CONCURRENTLY {name}")).await?;
    }
    progress::say(&format!("index {name}"));
    execute(manager, &format!("CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {on}")).await
}

async fn number(manager: &SchemaManager<'_>, sql: &str) -> Result<usize, DbErr> {
    let statement = Statement::from_string(manager.get_database_backend(), sql);
    let row = manager.get_connection().query_one_raw(statement).await?;
    let number: i64 = row.map_or(Ok(0), |row| row.try_get("", "number"))?;
    Ok(usize::try_from(number).unwrap_or(0))
}
