//! Reads the feed of many organizations at once, for the reader of a process.

use campaigns_entity::event;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Settled,
    budget::{Budgets, ByteLimits},
    connections::Session,
    owned::columns,
    scope::feed::{read, settled},
};

/// The right to read the events of all organizations, for those who listen. It comes from
/// [`Database::feed_reader`](crate::Database::feed_reader), and no request can get it.
pub struct FeedReader {
    session: Session,
    budgets: Budgets,
}

/// Each organization's own range of an index, with no more rows of it than are read at once.
fn events_after(backend: DbBackend) -> String {
    let columns = columns::<event::Entity>("found");
    if backend == DbBackend::Postgres {
        let inner = self::columns::<event::Entity>("campaign_events");
        return format!(
            "SELECT {columns} FROM jsonb_to_recordset($1) AS listened(org_id uuid, after bigint) \
             CROSS JOIN LATERAL (SELECT {inner} FROM campaign_events WHERE org_id = listened.org_id \
               AND feed_position > listened.after AND feed_position <= $2 ORDER BY feed_position LIMIT $3) AS found \
             ORDER BY found.feed_position"
        );
    }
    format!(
        "SELECT {columns} FROM json_each($1) AS listened CROSS JOIN campaign_events AS found \
         WHERE found.rowid IN (SELECT rowid FROM campaign_events \
           WHERE org_id = unhex(replace(listened.value ->> 'org_id', '-', '')) \
           AND feed_position > listened.value ->> 'after' AND feed_position <= $2 ORDER BY feed_position LIMIT $3) \
         ORDER BY found.feed_position"
    )
}

impl FeedReader {
    pub(crate) fn new(session: Session, budgets: Budgets) -> Self {
        Self { session, budgets }
    }

    /// The settled position of the feed. If the earlier result `known` still holds, nothing else is
    /// checked.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn settled_since(&self, known: i64) -> Result<i64, Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            return Ok(self.settled().await?.position.unwrap_or(0));
        }
        let sql = "SELECT campaign_feed_settled($1) AS settled";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [known.into()]);
        let row = self.session.query_one_raw(statement).await?;
        Ok(row.map_or(Ok(0), |row| row.try_get("", "settled"))?)
    }

    /// The settled position of the feed, and its incarnation.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn settled(&self) -> Result<Settled, Error> {
        if self.session.get_database_backend() == DbBackend::Postgres {
            return settled(&self.session).await;
        }
        let counter = "SELECT last_position FROM campaign_feed";
        let counter = Statement::from_string(DbBackend::Sqlite, counter);
        let row = self.session.query_one_raw(counter).await?;
        let position = row.map_or(Ok(0), |row| row.try_get("", "last_position"))?;
        Ok(Settled { position: Some(position), incarnation: "".into() })
    }

    /// The transaction that holds up the feed, if any: an open one that has written events.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn holder(&self) -> Result<Option<Holder>, Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let sql = "SELECT process, entered, drawn FROM campaign_feed_holder()";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let Some(row) = self.session.query_one_raw(statement).await? else { return Ok(None) };
        let (process, entered): (Option<i32>, Option<i64>) =
            (row.try_get("", "process")?, row.try_get("", "entered")?);
        let drawn: i64 = row.try_get("", "drawn")?;
        Ok(process.zip(entered).map(|(process, entered)| Holder { process, entered, drawn }))
    }

    /// The events of these organizations, each after a position, in order: at most `limit` for
    /// each, and only settled ones.
    ///
    /// # Errors
    /// Any error of the database. [`Error::Exhausted`] if they take more than `bytes`.
    pub async fn events(
        &self,
        after: &[(Uuid, i64)],
        settled: i64,
        limit: i64,
        bytes: usize,
    ) -> Result<Vec<FeedRow>, Error> {
        let backend = self.session.get_database_backend();
        let listened: serde_json::Value = after
            .iter()
            .map(|(org_id, after)| json!({ "org_id": org_id, "after": after }))
            .collect();
        let values: [Value; 3] = [listened.into(), settled.into(), limit.into()];
        let statement = Statement::from_sql_and_values(backend, events_after(backend), values);
        let limits = ByteLimits { operation: bytes, ..*self.budgets.limits() };
        let budget = self.budgets.process().operation(&limits);
        let session = self.session.clone().drawing_on(budget);
        let rows = session.query_all_raw(statement).await?;
        rows.iter()
            .map(|row| {
                Ok(FeedRow {
                    organization: row.try_get("", "org_id")?,
                    position: row.try_get("", "feed_position")?,
                    event: read(row),
                })
            })
            .collect()
    }

    /// The position of an organization's first event after a position.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn next_position(&self, of: Uuid, after: i64) -> Result<Option<i64>, Error> {
        let sql = "SELECT min(feed_position) AS position FROM campaign_events \
                   WHERE org_id = $1 AND feed_position > $2";
        let backend = self.session.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, [of.into(), after.into()]);
        let row = self.session.query_one_raw(statement).await?;
        Ok(row.map_or(Ok(None), |row| row.try_get("", "position"))?)
    }

    /// The ones of these places that still have their event.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn present(&self, places: &[(Uuid, i64)]) -> Result<Vec<(Uuid, i64, Uuid)>, Error> {
        let mut present = Vec::with_capacity(places.len());
        for (organization, position) in places {
            let sql = "SELECT id FROM campaign_events WHERE org_id = $1 AND feed_position = $2";
            let backend = self.session.get_database_backend();
            let values = [(*organization).into(), (*position).into()];
            let statement = Statement::from_sql_and_values(backend, sql, values);
            if let Some(row) = self.session.query_one_raw(statement).await? {
                present.push((*organization, *position, row.try_get("", "id")?));
            }
        }
        Ok(present)
    }
}

/// An open transaction that has written events. No event after them is settled before it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process in PostgreSQL.
    pub process: i32,
    /// The number that it entered with.
    pub entered: i64,
    /// The last number that was drawn since.
    pub drawn: i64,
}

/// A row of the feed.
#[derive(Clone, Debug)]
pub struct FeedRow {
    /// Its organization.
    pub organization: Uuid,
    /// Its position.
    pub position: i64,
    /// The event, if it can be read.
    pub event: Option<event::Model>,
}
