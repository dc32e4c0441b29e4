//! The visible state of campaigns, for detecting changes.

use std::{collections::HashMap, sync::Arc};

use campaigns_entity::{StoredText, campaign};
use campaigns_scope::{Dialect, Error, Scope, Scoped, Sql};
use uuid::Uuid;

use crate::{Figures, Spans, by_campaign};

/// The visible state of a campaign.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Its figures, with the times of its events.
    pub figures: Figures,
    /// A text that changes with the row.
    pub row: Arc<str>,
}

/// A hash of the row, since a message can be long. `updated_at` does not suffice: an adopted table may have
/// no trigger that sets it.
const ROWS_IN_POSTGRES: Sql =
    Sql::new("SELECT id, md5(CAST(campaigns AS text)) FROM {campaigns BY id}");

/// Triggers set `updated_at`, with milliseconds. The other columns distinguish most changes within one
/// millisecond.
const ROWS_IN_SQLITE: Sql = Sql::new(
    "SELECT id, updated_at || ' ' || status || ' ' || coalesce(scheduled_at, '') || ' ' || coalesce(sent_at, '')
       || ' ' || coalesce(hex(creator_id), '') || ' ' || channel || ' ' || name || ' ' || coalesce(subject, '')
       || ' ' || coalesce(length(body), '') || ' ' || coalesce(length(metadata), '')
     FROM {campaigns BY id}",
);

/// The states of the selected campaigns that exist.
///
/// # Errors
/// Any error of the database.
pub async fn states(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, State>, Error> {
    let mut figures = by_campaign(scope, selected.clone(), Spans::With).await?;
    // rows are read after the figures: a campaign deleted in between is omitted rather than shown with zeros
    let sql = match scope.dialect() {
        Dialect::Postgres => ROWS_IN_POSTGRES,
        Dialect::Sqlite => ROWS_IN_SQLITE,
    };
    let rows = scope.rows(sql, selected).await?;
    let states = rows.iter().map(|row| {
        let id = row.try_get_by_index(0)?;
        let StoredText(row) = row.try_get_by_index(1)?;
        Ok((id, State { figures: figures.remove(&id).unwrap_or_default(), row: row.into() }))
    });
    states.collect()
}
