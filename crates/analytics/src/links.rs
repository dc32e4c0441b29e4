//! Links: which were clicked, how often, and by how many.

use std::collections::HashMap;

use campaigns_entity::campaign;
use campaigns_scope::{Dialect, Error, Scope, Scoped, Sql};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

/// A link of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub url: String,
    /// How often it was clicked.
    pub clicks: i64,
    /// In how many sends it was clicked.
    pub unique_clicks: i64,
    /// When it was clicked last.
    pub last_clicked_at: DateTime<Utc>,
}

/// The 500 links of each campaign that were clicked most, ties in the order of their code points.
macro_rules! links {
    ($by_url:literal) => {
        Sql::new(concat!(
            "SELECT campaign, url, clicks, unique_clicks, last_clicked_at FROM
             (SELECT send_campaign_id AS campaign, url, count(*) AS clicks,
              count(DISTINCT send_id) AS unique_clicks, max(occurred_at) AS last_clicked_at,
              row_number() OVER (PARTITION BY send_campaign_id ORDER BY count(*) DESC, ",
            $by_url,
            ") AS place
              FROM campaign_events WHERE send_campaign_id IN (SELECT id FROM selected)
              AND event_type = 'click' AND url IS NOT NULL
              GROUP BY send_campaign_id, url) AS links
             WHERE place <= 500 ORDER BY campaign, place"
        ))
    };
}

const IN_SQLITE: Sql = links!("url");
// the operator that compares text by its bytes, whatever the collation
const IN_POSTGRES: Sql = links!("url USING ~<~");

/// The links of each of the selected campaigns, 500 at most, the most clicked first, then by url; a
/// campaign without clicks is not among them.
///
/// # Errors
/// Those of the database.
pub async fn links(
    scope: &Scope,
    selected: Scoped<campaign::Entity>,
) -> Result<HashMap<Uuid, Vec<Link>>, Error> {
    let sql = match scope.dialect() {
        Dialect::Postgres => IN_POSTGRES,
        Dialect::Sqlite => IN_SQLITE,
    };
    let mut links: HashMap<Uuid, Vec<Link>> = HashMap::new();
    for row in scope.rows(sql, selected).await? {
        let read = || {
            Ok::<_, DbErr>(Link {
                url: row.try_get("", "url")?,
                clicks: row.try_get("", "clicks")?,
                unique_clicks: row.try_get("", "unique_clicks")?,
                last_clicked_at: row.try_get("", "last_clicked_at")?,
            })
        };
        links.entry(row.try_get("", "campaign")?).or_default().push(read()?);
    }
    Ok(links)
}
