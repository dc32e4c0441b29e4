//! The history of the schema: one change a file, each with its way up and down, the same on
//! PostgreSQL and SQLite as far as either can.
//!
//! **Invariants.** A file that has been released is never edited, and neither is what
//! [`table`] makes of it: a change of the schema is a new file. A run holds a lock, so two at once
//! do not disturb each other. In SQLite it is one transaction. In PostgreSQL each migration is one,
//! or consists of steps that can be repeated ([`steps`]): a run that fails leaves what it has
//! finished, and the next goes on from there. A neighbour's table that was there before is used as
//! it is, and outlives every `down`.

#![warn(missing_docs)]
#![expect(clippy::disallowed_methods, reason = "a migration runs before there is a scope")]

mod m0001_neighbours;
mod m0002_campaigns;
mod m0003_segments;
mod m0004_lists;
mod m0005_sends;
mod m0006_events;
mod m0007_feed;
mod m0008_counts;
mod m0009_due;
mod m0010_memberships;
mod made;
mod policies;
mod progress;
mod sqlite;
mod steps;
mod table;

use std::{sync::Arc, time::Duration};

pub use policies::write_policies;
pub use progress::Progress;

use sea_orm_migration::{
    IntoSchemaManagerConnection, MigrationStatus, MigrationTrait, MigratorTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{
        ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
        DbBackend, DbErr, SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
    },
};

/// The tables that are this service's own; where one of them is there already and was not made
/// by a migration, nothing is changed.
const OWN_TABLES: [&str; 5] =
    ["campaigns", "campaign_segments", "campaign_lists", "campaign_sends", "campaign_events"];

/// Any number; the same in every process that migrates.
const LOCK: i64 = 0x6361_6d70_6169_676e;

/// Why a migration did not happen, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Tables of these names are there and were made by somebody else.
    #[error("these tables exist already and were not made by `migrate`: {}", .0.join(", "))]
    TablesExist(Vec<String>),
    /// The database has no row security.
    #[error("row security is a feature of PostgreSQL; SQLite has none")]
    NoRowSecurity,
    /// The database said no.
    #[error(transparent)]
    Database(#[from] DbErr),
}

struct Migrator;

#[async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_neighbours::Neighbours),
            Box::new(m0002_campaigns::Campaigns),
            Box::new(m0003_segments::Segments),
            Box::new(m0004_lists::Lists),
            Box::new(m0005_sends::Sends),
            Box::new(m0006_events::Events),
            Box::new(m0007_feed::Feed),
            Box::new(m0008_counts::Counts),
            Box::new(m0009_due::Due),
            Box::new(m0010_memberships::Memberships),
        ]
    }
}

/// The names of all migrations, in their order.
#[must_use]
pub fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// Brings the database at `url` up to date and returns the names of what was applied. Makes a
/// missing SQLite file.
///
/// # Errors
/// [`Error::TablesExist`] where somebody else made one of the five tables.
pub async fn up(url: &str) -> Result<Vec<String>, Error> {
    let run = Run::begin(url, true).await?;
    let pending = match &run.lock {
        Lock::All(transaction) => up_on(transaction).await,
        Lock::Aside(..) => up_on(&run.db).await,
    };
    let pending = run.end(pending).await?;
    Ok(pending.iter().map(|migration| migration.name().to_owned()).collect())
}

/// [`up`], which tells `listener` how far it has come.
///
/// # Errors
/// Those of [`up`].
pub async fn up_telling(
    url: &str,
    listener: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Vec<String>, Error> {
    progress::LISTENER.scope(Arc::new(listener), up(url)).await
}

async fn up_on<'c, C>(connection: &'c C) -> Result<Vec<sea_orm_migration::Migration>, Error>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let mut pending = Migrator::get_migration_with_status_read_only(connection).await?;
    pending.retain(|migration| migration.status() == MigrationStatus::Pending);
    if pending.len() == names().len() {
        refuse_tables_of_others(connection).await?;
    }
    Migrator::up(connection, None).await?;
    Ok(pending)
}

/// Undoes the last migration and returns its name; `None` where none is applied.
///
/// # Errors
/// Those of the database.
pub async fn down(url: &str) -> Result<Option<String>, Error> {
    let run = Run::begin(url, false).await?;
    let last = match &run.lock {
        Lock::All(transaction) => down_on(transaction).await,
        Lock::Aside(..) => down_on(&run.db).await,
    };
    let last = run.end(last).await?;
    Ok(last.map(|migration| migration.name().to_owned()))
}

async fn down_on<'c, C>(connection: &'c C) -> Result<Option<sea_orm_migration::Migration>, Error>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let last = Migrator::get_applied_migrations(connection).await?.pop();
    Migrator::down(connection, Some(1)).await?;
    Ok(last)
}

/// Each migration's name and whether it is applied. Writes nothing.
///
/// # Errors
/// Those of the database.
pub async fn status(url: &str) -> Result<Vec<(String, bool)>, Error> {
    let db = connect(url, false).await?;
    let migrations = Migrator::get_migration_with_status_read_only(&db).await?;
    db.close().await?;
    Ok(migrations
        .iter()
        .map(|migration| {
            (migration.name().to_owned(), migration.status() == MigrationStatus::Applied)
        })
        .collect())
}

async fn connect(url: &str, create: bool) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(1).acquire_timeout(Duration::from_secs(10));
    options.map_sqlx_sqlite_opts(move |sqlite| {
        sqlite.create_if_missing(create).busy_timeout(Duration::from_mins(1))
    });
    Database::connect(options).await
}

/// A run, which no other one disturbs.
struct Run {
    db: DatabaseConnection,
    lock: Lock,
}

/// What keeps other runs out.
enum Lock {
    /// The transaction that the whole run is.
    All(DatabaseTransaction),
    /// One beside the run, on a connection of its own.
    Aside(DatabaseConnection, DatabaseTransaction),
}

impl Run {
    async fn begin(url: &str, create: bool) -> Result<Self, Error> {
        let db = connect(url, create).await?;
        let lock = if db.get_database_backend() == DbBackend::Postgres {
            let aside = connect(url, false).await?;
            let transaction = aside.begin().await?;
            let never = "SET LOCAL idle_in_transaction_session_timeout = 0";
            transaction.execute_unprepared(never).await?;
            wait_for_others(&transaction).await?;
            Lock::Aside(aside, transaction)
        } else {
            let options = TransactionOptions {
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            };
            Lock::All(db.begin_with_options(options).await?)
        };
        Ok(Self { db, lock })
    }

    /// Ends the run, and keeps what it did unless it failed as a whole.
    async fn end<T>(self, done: Result<T, Error>) -> Result<T, Error> {
        match self.lock {
            Lock::All(transaction) if done.is_ok() => transaction.commit().await?,
            Lock::All(transaction) => transaction.rollback().await?,
            Lock::Aside(aside, transaction) => {
                transaction.rollback().await?;
                aside.close().await?;
            }
        }
        self.db.close().await?;
        done
    }
}

/// Waits for the lock. Asks again and again: an index is not made while a statement runs, and one
/// that waited here would be such a statement.
async fn wait_for_others(transaction: &DatabaseTransaction) -> Result<(), DbErr> {
    loop {
        let statement = Statement::from_string(
            DbBackend::Postgres,
            format!("SELECT pg_try_advisory_xact_lock({LOCK}) AS taken"),
        );
        let row = transaction.query_one_raw(statement).await?;
        if row.map_or(Ok(false), |row| row.try_get("", "taken"))? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn refuse_tables_of_others<'c, C>(connection: &'c C) -> Result<(), Error>
where
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let manager = SchemaManager::new(connection);
    let mut there = Vec::new();
    for table in OWN_TABLES {
        if manager.has_table(table).await? {
            there.push(table.to_owned());
        }
    }
    if there.is_empty() { Ok(()) } else { Err(Error::TablesExist(there)) }
}
