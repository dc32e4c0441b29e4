//! Campaigns and their statuses.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    column::{Enum, Kind, OnDelete, column, reference, text, time},
    table::{self, Key, Lookup, Table},
};

pub(crate) struct Campaigns;

impl MigrationName for Campaigns {
    fn name(&self) -> &'static str {
        "m0002_campaigns"
    }
}

const CAMPAIGN_STATUS: Enum = Enum {
    name: "campaign_status",
    values: &["draft", "scheduled", "sending", "sent", "paused", "canceled"],
};

#[async_trait]
impl MigrationTrait for Campaigns {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::make_or_leave(manager, table(), Lookup::Schema).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        table::drop_or_leave(manager, table()).await
    }
}

/// The table, as documented.
pub(crate) fn table() -> Table {
    Table {
        name: "campaigns",
        columns: vec![
            reference("creator_id", "users", OnDelete::SetNull),
            text("name").not_null(),
            text("subject"),
            text("body"),
            text("channel").not_null().default("'email'"),
            column("status", Kind::Enum(&CAMPAIGN_STATUS)).not_null().default("'draft'"),
            time("scheduled_at"),
            time("sent_at"),
        ],
        unique: &[],
        indexes: vec![
            ("creator", vec![Key::Plain("creator_id"), Key::Plain("org_id")]),
            ("created", vec![Key::Plain("org_id"), Key::Plain("created_at"), Key::Plain("id")]),
            ("sent", vec![Key::Plain("org_id"), Key::LatestFirst("sent_at"), Key::Plain("id")]),
        ],
    }
}
