//! What a running service consists of.

use std::{sync::Arc, time::Duration};

use campaigns_analytics::Keeper;
use campaigns_feed::Feed;
use campaigns_graphql::{Api, Limits};
use campaigns_scope::{Database, Memberships, Verifier};
use campaigns_web::Pages;
use chrono::{DateTime, Utc};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use crate::{
    KeyServer,
    metrics::{Metrics, Operations},
    socket::Sockets,
};

/// Tells the time; a test's may stand still.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// The clock of the machine.
    #[must_use]
    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// A clock of one's own.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        (self.0)()
    }
}

/// What can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes of a request's body at most.
    pub max_body: usize,
    /// How long an operation may take.
    pub query_timeout: Duration,
    /// What an operation may come to.
    pub limits: Limits,
    /// Whether the schema answers questions about itself.
    pub introspection: bool,
    /// The pages at `/` and `/graphiql`.
    pub pages: Pages,
    /// Origins whose pages may ask.
    pub cors_origins: Vec<http::HeaderValue>,
    /// TCP connections at once, at most.
    pub max_peers: usize,
    /// Sockets at once that have not yet said who they are, at most.
    pub max_unknown_sockets: usize,
    /// Sockets of an organization at once, at most.
    pub max_sockets: usize,
    /// Operations of a socket at once, at most.
    pub max_operations: usize,
    /// Bytes that wait for the peer of a socket to read them, at most.
    pub max_socket_bytes: usize,
    /// How often the peer of a socket is pinged; one that is not heard of for twice that is dropped.
    pub socket_ping: Duration,
    /// How often it is checked that who opened a socket may still be there.
    pub socket_check: Duration,
    /// How long peers are waited for.
    pub timeouts: Timeouts,
    /// The roles of memberships that are admins, where memberships count for tokens without an
    /// organization.
    pub membership_admin_roles: Option<Vec<String>>,
    /// An operation that takes as long is logged as slow.
    pub slow_operation: Duration,
    /// Whether `/metrics` has an address of its own.
    pub metrics_apart: bool,
}

/// How long the peer of a connection may take.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// For the header of a request, and for the first one after it has connected.
    pub header: Duration,
    /// For its next request.
    pub idle: Duration,
    /// For the body of a request, or the rest of a message on a socket.
    pub body: Duration,
    /// To read some of what it is sent.
    pub write: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            // longer than the usual load balancers keep an idle connection
            idle: Duration::from_secs(75),
            body: Duration::from_secs(30),
            write: Duration::from_secs(30),
        }
    }
}

impl Timeouts {
    /// For all of an answer, of which it reads some from time to time.
    pub(crate) fn answer(&self) -> Duration {
        self.write * 10
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 8 * 1024 * 1024,
            query_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            introspection: true,
            pages: Pages::default(),
            cors_origins: Vec::new(),
            max_peers: 10_000,
            max_unknown_sockets: 1_000,
            max_sockets: 5_000,
            max_operations: 100,
            max_socket_bytes: 1 << 20,
            socket_ping: Duration::from_secs(15),
            socket_check: Duration::from_secs(10),
            timeouts: Timeouts::default(),
            membership_admin_roles: None,
            slow_operation: Duration::from_secs(1),
            metrics_apart: false,
        }
    }
}

/// More connections than a machine has room for.
const MAX_PEERS: usize = 10_000_000;
/// Connections to the address of `/metrics` at once, at most.
const METRICS_PEERS: usize = 16;

impl Settings {
    fn max_peers(&self) -> usize {
        self.max_peers.min(MAX_PEERS)
    }
}

/// Everything that a request needs; cloning shares it.
#[derive(Clone)]
pub struct App {
    pub(crate) api: Api,
    pub(crate) database: Database,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) key_server: Option<Arc<KeyServer>>,
    pub(crate) memberships: Option<Arc<Memberships>>,
    pub(crate) clock: Clock,
    pub(crate) settings: Arc<Settings>,
    pub(crate) sockets: Sockets,
    pub(crate) metrics: Metrics,
    pub(crate) operations: Operations,
    /// How many more TCP connections may be open.
    pub(crate) free_peers: Arc<Semaphore>,
    _keeper: Keeper,
}

impl App {
    /// A service on a database, for the tokens that a verifier takes. To be called within a runtime:
    /// it starts to follow the feed and to keep the counts.
    #[must_use]
    pub fn new(
        database: Database,
        verifier: impl Into<Arc<Verifier>>,
        clock: Clock,
        settings: Settings,
    ) -> Self {
        let keeper = Keeper::start(database.counts());
        let admin_roles = settings.membership_admin_roles.clone();
        let memberships = admin_roles.map(|roles| Memberships::new(&database, roles).into());
        Self {
            api: Api::new(
                settings.introspection,
                settings.limits,
                Feed::start(database.feed_reader()),
            ),
            database,
            verifier: verifier.into(),
            key_server: None,
            memberships,
            clock,
            sockets: Sockets::new(settings.max_unknown_sockets),
            free_peers: Arc::new(Semaphore::new(settings.max_peers())),
            settings: settings.into(),
            metrics: Metrics::of_process(),
            operations: Operations::new(),
            _keeper: keeper,
        }
    }

    /// The same service, with a server that its verifier has the keys from.
    #[must_use]
    pub fn with_key_server(self, server: KeyServer) -> Self {
        Self { key_server: Some(server.into()), ..self }
    }

    /// Serves whoever connects, until `stop` becomes true and what is under way then is finished.
    pub async fn serve(&self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let places = Arc::clone(&self.free_peers);
        crate::listen::serve(listener, self.router(), &self.settings, places, stop).await;
    }

    /// Serves `/metrics` alone.
    pub async fn serve_metrics(&self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(METRICS_PEERS));
        let router = crate::http::metrics::router(self.clone());
        crate::listen::serve(listener, router, &self.settings, places, stop).await;
    }

    /// How many TCP connections are open.
    pub(crate) fn peers(&self) -> usize {
        self.settings.max_peers() - self.free_peers.available_permits()
    }

    /// Closes all sockets, and waits until they are.
    pub(crate) async fn end_sockets(&self) {
        self.sockets.end().await;
    }

    pub(crate) fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }
}
