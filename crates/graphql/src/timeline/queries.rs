//! `timeline`.

use async_graphql::{Context, Object};
use campaigns_entity::campaign;

use super::{Calendar, EngagementBucket, TimeInterval, arguments::in_order};
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
    /// What happened when, over every campaign of your organization that the filter selects: every
    /// bucket that the time from from on, before to, touches, whole and in their order, 1,000 at most;
    /// those in which nothing happened are there with zeros.
    async fn timeline(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only campaigns that fulfil all of this.")] filter: Option<CampaignFilter>,
        #[graphql(desc = "How long a bucket is.")] interval: TimeInterval,
        #[graphql(desc = "A time in the first bucket.")] from: DateTime,
        #[graphql(desc = "The first time that need not be in a bucket.")] to: DateTime,
        #[graphql(
            desc = "The time zone whose calendar it is: Europe/Berlin, America/New_York, …",
            default = "UTC"
        )]
        timezone: String,
    ) -> Result<Vec<EngagementBucket>, Error> {
        let scope = ctx.scope();
        let calendar = Calendar::of(interval, &timezone)?;
        let from = input::time(&from, Path::argument("from"))?;
        let to = input::time(&to, Path::argument("to"))?;
        in_order(from, to)?;
        let buckets = calendar.buckets(from, to)?;
        let condition = filter::condition(scope, filter.as_ref(), "filter")?;
        let selected = scope.find::<campaign::Entity>().filter(condition);
        let uniques = EngagementBucket::uniques(ctx);
        let activities = campaigns_analytics::timeline(scope, selected, &buckets, uniques).await?;
        Ok(buckets.into_iter().zip(activities).map(Into::into).collect())
    }
}
