//! How far the feed is settled.

use sea_orm::{ConnectionTrait, Statement};

use super::Scope;
use crate::{Dialect, Error};

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
            Dialect::Postgres => settled(&self.executor(), None).await.map(Some),
        }
    }
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
