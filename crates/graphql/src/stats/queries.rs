//! `stats`.

use async_graphql::{Context, Object};
use campaigns_analytics::Scan;
use campaigns_entity::campaign;

use super::CampaignStats;
use crate::{campaign::CampaignFilter, context::RequestContext, error::Error, filter};

#[derive(Default)]
pub(crate) struct StatsQueries;

#[Object]
impl StatsQueries {
    /// The same figures as `Campaign.stats`, over all campaigns of your organization that match the
    /// filter.
    async fn stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the campaigns. All given fields must match.")] filter: Option<
            CampaignFilter,
        >,
    ) -> Result<CampaignStats, Error> {
        let scope = ctx.scope();
        let selected =
            filter::select::<campaign::Entity>(scope, filter.as_ref(), "filter", Scan::Full)?;
        Ok(campaigns_analytics::total(scope, selected, CampaignStats::spans(ctx)).await?.into())
    }
}
