//! `timeline`.

use async_graphql::{Context, Object};
use campaigns_analytics::Scan;
use campaigns_entity::campaign;
use campaigns_operation::object::Objects;

use super::{Calendar, EngagementBucket, TimeInterval, arguments::check_order};
use crate::{
    campaign::CampaignFilter,
    context::RequestContext,
    error::Error,
    filter,
    input::{self, Path},
    scalars::DateTime,
};

#[derive(Default)]
pub(crate) struct TimelineQueries;

#[Object]
impl TimelineQueries {
    /// A time series over the campaigns of your organization that match the filter. Returns every
    /// period between `from` and `to` in order, including those without events. The first and the last
    /// are whole periods. More than 1,000 periods are `BAD_USER_INPUT`.
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the campaigns. All given fields must match.")] filter: Option<
            CampaignFilter,
        >,
        #[graphql(desc = "The length of a period.")] interval: TimeInterval,
        #[graphql(desc = "A time within the first period.")] from: DateTime,
        #[graphql(desc = "The end of the series, exclusive. Must be after `from`.")] to: DateTime,
        #[graphql(
            desc = "The IANA time zone of the periods, such as Europe/Berlin or America/New_York.",
            default = "UTC"
        )]
        timezone: String,
    ) -> Result<Objects<EngagementBucket>, Error> {
        let scope = ctx.scope();
        let calendar = Calendar::of(interval, &timezone)?;
        let from = input::time(&from, Path::argument("from"))?;
        let to = input::time(&to, Path::argument("to"))?;
        check_order(from, to)?;
        let buckets = calendar.buckets(from, to)?;
        let selected =
            filter::select::<campaign::Entity>(scope, filter.as_ref(), "filter", Scan::Full)?;
        let uniques = EngagementBucket::uniques(ctx);
        let activities = campaigns_analytics::timeline(scope, selected, &buckets, uniques).await?;
        Ok(Objects(buckets.into_iter().zip(activities).map(EngagementBucket).collect()))
    }
}
