//! `Campaign.links`.

use async_graphql::Context;
use campaigns_analytics::Link;
use campaigns_entity::campaign;
use campaigns_operation::object::Objects;
use chrono::{DateTime, Utc};

use crate::{context::RequestContext, error::Error, object::value_object, rows::Row};

/// The maximum number of links of a campaign.
const MAX_LINKS: usize = 500;

value_object! {
    /// The figures of a clicked link.
    LinkStats of Link {
        /// The URL.
        "url": &str = |link| &link.url;
        /// The total number of clicks.
        "clicks": i64 = |link| link.clicks;
        /// The number of sends in which the link was clicked at least once.
        "uniqueClicks": i64 = |link| link.unique_clicks;
        /// When the link was last clicked.
        "lastClickedAt": DateTime<Utc> = |link| link.last_clicked_at;
    }
}

/// The first links of a campaign, loaded for all campaigns that were read with it.
pub(super) async fn of(
    ctx: &Context<'_>,
    row: &Row<campaign::Entity>,
    first: i32,
) -> Result<Objects<LinkStats>, Error> {
    let first = match usize::try_from(first) {
        Ok(first) if first <= MAX_LINKS => first,
        _ => return Err(Error::bad_input("first", format!("This must be 0 to {MAX_LINKS}."))),
    };
    let scope = ctx.scope();
    let links = row
        .gather(scope, "links", |selected| async move {
            Ok(campaigns_analytics::links(scope, selected).await?)
        })
        .await?;
    let links = links.get(&row.id()).into_iter().flatten().take(first);
    Ok(Objects(links.cloned().map(LinkStats).collect()))
}
