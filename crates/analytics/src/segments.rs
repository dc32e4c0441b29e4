//! Which segments campaigns were made with.

use std::collections::HashMap;

use campaigns_entity::{campaign, segment};
use campaigns_scope::{Error, Scope, Scoped, Sql};
use sea_orm::{DbErr, sea_query::Expr};
use uuid::Uuid;

const CAMPAIGNS_USED_IN: Sql = Sql::new(
    "SELECT segment_id, count(DISTINCT campaign_id) AS used_in FROM campaign_lists
     WHERE segment_id IN (SELECT id FROM selected) GROUP BY segment_id",
);

const CAMPAIGNS_USED_IN_OF_ONE: Sql = Sql::new(
    "SELECT count(DISTINCT campaign_id) FROM campaign_lists WHERE segment_id = campaign_segments.id",
);

const OF_CAMPAIGNS: Sql = Sql::new(
    "SELECT DISTINCT campaign_id, segment_id FROM campaign_lists
     WHERE campaign_id IN (SELECT id FROM selected) AND segment_id IS NOT NULL",
);

/// On the lists of how many campaigns each of the selected segments put somebody; one that was
/// never used is not among them.
///
/// # Errors
/// Those of the database.
pub async fn campaigns_used_in(
    scope: &Scope,
    selected: Scoped<segment::Entity>,
) -> Result<HashMap<Uuid, i64>, Error> {
    let rows = scope.rows(CAMPAIGNS_USED_IN, selected).await?;
    Ok(rows
        .iter()
        .map(|row| Ok((row.try_get("", "segment_id")?, row.try_get("", "used_in")?)))
        .collect::<Result<_, DbErr>>()?)
}

/// [`campaigns_used_in`] of a row of `campaign_segments`, to order by.
#[must_use]
pub fn used_in_expression(scope: &Scope) -> Expr {
    scope.expression(CAMPAIGNS_USED_IN_OF_ONE)
}

/// The segments from which the lists of the selected campaigns have entries, campaign by campaign.
///
/// # Errors
/// Those of the database.
pub async fn of_campaigns(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, Vec<Uuid>>, Error> {
    let mut segments: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for row in scope.rows(OF_CAMPAIGNS, selected).await? {
        let campaign: Uuid = row.try_get("", "campaign_id")?;
        segments.entry(campaign).or_default().push(row.try_get("", "segment_id")?);
    }
    Ok(segments)
}
