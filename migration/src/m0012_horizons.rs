//! Each organization's feed settles by itself: a large call or an open transaction of one
//! organization does not delay the events of another. And a key for cursors.
//!
//! **Invariant.** Below `campaign_feed_settled_for(o)`, no position of an event of the organization
//! o is ever filled that was not visible when the function was called. The same is true of what
//! follows for o from `campaign_feed_horizon()`, which shows the horizons of all organizations in
//! one reading.
//!
//! **Buckets.** An organization belongs to one of 4,095 buckets, by a hash of its ID
//! (`campaign_feed_bucket`). A transaction enters for each organization that it writes events of,
//! before it draws the first position for one of them: it draws a number s and takes a shared
//! advisory lock, whose key holds a tag (8 bits), the bucket (12 bits) and s (the lower 44 bits). For
//! the ninth organization it enters for every organization (bucket 0) instead, so that a bulk load
//! over thousands of organizations takes nine locks, not thousands. A setting of the transaction
//! remembers the organizations. A savepoint that is rolled back takes the locks that were taken since
//! along, and the setting returns to what it was before, so both stay equal for any number of
//! buckets. Locks are never given up before the transaction ends, and a prepared transaction keeps
//! them.
//!
//! **Proof.** Let b be the bucket of o. A reader reads, in this order: d, the last number drawn; then
//! l, the lowest s of the locks of bucket b or 0; then, in another statement, rows. Take any
//! transaction t that writes an event of o. It holds a lock of bucket b or 0 from before it draws its
//! first position for o until its rows are visible, since PostgreSQL releases locks after the
//! transaction has ended for all snapshots to come.
//! - If the reader sees such a lock of t, all positions of t for o are above the lowest s of them: the
//!   first of these locks was taken before the first position was drawn, and the sequence only grows.
//!   So they are above l.
//! - If it does not, t either has ended, and its rows are visible to the statement that reads them, or
//!   it had not taken the lock when the locks were read. Then it draws its positions after d was read,
//!   and they are above d.
//!
//! So all positions of o at or below both d and l are settled. An organization waits for
//! transactions of its own, for those of organizations with the same bucket (one in 4,095), and for
//! bulk loads over more than eight organizations.
//!
//! The key has 44 bits of s. The number is the one nearest to d with these bits, which is right as
//! long as fewer than 2^43 numbers are drawn while the transaction is open.
//!
//! **Events that move.** An event that comes to another organization gets a new position there, at the
//! end of that organization's feed.
//!
//! **An upgrade while others run.** The functions of before keep their names and their meaning:
//! `campaign_feed_settled()` is the minimum of all horizons, and `campaign_feed_enter()` and
//! `campaign_feed_draw()` enter for every organization. Locks of transactions that entered before
//! have another tag, and count for every organization. The functions that read are replaced first,
//! and those that write when no call of an old reader is under way any more, which would not see
//! their locks. On the way down it is the other way round: writers take locks of the old kind, and
//! the old readers come back when there is no lock of the new kind any more.
//!
//! **A published horizon.** What `campaign_feed_horizon()` returns can be stored in a row: a row that
//! is read later, on a standby, too, comes after all rows below the horizons in it.
//!
//! **The key of cursors.** `campaign_cursor_key` has one row with a random key, which all processes
//! share. Cursors of events are encrypted with it, because the positions in them would show how much
//! other organizations record. Only the owner of the tables and the service's role can read it.
//!
//! **`SQLite`.** All visible events are settled, whosever they are.

use std::time::Duration;

use sea_orm_migration::{
    MigrationName, MigrationTrait, SchemaManager, async_trait::async_trait, sea_orm::DbErr,
};

use crate::{
    adopt, m0007_feed,
    made::{execute, exists, is_postgres},
    script, steps,
};

pub(crate) struct Horizons;

impl MigrationName for Horizons {
    fn name(&self) -> &'static str {
        "m0012_horizons"
    }
}

const READERS: &str = include_str!("m0012_horizons/readers_postgres.sql");
const WRITERS: &str = include_str!("m0012_horizons/writers_postgres.sql");
const TRIGGERS: &str = include_str!("m0012_horizons/triggers_postgres.sql");
const CURSOR_KEY: &str = include_str!("m0012_horizons/key_postgres.sql");
const GRANTED: &str = include_str!("m0012_horizons/granted_postgres.sql");
const DOWN_WRITERS: &str = include_str!("m0012_horizons/down_writers_postgres.sql");
const DOWN_POSTGRES: &str = include_str!("m0012_horizons/down_postgres.sql");
const UP_SQLITE: &str = include_str!("m0012_horizons/up_sqlite.sql");
const DOWN_SQLITE: &str = include_str!("m0012_horizons/down_sqlite.sql");

/// The tables of PostgreSQL.
pub(crate) const RELATIONS: [&str; 1] = ["campaign_cursor_key"];

/// The functions that are new in PostgreSQL.
pub(crate) const FUNCTIONS: [&str; 7] = [
    "campaign_feed_bucket",
    "campaign_feed_entries",
    "campaign_feed_horizon",
    "campaign_feed_settled_for",
    "campaign_feed_oldest",
    "campaign_feed_enter_for",
    "campaign_feed_draw_for",
];

/// The locks of transactions that entered for a bucket.
const OF_BUCKETS: &str = "SELECT 1 FROM pg_locks \
    WHERE locktype = 'advisory' AND objsubid = 1 AND classid::bigint >> 24 = 72 \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// How often it is checked whether these are released, and how long they are waited for.
const PAUSE: Duration = Duration::from_millis(100);
const CHECKS: usize = 18_000;

#[async_trait]
impl MigrationTrait for Horizons {
    fn use_transaction(&self) -> Option<bool> {
        // what others call is replaced in steps
        Some(false)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            return execute(manager, UP_SQLITE).await;
        }
        let private = adopt::private(manager, &[], &FUNCTIONS).await?;
        steps::making(manager, &[READERS, &private].join("\n")).await?;
        steps::running_end(manager).await?;
        let hidden = adopt::revoked(&RELATIONS, &[]);
        let all = [WRITERS, &private, CURSOR_KEY, &hidden, GRANTED];
        steps::making(manager, &all.join("\n")).await?;
        steps::locking(manager, TRIGGERS).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if !is_postgres(manager) {
            return execute(manager, DOWN_SQLITE).await;
        }
        steps::making(manager, DOWN_WRITERS).await?;
        steps::running_end(manager).await?;
        entered_end(manager).await?;
        let restored = [m0007_feed::UP_POSTGRES, m0007_feed::FUNCTIONS_POSTGRES, DOWN_POSTGRES];
        steps::locking(manager, &restored.join("\n")).await
    }
}

/// Waits for the end of transactions that entered for a bucket, which the readers of before do not
/// see.
async fn entered_end(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    if script::is_recording() {
        return Ok(());
    }
    for _ in 0..CHECKS {
        if !exists(manager, OF_BUCKETS).await? {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(DbErr::Custom(
        "transactions that have written events were open for half an hour; see pg_locks and \
         pg_prepared_xacts"
            .to_owned(),
    ))
}
