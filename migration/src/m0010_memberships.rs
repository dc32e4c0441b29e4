//! A membership refers to a user of any organization: a person has one row in `users` and can
//! belong to several organizations. Only a table that this service created is changed; a table from
//! another program already allows this.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager,
    async_trait::async_trait,
    sea_orm::{ConnectionTrait, DbErr, Statement},
};

use crate::{
    made::{self, execute, exists, is_postgres},
    script, steps,
};

pub(crate) struct Memberships;

impl MigrationName for Memberships {
    fn name(&self) -> &'static str {
        "m0010_memberships"
    }
}

/// The reference within the organization, and its name in PostgreSQL.
const WITHIN: (&str, &str) = (
    "memberships_org_id_user_id_fkey",
    "FOREIGN KEY (org_id, user_id) REFERENCES users (org_id, id) ON DELETE CASCADE",
);
/// The reference to any user.
const ACROSS: (&str, &str) =
    ("memberships_user_id_fkey", "FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE");

#[async_trait]
impl MigrationTrait for Memberships {
    fn use_transaction(&self) -> Option<bool> {
        // each step is a transaction if the database has writers that would wait
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        replace(manager, WITHIN, ACROSS, true).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // rows that violate it stay as they are
        replace(manager, ACROSS, WITHIN, false).await
    }
}

async fn replace(
    manager: &SchemaManager<'_>,
    (old_name, old): (&str, &str),
    (new_name, new): (&str, &str),
    holds: bool,
) -> Result<(), DbErr> {
    if !made::by_service(manager, "memberships").await?
        || !made::by_service(manager, "users").await?
    {
        return Ok(());
    }
    if !is_postgres(manager) {
        return make_again(manager, old, new).await;
    }
    let is_done = format!(
        "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass('memberships') AND conname = '{new_name}'"
    );
    let swap = format!(
        "ALTER TABLE memberships DROP CONSTRAINT IF EXISTS {old_name}, \
         DROP CONSTRAINT IF EXISTS {new_name}, ADD CONSTRAINT {new_name} {new} NOT VALID"
    );
    if script::is_recording() || !exists(manager, &is_done).await? {
        steps::locking(manager, &swap).await?;
    }
    if holds {
        let validate = format!("ALTER TABLE memberships VALIDATE CONSTRAINT {new_name}");
        if !script::record(&validate, script::Effect::Reads("memberships")) {
            execute(manager, &validate).await?;
        }
    }
    Ok(())
}

/// Recreates the table with another reference, since SQLite cannot alter one
/// (<https://sqlite.org/lang_altertable.html#otheralter>). Its indexes and triggers are recreated
/// as well.
async fn make_again(manager: &SchemaManager<'_>, old: &str, new: &str) -> Result<(), DbErr> {
    let parts = Statement::from_string(
        manager.get_database_backend(),
        "SELECT type, sql FROM sqlite_master WHERE tbl_name = 'memberships' AND sql IS NOT NULL",
    );
    let mut after = Vec::new();
    for part in manager.get_connection().query_all_raw(parts).await? {
        let (kind, sql): (String, String) = (part.try_get("", "type")?, part.try_get("", "sql")?);
        if kind == "table" {
            let body = sql.find('(').map_or("", |start| &sql[start..]).replace(old, new);
            execute(manager, &format!("CREATE TABLE memberships_again {body}")).await?;
        } else {
            after.push(sql);
        }
    }
    for sql in [
        "INSERT INTO memberships_again SELECT * FROM memberships",
        "DROP TABLE memberships",
        "ALTER TABLE memberships_again RENAME TO memberships",
    ] {
        execute(manager, sql).await?;
    }
    for sql in after {
        execute(manager, &sql).await?;
    }
    Ok(())
}
