//! Runs statements: for one organization or for the service, in a transaction or not, within a
//! deadline and a budget.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement,
    sqlx::{self, postgres::PgQueryResult, sqlite::SqliteQueryResult},
};
use tokio::{
    sync::Mutex,
    time::{timeout, timeout_at},
};
use tracing::Instrument;

use super::{
    Connections, Failure, Lane, Lease, PlanMode, is_stale_plan, may_repeat, write_lock::WriteGuard,
};
use crate::{
    budget::{Budget, Reservation},
    condition,
    row_security::RowSecurity,
};

/// The time limit of a commit. Commits are never canceled.
const COMMIT: Duration = Duration::from_secs(30);
/// The time after its last use for which a connection is assumed to work.
const FRESH: Duration = Duration::from_millis(100);

/// Runs statements. Clones share the transaction, if it has one.
#[derive(Clone)]
pub(crate) struct Session {
    connections: Connections,
    lane: Lane,
    budget: Option<Arc<Budget>>,
    deadline: Option<Instant>,
    transaction: Option<Transaction>,
    /// The plan mode of statements outside a transaction.
    plan_mode: PlanMode,
    /// The repetition of statements outside a transaction.
    repeats: Repeats,
    /// The row security of each transaction, if any.
    row_security: Option<RowSecurity>,
}

/// Whether a statement is repeated on another connection if its own was lost while idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    /// It may have changed something before the connection was lost.
    No,
    /// It only reads.
    Yes,
}

/// An open transaction.
#[derive(Clone)]
pub(crate) struct Transaction(Arc<Mutex<Open>>);

struct Open {
    lease: Lease,
    /// Held until the transaction ends, in a database with one writer at a time.
    write_guard: Option<WriteGuard>,
    /// Whether a statement failed. PostgreSQL then turns a commit into a rollback.
    failed: bool,
    /// Whether the failure is temporary, so that a retry may succeed at once.
    may_repeat: bool,
}

impl Session {
    pub(crate) fn new(connections: Connections, lane: Lane) -> Self {
        Self {
            connections,
            lane,
            budget: None,
            deadline: None,
            transaction: None,
            plan_mode: PlanMode::Custom,
            repeats: Repeats::No,
            row_security: None,
        }
    }

    /// The same session, with row security.
    pub(crate) fn with_row_security(mut self, row_security: RowSecurity) -> Self {
        self.row_security = Some(row_security);
        self
    }

    pub(crate) fn row_security(&self) -> Option<&RowSecurity> {
        self.row_security.as_ref()
    }

    /// The same session, for another kind of work.
    pub(crate) fn on(mut self, lane: Lane) -> Self {
        self.lane = lane;
        self
    }

    /// The same session, with the memory of rows drawn from a budget.
    pub(crate) fn drawing_on(mut self, budget: Arc<Budget>) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The same session, with a deadline.
    pub(crate) fn until(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The same session, for a statement that looks up rows by key ([`PlanMode::KeyLookUp`]).
    pub(crate) fn by_key(mut self) -> Self {
        self.plan_mode = PlanMode::KeyLookUp;
        self
    }

    /// The same session, for statements that only read, so that they can be repeated.
    pub(crate) fn reading(&self) -> Self {
        Self { repeats: Repeats::Yes, ..self.clone() }
    }

    /// Whether rows can have columns of this enum type.
    pub(crate) fn reads_enum(&self, name: &str) -> bool {
        // the driver looks up an unknown type; behind a pooler, the statement is lost by then
        !self.connections.is_pooled() && !self.connections.0.types.replaces(name)
    }

    pub(crate) fn budget(&self) -> Option<&Arc<Budget>> {
        self.budget.as_ref()
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    pub(crate) fn in_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    /// A session within a new transaction.
    pub(crate) async fn begin(&self) -> Result<(Self, Transaction), Failure> {
        self.begin_with(&self.connections.0.begin.usual).await
    }

    /// A session within a new transaction in which all statements see the same snapshot.
    pub(crate) async fn begin_repeatable(&self) -> Result<(Self, Transaction), Failure> {
        self.begin_with(&self.connections.0.begin.repeatable).await
    }

    async fn begin_with(&self, sql: &str) -> Result<(Self, Transaction), Failure> {
        let mut again = true;
        loop {
            let mut lease =
                self.connections.lease(self.lane, PlanMode::Auto, self.deadline).await?;
            let write_guard = match &self.connections.0.write_lock {
                Some(write_lock) => Some(write_lock.take(self.deadline).await?),
                None => None,
            };
            match self.in_time(self.begin_on(&mut lease, sql)).await {
                Ok(()) => {
                    let open = Open { lease, write_guard, failed: false, may_repeat: false };
                    let transaction = Transaction(Arc::new(Mutex::new(open)));
                    let session = Self { transaction: Some(transaction.clone()), ..self.clone() };
                    return Ok((session, transaction));
                }
                // the connection was lost while idle; no statement has run yet
                Err(Failure::Sqlx(error)) if again && lease.reused && is_gone(&error) => {
                    again = false;
                    self.connections.renew();
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        match self.deadline {
            None => work.await,
            Some(deadline) => {
                timeout_at(deadline.into(), work).await.unwrap_or(Err(Failure::OutOfTime))
            }
        }
    }

    async fn run(
        &self,
        statement: &Statement,
        rows: &mut Vec<QueryResult>,
    ) -> Result<ExecResult, Failure> {
        let _memory = self.hold(statement)?;
        let Some(transaction) = &self.transaction else {
            return self.run_alone(statement, rows).await;
        };
        let mut open = transaction.0.lock().await;
        let done =
            self.in_time(open.lease.run(statement, |row, weight| self.take(rows, row, weight)));
        let done = done.await;
        if let Err(failure) = &done {
            open.failed = true;
            if let Failure::Sqlx(error) = failure {
                open.may_repeat |= may_repeat(error);
                if is_stale_plan(error) {
                    self.connections.renew();
                }
            }
        }
        done
    }

    /// Runs a statement outside a transaction. On a reserved connection, it continues if this is
    /// dropped.
    async fn run_alone(
        &self,
        statement: &Statement,
        rows: &mut Vec<QueryResult>,
    ) -> Result<ExecResult, Failure> {
        let lease = self.connections.lease(self.lane, self.plan_mode, self.deadline).await?;
        if matches!(self.lane, Lane::Organization(_)) {
            return self.run_over(lease, statement, rows).await;
        }
        let (session, statement) = (self.clone(), statement.clone());
        let running = async move {
            let mut rows = Vec::new();
            let done = session.run_over(lease, &statement, &mut rows).await?;
            Ok::<_, Failure>((done, rows))
        };
        let (done, found) = match tokio::spawn(running.in_current_span()).await {
            Ok(ended) => ended?,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(Failure::Closed),
            },
        };
        *rows = found;
        Ok(done)
    }

    /// Runs a statement on a connection. Retries once on another one if the connection was lost while
    /// idle or had cached a stale plan, and the statement cannot have had an effect.
    async fn run_over(
        &self,
        mut lease: Lease,
        statement: &Statement,
        rows: &mut Vec<QueryResult>,
    ) -> Result<ExecResult, Failure> {
        let mut again = true;
        loop {
            let take = |row, weight| self.take(rows, row, weight);
            let done = self.in_time(self.run_on(&mut lease, statement, take)).await;
            let repeats = match &done {
                Err(Failure::Sqlx(error)) => {
                    is_stale_plan(error)
                        || self.repeats == Repeats::Yes && lease.reused && is_gone(error)
                }
                _ => false,
            };
            if !(repeats && again) {
                return done;
            }
            again = false;
            rows.clear();
            drop(lease);
            self.connections.renew();
            lease = self.connections.lease(self.lane, self.plan_mode, self.deadline).await?;
        }
    }

    /// Runs a single statement that writes, outside a transaction in one round trip. As with a commit,
    /// the statement continues if this is dropped, and an unknown outcome is an error. The rows that
    /// it returns are not drawn from the budget, since there are no more of them than of its input.
    ///
    /// # Errors
    /// Any error of the database, and whether a retry may succeed at once. Nothing is written then,
    /// except with [`Failure::InDoubt`].
    pub(crate) async fn write_alone(
        &self,
        statement: &Statement,
    ) -> Result<Vec<QueryResult>, (Failure, bool)> {
        let again = |failure: Failure| {
            let again = matches!(&failure, Failure::Sqlx(error) if may_repeat(error));
            (failure, again)
        };
        if self.in_transaction() {
            let mut rows = Vec::new();
            self.run(statement, &mut rows).await.map_err(again)?;
            return Ok(rows);
        }
        let memory = self.hold(statement).map_err(again)?;
        let (session, statement) = (self.clone(), statement.clone());
        let writing = tokio::spawn(async move {
            let _memory = memory;
            let mut lease = session.fresh_lease().await?;
            if let Some(process) = lease.link().process().filter(|_| session.row_security.is_none())
            {
                return session.write_once(lease, process, &statement).await;
            }
            drop(lease);
            session.write_in_transaction(&statement).await
        });
        match writing.await {
            Ok(written) => written.map_err(again),
            Err(error) => Err((Failure::InDoubt(error.to_string()), false)),
        }
    }

    /// A connection that was used a moment ago or responds to a ping. On a lost connection, the outcome
    /// of a write would be unknown.
    async fn fresh_lease(&self) -> Result<Lease, Failure> {
        loop {
            let mut lease =
                self.connections.lease(self.lane, PlanMode::Auto, self.deadline).await?;
            // behind a pooler, a ping would wait for a server
            let is_fresh = !lease.reused
                || self.connections.is_pooled()
                || lease.link().used.elapsed() < FRESH
                || matches!(timeout(Duration::from_secs(1), lease.link().ping()).await, Ok(Ok(())));
            if is_fresh {
                return Ok(lease);
            }
            lease.link().mark_broken();
            self.connections.renew();
        }
    }

    async fn write_once(
        &self,
        mut lease: Lease,
        process: i32,
        statement: &Statement,
    ) -> Result<Vec<QueryResult>, Failure> {
        let mut rows = Vec::new();
        let (done, canceled) = {
            let take = |row, _| {
                rows.push(row);
                Ok(())
            };
            let mut running = pin!(lease.run(statement, take));
            match self.in_time(running.as_mut()).await {
                Err(Failure::OutOfTime) => {
                    // the connection is closed even if this fails
                    self.connections.cancel(process).await.ok();
                    let ended = timeout(COMMIT, running).await;
                    (ended.unwrap_or(Err(Failure::NoneFree)), true)
                }
                done => (done, false),
            }
        };
        if canceled {
            // a late cancel request must not hit the connection's next statement
            lease.link().mark_broken();
        }
        match done {
            Ok(_) => Ok(rows),
            Err(Failure::Sqlx(sqlx::Error::Database(error))) if !is_end(error.as_ref()) => {
                let error = sqlx::Error::Database(error);
                if is_stale_plan(&error) {
                    self.connections.renew();
                }
                Err(Failure::Sqlx(error))
            }
            Err(error) => {
                lease.link().mark_broken();
                Err(Failure::InDoubt(error.to_string()))
            }
        }
    }

    async fn write_in_transaction(
        &self,
        statement: &Statement,
    ) -> Result<Vec<QueryResult>, Failure> {
        let (session, transaction) = self.begin().await?;
        let mut rows = Vec::new();
        if let Err(failure) = session.run(statement, &mut rows).await {
            transaction.roll_back().await;
            return Err(failure);
        }
        transaction.commit(self.deadline).await?;
        Ok(rows)
    }

    /// Begins a transaction, with row security if the session has it.
    async fn begin_on(&self, lease: &mut Lease, sql: &str) -> Result<(), Failure> {
        match &self.connections.0.servers {
            Some(servers) => {
                let until = Instant::now() + self.connections.0.acquire_timeout;
                servers.begin(lease.link(), sql, until).await?;
            }
            None => lease.link().begin(sql).await?,
        }
        if let Some(row_security) = &self.row_security {
            lease.link().run(&row_security.enter(), PlanMode::Auto, |_, _| Ok(())).await?;
        }
        Ok(())
    }

    async fn run_on(
        &self,
        lease: &mut Lease,
        statement: &Statement,
        take: impl FnMut(QueryResult, usize) -> Result<(), Failure>,
    ) -> Result<ExecResult, Failure> {
        if !self.connections.is_pooled() && self.row_security.is_none() {
            return lease.run(statement, take).await;
        }
        self.begin_on(lease, &self.connections.0.begin.usual).await?;
        let done = lease.run(statement, take).await;
        match &done {
            // the statement may still be running; the lease ends it
            Err(Failure::Exhausted(_)) => {}
            Err(_) => lease.link().end("ROLLBACK").await?,
            // if the transaction is left open, the pooler closes its server connection as well
            Ok(_)
                if self.connections.is_pooled()
                    && lease.link().needs_replacement()
                    && self.repeats == Repeats::Yes =>
            {
                lease.link().mark_broken();
            }
            Ok(_) => lease.link().end("COMMIT").await?,
        }
        done
    }

    /// Draws the bytes of a statement while it waits and runs.
    fn hold(&self, statement: &Statement) -> Result<Option<Reservation>, Failure> {
        let Some(budget) = &self.budget else { return Ok(None) };
        Ok(Some(budget.hold(condition::of_statement(statement))?))
    }

    fn take(
        &self,
        rows: &mut Vec<QueryResult>,
        row: QueryResult,
        weight: usize,
    ) -> Result<(), Failure> {
        if let Some(budget) = &self.budget {
            budget.draw(weight)?;
        }
        rows.push(row);
        Ok(())
    }
}

impl Transaction {
    /// Commits. A commit that has started is not canceled: if this is dropped, it continues.
    pub(crate) async fn commit(self, deadline: Option<Instant>) -> Result<(), Failure> {
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Failure::OutOfTime);
        }
        let committing = tokio::spawn(async move {
            let mut open = self.0.lock().await;
            if open.failed {
                return Err(Failure::Aborted);
            }
            let committed = timeout(COMMIT, open.lease.link().end("COMMIT")).await;
            let committed = committed.unwrap_or(Err(Failure::NoneFree));
            open.failed = committed.is_err();
            open.write_guard = None;
            match committed {
                // the database reports that it has not committed
                Err(Failure::Sqlx(sqlx::Error::Database(error))) if !is_end(error.as_ref()) => {
                    let error = sqlx::Error::Database(error);
                    open.may_repeat |= may_repeat(&error);
                    Err(Failure::Sqlx(error))
                }
                Err(error) => {
                    open.lease.link().mark_broken();
                    Err(Failure::InDoubt(error.to_string()))
                }
                Ok(()) => Ok(()),
            }
        });
        match committing.await {
            Ok(committed) => committed,
            Err(error) => Err(Failure::InDoubt(error.to_string())),
        }
    }

    /// Rolls back, and returns whether a retry may succeed at once.
    pub(crate) async fn roll_back(self) -> bool {
        let mut open = self.0.lock().await;
        let may_repeat = open.may_repeat;
        // the lease recovers a busy or lost connection
        if open.lease.link().is_idle_in_transaction() {
            let ended = timeout(Duration::from_secs(1), open.lease.link().end("ROLLBACK")).await;
            if let Ok(Err(error)) = ended {
                tracing::debug!(%error, "a transaction could not be rolled back cleanly");
            }
        }
        may_repeat
    }
}

/// Whether the connection is lost.
fn is_gone(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        sqlx::Error::Database(error) => is_end(error.as_ref()),
        _ => false,
    }
}

/// Whether the server closes the connection with this error.
fn is_end(error: &dyn sqlx::error::DatabaseError) -> bool {
    error.code().is_some_and(|code| code.starts_with("57P0") || code.starts_with("08"))
}

#[async_trait]
impl ConnectionTrait for Session {
    fn get_database_backend(&self) -> DbBackend {
        self.connections.backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        Ok(self.run(&statement, &mut Vec::new()).await?)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let mut lease = self
            .connections
            .lease(self.lane, PlanMode::Custom, self.deadline)
            .await
            .map_err(DbErr::from)?;
        self.in_time(lease.link().execute_batch(sql)).await.map_err(DbErr::from)?;
        Ok(match self.get_database_backend() {
            DbBackend::Postgres => PgQueryResult::default().into(),
            _ => SqliteQueryResult::default().into(),
        })
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let mut rows = Vec::new();
        self.run(&statement, &mut rows).await?;
        Ok(rows.into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let mut rows = Vec::new();
        self.run(&statement, &mut rows).await?;
        Ok(rows)
    }
}
