//! Recipient lists: the contacts that a campaign is for, and the segments that they came from.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    column::{OnDelete, reference},
    table::{self, Key, Lookup, Table},
};

pub(crate) struct Lists;

impl MigrationName for Lists {
    fn name(&self) -> &'static str {
        "m0004_lists"
    }
}

#[async_trait]
impl MigrationTrait for Lists {
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
        name: "campaign_lists",
        columns: vec![
            reference("campaign_id", "campaigns", OnDelete::Cascade).not_null(),
            reference("segment_id", "campaign_segments", OnDelete::SetNull),
            reference("contact_id", "contacts", OnDelete::Cascade).not_null(),
        ],
        unique: &[&["campaign_id", "contact_id"]],
        indexes: vec![
            ("campaign", vec![Key::Plain("campaign_id"), Key::Plain("org_id"), Key::Plain("id")]),
            (
                "segment",
                vec![Key::Plain("segment_id"), Key::Plain("org_id"), Key::Plain("campaign_id")],
            ),
            ("contact", vec![Key::Plain("contact_id"), Key::Plain("org_id")]),
        ],
    }
}
