//! The history of the schema: one change in each file, up and down, as similar on PostgreSQL and SQLite
//! as possible.
//!
//! **Invariants.** A released file is never edited, and neither is the result of [`table`] for it:
//! a change of the schema is a new file. A run holds a lock, so two runs at once do not disturb
//! each other. In SQLite, a run is one transaction. In PostgreSQL, each migration is one
//! transaction, or consists of steps that can be repeated ([`steps`]): a run that fails leaves what
//! it has finished, and the next one continues from there. A table that existed before is used as
//! it is, and outlives every `down` as it was found ([`adopt`]).

#![warn(missing_docs)]
#![expect(clippy::disallowed_methods, reason = "a migration runs before there is a scope")]

mod adopt;
mod column;
mod counts;
mod error;
mod m0001_neighbours;
mod m0002_campaigns;
mod m0003_segments;
mod m0004_lists;
mod m0005_sends;
mod m0006_events;
mod m0006b_adopted;
mod m0007_feed;
mod m0008_counts;
mod m0009_delivery;
mod m0010_memberships;
mod m0011_times;
mod m0012_horizons;
mod m0013_event_ids;
mod m0014_upkeep;
mod m0016_webhooks;
mod made;
mod policies;
mod progress;
mod run;
mod script;
mod sqlite;
mod steps;
mod table;
mod target;

use std::sync::Arc;

pub use adopt::check::Difference;
pub use error::Error;
pub use policies::write_policies;
pub use progress::Progress;
pub use script::Planned;
pub use target::Target;

use sea_orm_migration::{
    IntoSchemaManagerConnection, MigrationStatus, MigrationTrait, MigratorTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbErr, Statement},
};

use run::{Lock, Run};
use table::Lookup;

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
            Box::new(m0006b_adopted::Adopted),
            Box::new(m0007_feed::Feed),
            Box::new(m0008_counts::Counts),
            Box::new(m0009_delivery::Delivery),
            Box::new(m0010_memberships::Memberships),
            Box::new(m0011_times::Times),
            Box::new(m0012_horizons::Horizons),
            Box::new(m0013_event_ids::EventIds),
            Box::new(m0014_upkeep::Upkeep),
            Box::new(counts::Added(counts::MACHINES)),
            Box::new(m0016_webhooks::Webhooks),
        ]
    }
}

/// The names of all migrations, in their order.
#[must_use]
pub fn names() -> Vec<String> {
    Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
}

/// Brings a database up to date and returns the names of the applied migrations. Creates a missing
/// SQLite file. In PostgreSQL, adopts tables from another program.
///
/// # Errors
/// [`Error::Differ`] if such a table differs in a way that matters, [`Error::TablesExist`] in
/// SQLite.
pub async fn up(target: impl Into<Target>) -> Result<Vec<String>, Error> {
    let run = Run::begin(&target.into(), true).await?;
    let pending = match &run.lock {
        Lock::All(transaction) => up_on(transaction).await,
        Lock::Separate(..) => up_on(&run.db).await,
    };
    let pending = run.end(pending).await?;
    Ok(pending.iter().map(|migration| migration.name().to_owned()).collect())
}

/// Like [`up`], and reports the progress to `listener`.
///
/// # Errors
/// The errors of [`up`].
pub async fn up_telling(
    target: impl Into<Target>,
    listener: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Vec<String>, Error> {
    progress::LISTENER.scope(Arc::new(listener), up(target)).await
}

async fn up_on<'c, C>(connection: &'c C) -> Result<Vec<sea_orm_migration::Migration>, Error>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let pending = pending(connection).await?;
    if pending.len() == names().len() {
        check(connection).await?;
    }
    // each of the first migrations is a transaction that gives up instead of waiting for locks
    let mut patience = steps::Patience::default();
    while let Err(error) = Migrator::up(connection, None).await {
        patience.after(error).await?;
    }
    Ok(pending)
}

async fn pending<'c, C>(connection: &'c C) -> Result<Vec<sea_orm_migration::Migration>, DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let mut pending = Migrator::get_migration_with_status_read_only(connection).await?;
    pending.retain(|migration| migration.status() == MigrationStatus::Pending);
    Ok(pending)
}

/// What [`up`] would do, and what each statement locks. Changes nothing.
///
/// # Errors
/// The errors of [`up`].
pub async fn plan(target: impl Into<Target>) -> Result<Vec<Planned>, Error> {
    let db = target.into().connect_to_read().await?;
    let pending = pending(&db).await?;
    let is_first = pending.len() == names().len();
    if is_first {
        check(&db).await?;
    }
    let planned = script::recorded(is_first, async {
        let manager = SchemaManager::new(&db);
        for migration in Migrator::migrations() {
            if pending.iter().any(|pending| pending.name() == migration.name()) {
                script::begin(migration.name());
                migration.up(&manager).await?;
            }
        }
        Ok::<_, DbErr>(())
    });
    let mut planned = planned.await?;
    for (table, size) in adopt::sizes(&SchemaManager::new(&db)).await? {
        for statement in &mut planned {
            let (all, sized) = (format!("all of {table}"), format!("all of {table} ({size})"));
            statement.locks = statement.locks.replace(&all, &sized);
        }
    }
    db.close().await?;
    Ok(planned)
}

/// The tables of another program that [`up`] would adopt. Empty if it has already started to, or if
/// there are none.
///
/// # Errors
/// Any error of the database.
pub async fn to_adopt(target: impl Into<Target>) -> Result<Vec<String>, Error> {
    let target = target.into();
    if !target.is_postgres() {
        return Ok(Vec::new());
    }
    let db = target.connect_to_read().await?;
    let mut names_of_tables = Vec::new();
    if pending(&db).await?.len() == names().len() {
        names_of_tables = existing(&db).await?;
    }
    db.close().await?;
    Ok(names_of_tables)
}

/// Undoes the last migration and returns its name, or `None` if none is applied.
///
/// # Errors
/// Any error of the database.
pub async fn down(target: impl Into<Target>) -> Result<Option<String>, Error> {
    let run = Run::begin(&target.into(), false).await?;
    let last = match &run.lock {
        Lock::All(transaction) => down_on(transaction).await,
        Lock::Separate(..) => down_on(&run.db).await,
    };
    let last = run.end(last).await?;
    Ok(last.map(|migration| migration.name().to_owned()))
}

async fn down_on<'c, C>(connection: &'c C) -> Result<Option<sea_orm_migration::Migration>, Error>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let mut applied = Migrator::get_migration_with_status_read_only(connection).await?;
    applied.retain(|migration| migration.status() == MigrationStatus::Applied);
    let manager = SchemaManager::new(connection);
    let Some(last) = applied.pop() else {
        // a run that was interrupted before its first migration leaves the table of migrations
        if manager.has_table("seaql_migrations").await? && has_no_rows(connection).await? {
            Migrator::uninstall(connection).await?;
        }
        return Ok(None);
    };
    if made::is_postgres(&manager) {
        policies::take_back(&manager).await?;
        undo_interrupted(&manager, &last).await?;
    }
    Migrator::down(connection, Some(1)).await?;
    if applied.is_empty() {
        // the database is as it was found
        Migrator::uninstall(connection).await?;
    }
    Ok(Some(last))
}

/// Whether the table of migrations is empty. That of another program is not.
async fn has_no_rows(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let backend = connection.get_database_backend();
    let first = Statement::from_string(backend, "SELECT version FROM seaql_migrations LIMIT 1");
    Ok(connection.query_one_raw(first).await?.is_none())
}

/// Undoes the migration after the last applied one, which an interrupted run may have applied in part. A
/// migration that is one transaction is never applied in part.
async fn undo_interrupted(
    manager: &SchemaManager<'_>,
    last: &sea_orm_migration::Migration,
) -> Result<(), DbErr> {
    let migrations = Migrator::migrations();
    let mut after = migrations.iter().skip_while(|migration| migration.name() != last.name());
    match after.nth(1) {
        Some(next) if next.use_transaction() == Some(false) => next.down(manager).await,
        _ => Ok(()),
    }
}

/// The name of each migration and whether it is applied. Writes nothing.
///
/// # Errors
/// Any error of the database.
pub async fn status(target: impl Into<Target>) -> Result<Vec<(String, bool)>, Error> {
    let db = target.into().connect(false).await?;
    let migrations = Migrator::get_migration_with_status_read_only(&db).await?;
    db.close().await?;
    Ok(migrations
        .iter()
        .map(|migration| {
            (migration.name().to_owned(), migration.status() == MigrationStatus::Applied)
        })
        .collect())
}

/// Creates the triggers of an up-to-date database that are missing, and lets each fire when it has to,
/// while others write.
///
/// # Errors
/// Any error of the database.
pub async fn restore_triggers(target: impl Into<Target>) -> Result<(), Error> {
    let run = Run::begin(&target.into(), false).await?;
    let restored = match &run.lock {
        Lock::All(transaction) => restore_on(transaction).await,
        Lock::Separate(..) => restore_on(&run.db).await,
    };
    run.end(restored.map_err(Error::from)).await
}

async fn restore_on<'c, C>(connection: &'c C) -> Result<(), DbErr>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let manager = SchemaManager::new(connection);
    // first those that have been replaced since
    counts::restore_triggers(&manager).await?;
    m0014_upkeep::restore_triggers(&manager).await
}

/// Removes positions in the feed that several events of an organization have from all of these events but
/// one, and returns how many events it changed. They are filed again like other waiting events. Only a writer that sets positions itself causes this, while triggers are off.
///
/// # Errors
/// Any error of the database.
pub async fn restore_places(target: impl Into<Target>) -> Result<u64, Error> {
    let target = target.into();
    if !target.is_postgres() {
        return Ok(0);
    }
    let run = Run::begin(&target, false).await?;
    let taken = m0014_upkeep::restore_places(&SchemaManager::new(&run.db)).await;
    run.end(taken.map_err(Error::from)).await
}

/// Rejects tables from another program that cannot be used as they are.
async fn check<'c, C>(connection: &'c C) -> Result<(), Error>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let manager = SchemaManager::new(connection);
    if made::is_postgres(&manager) {
        let differences = adopt::check::differences(&manager).await?;
        return if differences.is_empty() { Ok(()) } else { Err(Error::Differ(differences)) };
    }
    let there = existing(connection).await?;
    if there.is_empty() { Ok(()) } else { Err(Error::TablesExist(there)) }
}

/// The service's tables that exist.
async fn existing<'c, C>(connection: &'c C) -> Result<Vec<String>, DbErr>
where
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let manager = SchemaManager::new(connection);
    let mut there = Vec::new();
    for table in adopt::tables() {
        if table::is_there(&manager, table.name, Lookup::Schema).await? {
            there.push(table.name.to_owned());
        }
    }
    Ok(there)
}
