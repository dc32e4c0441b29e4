//! The feed of one organization: how far it is settled, and its events in their order.

use campaigns_entity::event;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, QueryOrder, QueryResult, QuerySelect, QueryTrait,
    Statement,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{Scope, Scoped};
use crate::{Dialect, Error, unreadable::skipped};

impl Scope {
    /// The feed position up to which every event that there will ever be is visible to the
    /// statements that come next; `None` where that is all that are visible. Why that holds, the
    /// migration `m0007_feed` says.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn settled(&self) -> Result<Option<i64>, Error> {
        match self.dialect() {
            Dialect::Sqlite => Ok(None),
            Dialect::Postgres => settled(self.executor(), None).await.map(Some),
        }
    }

    /// The position and id of the latest event that is settled; `None` where there is none.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn latest_event(&self) -> Result<Option<(i64, Uuid)>, Error> {
        let settled = self.settled().await?;
        let select = within(self.find(), None, settled)
            .select
            .order_by_desc(event::Column::FeedPosition)
            .limit(1);
        let rows = self.query(&select.into_query()).await?;
        let latest = rows
            .first()
            .map(|row| Ok::<_, DbErr>((row.try_get("", "feed_position")?, row.try_get("", "id")?)));
        Ok(latest.transpose()?)
    }

    /// The first of the selected events after a position, up to another, in feed order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn feed_page(
        &self,
        selected: Scoped<event::Entity>,
        after: i64,
        upto: Option<i64>,
        limit: u64,
    ) -> Result<Vec<event::Model>, Error> {
        let select = within(selected, Some(after), upto)
            .select
            .order_by_asc(event::Column::FeedPosition)
            .limit(limit);
        let rows = self.query(&select.into_query()).await?;
        Ok(rows.iter().filter_map(read).collect())
    }
}

fn within(
    selected: Scoped<event::Entity>,
    after: Option<i64>,
    upto: Option<i64>,
) -> Scoped<event::Entity> {
    let position = || Expr::col(event::Column::FeedPosition.as_column_ref());
    let selected = match after {
        Some(after) => selected.filter(position().gt(after)),
        None => selected,
    };
    match upto {
        Some(upto) => selected.filter(position().lte(upto)),
        None => selected,
    }
}

/// An event, whatever its metadata: JSON that only the database can read, as a number beyond a
/// double, must not keep the events behind it from anybody. `None` where anything else of it
/// cannot be read.
pub(crate) fn read(row: &QueryResult) -> Option<event::Model> {
    let read = || {
        Ok(event::Model {
            id: row.try_get("", "id")?,
            org_id: row.try_get("", "org_id")?,
            send_id: row.try_get("", "send_id")?,
            event_type: row.try_get("", "event_type")?,
            url: row.try_get("", "url")?,
            occurred_at: row.try_get("", "occurred_at")?,
            created_at: row.try_get("", "created_at")?,
            updated_at: row.try_get("", "updated_at")?,
            metadata: row.try_get("", "metadata").unwrap_or_else(|error: DbErr| {
                tracing::warn!(%error, "the metadata of an event cannot be read and is left out");
                None
            }),
            feed_position: row.try_get("", "feed_position")?,
            campaign_id: row.try_get("", "campaign_id")?,
            contact_id: row.try_get("", "contact_id")?,
        })
    };
    read().inspect_err(|error| skipped("campaign_events", error)).ok()
}

/// [`Scope::settled`] on PostgreSQL, for whoever has a connection. Where it is what was known
/// before, the locks are not looked at.
pub(crate) async fn settled(
    connection: &impl ConnectionTrait,
    known: Option<i64>,
) -> Result<i64, Error> {
    let backend = connection.get_database_backend();
    let sql = "SELECT campaign_feed_settled($1) AS settled";
    let statement = Statement::from_sql_and_values(backend, sql, [known.into()]);
    let row = connection.query_one_raw(statement).await?;
    Ok(row.map_or(Ok(0), |row| row.try_get("", "settled"))?)
}
