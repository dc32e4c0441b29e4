//! The connections of a process to its database: who can use one, and how a statement runs.
//!
//! SeaORM builds statements and reads rows. The part in between is here, because it decides what
//! one client can cost the others. sqlx's pool serves whoever comes first, and if the future of a
//! statement is dropped, the statement keeps running in the database until its timeout, with its
//! connection.
//!
//! Some connections are reserved: one for the reader of the feed, and one for work that must
//! succeed when everything else is busy (readiness, look-ups of organizations, canceling).
//! Organizations share the others ([`crate::shares`]).
//!
//! **Invariants.**
//! - The holder of a [`Lease`] has a connection to itself. It is returned as it was taken: with no
//!   statement running and no transaction open.
//! - A statement that nobody waits for any more also ends in the database: if its [`Lease`] is
//!   dropped while the statement runs, [`Link::recover`] cancels it, rolls back, and only then
//!   returns the connection.
//! - Rows are weighed as they arrive, and drawn from the operation's budget.
//!
//! **Poolers.** PgBouncer refuses a connection if its startup packet sets any but a few parameters,
//! and can serve each transaction on another connection of its own. In that case, every statement
//! runs in a transaction that begins with these settings ([`link::pooled_begin`]), and nothing
//! stays prepared.

mod hosts;
mod link;
mod session;
mod turn;
mod types;

pub(crate) use link::is_stale_plan;
pub(crate) use session::Session;

use std::{
    str::FromStr,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::{Counter, Histogram};
use sea_orm::{
    DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement,
    sqlx::{
        self, ConnectOptions, Connection, Executor, Row, SqliteConnection,
        error::DatabaseError,
        sqlite::{SqliteConnectOptions, SqliteJournalMode},
    },
};
use tokio::time::{timeout, timeout_at};
use tracing::Instrument;
use uuid::Uuid;

use crate::{
    Error, Observer, Options,
    budget::{Exhausted, Share},
    shares::{NoPlace, Occupancy, Permit, Shares},
};
pub use hosts::primary;
use turn::Turns;

use hosts::{Connected, Hosts};
use link::Link;
use types::Types;

/// A connection that was idle for longer is pinged before use.
const ASK_AFTER: Duration = Duration::from_secs(5);
/// The lifetime of a connection, so that failovers, and memory that a server keeps for it, do not
/// last.
const LIFETIME: Duration = Duration::from_mins(30);
/// How long to wait before a refused connection is tried again.
const RECONNECT: Duration = Duration::from_millis(100);

/// Why a statement did not run, or did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    #[error("the operation ran out of time")]
    OutOfTime,
    #[error("no connection became free in time")]
    NoneFree,
    #[error("too many operations of the organization are waiting for a connection")]
    TooManyWait,
    #[error("the connections are closed")]
    Closed,
    #[error("an earlier statement of the transaction failed")]
    Aborted,
    #[error("it is unknown whether the transaction was committed: {0}")]
    InDoubt(String),
}

impl From<Failure> for DbErr {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Sqlx(error) => error,
            // Error::from takes it out again
            other => sqlx::Error::AnyDriverError(Box::new(other)),
        };
        DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        DbErr::from(failure).into()
    }
}

/// How PostgreSQL treats the plan of a statement that was executed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plans {
    /// It plans each time, with the values. From the sixth execution on, a plan for any values
    /// knows nothing about the size of an organization or a campaign, and was measured to be 70
    /// times slower. This is the state of a new connection.
    Anew,
    /// It can keep one. Rows that are written, references, and everything that triggers look up are
    /// found by ID, for which planning takes longer than execution.
    Kept,
    /// It plans once, with index look-ups only. This is the right plan for a statement that looks
    /// up rows by key or reads an index in its order, whatever the sizes of tables when it was
    /// planned. Planning would take several times as long as execution.
    ByKey,
}

impl Plans {
    fn set(self) -> &'static str {
        match self {
            Self::Anew => "RESET ALL",
            Self::Kept => "RESET ALL; SET plan_cache_mode = auto",
            Self::ByKey => {
                "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                 SET enable_bitmapscan = off; SET enable_sort = off; SET enable_hashjoin = off; \
                 SET enable_mergejoin = off"
            }
        }
    }
}

/// The kind of work that a connection is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    /// The organization's.
    Organization(Uuid),
    /// The feed's reader.
    Feed,
    /// Work that must succeed when everything else is busy.
    Control,
}

impl Lane {
    /// If too few connections are reserved, the service competes like an organization.
    fn id(self) -> Uuid {
        match self {
            Self::Organization(id) => id,
            Self::Feed => Uuid::nil(),
            Self::Control => Uuid::max(),
        }
    }
}

/// The connections of a process. Clones share them.
#[derive(Clone)]
pub(crate) struct Connections(Arc<Inner>);

struct Inner {
    connector: Connector,
    organizations: Shares,
    feed: Shares,
    control: Shares,
    idle: Mutex<Idle>,
    closed: AtomicBool,
    acquire_timeout: Duration,
    observer: Option<Observer>,
    counted: OnceLock<Counted>,
    /// The start of a transaction.
    begin: String,
    /// The start of a transaction in which all statements see the same snapshot.
    begin_repeatable: String,
    /// Where the database has one writer at a time.
    turns: Option<Turns>,
    /// The column types that differ from the documented ones.
    types: Types,
}

/// What is counted of statements.
struct Counted {
    seconds: Histogram,
    failed: Counter,
}

/// Connections that are not in use.
struct Idle {
    links: Vec<Link>,
    /// Those that were opened before this are closed when they come back.
    renewed: Instant,
}

enum Connector {
    Postgres { hosts: Hosts, pooled: bool },
    Sqlite(Box<SqliteConnectOptions>),
}

impl Connections {
    /// Connects once, to check that it is possible and how.
    pub(crate) async fn open(
        options: &Options,
        observer: Option<Observer>,
    ) -> Result<Self, Failure> {
        let is_postgres = options.url.starts_with("postgres");
        let settings = settings(options);
        let (connector, mut first) = if is_postgres {
            let plain = Hosts::of(&options.url)?.map(|host| {
                host.disable_statement_logging()
                    .application_name("campaigns")
                    .extra_float_digits(None)
            });
            connect_first(plain, &settings, options.pooler).await?
        } else {
            let sqlite = SqliteConnectOptions::from_str(&options.url)?
                .disable_statement_logging()
                .busy_timeout(turn::PATIENCE)
                .foreign_keys(true)
                .with_regexp();
            let sqlite = if options.read_only {
                sqlite.create_if_missing(false).read_only(true)
            } else {
                sqlite.journal_mode(SqliteJournalMode::Wal)
            };
            let connector = Connector::Sqlite(Box::new(sqlite));
            let first = connector.connect().await?;
            (connector, first)
        };
        let (begin, begin_repeatable) = match &connector {
            Connector::Postgres { pooled: true, .. } => {
                (link::pooled_begin(&settings), link::pooled_begin_repeatable(&settings))
            }
            Connector::Postgres { .. } => {
                ("BEGIN".to_owned(), "BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned())
            }
            // two transactions that start with a read could not both continue with a write
            Connector::Sqlite(_) => ("BEGIN IMMEDIATE".to_owned(), "BEGIN IMMEDIATE".to_owned()),
        };
        let turns = matches!(connector, Connector::Sqlite(_)).then(Turns::default);
        let pooled_begin = match &connector {
            Connector::Postgres { pooled: true, .. } => Some(begin.as_str()),
            _ => None,
        };
        let types = Types::look_up(&mut first, pooled_begin).await?;
        let all = usize::try_from(options.max_connections).unwrap_or(usize::MAX).max(1);
        let shares = |count| Shares::new(count, options.bytes.share, options.max_waiting);
        let apart = |count| Shares::new(count, Share::default(), usize::MAX);
        let (organizations, feed, control) = match all {
            1 => {
                let one = shares(1);
                (one.clone(), one.clone(), one)
            }
            2 => {
                let other = apart(1);
                (shares(1), other.clone(), other)
            }
            _ => (shares(all - 2), apart(1), apart(1)),
        };
        Ok(Self(Arc::new(Inner {
            connector,
            organizations,
            feed,
            control,
            idle: Mutex::new(Idle { renewed: first.opened, links: vec![first] }),
            closed: AtomicBool::new(false),
            acquire_timeout: options.acquire_timeout,
            observer,
            counted: OnceLock::new(),
            begin,
            begin_repeatable,
            turns,
            types,
        })))
    }

    pub(crate) fn backend(&self) -> DbBackend {
        match self.0.connector {
            Connector::Postgres { .. } => DbBackend::Postgres,
            Connector::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    /// The database, in the words of OpenTelemetry.
    fn system(&self) -> &'static str {
        match self.0.connector {
            Connector::Postgres { .. } => "postgresql",
            Connector::Sqlite(_) => "sqlite",
        }
    }

    /// Whether another connection of the database may serve each transaction.
    pub(crate) fn is_pooled(&self) -> bool {
        matches!(self.0.connector, Connector::Postgres { pooled: true, .. })
    }

    /// How many connections are in use, and how many wait for one.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let Inner { organizations, feed, control, .. } = &*self.0;
        let mut all: Vec<&Shares> = Vec::with_capacity(3);
        for shares in [organizations, feed, control] {
            // where there are few connections, lanes share them
            if !all.iter().any(|one| one.is(shares)) {
                all.push(shares);
            }
        }
        all.into_iter().map(Shares::occupancy).fold(Occupancy::default(), |sum, one| Occupancy {
            places: sum.places + one.places,
            held: sum.held + one.held,
            waiting: sum.waiting + one.waiting,
        })
    }

    /// How many connections are open and not in use.
    pub(crate) fn idle_count(&self) -> usize {
        self.idle().links.len()
    }

    /// From now on, statements are counted by the recorder of metrics that this process has. To look it
    /// up for each statement would cost more than to count.
    pub(crate) fn count_statements(&self) {
        self.0.counted.get_or_init(|| Counted {
            seconds: metrics::histogram!("campaigns_statement_seconds"),
            failed: metrics::counter!("campaigns_statements_failed_total"),
        });
    }

    /// Waits for a connection, at most until the deadline.
    async fn lease(
        &self,
        lane: Lane,
        plans: Plans,
        deadline: Option<Instant>,
    ) -> Result<Lease, Failure> {
        let patience = Instant::now() + self.0.acquire_timeout;
        let until = deadline.map_or(patience, |deadline| deadline.min(patience));
        let too_late = || {
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                Failure::OutOfTime
            } else {
                Failure::NoneFree
            }
        };
        let shares = match lane {
            Lane::Organization(_) => &self.0.organizations,
            Lane::Feed => &self.0.feed,
            Lane::Control => &self.0.control,
        };
        let permit = shares.enter_until(lane.id(), until).await;
        let permit = permit.map_err(|why| match (too_late(), why) {
            (Failure::NoneFree, NoPlace::TooMany) => Failure::TooManyWait,
            (failure, _) => failure,
        })?;
        let (mut link, reused) = match self.take_idle(plans).await? {
            Some(link) => (link, true),
            None => match timeout_at(until.into(), self.connect_patiently()).await {
                Ok(link) => (link?, false),
                Err(_) => return Err(too_late()),
            },
        };
        if !reused {
            link.plan(plans).await?;
        }
        Ok(Lease { link: Some(link), permit: Some(permit), connections: self.clone(), reused })
    }

    /// An idle connection that responds, if there is one, preferably one that already treats plans
    /// in this way.
    async fn take_idle(&self, plans: Plans) -> Result<Option<Link>, Failure> {
        loop {
            if self.0.closed.load(Ordering::Relaxed) {
                return Err(Failure::Closed);
            }
            let idle = {
                let links = &mut self.idle().links;
                let same = links.iter().rposition(|link| link.plans == plans);
                same.map(|index| links.swap_remove(index)).or_else(|| links.pop())
            };
            let Some(mut link) = idle else { return Ok(None) };
            if link.opened.elapsed() > LIFETIME {
                // a separate task, since the peer may be slow
                tokio::spawn(timeout(Duration::from_secs(5), link.close()));
                continue;
            }
            let answers = link.used.elapsed() < ASK_AFTER
                || matches!(timeout(Duration::from_secs(1), link.ping()).await, Ok(Ok(())));
            if answers && link.plan(plans).await.is_ok() {
                return Ok(Some(link));
            }
        }
    }

    /// Connects. While the server starts or has no free connection, tries again.
    async fn connect_patiently(&self) -> Result<Link, Failure> {
        loop {
            match self.0.connector.connect().await {
                Err(Failure::Sqlx(error)) if is_starting(&error) => {
                    tokio::time::sleep(RECONNECT).await;
                }
                other => return other,
            }
        }
    }

    /// Closes the connections that are open now, those in use when they come back: they are broken, or
    /// know an old version of the tables. So whoever tries again gets a new one.
    fn renew(&self) {
        let old = {
            let mut idle = self.idle();
            idle.renewed = Instant::now();
            std::mem::take(&mut idle.links)
        };
        for link in old {
            tokio::spawn(timeout(Duration::from_secs(5), link.close()));
        }
    }

    fn put_back(&self, mut link: Link) {
        if link.is_broken() || self.0.closed.load(Ordering::Relaxed) {
            return;
        }
        let mut idle = self.idle();
        if link.opened >= idle.renewed {
            link.used = Instant::now();
            idle.links.push(link);
        }
    }

    /// Cancels the work of a PostgreSQL process, over another connection.
    async fn cancel(&self, process: i32) {
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_cancel_backend($1)",
            [process.into()],
        );
        let canceled = async {
            let deadline = Some(Instant::now() + Duration::from_secs(2));
            // the only connection may be the busy one
            let mut lease = match self.lease(Lane::Control, Plans::Anew, deadline).await {
                Ok(lease) => lease,
                Err(_) => Lease::apart(self, self.0.connector.connect().await?),
            };
            lease.run(&statement, |_, _| Ok(())).await
        };
        if let Err(error) = canceled.await {
            tracing::warn!(%error, process, "a statement could not be canceled");
        }
    }

    /// Closes all unused connections, and the others when they are returned.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        self.0.closed.store(true, Ordering::Relaxed);
        let idle = std::mem::take(&mut self.idle().links);
        for link in idle {
            link.close().await?;
        }
        Ok(())
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connector {
    async fn connect(&self) -> Result<Link, Failure> {
        match self {
            Self::Postgres { hosts, pooled } => {
                let Connected { connection, process } = hosts.connect().await?;
                // behind a pooler each transaction says its own
                Ok(Link::postgres(connection, (!pooled).then_some(process), *pooled))
            }
            Self::Sqlite(options) => {
                Ok(Link::sqlite(SqliteConnection::connect_with(options).await?).await?)
            }
        }
    }
}

/// The settings of a connection to PostgreSQL.
fn settings(options: &Options) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("plan_cache_mode", "force_custom_plan".to_owned()),
        // JIT compilation takes longer than these statements
        ("jit", "off".to_owned()),
    ];
    if let Some(schema) = &options.schema {
        let schema = schema.replace('"', "\"\"");
        settings.push(("search_path", format!("\"{schema}\", public")));
    }
    if options.read_only {
        settings.push(("default_transaction_read_only", "on".to_owned()));
    }
    if let Some(timeout) = options.statement_timeout {
        // if the service itself is gone
        settings.push(("statement_timeout", timeout.as_millis().to_string()));
    }
    settings
}

/// Connects to PostgreSQL with the settings in the startup packet, or detects a pooler that rejects
/// them, or accepts them without passing them on.
async fn connect_first(
    plain: Hosts,
    settings: &[(&'static str, String)],
    pooler: bool,
) -> Result<(Connector, Link), Failure> {
    if !pooler {
        let hosts =
            plain.map(|host| host.options(settings.iter().map(|(name, value)| (*name, value))));
        match hosts.connect().await {
            Ok(Connected { mut connection, process }) => {
                let shown = connection.fetch_one("SHOW plan_cache_mode").await?;
                if shown.try_get::<String, _>(0)? == settings[0].1 {
                    let first = Link::postgres(connection, Some(process), false);
                    return Ok((Connector::Postgres { hosts, pooled: false }, first));
                }
            }
            Err(Failure::Sqlx(error)) if is_refused_parameter(&error) => {}
            Err(error) => return Err(error),
        }
        tracing::info!(
            "the database is behind a pooler: every statement runs in a transaction of its own, \
             and none is prepared for longer"
        );
    }
    let connector = Connector::Postgres { hosts: plain, pooled: true };
    let first = connector.connect().await?;
    Ok((connector, first))
}

/// PgBouncer's message for an unknown startup parameter.
fn is_refused_parameter(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message().contains("unsupported startup parameter"))
}

/// Whether the server will accept connections soon.
fn is_starting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("57P03" | "53300"))
}

/// A connection in use.
struct Lease {
    /// `None` after it is returned.
    link: Option<Link>,
    permit: Option<Permit>,
    connections: Connections,
    /// Whether it was used before, so that the server may have closed it.
    reused: bool,
}

impl Lease {
    /// A connection in addition to the counted ones.
    fn apart(connections: &Connections, link: Link) -> Self {
        Self { link: Some(link), permit: None, connections: connections.clone(), reused: false }
    }

    fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("it is there until it is dropped")
    }

    async fn run(
        &mut self,
        statement: &Statement,
        take: impl FnMut(QueryResult, usize) -> Result<(), Failure>,
    ) -> Result<ExecResult, Failure> {
        let started = Instant::now();
        let connections = self.connections.clone();
        let statement = connections.0.types.written(statement);
        // off, unless traces are exported
        let span = tracing::info_span!(
            target: "campaigns::trace", "statement",
            otel.kind = "client",
            db.system.name = connections.system(),
            db.query.text = statement.sql,
        );
        let done = self.link().run(&statement, take).instrument(span).await;
        if let Some(counted) = connections.0.counted.get() {
            counted.seconds.record(started.elapsed());
            if done.is_err() {
                counted.failed.increment(1);
            }
        }
        if let Some(observer) = &connections.0.observer {
            observer(&statement, self.link().plans.set(), started.elapsed());
        }
        done
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        let (connections, permit) = (self.connections.clone(), self.permit.take());
        if link.is_clean() || link.is_broken() {
            // a connection outside the count is not kept
            if permit.is_some() {
                connections.put_back(link);
            }
            return;
        }
        // without a runtime, the process is ending, and the connection with it
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            let cancel = async |process| Box::pin(connections.cancel(process)).await;
            link.recover(cancel).await;
            if permit.is_some() {
                connections.put_back(link);
            }
            drop(permit);
        });
    }
}
