//! Indexes for delivery. Every second, a worker looks for campaigns that are scheduled, by their
//! time, and for those that are being sent. All other campaigns, which are most of them, are not in
//! that index. Queueing sends looks up, for one contact after the other, whether it already has a
//! send of the campaign. A join would depend on what PostgreSQL assumes about a list that was
//! filled a moment ago.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    made::{execute, is_postgres},
    steps,
};

pub(crate) struct Delivery;

impl MigrationName for Delivery {
    fn name(&self) -> &'static str {
        "m0009_delivery"
    }
}

const DUE: &str = "campaigns_due";
const DUE_KEYS: &str = "status, scheduled_at, id";
const IS_DUE: &str = "status IN ('scheduled', 'sending')";
const RECEIVED: &str = "campaign_sends_campaign_contact";
const RECEIVED_KEYS: &str = "campaign_id, contact_id, org_id";

/// The other relations that are created in PostgreSQL.
pub(crate) const RELATIONS: [&str; 2] = [DUE, RECEIVED];

#[async_trait]
impl MigrationTrait for Delivery {
    fn use_transaction(&self) -> Option<bool> {
        // PostgreSQL cannot create an index concurrently in a transaction
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if is_postgres(manager) {
            steps::index_where(manager, DUE, "campaigns", DUE_KEYS, IS_DUE).await?;
            return steps::index(manager, RECEIVED, "campaign_sends", RECEIVED_KEYS).await;
        }
        for sql in [
            format!("CREATE INDEX {DUE} ON campaigns ({DUE_KEYS}) WHERE {IS_DUE}"),
            format!("CREATE INDEX {RECEIVED} ON campaign_sends ({RECEIVED_KEYS})"),
        ] {
            execute(manager, &sql).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for index in [RECEIVED, DUE] {
            let drop = format!("DROP INDEX IF EXISTS {index}");
            if is_postgres(manager) {
                steps::locking(manager, &drop).await?;
            } else {
                execute(manager, &drop).await?;
            }
        }
        Ok(())
    }
}
