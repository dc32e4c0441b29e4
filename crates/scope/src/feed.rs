//! Reads the feed of many organizations at once, for a process's feed reader.

use std::sync::Arc;

use campaigns_entity::event;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error, Horizon,
    budget::{Budgets, ByteLimits},
    connections::Session,
    owned::columns,
    scope::feed::read,
};

/// The right to read the events of all organizations, for their subscribers. It comes from
/// [`Database::feed_reader`](crate::Database::feed_reader), and no request can get it.
pub struct FeedReader {
    session: Session,
    budgets: Budgets,
}

/// A range of an organization's feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The organization.
    pub organization: Uuid,
    /// The start, exclusive.
    pub after: i64,
    /// The end, inclusive.
    pub upto: i64,
}

/// Selects the events of each span through the organization's own range of an index.
fn events_in(backend: DbBackend) -> String {
    let columns = columns::<event::Entity>("found");
    if backend == DbBackend::Postgres {
        let inner = self::columns::<event::Entity>("campaign_events");
        return format!(
            "SELECT {columns} FROM jsonb_to_recordset($1) AS listened(org_id uuid, after bigint, upto bigint) \
             CROSS JOIN LATERAL (SELECT {inner} FROM campaign_events WHERE org_id = listened.org_id \
               AND feed_position > listened.after AND feed_position <= listened.upto \
               ORDER BY feed_position LIMIT $2) AS found ORDER BY found.feed_position"
        );
    }
    format!(
        "SELECT {columns} FROM json_each($1) AS listened CROSS JOIN campaign_events AS found \
         WHERE found.rowid IN (SELECT rowid FROM campaign_events \
           WHERE org_id = unhex(replace(listened.value ->> 'org_id', '-', '')) \
           AND feed_position > listened.value ->> 'after' AND feed_position <= listened.value ->> 'upto' \
           ORDER BY feed_position LIMIT $2) \
         ORDER BY found.feed_position"
    )
}

impl FeedReader {
    pub(crate) fn new(session: Session, budgets: Budgets) -> Self {
        Self { session: session.reading(), budgets }
    }

    pub(crate) fn session(&self) -> &Session {
        &self.session
    }

    /// The feed's horizon, or `None` if the last drawn position is still `known`.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn horizon_since(&self, known: Option<i64>) -> Result<Option<Horizon>, Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            let horizon = self.sqlite_horizon().await?;
            return Ok(Some(horizon).filter(|horizon| Some(horizon.drawn()) != known));
        }
        let sql = "SELECT drawn, buckets, entered FROM campaign_feed_horizon($1)";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [known.into()]);
        let row = self.session.query_one_raw(statement).await?;
        Ok(row.map_or(Ok(None), |row| Horizon::read(&row))?)
    }

    /// The feed's horizon and incarnation.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn horizon(&self) -> Result<(Horizon, Arc<str>), Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            return Ok((self.sqlite_horizon().await?, "".into()));
        }
        let sql = "SELECT drawn, buckets, entered, campaign_feed_incarnation() AS incarnation \
                   FROM campaign_feed_horizon(NULL)";
        let row = self.session.query_one_raw(Statement::from_string(DbBackend::Postgres, sql));
        let Some(row) = row.await? else { return Ok((Horizon::default(), "".into())) };
        let incarnation: String = row.try_get("", "incarnation")?;
        Ok((Horizon::read(&row)?.unwrap_or_default(), incarnation.into()))
    }

    /// The horizon of `SQLite`, where all visible events are settled.
    async fn sqlite_horizon(&self) -> Result<Horizon, Error> {
        let counter = "SELECT last_position FROM campaign_feed";
        let counter = Statement::from_string(DbBackend::Sqlite, counter);
        let row = self.session.query_one_raw(counter).await?;
        let last = row.map_or(Ok(0), |row| row.try_get("", "last_position"))?;
        Ok(Horizon::free(last))
    }

    /// The open transaction that has delayed a part of the feed for the longest time, if any.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn holder(&self) -> Result<Option<Holder>, Error> {
        if self.session.get_database_backend() != DbBackend::Postgres {
            return Ok(None);
        }
        let sql = "SELECT process, prepared, entered, drawn FROM campaign_feed_oldest()";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let Some(row) = self.session.query_one_raw(statement).await? else { return Ok(None) };
        let Some(entered) = row.try_get("", "entered")? else { return Ok(None) };
        Ok(Some(Holder {
            process: row.try_get("", "process")?,
            prepared: row.try_get("", "prepared")?,
            entered,
            drawn: row.try_get("", "drawn")?,
        }))
    }

    /// The events of these spans in feed order, at most `limit` of each span. No span may end after
    /// the horizon.
    ///
    /// # Errors
    /// Any error of the database. [`Error::Exhausted`] if the events take more than `bytes`.
    pub async fn events(
        &self,
        spans: &[Span],
        limit: i64,
        bytes: usize,
    ) -> Result<Vec<FeedRow>, Error> {
        let backend = self.session.get_database_backend();
        let listened: serde_json::Value = spans
            .iter()
            .map(|Span { organization, after, upto }| {
                json!({ "org_id": organization, "after": after, "upto": upto })
            })
            .collect();
        let values: [Value; 2] = [listened.into(), limit.into()];
        let statement = Statement::from_sql_and_values(backend, events_in(backend), values);
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

    /// The events that still exist at these positions: organization, position and ID.
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

/// An open transaction that has written events. Until it ends, no later event of the same
/// organizations is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its PostgreSQL process, if it has one.
    pub process: Option<i32>,
    /// Its name, if it was prepared (`PREPARE TRANSACTION`) and waits for its second phase.
    pub prepared: Option<String>,
    /// The last drawn position when it started to write.
    pub entered: i64,
    /// The last drawn position now.
    pub drawn: i64,
}

/// A row of the feed.
#[derive(Clone, Debug)]
pub struct FeedRow {
    /// Its organization.
    pub organization: Uuid,
    /// Its position.
    pub position: i64,
    /// The event, or `None` if it cannot be read.
    pub event: Option<event::Model>,
}
