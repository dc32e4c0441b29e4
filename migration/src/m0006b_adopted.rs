//! The service's indexes for adopted tables ([`crate::adopt`]), and the triggers that keep their
//! `updated_at` unchanged when the service fills its own columns.
//!
//! If an index with the same keys exists under any name, it is not created again.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    adopt, made,
    made::{exists, is_postgres},
    steps,
    table::Table,
};

pub(crate) struct Adopted;

impl MigrationName for Adopted {
    fn name(&self) -> &'static str {
        "m0006b_adopted"
    }
}

#[async_trait]
impl MigrationTrait for Adopted {
    fn use_transaction(&self) -> Option<bool> {
        // PostgreSQL cannot create an index concurrently in a transaction
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let adopted = adopt::adopted(manager).await?;
        if !adopted.is_empty() {
            let private =
                adopt::private(manager, &["service_tables", "seaql_migrations"], &[]).await?;
            steps::making(manager, &private).await?;
        }
        for table in adopted {
            for (suffix, keys) in indexes(&table) {
                add(manager, table.name, &suffix, &keys).await?;
            }
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            return Ok(());
        }
        for table in adopt::tables() {
            for (suffix, _) in indexes(&table) {
                for name in names(table.name, &suffix) {
                    if made::by_service(manager, &name).await? {
                        steps::locking(manager, &format!("DROP INDEX IF EXISTS {name}")).await?;
                        made::forget(manager, &name).await?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The suffix and keys of each index, including the unique key of organization and ID.
fn indexes(table: &Table) -> Vec<(String, String)> {
    let keys = table.indexes.iter().map(|(suffix, keys)| {
        let keys: Vec<String> = keys.iter().map(|key| key.sql(true)).collect();
        ((*suffix).to_owned(), keys.join(", "))
    });
    keys.chain([("org_id_id_key".to_owned(), "org_id, id".to_owned())]).collect()
}

/// The name of an index, and the one used if another program already has the first.
pub(crate) fn names(table: &str, suffix: &str) -> [String; 2] {
    [format!("{table}_{suffix}"), format!("{table}_{suffix}_of_service")]
}

pub(crate) async fn add(
    manager: &SchemaManager<'_>,
    table: &str,
    suffix: &str,
    keys: &str,
) -> Result<(), DbErr> {
    let mut free = None;
    for name in names(table, suffix) {
        if made::by_service(manager, &name).await? {
            // left by an interrupted run
            return steps::index(manager, &name, table, keys).await;
        }
        let is_taken = format!("SELECT 1 WHERE to_regclass('{name}') IS NOT NULL");
        if free.is_none() && !exists(manager, &is_taken).await? {
            free = Some(name);
        }
    }
    let is_there = format!(
        "SELECT 1 FROM pg_index WHERE indrelid = to_regclass('{table}') AND indisvalid AND indpred IS NULL \
         AND pg_get_indexdef(indexrelid) LIKE '% USING btree ({keys})'"
    );
    let Some(name) = free else {
        return Err(DbErr::Custom(format!("{table} has indexes with names that the service uses")));
    };
    if exists(manager, &is_there).await? {
        return Ok(());
    }
    made::remember(manager, &name).await?;
    steps::index(manager, &name, table, keys).await
}
