//! The feed of one organization: its settled position, and its events in order.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use campaigns_entity::event;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, QueryFilter, QueryOrder, QueryResult,
    QuerySelect, QueryTrait, Statement,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{Scope, Scoped};
use crate::{Dialect, Error, unreadable::leave_out};

/// The settled position of an organization's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettledPosition {
    /// The position up to which later statements see every event of the organization, because no event
    /// will be added at or before it. `None` if all visible events are settled. The migration
    /// `m0012_horizons` explains why.
    pub position: Option<i64>,
    /// Identifies this feed. It changes with a failover or a restore.
    pub incarnation: Arc<str>,
}

/// The place of an event in the feed: the content of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The event's position. 0 is before all events.
    pub position: i64,
    /// The event's ID.
    pub id: Uuid,
    /// The incarnation of the feed that had the event.
    pub incarnation: Arc<str>,
    /// Whether the place comes from the feed or from an authenticated cursor, so that the event has
    /// existed.
    pub is_authentic: bool,
}

/// A page of events in feed order.
#[derive(Clone, Debug, Default)]
pub struct FeedPage {
    /// The readable events.
    pub events: Vec<event::Model>,
    /// The number of rows, including unreadable ones.
    pub rows: usize,
    /// The position of the last row.
    pub last: Option<i64>,
}

impl FeedPage {
    fn of(rows: &[QueryResult]) -> Result<Self, Error> {
        let last = rows.last().map(|row| row.try_get("", "feed_position"));
        let events = rows.iter().filter_map(read).collect();
        Ok(Self { events, rows: rows.len(), last: last.transpose().map_err(Error::from)? })
    }
}

impl Scope {
    /// The settled position of the organization's feed.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn settled(&self) -> Result<SettledPosition, Error> {
        if self.dialect() == Dialect::Sqlite {
            return Ok(SettledPosition { position: None, incarnation: "".into() });
        }
        let sql = "SELECT campaign_feed_settled_for($1) AS settled, \
                   campaign_feed_incarnation() AS incarnation";
        let values = [self.organization.into()];
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        let (position, incarnation) =
            match self.executor().reading().query_one_raw(statement).await? {
                Some(row) => (row.try_get("", "settled")?, row.try_get("", "incarnation")?),
                None => (0, String::new()),
            };
        Ok(SettledPosition { position: Some(position), incarnation: incarnation.into() })
    }

    /// The place of the latest settled event.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn latest_place(&self) -> Result<Place, Error> {
        let SettledPosition { position: upto, incarnation } = self.settled().await?;
        let mut select = within(self.find(), None, upto)
            .into_select()
            .select_only()
            .column(event::Column::FeedPosition)
            .column(event::Column::Id)
            .order_by_desc(event::Column::FeedPosition)
            .limit(1);
        if self.dialect() == Dialect::Sqlite {
            // another program can store what is not an ID, which no cursor can name
            select = select.filter(Expr::cust(Dialect::Sqlite.is_id("campaign_events.id")));
        }
        let rows = self.query(&select.into_query()).await?;
        let (position, id) = match rows.first() {
            Some(row) => (row.try_get("", "feed_position")?, row.try_get("", "id")?),
            None => (0, Uuid::nil()),
        };
        Ok(Place { position, id, incarnation, is_authentic: true })
    }

    /// Whether the feed can continue after this place without a gap. It cannot if a failover or a
    /// restore has lost events, including the event of the place.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn still_has(&self, place: &Place) -> Result<bool, Error> {
        if place.position == 0 {
            return Ok(true);
        }
        let (backend, settled) = match self.dialect() {
            Dialect::Postgres => (
                DbBackend::Postgres,
                "campaign_feed_settled_for($1) AS settled, campaign_feed_incarnation() AS incarnation",
            ),
            Dialect::Sqlite => (
                DbBackend::Sqlite,
                "(SELECT last_position FROM campaign_feed) AS settled, '' AS incarnation",
            ),
        };
        let sql = format!(
            "SELECT {settled}, \
             (SELECT id FROM campaign_events WHERE org_id = $1 AND feed_position = $2) AS id, \
             (SELECT max(feed_position) FROM campaign_events WHERE org_id = $1) AS latest"
        );
        let values = [self.organization.into(), place.position.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let Some(row) = self.executor().reading().query_one_raw(statement).await? else {
            return Ok(false);
        };
        let there: Option<Uuid> = row.try_get("", "id")?;
        let incarnation: String = row.try_get("", "incarnation")?;
        let mut settled: i64 = row.try_get("", "settled")?;
        if !place.is_authentic {
            // a forged place would reveal how many events other organizations have
            let latest: Option<i64> = row.try_get("", "latest")?;
            settled = std::cmp::min(settled, latest.unwrap_or(0));
        }
        Ok(match there {
            // after a lost event, the same position can belong to another one
            Some(id) => id == place.id,
            // in the same feed, the event was deleted
            None => place.position <= settled && *incarnation == *place.incarnation,
        })
    }

    /// The first of the selected events after a position, up to another, in feed order.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn feed_page(
        &self,
        selected: Scoped<event::Entity>,
        after: i64,
        upto: Option<i64>,
        limit: u64,
    ) -> Result<FeedPage, Error> {
        let select = within(selected, Some(after), upto)
            .into_select()
            .order_by_asc(event::Column::FeedPosition)
            .limit(limit);
        FeedPage::of(&self.query(&select.into_query()).await?)
    }

    /// The position of the first of the selected events after a position, up to another.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn next_position(
        &self,
        selected: Scoped<event::Entity>,
        after: i64,
        upto: Option<i64>,
    ) -> Result<Option<i64>, Error> {
        let select = within(selected, Some(after), upto)
            .into_select()
            .select_only()
            .column(event::Column::FeedPosition)
            .order_by_asc(event::Column::FeedPosition)
            .limit(1);
        let rows = self.query(&select.into_query()).await?;
        Ok(rows.first().map(|row| row.try_get("", "feed_position")).transpose()?)
    }

    /// The current state of the organization's events with these IDs, in no particular order.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn events_again(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<event::Model>, Error> {
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let selected = self.find_by::<event::Entity>(event::Column::Id, &ids);
        let rows = self.read(&selected.into_query(), true).await?;
        Ok(rows.iter().filter_map(read).collect())
    }

    /// The organization's last events up to a position, at most `limit`, in feed order.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn feed_before(&self, upto: i64, limit: u64) -> Result<FeedPage, Error> {
        let select = within(self.find(), None, Some(upto))
            .into_select()
            .order_by_desc(event::Column::FeedPosition)
            .limit(limit);
        let mut rows = self.query(&select.into_query()).await?;
        rows.reverse();
        FeedPage::of(&rows)
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

/// An event, or `None` if it cannot be read. It must not block the events after it.
pub(crate) fn read(row: &QueryResult) -> Option<event::Model> {
    let read = || -> Result<_, DbErr> {
        Ok(event::Model {
            id: row.try_get("", "id")?,
            org_id: row.try_get("", "org_id")?,
            send_id: row.try_get("", "send_id")?,
            event_type: row.try_get("", "event_type")?,
            url: row.try_get("", "url")?,
            occurred_at: row.try_get("", "occurred_at")?,
            created_at: row.try_get("", "created_at")?,
            updated_at: row.try_get("", "updated_at")?,
            metadata: row.try_get("", "metadata")?,
            feed_position: row.try_get("", "feed_position")?,
            send_campaign_id: row.try_get("", "send_campaign_id")?,
            send_contact_id: row.try_get("", "send_contact_id")?,
            chosen_id: row.try_get("", "chosen_id")?,
        })
    };
    // a driver may panic at an unexpected value
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(event)) => return Some(event),
        Ok(Err(error)) => leave_out("campaign_events", &error),
        Err(_) => leave_out("campaign_events", &"reading it panics"),
    }
    None
}
