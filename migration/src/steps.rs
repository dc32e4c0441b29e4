//! Changing a large PostgreSQL table while others write to it.
//!
//! **Invariants.** A statement that locks a table against writers is short, and gives up if it does
//! not get its lock at once: if it waited, all statements behind it would wait as well. A statement that
//! takes long locks a few rows or none. Every step can be repeated, so an interrupted run continues
//! where it stopped.

use std::time::{Duration, Instant};

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbErr, RuntimeErr, Statement, TryGetable, sqlx},
};

use crate::{
    made::{execute, exists},
    progress,
    script::{self, Effect},
};

/// How long a step waits for a lock. Statements behind it wait as well.
pub(crate) const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '30ms'";
/// How long it waits after [`PATIENT`] failed attempts.
const LONG_LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";
/// The pause between attempts, in which others get their locks.
const PAUSE: Duration = Duration::from_millis(250);
/// The number of attempts with the short wait: a few minutes.
const PATIENT: usize = 600;
/// The number of attempts: half an hour, since a vacuum of a large table can hold its lock for that
/// long.
const ATTEMPTS: usize = 7_200;

/// Runs statements that create functions and sequences and lock no table, in a separate
/// transaction.
pub(crate) async fn making(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    if script::record(sql, Effect::Own) {
        return Ok(());
    }
    try_locking(manager, LOCK_TIMEOUT, sql).await
}

/// Runs statements that lock a table, in a separate transaction.
pub(crate) async fn locking(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    if script::record(sql, Effect::Moment) {
        return Ok(());
    }
    locking_for(manager, sql).await.map(|_| ())
}

/// Runs statements that lock something, and returns how long they held it.
async fn locking_for(manager: &SchemaManager<'_>, sql: &str) -> Result<Duration, DbErr> {
    let mut patience = Patience::default();
    loop {
        let started = Instant::now();
        match try_locking(manager, patience.timeout(), sql).await {
            Ok(()) => return Ok(started.elapsed()),
            Err(error) => patience.after(error).await?,
        }
    }
}

/// Decides how a step that does not get its locks is retried.
#[derive(Default)]
pub(crate) struct Patience {
    attempts: usize,
}

impl Patience {
    /// The lock timeout to set.
    fn timeout(&self) -> &'static str {
        if self.attempts < PATIENT { LOCK_TIMEOUT } else { LONG_LOCK_TIMEOUT }
    }

    /// Pauses if others held the locks. Otherwise returns the error.
    pub(crate) async fn after(&mut self, error: DbErr) -> Result<(), DbErr> {
        if !is_lock_not_available(&error) {
            return Err(error);
        }
        self.attempts += 1;
        if self.attempts == ATTEMPTS {
            return Err(DbErr::Custom(format!(
                "other transactions held the tables for half an hour: {error}"
            )));
        }
        tokio::time::sleep(PAUSE).await;
        Ok(())
    }
}

async fn try_locking(manager: &SchemaManager<'_>, timeout: &str, sql: &str) -> Result<(), DbErr> {
    let transaction = manager.begin().await?;
    execute(&transaction, timeout).await?;
    execute(&transaction, sql).await?;
    transaction.commit().await
}

/// Runs statements in one transaction, and retries while it is aborted in favor of another.
pub(crate) async fn repeating(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    let mut patience = Patience::default();
    loop {
        let transaction = manager.begin().await?;
        let done = match execute(&transaction, sql).await {
            Ok(()) => transaction.commit().await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => return Ok(()),
            Err(error) => patience.after(error).await?,
        }
    }
}

/// Runs a query that writes a few rows, in one transaction, and retries while it does not get its locks.
/// Returns the `result` of its row. With `quietly`, only triggers that always fire do so.
pub(crate) async fn result_of<T: TryGetable>(
    manager: &SchemaManager<'_>,
    sql: &str,
    quietly: bool,
) -> Result<Option<T>, DbErr> {
    let mut patience = Patience::default();
    loop {
        match try_result_of(manager, patience.timeout(), sql, quietly).await {
            Ok(result) => return Ok(result),
            Err(error) => patience.after(error).await?,
        }
    }
}

async fn try_result_of<T: TryGetable>(
    manager: &SchemaManager<'_>,
    timeout: &str,
    sql: &str,
    quietly: bool,
) -> Result<Option<T>, DbErr> {
    let transaction = manager.begin().await?;
    execute(&transaction, timeout).await?;
    if quietly {
        execute(&transaction, QUIETLY).await?;
    }
    let statement = Statement::from_string(manager.get_database_backend(), sql);
    let row = transaction.get_connection().query_one_raw(statement).await?;
    let result = row.map_or(Ok(None), |row| row.try_get("", "result"))?;
    transaction.commit().await?;
    Ok(result)
}

fn is_lock_not_available(error: &DbErr) -> bool {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => {
            match &**error {
                // also deadlock_detected and serialization_failure
                sqlx::Error::Database(error) => {
                    matches!(error.code().as_deref(), Some("55P03" | "40P01" | "40001"))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

/// The maximum number of blocks that one transaction touches: a few thousand rows.
const BLOCKS: usize = 64;
/// How long a transaction that touches rows should take, since it locks them.
const TOUCH: Duration = Duration::from_millis(20);

/// Keeps triggers of other programs from firing, and those of references, which do not change.
pub(crate) const QUIETLY: &str = "SET LOCAL session_replication_role = replica;";

/// The maximum wait for the statements that run in other sessions.
const RUNNING: Duration = Duration::from_secs(10);
/// How often it is checked whether they have ended.
const CHECK: Duration = Duration::from_millis(50);

/// The transactions of others in which a statement runs, as PostgreSQL names them.
const RUN_BY_OTHERS: &str = "SELECT locks.virtualxid AS name FROM pg_locks AS locks \
    JOIN pg_stat_activity AS sessions ON sessions.pid = locks.pid \
    WHERE locks.locktype = 'virtualxid' AND locks.granted AND sessions.datname = current_database() \
    AND sessions.pid <> pg_backend_pid() AND coalesce(sessions.backend_type, 'client backend') = 'client backend' \
    AND coalesce(sessions.state, 'active') NOT LIKE 'idle in transaction%'";

/// Waits until the statements that run in other sessions have ended: they may be calls of functions
/// that have just been replaced. None of these takes a moment, so longer statements are not waited
/// for.
pub(crate) async fn running_end(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if script::is_recording() {
        return Ok(());
    }
    let started = Instant::now();
    let mut running = names(manager, RUN_BY_OTHERS).await?;
    while !running.is_empty() && started.elapsed() < RUNNING {
        tokio::time::sleep(CHECK).await;
        let still = names(manager, RUN_BY_OTHERS).await?;
        running.retain(|name| still.contains(name));
    }
    Ok(())
}

async fn names(manager: &SchemaManager<'_>, sql: &str) -> Result<Vec<String>, DbErr> {
    let statement = Statement::from_string(manager.get_database_backend(), sql);
    let rows = manager.get_connection().query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get("", "name")).collect()
}

/// Whether the migrating role can keep triggers of other programs from firing.
pub(crate) async fn can_be_quiet(manager: &SchemaManager<'_>) -> Result<bool, DbErr> {
    exists(manager, "SELECT 1 WHERE has_parameter_privilege('session_replication_role', 'SET')")
        .await
}

/// Updates the rows of a table that match a condition, a few at a time and in their physical order,
/// until there are none: `set` makes a row no longer match. With `quietly`, only triggers that
/// always fire do so.
pub(crate) async fn touch_all(
    manager: &SchemaManager<'_>,
    table: &str,
    set: &str,
    condition: &str,
    quietly: bool,
) -> Result<(), DbErr> {
    let quiet = if quietly { QUIETLY } else { "" };
    if script::is_recording() {
        let each = format!("{quiet} UPDATE {table} SET {set} WHERE {condition} AND ctid …");
        script::record(each.trim(), Effect::Batches(table));
        return Ok(());
    }
    let mut step = BLOCKS / 8;
    loop {
        let blocks = number(
            manager,
            &format!(
                "SELECT pg_relation_size('{table}') / current_setting('block_size')::bigint AS number"
            ),
        )
        .await?;
        let mut first = 0;
        while first <= blocks {
            let last = first + step;
            let sql = format!(
                "{quiet} UPDATE {table} SET {set} WHERE ctid >= '({first},0)' AND ctid < '({last},0)' AND {condition}"
            );
            step = match locking_for(manager, &sql).await? {
                took if took > TOUCH => (step / 2).max(1),
                took if took < TOUCH / 2 => (step * 2).min(BLOCKS),
                _ => step,
            };
            first = last;
            progress::tell(table, first.min(blocks) as u64, blocks as u64);
        }
        // rows that others moved in the meantime
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
    // reads each row, while everyone can still read and write
    let validate = format!("ALTER TABLE {table} VALIDATE CONSTRAINT {filled}");
    if !script::record(&validate, Effect::Reads(table)) {
        execute(manager, &validate).await?;
    }
    locking(manager, &format!("ALTER TABLE {table} {set}; {drop}")).await
}

/// Creates an index while others write.
pub(crate) async fn index(
    manager: &SchemaManager<'_>,
    name: &str,
    table: &str,
    columns: &str,
) -> Result<(), DbErr> {
    make_index(manager, "INDEX", name, table, &format!("{table} ({columns})")).await
}

/// Creates an index of the rows that match a condition, while others write.
pub(crate) async fn index_where(
    manager: &SchemaManager<'_>,
    name: &str,
    table: &str,
    keys: &str,
    condition: &str,
) -> Result<(), DbErr> {
    let on = format!("{table} ({keys}) WHERE {condition}");
    make_index(manager, "INDEX", name, table, &on).await
}

/// Creates a unique index while others write.
pub(crate) async fn unique_index(
    manager: &SchemaManager<'_>,
    name: &str,
    table: &str,
    keys: &str,
) -> Result<(), DbErr> {
    make_index(manager, "UNIQUE INDEX", name, table, &format!("{table} ({keys})")).await
}

async fn make_index(
    manager: &SchemaManager<'_>,
    kind: &str,
    name: &str,
    table: &str,
    on: &str,
) -> Result<(), DbErr> {
    let create = format!("CREATE {kind} CONCURRENTLY IF NOT EXISTS {name} ON {on}");
    if script::record(&create, Effect::Index(table)) {
        return Ok(());
    }
    let is_invalid = format!(
        "SELECT 1 FROM pg_index WHERE indexrelid = to_regclass('{name}') AND NOT indisvalid"
    );
    if exists(manager, &is_invalid).await? {
        // left by an interrupted run
        execute(manager, &format!("DROP INDEX CONCURRENTLY {name}")).await?;
    }
    progress::say(&format!("index {name}"));
    execute(manager, &create).await
}

/// The `number` of the row of a query.
pub(crate) async fn number(manager: &SchemaManager<'_>, sql: &str) -> Result<usize, DbErr> {
    let statement = Statement::from_string(manager.get_database_backend(), sql);
    let row = manager.get_connection().query_one_raw(statement).await?;
    let number: i64 = row.map_or(Ok(0), |row| row.try_get("", "number"))?;
    Ok(usize::try_from(number).unwrap_or(0))
}
