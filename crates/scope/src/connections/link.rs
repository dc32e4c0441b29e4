//! A connection to the database, and the recovery from its abandoned work.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use sea_orm::{
    ExecResult, QueryResult, Statement, Value,
    sea_query::Values,
    sqlx::{
        self, AssertSqlSafe, Connection, Either, Executor, SqliteConnection,
        error::DatabaseError,
        postgres::{PgConnection, PgDatabaseError, PgQueryResult},
        sqlite::SqliteQueryResult,
    },
};
use sea_query_sqlx::SqlxValues;
use tokio::time::timeout;

use super::{
    Failure, PlanMode,
    pooler::{GRACE, Server},
};
use crate::weigh;

/// The number of virtual machine steps between two checks of the stop flag in SQLite: about a
/// millisecond.
const STEPS: i32 = 50_000;

/// The time limit for ending abandoned work. After it, the connection is closed.
const RECOVERY: Duration = Duration::from_secs(5);
/// The maximum number of prepared statements, larger than the number that the service uses.
pub(super) const MAX_PREPARED: usize = 100;
/// The length of the longest statement that stays prepared, in bytes. PostgreSQL needs up to 60 times
/// as much memory for it.
pub(crate) const MAX_PREPARED_LENGTH: usize = 4 << 10;
/// The same for statements with [`PlanMode::KeyLookUp`], whose length does not depend on clients.
const MAX_PREPARED_LENGTH_BY_KEY: usize = 8 << 10;
/// The length of a statement, in bytes, above which its connection is closed when it is returned. The
/// server process keeps the memory that planning took, up to 1,000 times the length.
const MAX_LENGTH: usize = 16 << 10;
/// The number of bound or read bytes above which the buffers of a connection are freed.
const LARGE: usize = 64 << 10;
/// Columns of the types that the driver has to look up, and arrays of them.
const TYPES: &str = "SELECT (CAST(NULL AS campaigns)).status, ARRAY[(CAST(NULL AS campaigns)).status], \
    (CAST(NULL AS campaign_sends)).status, ARRAY[(CAST(NULL AS campaign_sends)).status], \
    (CAST(NULL AS campaign_events)).event_type, ARRAY[(CAST(NULL AS campaign_events)).event_type], \
    (CAST(NULL AS contacts)).type, ARRAY[(CAST(NULL AS contacts)).type], \
    (CAST(NULL AS memberships)).role, (CAST(NULL AS memberships)).status";
/// The number of abandoned statements after which a connection is closed. A statement that is
/// abandoned while it is being prepared stays prepared, unknown to sqlx, until the connection ends.
const MAX_ABANDONED: u32 = 50;

/// A connection.
#[expect(clippy::struct_excessive_bools, reason = "each is independent of the others")]
pub(super) struct Link {
    driver: Driver,
    pub(super) opened: Instant,
    /// When it was last returned.
    pub(super) used: Instant,
    /// Whether a statement is running, or was when its future was dropped.
    busy: bool,
    in_transaction: bool,
    /// Whether it can no longer be used.
    broken: bool,
    /// Whether the driver has looked up the types of the tables, or has tried to.
    knows_types: bool,
    /// The number of statements that were abandoned while they were running.
    abandoned: u32,
    /// Whether it has run a statement longer than [`MAX_LENGTH`], or has [`MAX_ABANDONED`] abandoned
    /// ones.
    needs_replacement: bool,
    /// Whether its buffers may be larger than [`LARGE`].
    has_large_buffers: bool,
    /// The server of the pooler that runs the open transaction.
    pub(super) server: Option<Server>,
    /// Its plan mode.
    pub(super) plan_mode: PlanMode,
}

enum Driver {
    Postgres {
        connection: Box<PgConnection>,
        /// The server process. `None` behind a pooler, where it differs between transactions.
        process: Option<i32>,
    },
    Sqlite {
        connection: Box<SqliteConnection>,
        /// Stops the running statement.
        stop: Arc<AtomicBool>,
    },
}

/// Whether a connection is to PostgreSQL.
pub(super) fn is_postgres(link: &Link) -> bool {
    matches!(link.driver, Driver::Postgres { .. })
}

impl Link {
    /// A connection to PostgreSQL: to a process, or through a pooler.
    pub(super) fn postgres(connection: PgConnection, process: Option<i32>) -> Self {
        Self::of(Driver::Postgres { connection: Box::new(connection), process })
    }

    pub(super) async fn sqlite(mut connection: SqliteConnection) -> Result<Self, sqlx::Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let switch = Arc::clone(&stop);
        connection
            .lock_handle()
            .await?
            .set_progress_handler(STEPS, move || !switch.load(Ordering::Relaxed));
        Ok(Self::of(Driver::Sqlite { connection: Box::new(connection), stop }))
    }

    fn of(driver: Driver) -> Self {
        let now = Instant::now();
        let plan_mode = PlanMode::Custom;
        Self {
            driver,
            opened: now,
            used: now,
            busy: false,
            in_transaction: false,
            broken: false,
            knows_types: false,
            abandoned: 0,
            needs_replacement: false,
            has_large_buffers: false,
            server: None,
            plan_mode,
        }
    }

    /// Whether it can be reused right away.
    pub(super) fn is_clean(&self) -> bool {
        !self.busy && !self.in_transaction && !self.broken
    }

    /// Whether a transaction is open and no statement is running.
    pub(super) fn is_idle_in_transaction(&self) -> bool {
        self.in_transaction && !self.busy && !self.broken
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether it should be closed rather than returned.
    pub(super) fn needs_replacement(&self) -> bool {
        self.needs_replacement
    }

    /// Frees large buffers.
    pub(super) fn shrink_buffers(&mut self) {
        if let (true, Driver::Postgres { connection, .. }) =
            (self.has_large_buffers, &mut self.driver)
        {
            connection.shrink_buffers();
        }
        self.has_large_buffers = false;
    }

    /// Marks it as broken, so that it is closed when it is dropped.
    pub(super) fn mark_broken(&mut self) {
        self.broken = true;
    }

    /// Runs a statement and passes each row to `take`, with its weight in bytes. If this is dropped,
    /// the statement keeps running.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        plan_mode: PlanMode,
        mut take: impl FnMut(QueryResult, usize) -> Result<(), Failure>,
    ) -> Result<ExecResult, Failure> {
        self.needs_replacement |= statement.sql.len() > MAX_LENGTH;
        self.has_large_buffers |= statement.values.iter().flat_map(|of| &of.0).any(is_large);
        let mut read = 0;
        let mut take = |row, weight| {
            read += weight;
            take(row, weight)
        };
        let values = SqlxValues(statement.values.clone().unwrap_or(Values(Vec::new())));
        let longest = if plan_mode == PlanMode::KeyLookUp {
            MAX_PREPARED_LENGTH_BY_KEY
        } else {
            MAX_PREPARED_LENGTH
        };
        let is_kept = statement.sql.len() <= longest && self.is_own();
        if !is_kept && !self.knows_types && takes_snapshot(statement) {
            self.learn_types().await?;
        }
        let sql = AssertSqlSafe(statement.sql.as_str());
        self.busy = true;
        let done: Result<ExecResult, Failure> = async {
            match &mut self.driver {
                Driver::Postgres { connection, .. } => {
                    let mut result = PgQueryResult::default();
                    let query = sqlx::query_with(sql, values).persistent(is_kept);
                    let mut steps = connection.fetch_many(query);
                    while let Some(step) = steps.try_next().await? {
                        match step {
                            Either::Left(done) => result.extend([done]),
                            Either::Right(row) => {
                                let weight = weigh::postgres(&row);
                                take(row.into(), weight)?;
                            }
                        }
                    }
                    Ok(result.into())
                }
                Driver::Sqlite { connection, .. } => {
                    let mut result = SqliteQueryResult::default();
                    let query = sqlx::query_with(sql, values).persistent(is_kept);
                    let mut steps = connection.fetch_many(query);
                    while let Some(step) = steps.try_next().await? {
                        match step {
                            Either::Left(done) => result.extend([done]),
                            Either::Right(row) => {
                                let weight = weigh::sqlite(&row);
                                take(row.into(), weight)?;
                            }
                        }
                    }
                    Ok(result.into())
                }
            }
        }
        .await;
        self.has_large_buffers |= read > LARGE;
        if let Err(Failure::Sqlx(error)) = &done {
            // a type has been created again
            self.knows_types &= !is_replaced_by_look_up(error);
        }
        // a statement that fails in the database has ended; if `take` fails, it is still running
        self.busy = matches!(done, Err(Failure::Exhausted(_)));
        self.note(done)
    }

    /// Begins a transaction with this statement.
    pub(super) async fn begin(&mut self, sql: &str) -> Result<(), Failure> {
        self.in_transaction = true;
        let begun = self.execute_batch(sql).await;
        if begun.is_err() {
            self.in_transaction = false;
        }
        begun
    }

    /// Whether no pooler is in between, so that statements can stay prepared.
    fn is_own(&self) -> bool {
        !matches!(self.driver, Driver::Postgres { process: None, .. })
    }

    /// Makes the driver look up the types of the tables. It does so between preparing and executing the
    /// first statement with such a type, with a statement that replaces the unnamed prepared one. So
    /// the first unnamed statement with such a type fails, and later ones do not.
    async fn learn_types(&mut self) -> Result<(), Failure> {
        self.knows_types = true;
        if !is_postgres(self) {
            return Ok(());
        }
        let is_in_transaction = self.in_transaction;
        if is_in_transaction {
            self.execute_batch("SAVEPOINT campaigns_types").await?;
        }
        self.busy = true;
        let looked_up = match &mut self.driver {
            Driver::Postgres { connection, .. } => {
                let query = sqlx::query(AssertSqlSafe(TYPES)).persistent(false);
                connection.fetch_optional(query).await.map(drop)
            }
            Driver::Sqlite { .. } => Ok(()),
        };
        self.busy = false;
        match looked_up.map_err(Failure::Sqlx) {
            // an error is expected, also if there are no tables yet
            Ok(()) | Err(Failure::Sqlx(sqlx::Error::Database(_))) => {}
            failed => self.note(failed)?,
        }
        if is_in_transaction {
            self.execute_batch("ROLLBACK TO SAVEPOINT campaigns_types").await?;
        }
        Ok(())
    }

    /// Ends the transaction with COMMIT or ROLLBACK.
    pub(super) async fn end(&mut self, sql: &str) -> Result<(), Failure> {
        let ended = self.execute_batch(sql).await;
        self.in_transaction = ended.is_err();
        if ended.is_ok() {
            self.server = None;
        }
        ended
    }

    /// Runs statements that return no rows, in one message.
    pub(super) async fn execute_batch(&mut self, sql: &str) -> Result<(), Failure> {
        self.busy = true;
        let done: Result<(), Failure> = async {
            let sql = sqlx::raw_sql(AssertSqlSafe(sql));
            match &mut self.driver {
                Driver::Postgres { connection, .. } => {
                    connection.execute(sql).await?;
                }
                Driver::Sqlite { connection, .. } => {
                    connection.execute(sql).await?;
                }
            }
            Ok(())
        }
        .await;
        self.busy = false;
        self.note(done)
    }

    /// Sets the plan mode, if it differs. Has no effect behind a pooler.
    pub(super) async fn set_plan_mode(&mut self, plan_mode: PlanMode) -> Result<(), Failure> {
        if self.plan_mode != plan_mode && self.process().is_some() {
            self.execute_batch(plan_mode.sql()).await?;
            self.plan_mode = plan_mode;
        }
        Ok(())
    }

    /// The PostgreSQL process that serves it. `None` behind a pooler.
    pub(super) fn process(&self) -> Option<i32> {
        match &self.driver {
            Driver::Postgres { process, .. } => *process,
            Driver::Sqlite { .. } => None,
        }
    }

    /// Checks whether the server still responds.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match &mut self.driver {
            Driver::Postgres { connection, .. } => connection.ping().await,
            Driver::Sqlite { connection, .. } => connection.ping().await,
        }
    }

    /// Prepares it for the next user: ends the running statement, also in the database, and rolls back.
    /// `cancel` cancels the statement of a PostgreSQL process.
    pub(super) async fn recover(&mut self, cancel: impl AsyncFnOnce(i32) -> Result<(), Failure>) {
        let recovered = async {
            match &mut self.driver {
                Driver::Postgres { connection, process } => {
                    if let Some(process) = process.filter(|_| self.busy) {
                        cancel(process).await?;
                    }
                    end_statement(connection).await?;
                    if self.in_transaction {
                        connection.execute("ROLLBACK").await?;
                    }
                }
                Driver::Sqlite { connection, stop } => {
                    stop.store(true, Ordering::Relaxed);
                    let ended = connection.ping().await;
                    stop.store(false, Ordering::Relaxed);
                    if let Err(error) = ended {
                        let interrupted = error.as_database_error().and_then(DatabaseError::code);
                        if interrupted.as_deref() != Some("9") {
                            return Err(error.into());
                        }
                    }
                    if self.in_transaction {
                        // an interrupted write has already rolled back
                        connection.execute("ROLLBACK").await.ok();
                    }
                }
            }
            Ok::<_, Failure>(())
        };
        let recovered = timeout(RECOVERY, recovered).await;
        self.abandoned += u32::from(self.busy);
        self.broken |= !matches!(recovered, Ok(Ok(())));
        self.needs_replacement |= self.abandoned >= MAX_ABANDONED;
        self.busy = false;
        self.in_transaction = false;
    }

    /// The same behind a pooler, without cancel requests: waits for the running statement for a short
    /// time, and rolls back. Returns whether the statement is still running, so that the connection
    /// has to be closed.
    pub(super) async fn recover_pooled(&mut self) -> bool {
        let (has_server, busy) = (self.server.is_some(), self.busy);
        let ended = async {
            let Driver::Postgres { connection, .. } = &mut self.driver else { return Ok(()) };
            if busy {
                end_statement(connection).await?;
            }
            connection.execute("ROLLBACK").await.map(|_| ())
        };
        // without a server, it waits in the pooler's queue
        let ended = has_server && matches!(timeout(GRACE, ended).await, Ok(Ok(())));
        self.broken |= !ended;
        self.busy = false;
        self.in_transaction = false;
        self.server = None;
        has_server && !ended
    }

    /// Closes the connection cleanly.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self.driver {
            Driver::Postgres { connection, .. } => connection.close().await,
            Driver::Sqlite { connection, .. } => connection.close().await,
        }
    }

    /// Marks the connection as broken if a failure means that.
    fn note<T>(&mut self, result: Result<T, Failure>) -> Result<T, Failure> {
        if let Err(Failure::Sqlx(error)) = &result {
            let fatal = match error {
                sqlx::Error::Database(of_database) => {
                    let code = of_database.code();
                    let ends = ["57P01", "57P02", "57P03"];
                    is_stale_plan(error)
                        || code.is_some_and(|code| {
                            code.starts_with("08") || ends.contains(&code.as_ref())
                        })
                }
                sqlx::Error::Decode(_)
                | sqlx::Error::ColumnDecode { .. }
                | sqlx::Error::ColumnNotFound(_)
                | sqlx::Error::Encode(_)
                | sqlx::Error::RowNotFound => false,
                _ => true,
            };
            self.broken |= fatal;
        }
        result
    }
}

/// Whether a statement takes the snapshot of its transaction.
fn takes_snapshot(statement: &Statement) -> bool {
    let word = statement.sql.split_whitespace().next().unwrap_or_default();
    !word.eq_ignore_ascii_case("lock") && !word.eq_ignore_ascii_case("set")
}

/// Whether an unnamed statement was replaced before its execution, because the driver looked up a type
/// (see [`Link::learn_types`]). It had no effect, and a retry succeeds.
pub(crate) fn is_replaced_by_look_up(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("26000")
}

/// Whether a value can take more than [`LARGE`] bytes when it is bound.
fn is_large(value: &Value) -> bool {
    match value {
        Value::Array(_, values) => values.as_ref().is_some_and(|values| values.len() > 1_000),
        Value::String(text) => text.as_ref().is_some_and(|text| text.len() > LARGE),
        Value::Json(json) => json.is_some(),
        _ => false,
    }
}

/// Waits for the end of the running statement and consumes its error. A late cancel request hits a
/// ping.
async fn end_statement(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut pings = 0;
    while let Err(error) = connection.ping().await {
        pings += 1;
        if error.as_database_error().is_none() || pings > 5 {
            return Err(error);
        }
    }
    Ok(())
}

/// Whether a table was altered after PostgreSQL planned a statement of this connection, so that its
/// rows have other columns now. The connection cannot replace the cached plan.
pub(crate) fn is_stale_plan(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return false };
    error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
}
