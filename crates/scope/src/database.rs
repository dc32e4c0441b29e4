//! The pool of connections. It runs nothing itself: [`Database::enter`] gives a viewer's scope,
//! [`Database::operator`] the work that is for no one viewer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sea_orm::{
    ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, Statement,
    sqlx::{self, SqliteConnection, sqlite::SqliteJournalMode},
};
use uuid::Uuid;

use crate::{Error, FeedReader, Operator, Scope, Viewer};

/// For how long an organization that was found counts as existing.
const REMEMBERED: Duration = Duration::from_secs(5);

/// How a [`Database`] connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// `postgres://…` or `sqlite://…`.
    pub url: String,
    /// Connections at most.
    pub max_connections: u32,
    /// After which the database cancels a statement.
    pub statement_timeout: Option<Duration>,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
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
        }
    }
}

/// Is told of each statement that was run, and how long it took.
pub type Observer = Box<dyn Fn(&Statement, Duration) + Send + Sync>;

/// A connected database.
#[derive(Clone)]
pub struct Database {
    pub(crate) connection: DatabaseConnection,
    organizations: Arc<Mutex<HashMap<Uuid, Instant>>>,
}

impl Database {
    /// Connects, and tells `observer`, where there is one, of each statement that was run.
    ///
    /// # Errors
    /// Where the database cannot be reached.
    pub async fn connect(options: &Options, observer: Option<Observer>) -> Result<Self, Error> {
        let mut connect = ConnectOptions::new(&options.url);
        connect
            .max_connections(options.max_connections)
            .acquire_timeout(options.acquire_timeout)
            .sqlx_logging(false);
        if let Some(timeout) = options.statement_timeout {
            connect.statement_timeout(timeout);
        }
        connect.map_sqlx_postgres_opts(|postgres| {
            postgres
                .application_name("campaigns")
                // a generic plan, from the sixth execution on, knows nothing of how much an
                // organization or a campaign holds, and was seen to be 70 times slower
                .options([
                    ("plan_cache_mode", "force_custom_plan"),
                    // takes longer to compile than these statements to run
                    ("jit", "off"),
                    ("TimeZone", "UTC"),
                ])
        });
        connect.map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .busy_timeout(Duration::from_secs(10))
                .foreign_keys(true)
                .with_regexp()
        });
        if let Some(timeout) = options.statement_timeout {
            interrupt_after(&mut connect, timeout);
        }
        let mut connection = sea_orm::Database::connect(connect).await?;
        if let Some(observer) = observer {
            connection.set_metric_callback(move |info| observer(info.statement, info.elapsed));
        }
        Ok(Self { connection, organizations: Arc::default() })
    }

    /// The viewer's scope; `None` where there is no such organization.
    ///
    /// # Errors
    /// Where the database cannot be asked.
    pub async fn enter(&self, viewer: &Viewer) -> Result<Option<Scope>, Error> {
        let id = viewer.organization();
        if !self.remembers(id) {
            if !self.operator().organization_exists(id).await? {
                return Ok(None);
            }
            self.remember(id);
        }
        Ok(Some(Scope::of(self.connection.clone(), id, viewer.role())))
    }

    /// Work for no one viewer.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::new(self.connection.clone())
    }

    /// The feed of every organization, for the reader of this process.
    #[must_use]
    pub fn feed_reader(&self) -> FeedReader {
        FeedReader::new(self.connection.clone())
    }

    /// The names of the migrations that are applied; none where none ever was.
    ///
    /// # Errors
    /// Where the database cannot be asked.
    pub async fn applied_migrations(&self) -> Result<Vec<String>, Error> {
        let backend = self.connection.get_database_backend();
        let there = match backend {
            DbBackend::Postgres => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
            _ => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
        };
        let there = Statement::from_string(backend, there);
        if self.connection.query_one_raw(there).await?.is_none() {
            return Ok(Vec::new());
        }
        let names = Statement::from_string(backend, "SELECT version FROM seaql_migrations");
        let rows = self.connection.query_all_raw(names).await?;
        Ok(rows
            .iter()
            .map(|row| row.try_get("", "version"))
            .collect::<Result<_, sea_orm::DbErr>>()?)
    }

    /// Ends all connections.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.connection.close().await?)
    }

    fn remembers(&self, id: Uuid) -> bool {
        let organizations = self.organizations.lock().expect("no holder of the lock panics");
        organizations.get(&id).is_some_and(|found| found.elapsed() < REMEMBERED)
    }

    fn remember(&self, id: Uuid) {
        let mut organizations = self.organizations.lock().expect("no holder of the lock panics");
        organizations.retain(|_, found| found.elapsed() < REMEMBERED);
        organizations.insert(id, Instant::now());
    }
}

/// How many steps of its machine SQLite takes between two looks at the clock: a millisecond or so.
const STEPS: i32 = 50_000;

/// Lets SQLite end what runs for longer than this since the connection was taken from the pool: for
/// a statement, or a transaction as a whole. (PostgreSQL has a setting for that.)
fn interrupt_after(connect: &mut ConnectOptions, timeout: Duration) {
    async fn arm(connection: &mut SqliteConnection, timeout: Duration) -> Result<(), sqlx::Error> {
        let deadline = Instant::now() + timeout;
        connection
            .lock_handle()
            .await?
            .set_progress_handler(STEPS, move || Instant::now() < deadline);
        Ok(())
    }
    // a connection is new, or was idle
    connect.map_sqlx_sqlite_pool_opts(move |pool| {
        pool.after_connect(move |connection, _| Box::pin(arm(connection, timeout)))
    });
    connect.map_sqlx_sqlite_before_acquire(move |connection, _| {
        Box::pin(async move { arm(connection, timeout).await.map(|()| true) })
    });
}
