//! Segments: named rules that select contacts.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    column::{Kind, column, text},
    table::{self, Key, Lookup, Table},
};

pub(crate) struct Segments;

impl MigrationName for Segments {
    fn name(&self) -> &'static str {
        "m0003_segments"
    }
}

#[async_trait]
impl MigrationTrait for Segments {
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
        name: "campaign_segments",
        columns: vec![
            text("name").not_null(),
            text("description"),
            column("filter_rules", Kind::Json).not_null().default("'{}'"),
            column("contact_count", Kind::Integer).default("0"),
        ],
        unique: &[],
        indexes: vec![(
            "size",
            vec![Key::Plain("org_id"), Key::Plain("contact_count"), Key::Plain("id")],
        )],
    }
}
