//! Options of a database connection.

use std::time::Duration;

use sea_orm::Statement;

use crate::budget::ByteLimits;

/// The options of a [`Database`](crate::Database).
#[derive(Clone, Debug)]
pub struct Options {
    /// `postgres://…` or `sqlite://…`.
    pub url: String,
    /// The maximum number of connections. With three or more, one is reserved for the feed reader, and
    /// one for work that must succeed when all others are busy. With eight or more to PostgreSQL, one
    /// is reserved for cancel requests.
    pub max_connections: u32,
    /// PostgreSQL's `statement_timeout`.
    pub statement_timeout: Option<Duration>,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// The maximum number of operations that are executed at once.
    pub max_executing: usize,
    /// The maximum number of an organization's operations that wait for execution or for a
    /// connection.
    pub max_waiting: usize,
    /// The maximum time that an operation waits for execution.
    pub max_wait: Duration,
    /// Whether connections go through a pooler in transaction mode. Poolers that refuse startup
    /// parameters are detected without this.
    pub pooler: bool,
    /// The PostgreSQL schema that contains the tables, if it is not the first one on the role's
    /// search path. Tables of other programs can also be in `public`.
    pub schema: Option<String>,
    /// The bytes that can be held at once.
    pub bytes: ByteLimits,
    /// The PostgreSQL role for the statements of viewers, which run with the viewer's claims set, so
    /// that row security policies apply. `None` if they use the service's own role.
    pub row_security_role: Option<String>,
    /// Whether statements that write fail.
    pub read_only: bool,
}

impl Options {
    /// The default options for this URL.
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

/// Receives each executed statement, the SQL that set the plan mode of its connection, and its
/// duration.
pub type Observer = Box<dyn Fn(&Statement, &'static str, Duration) + Send + Sync>;
