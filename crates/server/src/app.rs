//! What a running service consists of.

use std::{sync::Arc, time::Duration};

use campaigns_feed::Feed;
use campaigns_graphql::{Api, Limits};
use campaigns_scope::{Database, Verifier};
use chrono::{DateTime, Utc};

use crate::socket::Sockets;

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
    /// Origins whose pages may ask.
    pub cors_origins: Vec<http::HeaderValue>,
    /// Sockets of an organization at once, at most.
    pub max_sockets: usize,
    /// Operations of a socket at once, at most.
    pub max_operations: usize,
    /// How often the peer of a socket is pinged; one that is not heard of for twice that is dropped.
    pub socket_ping: Duration,
    /// How long the peer of a socket may leave what it is sent unread.
    pub socket_patience: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 8 * 1024 * 1024,
            query_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            introspection: true,
            cors_origins: Vec::new(),
            max_sockets: 5_000,
            max_operations: 100,
            socket_ping: Duration::from_secs(15),
            socket_patience: Duration::from_secs(30),
        }
    }
}

/// Everything that a request needs; cloning shares it.
#[derive(Clone)]
pub struct App {
    pub(crate) api: Api,
    pub(crate) database: Database,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) clock: Clock,
    pub(crate) settings: Arc<Settings>,
    pub(crate) sockets: Sockets,
}

impl App {
    /// A service on a database, for the tokens that a verifier takes. To be called within a runtime:
    /// it starts to follow the feed.
    #[must_use]
    pub fn new(database: Database, verifier: Verifier, clock: Clock, settings: Settings) -> Self {
        Self {
            api: Api::new(
                settings.introspection,
                settings.limits,
                Feed::start(database.feed_reader()),
            ),
            database,
            verifier: verifier.into(),
            clock,
            settings: settings.into(),
            sockets: Sockets::default(),
        }
    }

    /// Its HTTP side.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }
}
