//! The connections of a process to its database: their distribution, and the execution of statements.
//!
//! SeaORM builds statements and reads rows. This module executes them instead of sqlx's pool, because
//! execution decides how much one client delays the others. With that pool, if the future of a
//! statement is dropped, the statement keeps running in the database until its timeout, with its
//! connection. The pool cannot pick a connection by its [`PlanMode`] either, and its settings of a
//! connection are lost behind PgBouncer. SeaORM's own connection returns rows only when all of them
//! have arrived.
//!
//! Some connections are reserved: one for the reader of the feed, one for small statements that must
//! succeed when everything else is busy (readiness, look-ups of organizations and memberships), and
//! one for cancel requests ([`canceler`]). Organizations share the others ([`crate::shares`]).
//!
//! **Invariants.**
//! - The holder of a [`Lease`] has exclusive use of a connection. It is returned without a running
//!   statement or an open transaction.
//! - An abandoned statement also ends in the database: if its [`Lease`] is dropped while the statement
//!   runs, [`Link::recover`] cancels it, rolls back, and only then returns the connection. Behind a
//!   pooler, the connection is closed instead ([`pooler`]).
//! - A statement on a reserved connection is not abandoned: it continues if its request is canceled.
//!   So a client that disconnects delays the next one by no more than that statement.
//! - The prepared statements of a connection are bounded ([`link::MAX_PREPARED`], [`link::MAX_PREPARED_LENGTH`]).
//! - Rows are weighed as they arrive, and drawn from the operation's budget.

mod canceler;
mod connector;
mod failure;
mod hosts;
mod lease;
mod link;
mod pooler;
mod session;
mod types;
mod write_lock;

pub(crate) use failure::{Failure, may_repeat, raised_by};
pub(crate) use link::{MAX_PREPARED_LENGTH, is_replaced_by_look_up, is_stale_plan};
pub(crate) use session::Session;

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use metrics::{Counter, Histogram};
use sea_orm::DbBackend;
use tokio::time::{timeout, timeout_at};
use uuid::Uuid;

use self::{
    canceler::Canceler,
    connector::{BeginStatements, Connector},
    lease::Lease,
    link::Link,
    pooler::Servers,
    types::Types,
    write_lock::WriteLock,
};
use crate::{
    Observer, Options,
    shares::{NoPermit, Occupancy, Permit, Share, Shares},
};
pub use hosts::Writability;
pub(crate) use hosts::{primary, writability};

/// The minimum number of connections to reserve one for cancel requests. With fewer, each request
/// opens an additional one, one at a time.
const RESERVES_CANCELER: usize = 8;
/// The idle time after which a connection is pinged before use.
const PING_AFTER: Duration = Duration::from_secs(5);
/// The lifetime of a connection. It bounds the effect of a failover, and the server's memory for the
/// connection.
const LIFETIME: Duration = Duration::from_mins(30);

/// How PostgreSQL plans the executions of a prepared statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlanMode {
    /// A custom plan for the values of each execution. A generic plan, which PostgreSQL may use from
    /// the sixth execution on, does not consider the size of an organization or a campaign, and was
    /// measured to be 70 times slower. This is the mode of a new connection.
    Custom,
    /// A custom or a generic plan, as PostgreSQL chooses. For writes: the rows, their references and
    /// the look-ups of triggers are found by ID, for which planning takes longer than execution.
    Auto,
    /// A generic plan with index look-ups only. For statements that look up rows by key or read an
    /// index in its order: the plan is right regardless of the sizes of the tables, and planning
    /// would take several times as long as execution.
    KeyLookUp,
}

impl PlanMode {
    fn sql(self) -> &'static str {
        match self {
            Self::Custom => "RESET ALL",
            Self::Auto => "RESET ALL; SET plan_cache_mode = auto",
            Self::KeyLookUp => {
                "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; \
                 SET enable_bitmapscan = off; SET enable_sort = off; SET enable_hashjoin = off; \
                 SET enable_mergejoin = off"
            }
        }
    }
}

/// The kind of work that a connection is used for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lane {
    /// Work of an organization.
    Organization(Uuid),
    /// The feed reader.
    Feed,
    /// Work that must succeed when everything else is busy.
    Control,
}

impl Lane {
    /// The organization in whose name the lane queues. Where no connection is reserved, the service's
    /// own work queues like that of an organization.
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
    canceler: Canceler,
    /// The servers of the pooler, if there is one.
    servers: Option<Servers>,
    idle: Mutex<Idle>,
    closed: AtomicBool,
    acquire_timeout: Duration,
    observer: Option<Observer>,
    statement_metrics: OnceLock<StatementMetrics>,
    begin: BeginStatements,
    /// For a database with one writer at a time.
    write_lock: Option<WriteLock>,
    /// The column types that differ from the documented ones.
    types: Types,
}

/// The metrics of statements.
struct StatementMetrics {
    seconds: Histogram,
    failed: Counter,
}

/// Connections that are not in use.
struct Idle {
    links: Vec<Link>,
    /// Connections that were opened before this are closed when they are returned.
    renewed: Instant,
}

impl Connections {
    /// Opens the first connection, which shows how the others connect.
    pub(crate) async fn open(
        options: &Options,
        observer: Option<Observer>,
    ) -> Result<Self, Failure> {
        let (connector, begin, mut first) = Connector::open(options).await?;
        let write_lock = (connector.backend() == DbBackend::Sqlite).then(WriteLock::default);
        let pooled_begin = connector.is_pooled().then_some(begin.usual.as_str());
        let types = Types::look_up(&mut first, pooled_begin).await?;
        let all = usize::try_from(options.max_connections).unwrap_or(usize::MAX).max(1);
        let cancels = connector.backend() == DbBackend::Postgres && !connector.is_pooled();
        let canceler = Canceler::new(cancels && all >= RESERVES_CANCELER);
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
            _ => (shares(all - 2 - usize::from(canceler.is_counted())), apart(1), apart(1)),
        };
        let places = organizations.occupancy().places;
        let servers = connector.is_pooled().then(|| Servers::new(organizations.clone(), places));
        Ok(Self(Arc::new(Inner {
            connector,
            organizations,
            feed,
            control,
            canceler,
            servers,
            idle: Mutex::new(Idle { renewed: first.opened, links: vec![first] }),
            closed: AtomicBool::new(false),
            acquire_timeout: options.acquire_timeout,
            observer,
            statement_metrics: OnceLock::new(),
            begin,
            write_lock,
            types,
        })))
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.0.connector.backend()
    }

    /// The value of OpenTelemetry's `db.system.name`.
    fn system(&self) -> &'static str {
        match self.0.connector {
            Connector::Postgres { .. } => "postgresql",
            Connector::Sqlite(_) => "sqlite",
        }
    }

    /// Whether a pooler can serve each transaction on another server connection.
    pub(crate) fn is_pooled(&self) -> bool {
        self.0.connector.is_pooled()
    }

    /// The number of connections in use, and of waiters for one.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let Inner { organizations, feed, control, canceler, .. } = &*self.0;
        let apart = Occupancy { places: usize::from(canceler.is_counted()), ..<_>::default() };
        let mut all: Vec<&Shares> = Vec::with_capacity(3);
        for shares in [organizations, feed, control] {
            // with few connections, lanes share them
            if !all.iter().any(|one| one.is(shares)) {
                all.push(shares);
            }
        }
        all.into_iter().map(Shares::occupancy).fold(apart, |sum, one| Occupancy {
            places: sum.places + one.places,
            held: sum.held + one.held,
            waiting: sum.waiting + one.waiting,
        })
    }

    /// The number of open connections that are not in use.
    pub(crate) fn idle_count(&self) -> usize {
        self.idle().links.len()
    }

    /// Starts to record metrics of statements. The metrics are looked up once, since each look-up costs
    /// more than a measurement.
    pub(crate) fn count_statements(&self) {
        self.0.statement_metrics.get_or_init(|| StatementMetrics {
            seconds: metrics::histogram!("campaigns_statement_seconds"),
            failed: metrics::counter!("campaigns_statements_failed_total"),
        });
    }

    /// Waits for a connection, at most until the deadline.
    async fn lease(
        &self,
        lane: Lane,
        plan_mode: PlanMode,
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
            (Failure::NoneFree, NoPermit::TooMany) => Failure::TooManyWait,
            (failure, _) => failure,
        })?;
        let found = match timeout_at(until.into(), self.link(plan_mode)).await {
            Ok(found) => found?,
            Err(_) => return Err(too_late()),
        };
        Ok(Lease::of(self, found, permit, plan_mode))
    }

    /// A connection, and whether it was used before.
    async fn link(&self, plan_mode: PlanMode) -> Result<(Link, bool), Failure> {
        if let Some(link) = self.take_idle(plan_mode).await? {
            return Ok((link, true));
        }
        let mut link = self.0.connector.connect_patiently().await?;
        link.set_plan_mode(plan_mode).await?;
        Ok((link, false))
    }

    /// An idle connection that responds, if there is one, preferably one that is already in this plan
    /// mode.
    async fn take_idle(&self, plan_mode: PlanMode) -> Result<Option<Link>, Failure> {
        loop {
            if self.0.closed.load(Ordering::Relaxed) {
                return Err(Failure::Closed);
            }
            let idle = {
                let links = &mut self.idle().links;
                let same = links.iter().rposition(|link| link.plan_mode == plan_mode);
                same.map(|index| links.swap_remove(index)).or_else(|| links.pop())
            };
            let Some(mut link) = idle else { return Ok(None) };
            if link.opened.elapsed() > LIFETIME {
                // a separate task, since the peer may be slow
                tokio::spawn(timeout(Duration::from_secs(5), link.close()));
                continue;
            }
            // behind a pooler, a ping would wait for a server; there, BEGIN detects a lost connection
            let answers = self.is_pooled()
                || link.used.elapsed() < PING_AFTER
                || matches!(timeout(Duration::from_secs(1), link.ping()).await, Ok(Ok(())));
            if answers && link.set_plan_mode(plan_mode).await.is_ok() {
                return Ok(Some(link));
            }
        }
    }

    /// Closes all connections that are open now, those in use when they are returned. They are broken,
    /// or have cached an old version of the tables. A retry then gets a new connection.
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

    /// Takes back a connection that was used in the place of a permit. If it has to be replaced, the
    /// new connection is opened in the same place, so that the next organization does not wait for it.
    fn put_back(&self, mut link: Link, permit: Option<Permit>) {
        if link.is_broken() || self.0.closed.load(Ordering::Relaxed) {
            return;
        }
        if link.needs_replacement() {
            // without a runtime, the process is ending
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                let connections = self.clone();
                runtime.spawn(async move { connections.replace(link, permit).await });
            }
            return;
        }
        link.shrink_buffers();
        let mut idle = self.idle();
        if link.opened >= idle.renewed {
            link.used = Instant::now();
            idle.links.push(link);
        }
    }

    /// Closes a connection and tries to open another in its place.
    async fn replace(&self, old: Link, permit: Option<Permit>) {
        let plan_mode = old.plan_mode;
        timeout(Duration::from_secs(5), old.close()).await.ok();
        let opened = timeout(self.0.acquire_timeout, self.0.connector.connect()).await;
        if let Ok(Ok(mut new)) = opened
            && new.set_plan_mode(plan_mode).await.is_ok()
        {
            self.put_back(new, None);
        }
        drop(permit);
    }

    /// Cancels the running statement of a PostgreSQL process.
    async fn cancel(&self, process: i32) -> Result<(), Failure> {
        self.0.canceler.cancel(&self.0.connector, process).await
    }

    /// Closes all idle connections now, and the others when they are returned.
    pub(crate) async fn close(&self) -> Result<(), Failure> {
        self.0.closed.store(true, Ordering::Relaxed);
        let idle = std::mem::take(&mut self.idle().links);
        for link in idle {
            link.close().await?;
        }
        self.0.canceler.close().await
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
