//! What a running service consists of.

use std::{sync::Arc, time::Duration};

use campaigns_graphql::{Api, Limits};
use campaigns_scope::{Database, Verifier};
use chrono::{DateTime, Utc};

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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 8 * 1024 * 1024,
            query_timeout: Duration::from_secs(10),
            limits: Limits::default(),
            introspection: true,
            cors_origins: Vec::new(),
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
}

impl App {
    /// A service on a database, for the tokens that a verifier takes.
    #[must_use]
    pub fn new(database: Database, verifier: Verifier, clock: Clock, settings: Settings) -> Self {
        Self {
            api: Api::new(settings.introspection, settings.limits),
            database,
            verifier: verifier.into(),
            clock,
            settings: settings.into(),
        }
    }

    /// Its HTTP side.
    pub fn router(&self) -> axum::Router {
        crate::http::router(self.clone())
    }
}
