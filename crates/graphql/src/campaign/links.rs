//! `Campaign.links`.

use async_graphql::{Context, SimpleObject};
use campaigns_analytics::Link;
use campaigns_entity::campaign;

use crate::{context::RequestContext, error::Error, rows::Row, scalars::DateTime, shown::Text};

/// How many links a campaign shows at most.
const MAX_LINKS: usize = 500;

/// What became of a link.
#[derive(SimpleObject)]
pub(crate) struct LinkStats {
    /// Where it leads.
    url: Text<String>,
    /// How often it was clicked.
    clicks: i64,
    /// In how many sends it was clicked.
    unique_clicks: i64,
    /// When it was clicked last.
    last_clicked_at: DateTime,
}

impl From<&Link> for LinkStats {
    fn from(link: &Link) -> Self {
        Self {
            url: Text(link.url.clone()),
            clicks: link.clicks,
            unique_clicks: link.unique_clicks,
            last_clicked_at: link.last_clicked_at.into(),
        }
    }
}

/// The first links of a campaign, loaded for all campaigns that came with it.
pub(super) async fn of(
    ctx: &Context<'_>,
    row: &Row<campaign::Entity>,
    first: i32,
) -> Result<Vec<LinkStats>, Error> {
    let first = match usize::try_from(first) {
        Ok(first) if first <= MAX_LINKS => first,
        _ => return Err(Error::bad_input("first", format!("This is 0 to {MAX_LINKS}."))),
    };
    let scope = ctx.scope();
    let links = row
        .gather(scope, "links", |selected| async move {
            Ok(campaigns_analytics::links(scope, selected).await?)
        })
        .await?;
    Ok(links.get(&row.id).into_iter().flatten().take(first).map(LinkStats::from).collect())
}
