//! The database. It runs no statements itself: [`Database::enter`] gives a viewer's scope, and
//! [`Database::operator`] gives access for work that is not for one viewer.

#[cfg(debug_assertions)]
use std::{collections::HashMap, sync::Mutex};
use std::{sync::Arc, time::Duration};

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use crate::{
    Counts, Doctor, Error, FeedReader, Observer, Occupancy, Operator, Options, Scope, Secrets,
    Viewer, Webhook,
    budget::Budgets,
    connections::{self, Connections, Lane, Session, Writability},
    cursor_key::{self, CursorKey},
    error::code,
    lookups::LookUps,
    recent::Recent,
    row_security::RowSecurity,
    webhooks,
};

/// How long the existence of an organization is cached.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// The maximum number of organizations whose existence is cached.
const MAX_ORGANIZATIONS: usize = 10_000;
/// How long the applied migrations, or the failure to read them, are cached if there are more than
/// [`CACHING_RATE`] look-ups in a second.
const MIGRATIONS_TTL: Duration = Duration::from_secs(1);
const CACHING_RATE: u32 = 10;
/// The maximum number of webhooks that are cached.
const MAX_WEBHOOKS: usize = 10_000;

/// A connected database. Clones share it.
#[derive(Clone)]
pub struct Database {
    connections: Connections,
    budgets: Budgets,
    organizations: Arc<LookUps<Uuid, bool>>,
    migrations: Arc<LookUps<(), Arc<[String]>>>,
    cursor_keys: Arc<LookUps<(), Option<Arc<CursorKey>>>>,
    webhooks: Arc<LookUps<[u8; 20], Option<Webhook>>>,
    row_security_role: Option<Arc<str>>,
    /// Whether policies can read subjects that are not UUIDs.
    subjects: Arc<LookUps<(), bool>>,
    /// The organizations with changes that were not added to the counts.
    pending: Arc<Recent>,
    #[cfg(debug_assertions)]
    misled: Arc<Mutex<HashMap<Uuid, Uuid>>>,
}

impl Database {
    /// Connects, and reports each executed statement to `observer`, if there is one.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn connect(options: &Options, observer: Option<Observer>) -> Result<Self, Error> {
        let connections = Connections::open(options, observer).await?;
        let Options { bytes, max_executing, max_waiting, max_wait, .. } = *options;
        let budgets = Budgets::new(bytes, max_executing, max_waiting, max_wait);
        Ok(Self {
            connections,
            budgets,
            organizations: Arc::new(LookUps::new(MAX_ORGANIZATIONS, |found| match found {
                Ok(true) => CACHE_TTL,
                // it may be created at any time
                _ => Duration::ZERO,
            })),
            migrations: Arc::new(LookUps::new(1, |_| MIGRATIONS_TTL).often(CACHING_RATE)),
            cursor_keys: Arc::new(LookUps::new(1, |found| match found {
                // it never changes
                Ok(Some(_)) => Duration::MAX,
                _ => Duration::ZERO,
            })),
            webhooks: Arc::new(
                LookUps::new(MAX_WEBHOOKS, |_| webhooks::REUSED).often(CACHING_RATE),
            ),
            row_security_role: options.row_security_role.as_deref().map(Into::into),
            subjects: Arc::new(LookUps::new(1, |found| match found {
                Ok(_) => CACHE_TTL,
                Err(_) => Duration::ZERO,
            })),
            pending: Arc::default(),
            #[cfg(debug_assertions)]
            misled: Arc::default(),
        })
    }

    /// The budgets of the process.
    #[must_use]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Whether the connections go through a pooler, so that each statement runs in a transaction of
    /// its own.
    #[must_use]
    pub fn is_pooled(&self) -> bool {
        self.connections.is_pooled()
    }

    /// The number of connections in use, and of statements and transactions that wait for one.
    #[must_use]
    pub fn connections_in_use(&self) -> Occupancy {
        self.connections.occupancy()
    }

    /// The number of open connections that are not in use.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.connections.idle_count()
    }

    /// Starts to record the number and duration of statements in this process's metrics.
    pub fn count_statements(&self) {
        self.connections.count_statements();
    }

    pub(crate) fn session(&self, lane: Lane) -> Session {
        Session::new(self.connections.clone(), lane)
    }

    /// The viewer's scope, or `None` if the organization does not exist.
    ///
    /// # Errors
    /// Any error of the database. [`Error::Claims`] if policies cannot read the viewer's claims.
    pub async fn enter(&self, viewer: &Viewer) -> Result<Option<Scope>, Error> {
        let id = viewer.organization();
        let row_security = match &self.row_security_role {
            Some(role) => Some(self.row_security(role, viewer).await?),
            None => None,
        };
        let exists = self.organizations.get(id, |until| {
            let operator =
                Operator::new(self.session(Lane::Control).until(until), self.budgets.clone());
            async move { operator.organization_exists(id).await }
        });
        if !exists.await? {
            return Ok(None);
        }
        let mut session = self.session(Lane::Organization(id));
        if let Some(row_security) = row_security {
            session = session.with_row_security(row_security);
        }
        let cursor_key = self.cursor_key().await?;
        #[cfg(debug_assertions)]
        let id = self.misled(id);
        let scope = Scope::of(session, self.budgets.clone(), id, viewer.role());
        let scope = scope.with_pending(Arc::clone(&self.pending));
        Ok(Some(scope.with_cursor_key(cursor_key)))
    }

    /// The key of cursors.
    pub(crate) async fn cursor_key(&self) -> Result<Option<Arc<CursorKey>>, Error> {
        let stored = self.cursor_keys.get((), |until| {
            let session = self.session(Lane::Control).until(until);
            async move { cursor_key::stored(&session.reading()).await }
        });
        stored.await
    }

    pub(crate) fn webhooks(&self) -> &LookUps<[u8; 20], Option<Webhook>> {
        &self.webhooks
    }

    /// The row security of a viewer, if policies can read the viewer's claims.
    async fn row_security(&self, role: &Arc<str>, viewer: &Viewer) -> Result<RowSecurity, Error> {
        let row_security = RowSecurity::of(role, viewer)?;
        if Uuid::try_parse(viewer.subject()).is_ok() {
            return Ok(row_security);
        }
        let probed = row_security.clone();
        let reads_any = self.subjects.get((), |until| {
            let session = self.session(Lane::Control).until(until);
            async move { reads_subject(session.reading(), &probed).await }
        });
        let reads_any = reads_any.await?;
        if reads_any { Ok(row_security) } else { Err(Error::Claims("its subject is not a UUID")) }
    }

    /// Gives viewers of one organization the scope of another, as if the predicates of scopes were
    /// wrong. Used to test the other protections; release builds do not contain it.
    #[cfg(debug_assertions)]
    #[doc(hidden)]
    pub fn mislead(&self, from: Uuid, to: Uuid) {
        self.misled.lock().expect("no holder of the lock panics").insert(from, to);
    }

    #[cfg(debug_assertions)]
    fn misled(&self, id: Uuid) -> Uuid {
        let misled = self.misled.lock().expect("no holder of the lock panics");
        misled.get(&id).copied().unwrap_or(id)
    }

    /// Access for work that is not for one viewer.
    #[must_use]
    pub fn operator(&self) -> Operator {
        Operator::new(self.session(Lane::Control), self.budgets.clone())
    }

    /// The feed of every organization, for the reader of this process.
    #[must_use]
    pub fn feed_reader(&self) -> FeedReader {
        FeedReader::new(self.session(Lane::Feed), self.budgets.clone())
    }

    /// The running counts of all organizations, for their maintenance.
    #[must_use]
    pub fn counts(&self) -> Counts {
        // queued fairly with the organizations
        Counts::new(self.session(Lane::Organization(Uuid::nil())))
    }

    /// The rows of all organizations, for finding problems in them.
    #[must_use]
    pub fn doctor(&self) -> Doctor {
        Doctor::new(self.session(Lane::Control).reading())
    }

    /// The secrets of all organizations, for encrypting them anew.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        Secrets::new(self.session(Lane::Control))
    }

    /// The settings of the database with which the service cannot work.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn session_faults(&self) -> Result<SessionFaults, Error> {
        let session = self.session(Lane::Control).reading();
        if session.get_database_backend() != DbBackend::Postgres {
            // the driver would read its text as UTF-8, the name of the encoding as well
            let sql = "SELECT encoding <> 'UTF-8' AS is_wrong FROM pragma_encoding";
            let statement = Statement::from_string(DbBackend::Sqlite, sql);
            let row = session.query_one_raw(statement).await?;
            let is_wrong = row.map_or(Ok(false), |row| row.try_get("", "is_wrong"))?;
            let encoding = is_wrong.then(|| "UTF-16".to_owned());
            return Ok(SessionFaults { encoding, is_replica: false });
        }
        let sql = "SELECT current_setting('server_encoding') AS encoding, \
             current_setting('session_replication_role') = 'replica' AS is_replica";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let Some(row) = session.query_one_raw(statement).await? else {
            return Ok(SessionFaults::default());
        };
        let encoding: String = row.try_get("", "encoding")?;
        Ok(SessionFaults {
            encoding: Some(encoding).filter(|encoding| encoding != "UTF8"),
            is_replica: row.try_get("", "is_replica")?,
        })
    }

    /// The names of the applied migrations. Under many calls, the result can be one second old.
    ///
    /// # Errors
    /// Any error of the database, also if it does not answer within seconds.
    pub async fn applied_migrations_lately(&self) -> Result<Arc<[String]>, Error> {
        let applied = self.migrations.get((), |until| {
            let session = self.session(Lane::Control).until(until);
            async move { Ok(applied_migrations(session).await?.into()) }
        });
        applied.await
    }

    /// The names of the applied migrations.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn applied_migrations(&self) -> Result<Vec<String>, Error> {
        applied_migrations(self.session(Lane::Control)).await
    }

    /// Closes all connections.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn close(self) -> Result<(), Error> {
        Ok(self.connections.close().await?)
    }
}

/// The settings of a database, or of its sessions, with which the service cannot work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionFaults {
    /// The encoding, if it is not UTF-8: text can then contain invalid bytes or lack characters.
    pub encoding: Option<String>,
    /// Whether `session_replication_role` is `replica`, with which references are not checked.
    pub is_replica: bool,
}

/// The address of the host that accepts writes, from an address that can name several. A single
/// host must answer too, even if it is read-only. An SQLite address is returned as it is.
///
/// # Errors
/// If there is no such host.
pub async fn primary(url: &str) -> Result<String, Error> {
    Ok(connections::primary(url).await?)
}

/// Whether a database accepts changes, with the default settings of its sessions.
///
/// # Errors
/// If it cannot be reached.
pub async fn writability(url: &str) -> Result<Writability, Error> {
    Ok(connections::writability(url).await?)
}

async fn applied_migrations(session: Session) -> Result<Vec<String>, Error> {
    let session = session.reading();
    let backend = session.get_database_backend();
    let there = match backend {
        DbBackend::Postgres => "SELECT 1 WHERE to_regclass('seaql_migrations') IS NOT NULL",
        _ => "SELECT 1 FROM sqlite_master WHERE name = 'seaql_migrations'",
    };
    let there = Statement::from_string(backend, there);
    if session.query_one_raw(there).await?.is_none() {
        return Ok(Vec::new());
    }
    let names = Statement::from_string(backend, "SELECT version FROM seaql_migrations");
    let rows = session.query_all_raw(names).await?;
    Ok(rows.iter().map(|row| row.try_get("", "version")).collect::<Result<_, sea_orm::DbErr>>()?)
}

/// Whether `auth.uid()`, by which policies identify users, can read a subject that is not a UUID. If
/// it fails, the policies fail as well.
async fn reads_subject(session: Session, row_security: &RowSecurity) -> Result<bool, Error> {
    let statement = Statement::from_string(DbBackend::Postgres, "SELECT auth.uid()");
    match session.with_row_security(row_security.clone()).query_one_raw(statement).await {
        Ok(_) => Ok(true),
        Err(error) => match code(&error).as_deref() {
            // invalid_text_representation
            Some("22P02") => Ok(false),
            // policies that use no such function identify users in another way
            Some("3F000" | "42883" | "42501") => Ok(true),
            _ => Err(error.into()),
        },
    }
}
