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
    Failure, Plans,
    pooler::{GRACE, Server},
};
use crate::weigh;

/// The number of virtual machine steps between two checks of the stop flag in SQLite: about a
/// millisecond.
const STEPS: i32 = 50_000;

/// How long a connection can take to end abandoned work, before it is closed.
const RECOVERY: Duration = Duration::from_secs(5);
/// The number of statements that stay prepared: more than the service has for reading and writing.
pub(super) const KEPT: usize = 100;
/// The length of the longest statement that stays prepared. PostgreSQL needs up to 60 times as much
/// memory for it.
pub(crate) const KEPT_LENGTH: usize = 4 << 10;
/// The same for those that are planned once. Clients cannot make them longer.
const KEPT_LENGTH_BY_KEY: usize = 8 << 10;
/// A connection that has run a longer statement is closed when it is returned. What PostgreSQL needed
/// to plan it, up to 1,000 times its length, would stay with the process.
const MAX_LENGTH: usize = 16 << 10;
/// The number of bound bytes or read bytes from which on the buffers of a connection are freed.
const LARGE: usize = 64 << 10;
/// Columns with the types of the tables that the driver does not know by itself, and lists of them.
const TYPES: &str = "SELECT (CAST(NULL AS campaigns)).status, ARRAY[(CAST(NULL AS campaigns)).status], \
    (CAST(NULL AS campaign_sends)).status, ARRAY[(CAST(NULL AS campaign_sends)).status], \
    (CAST(NULL AS campaign_events)).event_type, ARRAY[(CAST(NULL AS campaign_events)).event_type], \
    (CAST(NULL AS contacts)).type, ARRAY[(CAST(NULL AS contacts)).type], \
    (CAST(NULL AS memberships)).role, (CAST(NULL AS memberships)).status";
/// The number of statements that can be abandoned on a connection before it is closed. One that is
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
    /// Whether it knows the types of the tables, or has tried to learn them.
    knows_types: bool,
    /// The number of statements that were abandoned while they were running.
    abandoned: u32,
    /// Whether it has run a statement longer than [`MAX_LENGTH`], or [`MAX_ABANDONED`] were abandoned.
    is_outgrown: bool,
    /// Whether its buffers may be larger than [`LARGE`].
    is_swollen: bool,
    /// The server of the pooler that runs the open transaction.
    pub(super) server: Option<Server>,
    /// How it treats plans.
    pub(super) plans: Plans,
}

enum Driver {
    Postgres {
        connection: Box<PgConnection>,
        /// The server process, or `None` behind a pooler, where each transaction has another one.
        process: Option<i32>,
    },
    Sqlite {
        connection: Box<SqliteConnection>,
        /// Stops the running statement.
        stop: Arc<AtomicBool>,
    },
}

/// Whether it is connected to PostgreSQL.
pub(super) fn is_postgres(link: &Link) -> bool {
    matches!(link.driver, Driver::Postgres { .. })
}

impl Link {
    /// A connection to PostgreSQL: to this process, or through a pooler.
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
        let plans = Plans::Anew;
        Self {
            driver,
            opened: now,
            used: now,
            busy: false,
            in_transaction: false,
            broken: false,
            knows_types: false,
            abandoned: 0,
            is_outgrown: false,
            is_swollen: false,
            server: None,
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

    /// Whether it should be closed rather than returned.
    pub(super) fn is_outgrown(&self) -> bool {
        self.is_outgrown
    }

    /// Frees large buffers.
    pub(super) fn slim(&mut self) {
        if let (true, Driver::Postgres { connection, .. }) = (self.is_swollen, &mut self.driver) {
            connection.shrink_buffers();
        }
        self.is_swollen = false;
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
        plans: Plans,
        mut take: impl FnMut(QueryResult, usize) -> Result<(), Failure>,
    ) -> Result<ExecResult, Failure> {
        self.is_outgrown |= statement.sql.len() > MAX_LENGTH;
        self.is_swollen |= statement.values.iter().flat_map(|of| &of.0).any(is_large);
        let mut read = 0;
        let mut take = |row, weight| {
            read += weight;
            take(row, weight)
        };
        let values = SqlxValues(statement.values.clone().unwrap_or(Values(Vec::new())));
        let longest = if plans == Plans::ByKey { KEPT_LENGTH_BY_KEY } else { KEPT_LENGTH };
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
        self.is_swollen |= read > LARGE;
        if let Err(Failure::Sqlx(error)) = &done {
            // a type has been created again
            self.knows_types &= !is_replaced_by_look_up(error);
        }
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

    /// Whether statements can stay prepared: not behind a pooler.
    fn is_own(&self) -> bool {
        !matches!(self.driver, Driver::Postgres { process: None, .. })
    }

    /// Lets the driver look up the types of the tables. It does so between preparing and executing the
    /// first statement with such a type, in a message that ends a statement without a name. So this
    /// statement fails, and the next one does not.
    async fn learn_types(&mut self) -> Result<(), Failure> {
        self.knows_types = true;
        if !is_postgres(self) {
            return Ok(());
        }
        let is_in_transaction = self.in_transaction;
        if is_in_transaction {
            self.say("SAVEPOINT campaigns_types").await?;
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
            // also where there are no tables yet
            Ok(()) | Err(Failure::Sqlx(sqlx::Error::Database(_))) => {}
            failed => self.note(failed)?,
        }
        if is_in_transaction {
            self.say("ROLLBACK TO SAVEPOINT campaigns_types").await?;
        }
        Ok(())
    }

    /// Ends the transaction with COMMIT or ROLLBACK.
    pub(super) async fn end(&mut self, words: &str) -> Result<(), Failure> {
        let ended = self.say(words).await;
        self.in_transaction = ended.is_err();
        if ended.is_ok() {
            self.server = None;
        }
        ended
    }

    /// Runs statements that return no rows, in one message.
    pub(super) async fn say(&mut self, words: &str) -> Result<(), Failure> {
        self.busy = true;
        let said: Result<(), Failure> = async {
            let words = sqlx::raw_sql(AssertSqlSafe(words));
            match &mut self.driver {
                Driver::Postgres { connection, .. } => {
                    connection.execute(words).await?;
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

    /// Prepares it for the next user: ends the running statement, in the database as well, and
    /// rolls back. `cancel` ends the work of a PostgreSQL process.
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
        self.is_outgrown |= self.abandoned >= MAX_ABANDONED;
        self.busy = false;
        self.in_transaction = false;
    }

    /// The same behind a pooler, where nothing is canceled: waits for the end of the running statement
    /// for a short time, and rolls back. Returns whether it still runs, so that the connection has to
    /// be closed.
    pub(super) async fn wind_up(&mut self) -> bool {
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

/// Whether a statement takes a snapshot, if the transaction has none yet.
fn takes_snapshot(statement: &Statement) -> bool {
    let word = statement.sql.split_whitespace().next().unwrap_or_default();
    !word.eq_ignore_ascii_case("lock") && !word.eq_ignore_ascii_case("set")
}

/// Whether a statement without a name was gone when it was to be executed, since the driver had to
/// look up a type (see [`Link::learn_types`]). It has done nothing, and the same works at once.
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

/// Waits for the end of the running statement and receives its failure. A cancel request that comes
/// late hits a ping.
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

/// Whether a table was altered after PostgreSQL planned a statement for this connection, so that
/// its rows have other columns now. The plan is kept until the connection ends.
pub(crate) fn is_stale_plan(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    let Some(error) = error.try_downcast_ref::<PgDatabaseError>() else { return false };
    error.code() == "0A000" && error.routine() == Some("RevalidateCachedQuery")
}
