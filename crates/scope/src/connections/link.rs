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

/// How many steps of its machine SQLite takes between two looks at the switch: a millisecond or so.
const STEPS: i32 = 50_000;

/// How long a connection may take to end what nobody waits for any more, before it is cut.
const RECOVERY: Duration = Duration::from_secs(5);

/// A connection.
pub(super) struct Link {
    driver: Driver,
    pub(super) opened: Instant,
    /// When it was last put back.
    pub(super) used: Instant,
    /// A statement is under way; or was, and its future was dropped.
    busy: bool,
    in_transaction: bool,
    /// It cannot be used any more.
    broken: bool,
    /// What it does with plans.
    pub(super) plans: Plans,
}

enum Driver {
    Postgres {
        connection: Box<PgConnection>,
        /// The process that serves it, where that is known.
        process: Option<i32>,
        /// Whether another process may serve the next transaction.
        pooled: bool,
    },
    Sqlite {
        connection: Box<SqliteConnection>,
        /// Makes what is running stop.
        stop: Arc<AtomicBool>,
    },
}

/// How a transaction of a connection through a pooler begins: with what would be lost there, if it
/// were said once for the connection. It selects the serving process.
pub(super) fn pooled_begin(settings: &[(&str, String)]) -> String {
    format!("BEGIN; {}SELECT pg_backend_pid()", set_local(settings))
}

/// The same for one of REPEATABLE READ whose snapshot is that of its first statement. Asking for the
/// process would take one, so that is a transaction of its own, and this is chained to it.
pub(super) fn pooled_begin_repeatable(settings: &[(&str, String)]) -> String {
    format!(
        "BEGIN; SELECT pg_backend_pid(); COMMIT AND CHAIN; \
         SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; {}",
        set_local(settings)
    )
}

fn set_local(settings: &[(&str, String)]) -> String {
    let set = settings.iter().map(|(name, value)| match *name {
        // a list of names, each quoted where that is needed
        "search_path" => format!("SET LOCAL {name} = {value}; "),
        _ => format!("SET LOCAL {name} = '{value}'; "),
    });
    set.collect()
}

/// Whether it is one to PostgreSQL.
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

    /// Whether it can be used by somebody else right away.
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

    /// Takes it out of use: it is closed when it is dropped.
    pub(super) fn give_up(&mut self) {
        self.broken = true;
    }

    /// Runs a statement and gives each row with its weight to `take`. Where this is dropped, the
    /// statement is still under way.
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
        // what the database refuses it has ended; what `take` refuses goes on
        self.busy = matches!(done, Err(Failure::Exhausted(_)));
        self.note(done)
    }

    /// Begins a transaction with these words.
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

    /// Says something that has no rows but the serving process.
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

    /// Tells it what to do with plans, where it does otherwise. Behind a pooler it stays as it is.
    pub(super) async fn plan(&mut self, plans: Plans) -> Result<(), Failure> {
        if self.plans != plans && self.process().is_some() {
            self.say(plans.set()).await?;
            self.plans = plans;
        }
        Ok(())
    }

    /// The process of PostgreSQL that serves it, where one serves it all the time.
    pub(super) fn process(&self) -> Option<i32> {
        match &self.driver {
            Driver::Postgres { process, pooled: false, .. } => *process,
            _ => None,
        }
    }

    /// Whether the other end still answers.
    pub(super) async fn ping(&mut self) -> Result<(), sqlx::Error> {
        match &mut self.driver {
            Driver::Postgres { connection, .. } => connection.ping().await,
            Driver::Sqlite { connection, .. } => connection.ping().await,
        }
    }

    /// Brings it to where the next can use it: ends what runs, in the database too, and rolls
    /// back. `cancel` is asked to end what a process of PostgreSQL does.
    pub(super) async fn recover(&mut self, cancel: impl AsyncFnOnce(i32)) {
        let recovered = async {
            match &mut self.driver {
                Driver::Postgres { connection, process, .. } => {
                    if let Some(process) = process.filter(|_| self.busy) {
                        cancel(process).await;
                    }
                    // a ping waits for the end of what ran, and is told of its failure; the request
                    // to cancel may come late, and then it hits a ping
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
                        // an interrupted write has rolled back by itself
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

    /// Ends the connection in order.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self.driver {
            Driver::Postgres { connection, .. } => connection.close().await,
            Driver::Sqlite { connection, .. } => connection.close().await,
        }
    }

    /// Notes what a failure says of the connection.
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

/// Whether a table was altered since PostgreSQL planned a statement for this connection, and its
/// rows now have other columns. The plan is kept until the connection ends.
pub(crate) fn is_stale_plan(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return false };
    error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
}
