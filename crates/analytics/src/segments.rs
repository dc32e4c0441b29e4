//! The use of segments in campaigns.

use std::collections::HashMap;

use campaigns_entity::{campaign, segment};
use campaigns_scope::{Error, Scope, Scoped, Sql};
use sea_orm::{DbErr, sea_query::Expr};
use uuid::Uuid;

/// The number of campaigns with contacts from a segment on their lists. This looks up one index entry per
/// campaign, so the number of list entries does not matter.
macro_rules! used_in {
    ($segment:literal) => {
        concat!(
            "(WITH RECURSIVE used (campaign_id) AS (
                SELECT campaign_id FROM (SELECT campaign_id FROM campaign_lists WHERE segment_id = ",
            $segment,
            " ORDER BY campaign_id LIMIT 1) AS first_one
                UNION ALL
                SELECT (SELECT campaign_id FROM campaign_lists
                  WHERE segment_id = ",
            $segment,
            " AND campaign_id > used.campaign_id ORDER BY campaign_id LIMIT 1)
                FROM used WHERE campaign_id IS NOT NULL)
              SELECT count(campaign_id) FROM used)"
        )
    };
}

const CAMPAIGNS_USED_IN: Sql = Sql::new(concat!(
    "SELECT id AS segment_id, ",
    used_in!("selected.id"),
    " AS used_in FROM selected"
));

const CAMPAIGNS_USED_IN_OF_ONE: Sql =
    Sql::new(concat!("SELECT ", used_in!("campaign_segments.id")));

const OF_CAMPAIGNS: Sql = Sql::new(
    "SELECT DISTINCT campaign_id, segment_id FROM {campaign_lists BY campaign_id}
     WHERE segment_id IS NOT NULL",
);

/// The number of campaigns with contacts from each selected segment on their lists.
///
/// # Errors
/// Any error of the database.
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

/// [`campaigns_used_in`] of a row of `campaign_segments`, for ordering.
#[must_use]
pub fn used_in_expression(scope: &Scope) -> Expr {
    scope.expression(CAMPAIGNS_USED_IN_OF_ONE)
}

/// The segments that were added to the lists of the selected campaigns, by campaign.
///
/// # Errors
/// Any error of the database.
pub async fn of_campaigns(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, Vec<Uuid>>, Error> {
    let mut segments: HashMap<Uuid, Vec<Uuid>> = HashMap::new();
    for row in scope.rows(OF_CAMPAIGNS, selected).await? {
        let campaign: Uuid = row.try_get("", "campaign_id")?;
        // in SQLite, another program can store what is not an ID, and no segment has it
        let Ok(segment) = row.try_get("", "segment_id") else { continue };
        segments.entry(campaign).or_default().push(segment);
    }
    Ok(segments)
}
