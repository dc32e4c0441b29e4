//! The clicked links of campaigns, with their clicks.

use std::collections::HashMap;

use campaigns_entity::{StoredText, StoredTime, campaign};
use campaigns_scope::{Dialect, Error, Scope, Scoped, Sql};
use chrono::{DateTime, Utc};
use sea_orm::DbErr;
use uuid::Uuid;

use crate::timeline::occurred_in_range;

/// A link of a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The URL.
    pub url: String,
    /// The number of clicks.
    pub clicks: i64,
    /// The number of sends in which it was clicked.
    pub unique_clicks: i64,
    /// When it was last clicked. If RFC 3339 cannot represent any of the times, the nearest time that it
    /// can represent.
    pub last_clicked_at: DateTime<Utc>,
}

/// The 500 most clicked links of each campaign, ties ordered by code point: stored counts, pending changes,
/// and the time of the last click, from the end of an index range.
macro_rules! links {
    ($by_url:literal, $same_url:literal) => {
        Sql::new(concat!(
            "SELECT campaign, url, clicks, unique_clicks,
               coalesce((SELECT max(occurred_at) FROM campaign_events WHERE send_campaign_id = campaign
                  AND event_type = 'click' AND ",
            occurred_in_range!(),
            " AND ",
            $same_url,
            "), (SELECT max(occurred_at) FROM campaign_events WHERE send_campaign_id = campaign
                  AND event_type = 'click' AND ",
            $same_url,
            ")) AS last_clicked_at FROM
             (SELECT campaign_id AS campaign, max(url) AS url, CAST(sum(clicks) AS bigint) AS clicks,
              CAST(sum(unique_clicks) AS bigint) AS unique_clicks,
              row_number() OVER (PARTITION BY campaign_id ORDER BY sum(clicks) DESC, max(",
            $by_url,
            ") AS place FROM
              (SELECT campaign_id, link, url, clicks, unique_clicks
               FROM {campaign_link_counts BY campaign_id}
               UNION ALL
               SELECT now.campaign_id, now.link, now.url, now.clicks,
                 CASE WHEN coalesce(had.clicks, 0) + now.clicks > 0 THEN 1 ELSE 0 END
                   - CASE WHEN had.clicks > 0 THEN 1 ELSE 0 END
               FROM (SELECT campaign_id, send_id, link, max(url) AS url, sum(number) AS clicks
                 FROM {campaign_event_changes BY campaign_id} WHERE link IS NOT NULL
                 GROUP BY campaign_id, send_id, link) AS now
               LEFT JOIN campaign_send_link_counts AS had
               ON had.send_id = now.send_id AND had.campaign_id = now.campaign_id AND had.link = now.link
              ) AS parts
              GROUP BY campaign_id, link HAVING sum(clicks) > 0) AS links
             WHERE place <= 500 ORDER BY campaign, place"
        ))
    };
}

const IN_SQLITE: Sql = links!("url)", "campaign_events.url = links.url");
// this operator compares text bytewise in any collation; URLs are too long for an index
const IN_POSTGRES: Sql = links!(
    "url) USING ~<~",
    "campaign_event_link(campaign_events.url) = campaign_event_link(links.url)
     AND campaign_events.url = links.url"
);

/// The links of each selected campaign, at most 500, ordered by the number of clicks, most first,
/// and then by URL. Campaigns without clicks are omitted.
///
/// # Errors
/// Any error of the database.
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
            let last = row.try_get::<Option<StoredTime>>("", "last_clicked_at")?;
            Ok::<_, DbErr>(Link {
                url: row.try_get::<StoredText>("", "url")?.0,
                clicks: row.try_get("", "clicks")?,
                unique_clicks: row.try_get("", "unique_clicks")?,
                // while triggers are off, counts can have links without events
                last_clicked_at: last.map_or(StoredTime::EARLIEST, |time| time.nearest()),
            })
        };
        links.entry(row.try_get("", "campaign")?).or_default().push(read()?);
    }
    Ok(links)
}
