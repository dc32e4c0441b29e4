//! An index of the campaigns that a worker looks for every second: those that are scheduled, by their
//! time, and those that are being sent. All others, which are most, are not in it.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    made::{execute, is_postgres},
    steps,
};

pub(crate) struct Due;

impl MigrationName for Due {
    fn name(&self) -> &'static str {
        "m0009_due"
    }
}

const INDEX: &str = "campaigns_due";

/// What is made beside the table, in PostgreSQL.
pub(crate) const RELATIONS: [&str; 1] = [INDEX];

const KEYS: &str = "status, scheduled_at, id";
const CONDITION: &str = "status IN ('scheduled', 'sending')";

#[async_trait]
impl MigrationTrait for Due {
    fn use_transaction(&self) -> Option<bool> {
        // PostgreSQL makes an index beside writers in none
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if is_postgres(manager) {
            return steps::index_where(manager, INDEX, "campaigns", KEYS, CONDITION).await;
        }
        let sql = format!("CREATE INDEX {INDEX} ON campaigns ({KEYS}) WHERE {CONDITION}");
        execute(manager, &sql).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let drop = format!("DROP INDEX {INDEX}");
        if is_postgres(manager) {
            steps::locking(manager, &drop).await
        } else {
            execute(manager, &drop).await
        }
    }
}
