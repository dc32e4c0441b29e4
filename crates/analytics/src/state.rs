//! The state of campaigns: everything that a reader can see of them, to detect changes.

use std::{collections::HashMap, sync::Arc};

use campaigns_entity::campaign;
use campaigns_scope::{Dialect, Error, Scope, Scoped, Sql};
use uuid::Uuid;

use crate::{Figures, Spans, by_campaign};

/// What a reader can see of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its figures, with the times of its events.
    pub figures: Figures,
    /// A text that differs if the row has changed.
    pub row: Arc<str>,
}

/// A hash, since a message can be long. An adopted table may have no trigger that sets `updated_at`.
const ROWS_IN_POSTGRES: Sql =
    Sql::new("SELECT id, md5(CAST(campaigns AS text)) FROM {campaigns BY id}");

/// Triggers set `updated_at`, to the millisecond. The rest distinguishes most changes within one
/// millisecond.
const ROWS_IN_SQLITE: Sql = Sql::new(
    "SELECT id, updated_at || ' ' || status || ' ' || coalesce(scheduled_at, '') || ' ' || coalesce(sent_at, '')
       || ' ' || coalesce(hex(creator_id), '') || ' ' || channel || ' ' || name || ' ' || coalesce(subject, '')
       || ' ' || coalesce(length(body), '') || ' ' || coalesce(length(metadata), '')
     FROM {campaigns BY id}",
);

/// The states of the selected campaigns, of those that exist.
///
/// # Errors
/// Any error of the database.
pub async fn states(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, State>, Error> {
    let mut figures = by_campaign(scope, selected.clone(), Spans::With).await?;
    // in this order, so that the figures of a campaign deleted in between are not taken for zeros
    let sql = match scope.dialect() {
        Dialect::Postgres => ROWS_IN_POSTGRES,
        Dialect::Sqlite => ROWS_IN_SQLITE,
    };
    let rows = scope.rows(sql, selected).await?;
    let states = rows.iter().map(|row| {
        let id = row.try_get_by_index(0)?;
        let row: String = row.try_get_by_index(1)?;
        Ok((id, State { figures: figures.remove(&id).unwrap_or_default(), row: row.into() }))
    });
    states.collect()
}
