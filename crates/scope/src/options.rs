//! How a database connects.

use std::time::Duration;

use sea_orm::Statement;

use crate::budget::ByteLimits;

/// How a [`Database`](crate::Database) connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// `postgres://…` or `sqlite://…`.
    pub url: String,
    /// The maximum number of connections. Of three or more, one is reserved for the reader of the
    /// feed, and one for work that must succeed when all others are busy; of eight or more to
    /// PostgreSQL, one for cancel requests.
    pub max_connections: u32,
    /// The time after which PostgreSQL itself ends a statement.
    pub statement_timeout: Option<Duration>,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// The maximum number of operations that are executed at once.
    pub max_executing: usize,
    /// The maximum number of operations of an organization that wait to be executed, or for a
    /// connection.
    pub max_waiting: usize,
    /// How long an operation waits to be executed, at most.
    pub max_wait: Duration,
    /// Whether connections go through a pooler in transaction mode. A pooler that refuses startup
    /// parameters is detected anyway.
    pub pooler: bool,
    /// The PostgreSQL schema that contains the tables, if it is not the first one on the role's
    /// search path. Tables of neighbours can also be in `public`.
    pub schema: Option<String>,
    /// The bytes that can be held at once.
    pub bytes: ByteLimits,
    /// The PostgreSQL role under which viewers read and write, with their claims set, so that row
    /// security policies apply to them. `None` if they use the service's own role.
    pub row_security_role: Option<String>,
    /// Whether every statement that would write fails.
    pub read_only: bool,
}

impl Options {
    /// The defaults, for this address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            max_connections: 16,
            statement_timeout: None,
            acquire_timeout: Duration::from_secs(5),
            max_executing: 8 * cores(),
            max_waiting: 1_000,
            max_wait: Duration::from_secs(5),
            pooler: false,
            schema: None,
            bytes: ByteLimits::default(),
            row_security_role: None,
            read_only: false,
        }
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Receives each executed statement, the SQL that set how its connection plans, and the time that
/// it took.
pub type Observer = Box<dyn Fn(&Statement, &'static str, Duration) + Send + Sync>;
