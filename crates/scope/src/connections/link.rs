//! One connection to the database, and how its current work is ended.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::TryStreamExt;
use sea_orm::{
    ExecResult, QueryResult, Statement,
    sea_query::Values,
    sqlx::{
        self, AssertSqlSafe, Connection, Either, Executor, Row, SqliteConnection,
        error::DatabaseError,
        postgres::{PgConnection, PgDatabaseError, PgQueryResult},
        sqlite::SqliteQueryResult,
    },
};
use sea_query_sqlx::SqlxValues;

use crate::{
    connections::{Failure, Plans},
    weigh,
};

/// The number of virtual machine steps between two checks of the stop flag in SQLite: about a
/// millisecond.
const STEPS: i32 = 50_000;

/// How long a connection can take to end work that nobody waits for any more, before it is cut.
const RECOVERY: Duration = Duration::from_secs(5);

/// A connection.
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
    /// How it treats plans.
    pub(super) plans: Plans,
}

enum Driver {
    Postgres {
        connection: Box<PgConnection>,
        /// The server process, if known.
        process: Option<i32>,
        /// Whether another process can serve the next transaction.
        pooled: bool,
    },
    Sqlite {
        connection: Box<SqliteConnection>,
        /// Stops the running statement.
        stop: Arc<AtomicBool>,
    },
}

/// The start of a transaction on a connection through a pooler, with the settings that would be
/// lost if they were made once for the connection. It selects the server process.
pub(super) fn pooled_begin(settings: &[(&str, String)]) -> String {
    format!("BEGIN; {}SELECT pg_backend_pid()", set_local(settings))
}

/// The same for a REPEATABLE READ transaction that takes its snapshot at its first statement.
/// Asking for the process would take a snapshot, so that is a separate transaction, to which this
/// one is chained.
pub(super) fn pooled_begin_repeatable(settings: &[(&str, String)]) -> String {
    format!(
        "BEGIN; SELECT pg_backend_pid(); COMMIT AND CHAIN; \
         SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; {}",
        set_local(settings)
    )
}

fn set_local(settings: &[(&str, String)]) -> String {
    let set = settings.iter().map(|(name, value)| match *name {
        // a list of names, each quoted if needed
        "search_path" => format!("SET LOCAL {name} = {value}; "),
        _ => format!("SET LOCAL {name} = '{value}'; "),
    });
    set.collect()
}

/// Whether it is connected to PostgreSQL.
pub(super) fn is_postgres(link: &Link) -> bool {
    matches!(link.driver, Driver::Postgres { .. })
}

impl Link {
    pub(super) fn postgres(connection: PgConnection, process: Option<i32>, pooled: bool) -> Self {
        Self::of(Driver::Postgres { connection: Box::new(connection), process, pooled })
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
        let plans = Plans::Anew;
        Self {
            driver,
            opened: now,
            used: now,
            busy: false,
            in_transaction: false,
            broken: false,
            plans,
        }
    }

    /// Whether it can be reused right away.
    pub(super) fn is_clean(&self) -> bool {
        !self.busy && !self.in_transaction && !self.broken
    }

    /// Whether a transaction is open and nothing else.
    pub(super) fn is_idle_in_transaction(&self) -> bool {
        self.in_transaction && !self.busy && !self.broken
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Marks it as unusable, so that it is closed when it is dropped.
    pub(super) fn give_up(&mut self) {
        self.broken = true;
    }

    /// Runs a statement and passes each row with its weight to `take`. If this is dropped, the
    /// statement is still running.
    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        mut take: impl FnMut(QueryResult, usize) -> Result<(), Failure>,
    ) -> Result<ExecResult, Failure> {
        let values = SqlxValues(statement.values.clone().unwrap_or(Values(Vec::new())));
        let sql = AssertSqlSafe(statement.sql.as_str());
        self.busy = true;
        let done: Result<ExecResult, Failure> = async {
            match &mut self.driver {
                Driver::Postgres { connection, pooled, .. } => {
                    let mut result = PgQueryResult::default();
                    let query = sqlx::query_with(sql, values).persistent(!*pooled);
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
                    let mut steps = connection.fetch_many(sqlx::query_with(sql, values));
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
        // a statement that the database rejects has ended; one that `take` rejects is still running
        self.busy = matches!(done, Err(Failure::Exhausted(_)));
        self.note(done)
    }

    /// Begins a transaction with this statement.
    pub(super) async fn begin(&mut self, words: &str) -> Result<(), Failure> {
        self.in_transaction = true;
        let begun = self.say(words).await;
        if begun.is_err() {
            self.in_transaction = false;
        }
        begun
    }

    /// Ends the transaction with COMMIT or ROLLBACK.
    pub(super) async fn end(&mut self, words: &str) -> Result<(), Failure> {
        let ended = self.say(words).await;
        self.in_transaction = ended.is_err();
        ended
    }

    /// Runs a statement that returns no rows except the server process.
    pub(super) async fn say(&mut self, words: &str) -> Result<(), Failure> {
        self.busy = true;
        let said: Result<(), Failure> = async {
            let words = sqlx::raw_sql(AssertSqlSafe(words));
            match &mut self.driver {
                Driver::Postgres { connection, process, .. } => {
                    let mut steps = connection.fetch_many(words);
                    while let Some(step) = steps.try_next().await? {
                        if let Either::Right(row) = step {
                            *process = row.try_get(0)?;
                        }
                    }
                }
                Driver::Sqlite { connection, .. } => {
                    connection.execute(words).await?;
                }
            }
            Ok(())
        }
        .await;
        self.busy = false;
        self.note(said)
    }

    /// Sets how it treats plans, if that differs. Behind a pooler, nothing changes.
    pub(super) async fn plan(&mut self, plans: Plans) -> Result<(), Failure> {
        if self.plans != plans && self.process().is_some() {
            self.say(plans.set()).await?;
            self.plans = plans;
        }
        Ok(())
    }

    /// The PostgreSQL process that serves it, if it is always the same one.
    pub(super) fn process(&self) -> Option<i32> {
        match &self.driver {
            Driver::Postgres { process, pooled: false, .. } => *process,
            _ => None,
        }
    }

    /// Checks whether the server still responds.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match &mut self.driver {
            Driver::Postgres { connection, .. } => connection.ping().await,
            Driver::Sqlite { connection, .. } => connection.ping().await,
        }
    }

    /// Prepares it for the next user: ends the running statement, in the database as well, and
    /// rolls back. `cancel` is called to end the work of a PostgreSQL process.
    pub(super) async fn recover(&mut self, cancel: impl AsyncFnOnce(i32)) {
        let recovered = async {
            match &mut self.driver {
                Driver::Postgres { connection, process, .. } => {
                    if let Some(process) = process.filter(|_| self.busy) {
                        cancel(process).await;
                    }
                    // a ping waits for the end of the running statement and receives its failure; a
                    // late cancel request then hits a ping
                    let mut pings = 0;
                    while let Err(error) = connection.ping().await {
                        pings += 1;
                        if error.as_database_error().is_none() || pings > 5 {
                            return Err(error);
                        }
                    }
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
                            return Err(error);
                        }
                    }
                    if self.in_transaction {
                        // an interrupted write has already rolled back
                        connection.execute("ROLLBACK").await.ok();
                    }
                }
            }
            Ok::<_, sqlx::Error>(())
        };
        let recovered = tokio::time::timeout(RECOVERY, recovered).await;
        self.broken |= !matches!(recovered, Ok(Ok(())));
        self.busy = false;
        self.in_transaction = false;
    }

    /// Closes the connection cleanly.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self.driver {
            Driver::Postgres { connection, .. } => connection.close().await,
            Driver::Sqlite { connection, .. } => connection.close().await,
        }
    }

    /// Records what a failure means for the connection.
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

/// Whether a table was altered after PostgreSQL planned a statement for this connection, so that
/// its rows have other columns now. The plan is kept until the connection ends.
pub(crate) fn is_stale_plan(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return false };
    error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
}
