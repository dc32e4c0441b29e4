//! The feed: the columns beyond the documented ones by which an event is found and followed.
//!
//! - `feed_position`: its place in the one order of all events. Readers can follow it because of
//!   this **invariant**: below `campaign_feed_settled()`, no position is ever filled that was not
//!   visible when the function was called.
//! - `send_campaign_id` and `send_contact_id`: the campaign and contact of its send, under names
//!   that make no join of another program ambiguous. A campaign's or a contact's events are one
//!   range of an index, and an event that a cascade deletes still names its campaign and contact.
//!
//! **PostgreSQL.** Positions come from a sequence, so they are drawn in one order and committed in
//! another. A transaction that writes events first draws a number s and takes a shared advisory
//! lock with s in its key, once. Only then are positions drawn, all of them above s. The function
//! reads, in this order: d, the last number drawn; then l, the lowest s of the locks that are held.
//! If it does not see a transaction's lock, that transaction either has ended, and its rows are
//! visible to any statement that comes next, or it has not drawn its positions yet, which will be
//! above d. If it sees the lock, the transaction's positions are above l. So all positions at or
//! below both are settled. An open transaction that has written no event holds nothing up. (A hot
//! standby does not show locks: the feed is read where it is written.)
//!
//! A row's trigger draws its position, whatever the writer specifies, and remembers in a setting of
//! the transaction that it has entered. A savepoint that is rolled back takes the setting and the
//! lock with it. The one exception is a position that `campaign_feed_draw()` gave to this
//! transaction: with it, rows can be inserted in the order of their keys, so that writers cannot
//! deadlock, and still have places in the order in which they arrived. The functions belong to the
//! role that migrated, so a writer needs rights only on the documented tables. The triggers also
//! fire in replication sessions. A replication worker fires row triggers and no others.
//!
//! Writing an event locks its send's key, as the reference to it does. Moving a send to another
//! campaign waits for such writers. Two transactions that move the same sends in different orders
//! can deadlock, as with any references. Under REPEATABLE READ and SERIALIZABLE, events that were
//! written in the meantime are not visible, so a send cannot be moved there.
//!
//! **Another feed.** After a failover that lost transactions, or a restore, clients can hold
//! positions that are ahead of the feed or belong to other events. `campaign_feed_incarnation()`
//! distinguishes such a feed from the previous one; cursors contain it.
//!
//! **Migrating while others write.** The columns are added without a default, together with the
//! triggers, so that new rows get their values. Then existing rows are touched, a few thousand at a
//! time ([`crate::steps`]). Then nulls are forbidden, and indexes are created concurrently.
//!
//! [`crate::m0012_horizons`] replaces the functions, so that each organization's feed settles by
//! itself.
//!
//! **`SQLite`.** There is one writer at a time, so numbers from a counter are committed in order,
//! and every visible event is settled. The counter never goes back, while the highest position in
//! the table would when its row is deleted.

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    adopt,
    made::{execute, is_postgres},
    sqlite, steps,
};

pub(crate) struct Feed;

impl MigrationName for Feed {
    fn name(&self) -> &'static str {
        "m0007_feed"
    }
}

const EVENTS: &str = "campaign_events";

/// The columns that are added.
pub(crate) const COLUMNS: [(&str, &str); 3] =
    [(EVENTS, "feed_position"), (EVENTS, "send_campaign_id"), (EVENTS, "send_contact_id")];

const INDEXES: [(&str, &str); 4] = [
    ("campaign_events_feed", "org_id, feed_position"),
    ("campaign_events_campaign_feed", "send_campaign_id, org_id, feed_position"),
    ("campaign_events_campaign_occurred", "send_campaign_id, org_id, occurred_at, id"),
    ("campaign_events_contact_occurred", "send_contact_id, org_id, occurred_at, id"),
];

pub(crate) const FUNCTIONS_POSTGRES: &str = include_str!("m0007_feed/functions_postgres.sql");
pub(crate) const UP_POSTGRES: &str = include_str!("m0007_feed/up_postgres.sql");
const UPDATED_AT_POSTGRES: &str = include_str!("m0007_feed/updated_at_postgres.sql");
const ADOPTED_POSTGRES: &str = include_str!("m0007_feed/adopted_postgres.sql");
const DOWN_POSTGRES: &str = include_str!("m0007_feed/down_postgres.sql");
const UP_SQLITE: &str = include_str!("m0007_feed/up_sqlite.sql");
const DOWN_SQLITE: &str = include_str!("m0007_feed/down_sqlite.sql");

/// The other relations that are created in PostgreSQL.
pub(crate) const RELATIONS: [&str; 5] = [
    "campaign_feed_position",
    "campaign_events_feed",
    "campaign_events_campaign_feed",
    "campaign_events_campaign_occurred",
    "campaign_events_contact_occurred",
];

/// The functions in PostgreSQL, which only the service and the triggers call.
pub(crate) const FUNCTIONS: [&str; 10] = [
    "campaign_feed_settled",
    "campaign_feed_holder",
    "campaign_feed_incarnation",
    "campaign_feed_enter",
    "campaign_feed_draw",
    "campaign_events_enter",
    "campaign_events_change",
    "campaign_sends_moves",
    "campaign_sends_moved",
    "campaign_events_keep",
];

/// The triggers of PostgreSQL.
pub(crate) const TRIGGERS: [&str; 5] = [
    "campaign_feed_enter",
    "campaign_feed_change",
    "campaign_feed_moves",
    "campaign_feed_moved",
    "zz_campaign_feed_keep",
];

/// Keeps `updated_at` unchanged when only the service's columns of an adopted table are written.
const KEEP: &str = "CREATE OR REPLACE FUNCTION campaign_events_keep() RETURNS trigger LANGUAGE plpgsql AS \
    $$ BEGIN NEW.updated_at := OLD.updated_at; RETURN NEW; END $$;";
const DROP_KEEP: &str = "DROP TRIGGER IF EXISTS zz_campaign_feed_keep ON campaign_events; \
    DROP FUNCTION IF EXISTS campaign_events_keep();";
const REPLACE_UPDATED_AT: &str = "CREATE OR REPLACE TRIGGER set_updated_at BEFORE UPDATE ON campaign_events \
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();";

/// The documented columns. Writing the service's other columns does not count as an update.
const DOCUMENTED: &str =
    "id, org_id, send_id, event_type, url, occurred_at, created_at, updated_at, metadata";

async fn replace_updated_at(manager: &SchemaManager<'_>, of: Option<&str>) -> Result<(), DbErr> {
    execute(manager, "DROP TRIGGER campaign_events_updated_at").await?;
    let times = ["occurred_at", "created_at", "updated_at"];
    execute(manager, &sqlite::updated_at_trigger("campaign_events", &times, of)).await
}

#[async_trait]
impl MigrationTrait for Feed {
    fn use_transaction(&self) -> Option<bool> {
        // each step is a transaction if the database has writers that would wait
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            replace_updated_at(manager, Some(DOCUMENTED)).await?;
            execute(manager, UP_SQLITE).await?;
            for (name, columns) in INDEXES {
                execute(manager, &format!("CREATE INDEX {name} ON {EVENTS} ({columns})")).await?;
            }
            return Ok(());
        }
        let is_adopted = adopt::is_adopted(manager, EVENTS).await?;
        let (keep, updated_at) =
            if is_adopted { (KEEP, ADOPTED_POSTGRES) } else { ("", UPDATED_AT_POSTGRES) };
        let private = adopt::private(manager, &["campaign_feed_position"], &FUNCTIONS).await?;
        // functions first: they lock no table
        steps::making(manager, &[FUNCTIONS_POSTGRES, keep, &private].join("\n")).await?;
        steps::locking(manager, &[UP_POSTGRES, updated_at].join("\n")).await?;
        // the update trigger fills them
        let quietly = is_adopted && steps::can_be_quiet(manager).await?;
        steps::touch_all(manager, EVENTS, "feed_position = 0", "feed_position IS NULL", quietly)
            .await?;
        steps::forbid_null(manager, EVENTS, &COLUMNS.map(|(_, column)| column)).await?;
        for (name, columns) in INDEXES {
            steps::index(manager, name, EVENTS, columns).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if is_postgres(manager) {
            // the indexes are dropped with the columns
            let is_adopted = adopt::is_adopted(manager, EVENTS).await?;
            let updated_at = if is_adopted { DROP_KEEP } else { REPLACE_UPDATED_AT };
            return steps::locking(manager, &[updated_at, DOWN_POSTGRES].join("\n")).await;
        }
        for (name, _) in INDEXES {
            execute(manager, &format!("DROP INDEX {name}")).await?;
        }
        execute(manager, DOWN_SQLITE).await?;
        replace_updated_at(manager, None).await
    }
}
