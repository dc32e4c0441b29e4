//! Sends: one message of a campaign to one contact.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    column::{Enum, Kind, OnDelete, column, reference, text, time},
    table::{self, Key, Lookup, Table},
};

pub(crate) struct Sends;

impl MigrationName for Sends {
    fn name(&self) -> &'static str {
        "m0005_sends"
    }
}

const SEND_STATUS: Enum =
    Enum { name: "send_status", values: &["queued", "sent", "delivered", "bounced", "failed"] };

#[async_trait]
impl MigrationTrait for Sends {
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
        name: "campaign_sends",
        columns: vec![
            reference("campaign_id", "campaigns", OnDelete::Cascade).not_null(),
            reference("contact_id", "contacts", OnDelete::Cascade).not_null(),
            column("status", Kind::Enum(&SEND_STATUS)).not_null().default("'queued'"),
            time("sent_at"),
            time("delivered_at"),
            text("error"),
        ],
        unique: &[],
        // both columns for equality, then the order: one range, whichever of the two a query names;
        // a cascade needs only the first
        indexes: vec![
            ("campaign", vec![Key::Plain("campaign_id"), Key::Plain("org_id"), Key::Plain("id")]),
            (
                "campaign_status",
                vec![
                    Key::Plain("campaign_id"),
                    Key::Plain("org_id"),
                    Key::Plain("status"),
                    Key::Plain("id"),
                ],
            ),
            (
                "campaign_sent",
                vec![
                    Key::Plain("campaign_id"),
                    Key::Plain("org_id"),
                    Key::LatestFirst("sent_at"),
                    Key::Plain("id"),
                ],
            ),
            ("contact", vec![Key::Plain("contact_id"), Key::Plain("org_id"), Key::Plain("id")]),
            ("created", vec![Key::Plain("org_id"), Key::Plain("created_at"), Key::Plain("id")]),
            ("sent", vec![Key::Plain("org_id"), Key::LatestFirst("sent_at"), Key::Plain("id")]),
        ],
    }
}
