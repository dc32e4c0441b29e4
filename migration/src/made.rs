//! The objects that migrations created, remembered in `service_tables`, so that `down` drops no
//! table that existed before, and a reference is composite only between tables that the service
//! created.

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement},
};

use crate::script;

/// Creates the table `service_tables`.
pub(crate) async fn begin(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    execute(manager, "CREATE TABLE service_tables (name text NOT NULL PRIMARY KEY)").await
}

/// Drops the table `service_tables`.
pub(crate) async fn end(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    execute(manager, "DROP TABLE service_tables").await
}

/// Remembers that a migration created this table, type or function.
pub(crate) async fn remember(manager: &SchemaManager<'_>, name: &str) -> Result<(), DbErr> {
    script::remember(name);
    execute(manager, &format!("INSERT INTO service_tables (name) VALUES ('{name}')")).await
}

/// Forgets it again.
pub(crate) async fn forget(manager: &SchemaManager<'_>, name: &str) -> Result<(), DbErr> {
    execute(manager, &format!("DELETE FROM service_tables WHERE name = '{name}'")).await
}

/// Whether a migration created this table, type or function.
pub(crate) async fn by_service(manager: &SchemaManager<'_>, name: &str) -> Result<bool, DbErr> {
    if let Some(is_made) = script::would_be_made(name) {
        return Ok(is_made);
    }
    exists(manager, &format!("SELECT 1 FROM service_tables WHERE name = '{name}'")).await
}

/// Runs a statement, or records it if the run is only planned.
pub(crate) async fn execute(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    if script::record(sql, script::Effect::Own) {
        return Ok(());
    }
    manager.get_connection().execute_unprepared(sql).await.map(|_| ())
}

/// Whether a query has a row.
pub(crate) async fn exists(manager: &SchemaManager<'_>, sql: &str) -> Result<bool, DbErr> {
    let statement = Statement::from_string(manager.get_database_backend(), sql);
    Ok(manager.get_connection().query_one_raw(statement).await?.is_some())
}

/// Whether the database is PostgreSQL.
pub(crate) fn is_postgres(manager: &SchemaManager<'_>) -> bool {
    manager.get_database_backend() == DbBackend::Postgres
}
