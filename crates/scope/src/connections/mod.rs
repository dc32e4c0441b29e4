//! The connections of a process to its database: who can use one, and how a statement runs.
//!
//! SeaORM builds statements and reads rows. The part in between is here, because it decides what
//! one client can cost the others. With sqlx's pool, if the future of a statement is dropped, the
//! statement keeps running in the database until its timeout, with its connection. The pool cannot
//! pick a connection by its [`Plans`] either, and its settings of a connection are lost behind
//! PgBouncer. SeaORM's own connection returns rows only when all of them have arrived.
//!
//! Some connections are reserved: one for the reader of the feed, one for small statements that must
//! succeed when everything else is busy (readiness, look-ups of organizations and memberships), and
//! one for cancel requests ([`canceler`]). Organizations share the others ([`crate::shares`]).
//!
//! **Invariants.**
//! - The holder of a [`Lease`] has a connection to itself. It is returned as it was taken: with no
//!   statement running and no transaction open.
//! - An abandoned statement also ends in the database: if its [`Lease`] is dropped while the statement
//!   runs, [`Link::recover`] cancels it, rolls back, and only then returns the connection. Behind a
//!   pooler, the connection is closed instead ([`pooler`]).
//! - A statement on a reserved connection is not abandoned: it continues if the request that waits for
//!   it ends. So a client that hangs up delays the next one by no more than that statement.
//! - What stays prepared on a connection is bounded ([`link::KEPT`], [`link::KEPT_LENGTH`]).
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

pub(crate) use failure::{Failure, may_repeat};
pub(crate) use link::{KEPT_LENGTH, is_replaced_by_look_up, is_stale_plan};
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
pub(crate) use hosts::primary;

/// The number of connections from which on one is reserved for cancel requests. With fewer, they open
/// one in addition, one at a time.
const RESERVES_CANCELER: usize = 8;
/// A connection that was idle for longer is pinged before use.
const ASK_AFTER: Duration = Duration::from_secs(5);
/// The lifetime of a connection, so that failovers, and memory that a server keeps for it, do not
/// last.
const LIFETIME: Duration = Duration::from_mins(30);

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
    /// up rows by key or reads an index in its order, regardless of the sizes of tables when it was
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
    canceler: Canceler,
    /// Behind a pooler.
    servers: Option<Servers>,
    idle: Mutex<Idle>,
    closed: AtomicBool,
    acquire_timeout: Duration,
    observer: Option<Observer>,
    counted: OnceLock<StatementMetrics>,
    begin: BeginStatements,
    /// Where the database has one writer at a time.
    write_lock: Option<WriteLock>,
    /// The column types that differ from the documented ones.
    types: Types,
}

/// What is counted of statements.
struct StatementMetrics {
    seconds: Histogram,
    failed: Counter,
}

/// Connections that are not in use.
struct Idle {
    links: Vec<Link>,
    /// Those that were opened before this are closed when they come back.
    renewed: Instant,
}

impl Connections {
    /// Connects once, to check that it is possible and how.
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
            counted: OnceLock::new(),
            begin,
            write_lock,
            types,
        })))
    }

    pub(crate) fn backend(&self) -> DbBackend {
        self.0.connector.backend()
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
        self.0.connector.is_pooled()
    }

    /// How many connections are in use, and how many wait for one.
    pub(crate) fn occupancy(&self) -> Occupancy {
        let Inner { organizations, feed, control, canceler, .. } = &*self.0;
        let apart = Occupancy { places: usize::from(canceler.is_counted()), ..<_>::default() };
        let mut all: Vec<&Shares> = Vec::with_capacity(3);
        for shares in [organizations, feed, control] {
            // where there are few connections, lanes share them
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

    /// How many connections are open and not in use.
    pub(crate) fn idle_count(&self) -> usize {
        self.idle().links.len()
    }

    /// From now on, statements are counted by the recorder of metrics that this process has. To look it
    /// up for each statement would cost more than to count.
    pub(crate) fn count_statements(&self) {
        self.0.counted.get_or_init(|| StatementMetrics {
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
            (Failure::NoneFree, NoPermit::TooMany) => Failure::TooManyWait,
            (failure, _) => failure,
        })?;
        let found = match timeout_at(until.into(), self.link(plans)).await {
            Ok(found) => found?,
            Err(_) => return Err(too_late()),
        };
        Ok(Lease::of(self, found, permit, plans))
    }

    /// A connection, and whether it was used before.
    async fn link(&self, plans: Plans) -> Result<(Link, bool), Failure> {
        if let Some(link) = self.take_idle(plans).await? {
            return Ok((link, true));
        }
        let mut link = self.0.connector.connect_patiently().await?;
        link.plan(plans).await?;
        Ok((link, false))
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
            // behind a pooler, a ping would wait for a server; a lost connection cannot begin
            let answers = self.is_pooled()
                || link.used.elapsed() < ASK_AFTER
                || matches!(timeout(Duration::from_secs(1), link.ping()).await, Ok(Ok(())));
            if answers && link.plan(plans).await.is_ok() {
                return Ok(Some(link));
            }
        }
    }

    /// Closes the connections that are open now, those in use when they come back: they are broken,
    /// or know an old version of the tables. So a retry gets a new one.
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

    /// Takes a connection back that was used in the place of a permit. One that is outgrown is replaced
    /// in this place, so that the next organization does not have to wait until another is open.
    fn put_back(&self, mut link: Link, permit: Option<Permit>) {
        if link.is_broken() || self.0.closed.load(Ordering::Relaxed) {
            return;
        }
        if link.is_outgrown() {
            // without a runtime, the process is ending
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                let connections = self.clone();
                runtime.spawn(async move { connections.replace(link, permit).await });
            }
            return;
        }
        link.slim();
        let mut idle = self.idle();
        if link.opened >= idle.renewed {
            link.used = Instant::now();
            idle.links.push(link);
        }
    }

    /// Closes a connection and opens another in its place, if the database lets it.
    async fn replace(&self, old: Link, permit: Option<Permit>) {
        let plans = old.plans;
        timeout(Duration::from_secs(5), old.close()).await.ok();
        let opened = timeout(self.0.acquire_timeout, self.0.connector.connect()).await;
        if let Ok(Ok(mut new)) = opened
            && new.plan(plans).await.is_ok()
        {
            self.put_back(new, None);
        }
        drop(permit);
    }

    /// Cancels the running statement of a PostgreSQL process.
    async fn cancel(&self, process: i32) -> Result<(), Failure> {
        self.0.canceler.cancel(&self.0.connector, process).await
    }

    /// Closes all unused connections, and the others when they are returned.
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
