//! Reading the feed of many organizations at once: for the one reader of a process.

use campaigns_entity::event;
use sea_orm::{ConnectionTrait, DbBackend, Statement, Value};
use serde_json::json;
use uuid::Uuid;

use crate::{
    Error,
    connections::Session,
    owned::columns,
    scope::feed::{read, settled},
};

/// The right to read the events of every organization, on behalf of those who listen. It comes
/// from [`Database::feed_reader`](crate::Database::feed_reader), and no request gets hold of it.
pub struct FeedReader {
    session: Session,
}

/// Each organization's own range of an index, and no more rows of one than are read at once.
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
    pub(crate) fn new(session: Session) -> Self {
        Self { session }
    }

    /// How far the feed is settled: see [`Scope::settled`](crate::Scope::settled). `known` is
    /// what was said before.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn settled(&self, known: Option<i64>) -> Result<i64, Error> {
        if self.session.get_database_backend() == DbBackend::Postgres {
            return settled(&self.session, known).await;
        }
        let counter = "SELECT last_position FROM campaign_feed";
        let counter = Statement::from_string(DbBackend::Sqlite, counter);
        let row = self.session.query_one_raw(counter).await?;
        Ok(row.map_or(Ok(0), |row| row.try_get("", "last_position"))?)
    }

    /// The events of these organizations after a position each, in their order:
    /// `limit` of each at most, none that is not settled.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn events(
        &self,
        after: impl IntoIterator<Item = (Uuid, i64)>,
        settled: i64,
        limit: i64,
    ) -> Result<Vec<event::Model>, Error> {
        let backend = self.session.get_database_backend();
        let listened: serde_json::Value = after
            .into_iter()
            .map(|(org_id, after)| json!({ "org_id": org_id, "after": after }))
            .collect();
        let sql = events_after(backend);
        let values: [Value; 3] = [listened.into(), settled.into(), limit.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let rows = self.session.query_all_raw(statement).await?;
        Ok(rows.iter().filter_map(read).collect())
    }
}
