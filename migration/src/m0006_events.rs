//! Engagement events: what happened to a send.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    column::{Enum, Kind, OnDelete, column, reference, text, time},
    table::{self, Key, Lookup, Table},
};

pub(crate) struct Events;

impl MigrationName for Events {
    fn name(&self) -> &'static str {
        "m0006_events"
    }
}

const EVENT_TYPE: Enum = Enum {
    name: "campaign_event_type",
    values: &["open", "click", "unsubscribe", "complaint", "bounce"],
};

#[async_trait]
impl MigrationTrait for Events {
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
        name: "campaign_events",
        columns: vec![
            reference("send_id", "campaign_sends", OnDelete::Cascade).not_null(),
            column("event_type", Kind::Enum(&EVENT_TYPE)).not_null(),
            text("url"),
            time("occurred_at").not_null().default_now(),
        ],
        unique: &[],
        indexes: vec![
            (
                "send",
                vec![
                    Key::Plain("send_id"),
                    Key::Plain("org_id"),
                    Key::Plain("event_type"),
                    Key::Plain("occurred_at"),
                ],
            ),
            ("occurred", vec![Key::Plain("org_id"), Key::Plain("occurred_at"), Key::Plain("id")]),
        ],
    }
}
