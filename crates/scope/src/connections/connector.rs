//! Opens connections, with their initial settings.

use std::{str::FromStr, time::Duration};

use sea_orm::{
    DbBackend,
    sqlx::{
        self, ConnectOptions, Connection, Executor, Row, SqliteConnection,
        error::DatabaseError,
        sqlite::{SqliteConnectOptions, SqliteJournalMode},
    },
};

use super::{
    Failure,
    hosts::{Hosts, ServerConnection},
    link::{Link, MAX_PREPARED},
    pooler, write_lock,
};
use crate::Options;

/// How long to wait before a refused connection is tried again.
const RECONNECT: Duration = Duration::from_millis(100);

pub(super) enum Connector {
    Postgres { hosts: Hosts, pooled: bool },
    Sqlite(Box<SqliteConnectOptions>),
}

/// The statements that begin transactions.
pub(super) struct BeginStatements {
    pub(super) usual: String,
    /// For transactions in which all statements see the same snapshot.
    pub(super) repeatable: String,
}

impl Connector {
    /// Opens the first connection, which shows whether there is a pooler.
    pub(super) async fn open(options: &Options) -> Result<(Self, BeginStatements, Link), Failure> {
        let settings = settings(options);
        let (connector, mut first) = if options.url.starts_with("postgres") {
            connect_first(Hosts::of(&options.url)?, &settings, options.pooler).await?
        } else {
            let sqlite = sqlite(options)?;
            let path = sqlite.get_filename().to_owned();
            let connector = Self::Sqlite(Box::new(sqlite));
            let first = match connector.connect().await {
                // unlike other errors, this one is not temporary
                Err(Failure::Sqlx(error)) if cannot_open(&error) && path.exists() => {
                    return Err(Failure::NotOpened(path));
                }
                Err(Failure::Sqlx(error)) if cannot_open(&error) => {
                    return Err(Failure::NoFile(path));
                }
                first => first?,
            };
            (connector, first)
        };
        let begin = match connector {
            Self::Postgres { pooled: true, .. } => {
                let mut settings = pooler::settings(&mut first, settings).await?;
                // each transaction names its own
                settings.retain(|(name, _)| *name != ISOLATION);
                BeginStatements {
                    usual: pooler::begin("BEGIN ISOLATION LEVEL READ COMMITTED", &settings),
                    repeatable: pooler::begin("BEGIN ISOLATION LEVEL REPEATABLE READ", &settings),
                }
            }
            Self::Postgres { .. } => BeginStatements {
                usual: "BEGIN".to_owned(),
                repeatable: "BEGIN ISOLATION LEVEL REPEATABLE READ".to_owned(),
            },
            // two transactions that start with a read could not both continue with a write
            Self::Sqlite(_) => BeginStatements {
                usual: "BEGIN IMMEDIATE".to_owned(),
                repeatable: "BEGIN IMMEDIATE".to_owned(),
            },
        };
        Ok((connector, begin, first))
    }

    pub(super) fn backend(&self) -> DbBackend {
        match self {
            Self::Postgres { .. } => DbBackend::Postgres,
            Self::Sqlite(_) => DbBackend::Sqlite,
        }
    }

    /// Whether a pooler can serve each transaction on another server connection.
    pub(super) fn is_pooled(&self) -> bool {
        matches!(self, Self::Postgres { pooled: true, .. })
    }

    /// Connects. Retries while the server is starting or has no free connection.
    pub(super) async fn connect_patiently(&self) -> Result<Link, Failure> {
        loop {
            match self.connect().await {
                Err(Failure::Sqlx(error)) if is_starting(&error) => {
                    tokio::time::sleep(RECONNECT).await;
                }
                other => return other,
            }
        }
    }

    pub(super) async fn connect(&self) -> Result<Link, Failure> {
        match self {
            Self::Postgres { hosts, pooled } => {
                if *pooled {
                    return Ok(Link::postgres(hosts.connect_to_pooler().await?, None));
                }
                let ServerConnection { connection, process } = hosts.connect().await?;
                Ok(Link::postgres(connection, Some(process)))
            }
            Self::Sqlite(options) => {
                let mut connection = SqliteConnection::connect_with(options).await?;
                // without a statement that reads it, the file is not opened yet
                connection.execute("PRAGMA schema_version").await?;
                Ok(Link::sqlite(connection).await?)
            }
        }
    }
}

fn sqlite(options: &Options) -> Result<SqliteConnectOptions, Failure> {
    let sqlite = SqliteConnectOptions::from_str(&options.url)?
        .disable_statement_logging()
        .statement_cache_capacity(MAX_PREPARED)
        // only `migrate` creates files, even if the address has `mode=rwc`
        .create_if_missing(false)
        .busy_timeout(write_lock::PATIENCE)
        .foreign_keys(true)
        .with_regexp();
    Ok(if options.read_only {
        sqlite.read_only(true)
    } else {
        sqlite.journal_mode(SqliteJournalMode::Wal)
    })
}

/// PostgreSQL's setting for the isolation of transactions that do not name it.
const ISOLATION: &str = "default_transaction_isolation";

/// The settings of a connection to PostgreSQL. A role or a database can have other defaults, with which
/// statements would mean something else, or end early.
fn settings(options: &Options) -> Vec<(&'static str, String)> {
    let mut settings = vec![
        ("plan_cache_mode", "force_custom_plan".to_owned()),
        // JIT compilation takes longer than these statements
        ("jit", "off".to_owned()),
        (ISOLATION, "read committed".to_owned()),
        ("lock_timeout", "0".to_owned()),
        ("standard_conforming_strings", "on".to_owned()),
        ("transform_null_equals", "off".to_owned()),
    ];
    if options.row_security_role.is_some() {
        settings.push(("row_security", "on".to_owned()));
    }
    if let Some(schema) = &options.schema {
        let schema = schema.replace('"', "\"\"");
        settings.push(("search_path", format!("\"{schema}\", public")));
    }
    if options.read_only {
        settings.push(("default_transaction_read_only", "on".to_owned()));
    }
    // ends the statement if the service is gone
    let timeout = options.statement_timeout.unwrap_or_default();
    settings.push(("statement_timeout", timeout.as_millis().to_string()));
    settings
}

/// Connects to PostgreSQL with the settings in the startup packet, or detects a pooler that rejects
/// them, or accepts them without passing them on.
async fn connect_first(
    plain: Hosts,
    settings: &[(&'static str, String)],
    pooler: bool,
) -> Result<(Connector, Link), Failure> {
    if !pooler {
        let hosts =
            plain.map(|host| host.options(settings.iter().map(|(name, value)| (*name, value))));
        match hosts.connect().await {
            Ok(ServerConnection { mut connection, process }) => {
                let shown = connection.fetch_one("SHOW plan_cache_mode").await?;
                if shown.try_get::<String, _>(0)? == settings[0].1 {
                    let first = Link::postgres(connection, Some(process));
                    return Ok((Connector::Postgres { hosts, pooled: false }, first));
                }
            }
            Err(Failure::Sqlx(error)) if is_refused_parameter(&error) => {}
            Err(error) => return Err(error),
        }
        tracing::info!(
            "the database is behind a pooler: every statement runs in its own transaction, and \
             statements do not stay prepared"
        );
    }
    let connector = Connector::Postgres { hosts: plain, pooled: true };
    let first = connector.connect().await?;
    Ok((connector, first))
}

/// PgBouncer's message for an unknown startup parameter.
fn is_refused_parameter(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message().contains("unsupported startup parameter"))
}

/// Whether SQLite says that the file cannot be opened.
fn cannot_open(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code: Option<u32> = code.and_then(|code| code.parse().ok());
    // SQLITE_CANTOPEN and SQLITE_READONLY with their extended codes: https://sqlite.org/rescode.html
    code.is_some_and(|code| matches!(code & 0xff, 8 | 14))
}

/// Whether the server will accept connections soon.
fn is_starting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("57P03" | "53300"))
}
