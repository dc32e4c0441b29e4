//! The IDs of events are an organization's own: an ID that another organization uses already is as
//! good as any.
//!
//! `id` is the key of the table, which all organizations share. Where another row has the ID that a
//! client chose, the event is stored under a random key instead, and `chosen_id` keeps what was
//! chosen. The service shows, finds and deletes an event by its *shown* ID: `chosen_id`, or `id`
//! where that is null, as it is for nearly all events and for all that SQL writes.
//!
//! **Invariant.** Within an organization, no two events have the same shown ID. So a report that is
//! repeated is a duplicate, whatever other organizations have recorded or deleted in the meantime.
//!
//! The key is not derived from the organization and the ID: another organization could record the
//! derived key first, and the event would have no place.
//!
//! **PostgreSQL.** A unique index over the shown ID and the organization holds the invariant, for
//! any writer and for two calls at the same moment. It takes the place of the unique key of
//! organization and ID, which nothing here uses, so writing an event takes no longer than before. That
//! key stays if another program made it, refers to it, or replicates by it.
//!
//! **`SQLite`.** A partial index over `chosen_id`, and two triggers, hold it. There is one writer at a
//! time, so a statement can look first.
//!
//! On the way down, chosen IDs are lost: these events keep their keys.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    adopt, m0006b_adopted,
    made::{self, execute, exists, is_postgres},
    steps,
};

pub(crate) struct EventIds;

impl MigrationName for EventIds {
    fn name(&self) -> &'static str {
        "m0013_event_ids"
    }
}

const EVENTS: &str = "campaign_events";
const INDEX: &str = "campaign_events_shown_id";
const KEYS: &str = "coalesce(chosen_id, id), org_id";
/// The unique key of organization and ID, and the suffix of its name.
const KEY: &str = "campaign_events_org_id_id_key";
const KEY_SUFFIX: &str = "org_id_id_key";

const UP_SQLITE: &str = include_str!("m0013_event_ids/up_sqlite.sql");
const DOWN_SQLITE: &str = include_str!("m0013_event_ids/down_sqlite.sql");

/// The column that is added.
pub(crate) const COLUMNS: [(&str, &str); 1] = [(EVENTS, "chosen_id")];

/// The indexes of PostgreSQL.
pub(crate) const RELATIONS: [&str; 1] = [INDEX];

#[async_trait]
impl MigrationTrait for EventIds {
    fn use_transaction(&self) -> Option<bool> {
        // PostgreSQL cannot create an index concurrently in a transaction
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            return execute(manager, UP_SQLITE).await;
        }
        let add = format!("ALTER TABLE {EVENTS} ADD COLUMN IF NOT EXISTS chosen_id uuid");
        steps::locking(manager, &add).await?;
        steps::unique_index(manager, INDEX, EVENTS, KEYS).await?;
        if is_needed(manager).await? {
            return Ok(());
        }
        if adopt::is_adopted(manager, EVENTS).await? {
            return remove(manager).await;
        }
        let drop = format!("ALTER TABLE {EVENTS} DROP CONSTRAINT IF EXISTS {KEY}");
        steps::locking(manager, &drop).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            return execute(manager, DOWN_SQLITE).await;
        }
        let keys = "org_id, id";
        if adopt::is_adopted(manager, EVENTS).await? {
            m0006b_adopted::add(manager, EVENTS, KEY_SUFFIX, keys).await?;
        } else {
            let is_there = format!(
                "SELECT 1 FROM pg_constraint WHERE conrelid = to_regclass('{EVENTS}') AND conname = '{KEY}'"
            );
            if !exists(manager, &is_there).await? {
                steps::unique_index(manager, KEY, EVENTS, keys).await?;
                let add =
                    format!("ALTER TABLE {EVENTS} ADD CONSTRAINT {KEY} UNIQUE USING INDEX {KEY}");
                steps::locking(manager, &add).await?;
            }
        }
        // the index is dropped with the column
        let drop = format!("ALTER TABLE {EVENTS} DROP COLUMN IF EXISTS chosen_id");
        steps::locking(manager, &drop).await
    }
}

/// Drops the unique key of organization and ID of an adopted table, if the service created it.
async fn remove(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for name in m0006b_adopted::names(EVENTS, KEY_SUFFIX) {
        if made::by_service(manager, &name).await? {
            steps::locking(manager, &format!("DROP INDEX IF EXISTS {name}")).await?;
            made::forget(manager, &name).await?;
        }
    }
    Ok(())
}

/// Whether the unique key of organization and ID serves something else: a reference of another
/// program's table, or replication.
async fn is_needed(manager: &SchemaManager<'_>) -> Result<bool, DbErr> {
    let serves = format!(
        "SELECT 1 FROM pg_index WHERE indrelid = to_regclass('{EVENTS}') \
         AND indexrelid IN (to_regclass('{KEY}'), to_regclass('{KEY}_of_service')) \
         AND (indisreplident OR EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conindid = indexrelid))"
    );
    exists(manager, &serves).await
}
