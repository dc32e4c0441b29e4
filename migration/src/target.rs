//! The database to migrate, and the schema of its tables.

use std::{fs::OpenOptions, path::PathBuf, str::FromStr, time::Duration};

use sea_orm_migration::sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, RuntimeErr, Statement,
    sqlx::{self, sqlite::SqliteConnectOptions},
};

use crate::Error;

/// A database, and the PostgreSQL schema that contains the service's tables.
#[derive(Clone, Debug)]
pub struct Target {
    url: String,
    schema: Option<String>,
}

impl From<&str> for Target {
    fn from(url: &str) -> Self {
        Self { url: url.to_owned(), schema: None }
    }
}

impl From<&String> for Target {
    fn from(url: &String) -> Self {
        Self::from(url.as_str())
    }
}

impl Target {
    /// The same database, with the tables in this schema. Neighbours can also be in `public`.
    #[must_use]
    pub fn in_schema(self, schema: Option<String>) -> Self {
        Self { schema, ..self }
    }

    pub(crate) fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    /// Connects. With `create`, creates a missing SQLite file.
    pub(crate) async fn connect(&self, create: bool) -> Result<DatabaseConnection, Error> {
        self.connect_with(create, false).await
    }

    /// Connects read-only.
    pub(crate) async fn connect_to_read(&self) -> Result<DatabaseConnection, Error> {
        self.connect_with(false, true).await
    }

    async fn connect_with(
        &self,
        create: bool,
        read_only: bool,
    ) -> Result<DatabaseConnection, Error> {
        if create {
            self.create_file();
        }
        let mut options = ConnectOptions::new(&self.url);
        options.sqlx_logging(false).max_connections(1).acquire_timeout(Duration::from_secs(10));
        options.map_sqlx_sqlite_opts(move |sqlite| {
            sqlite
                .create_if_missing(create)
                .read_only(read_only)
                .busy_timeout(Duration::from_mins(1))
        });
        let search_path = self.schema.as_deref().map(search_path);
        options.map_sqlx_postgres_opts(move |postgres| {
            let read_only = read_only.then(|| ("default_transaction_read_only", "on".to_owned()));
            let search_path = search_path.clone().map(|path| ("search_path", path));
            let own = SETTINGS.map(|(name, value)| (name, value.to_owned()));
            postgres.options(own.into_iter().chain(read_only).chain(search_path))
        });
        let db = match Database::connect(options).await {
            Err(error) if is_pooler(&error) => return Err(Error::Pooled),
            Err(error) => return Err(self.missing_file().map_or(error.into(), Error::NoFile)),
            Ok(db) => db,
        };
        if self.is_postgres() {
            require_usable(&db).await?;
        } else {
            require_utf_8(&db).await?;
        }
        if let Some(schema) = &self.schema {
            let there = Statement::from_sql_and_values(
                db.get_database_backend(),
                "SELECT 1 FROM pg_namespace WHERE nspname = $1",
                [schema.into()],
            );
            if db.query_one_raw(there).await?.is_none() {
                return Err(Error::NoSchema(schema.clone()));
            }
        }
        Ok(db)
    }

    /// Creates a missing SQLite file that only its owner can read. SQLite gives the files beside it the same rights.
    fn create_file(&self) {
        let is_in_memory = self.url.contains(":memory:") || self.url.contains("mode=memory");
        if let Some(path) = self.missing_file().filter(|_| !is_in_memory) {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            // if it cannot be created, SQLite reports why
            options.open(path).ok();
        }
    }

    /// The path of a SQLite file that does not exist.
    fn missing_file(&self) -> Option<PathBuf> {
        if self.is_postgres() {
            return None;
        }
        let options = SqliteConnectOptions::from_str(&self.url).ok()?;
        let path = options.get_filename();
        (!path.exists()).then(|| path.to_owned())
    }
}

/// The settings of a connection to PostgreSQL. A role or a database can have other defaults: with a
/// snapshot for each transaction, the one that holds the lock of a run would keep its own indexes
/// from being finished, and with a timeout, a run would never be done with a large table.
const SETTINGS: [(&str, &str); 7] = [
    ("default_transaction_isolation", "read committed"),
    ("default_transaction_deferrable", "off"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("idle_in_transaction_session_timeout", "0"),
    ("standard_conforming_strings", "on"),
    ("transform_null_equals", "off"),
];

/// Rejects a database whose text can be other than Unicode, and sessions in which triggers do not fire.
async fn require_usable(db: &DatabaseConnection) -> Result<(), Error> {
    let sql = "SELECT current_setting('server_encoding') AS encoding, \
         current_setting('session_replication_role') AS replication_role";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    let Some(row) = db.query_one_raw(statement).await? else { return Ok(()) };
    let encoding: String = row.try_get("", "encoding")?;
    if encoding != "UTF8" {
        return Err(Error::Encoding(encoding));
    }
    if row.try_get::<String>("", "replication_role")? == "replica" {
        return Err(Error::Replication);
    }
    Ok(())
}

/// Rejects a SQLite file in UTF-16, whose text the driver would read as UTF-8.
async fn require_utf_8(db: &DatabaseConnection) -> Result<(), Error> {
    let sql = "SELECT 1 FROM pragma_encoding WHERE encoding <> 'UTF-8'";
    let statement = Statement::from_string(db.get_database_backend(), sql);
    match db.query_one_raw(statement).await? {
        Some(_) => Err(Error::Utf16),
        None => Ok(()),
    }
}

/// The value of the search path setting for a schema.
fn search_path(schema: &str) -> String {
    format!("\"{}\", public", schema.replace('"', "\"\""))
}

/// PgBouncer's message for a parameter that it does not pass on.
fn is_pooler(error: &DbErr) -> bool {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Database(error) => {
                error.message().contains("unsupported startup parameter")
            }
            _ => false,
        },
        _ => false,
    }
}
