//! The history of the schema: one change a file, each with its way up and down, the same on
//! PostgreSQL and SQLite as far as either can.
//!
//! **Invariants.** A file that has been released is never edited, and neither is what
//! [`table`] makes of it: a change of the schema is a new file. One run is one transaction that
//! holds a lock, so two at once do not disturb each other and a failed run leaves nothing. A
//! neighbour's table that was there before is used as it is, and outlives every `down`.

#![warn(missing_docs)]
#![expect(clippy::disallowed_methods, reason = "a migration runs before there is a scope")]

mod m0001_neighbours;
mod m0002_campaigns;
mod m0003_segments;
mod m0004_lists;
mod m0005_sends;
mod m0006_events;
mod m0007_feed;
mod made;
mod sqlite;
mod table;

use std::time::Duration;

use sea_orm_migration::{
    MigrationStatus, MigrationTrait, MigratorTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{
        ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction,
        DbBackend, DbErr, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    },
};

/// The tables that are this service's own; where one of them is there already and was not made
/// by a migration, nothing is changed.
const OWN_TABLES: [&str; 5] =
    ["campaigns", "campaign_segments", "campaign_lists", "campaign_sends", "campaign_events"];

/// Any number; the same in every process that migrates.
const LOCK: i64 = 0x6361_6d70_6169_676e;

/// Why a migration did not happen. Whatever it was, the database is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Tables of these names are there and were made by somebody else.
    #[error("these tables exist already and were not made by `migrate`: {}", .0.join(", "))]
    TablesExist(Vec<String>),
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
    let db = connect(url, true).await?;
    let transaction = begin(&db).await?;
    let pending = Migrator::get_pending_migrations(&transaction).await?;
    if pending.len() == names().len() {
        refuse_tables_of_others(&transaction).await?;
    }
    Migrator::up(&transaction, None).await?;
    transaction.commit().await?;
    db.close().await?;
    Ok(pending.iter().map(|migration| migration.name().to_owned()).collect())
}

/// Undoes the last migration and returns its name; `None` where none is applied.
///
/// # Errors
/// Those of the database.
pub async fn down(url: &str) -> Result<Option<String>, Error> {
    let db = connect(url, false).await?;
    let transaction = begin(&db).await?;
    let last = Migrator::get_applied_migrations(&transaction).await?.pop();
    Migrator::down(&transaction, Some(1)).await?;
    transaction.commit().await?;
    db.close().await?;
    Ok(last.map(|migration| migration.name().to_owned()))
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

/// A transaction that no other run of a migration enters before this one ends.
async fn begin(db: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let transaction = db
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        })
        .await?;
    if transaction.get_database_backend() == DbBackend::Postgres {
        transaction.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({LOCK})")).await?;
    }
    Ok(transaction)
}

async fn refuse_tables_of_others(transaction: &DatabaseTransaction) -> Result<(), Error> {
    let manager = SchemaManager::new(transaction);
    let mut there = Vec::new();
    for table in OWN_TABLES {
        if manager.has_table(table).await? {
            there.push(table.to_owned());
        }
    }
    if there.is_empty() { Ok(()) } else { Err(Error::TablesExist(there)) }
}
