//! `events`.

use async_graphql::{Context, Object};

use super::{EngagementEvent, EngagementEventFilter, EngagementEventOrder, feed_cursor};
use crate::{
    connection::{Connection, PageArguments},
    context::RequestContext,
    error::Error,
};

#[derive(Default)]
pub(crate) struct EventQueries;

#[Object]
impl EventQueries {
    /// The engagement events of your organization, across all campaigns. The default order is that
    /// of the live feed. The subscription `engagementEvents` can continue after a cursor of that
    /// order, with any filter.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            EngagementEventFilter,
        >,
        #[graphql(desc = "The order of the list. The default is the order of the feed.")] order_by: Option<
            Vec<EngagementEventOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::list(ctx, filter.as_ref(), Some(&order_by), page)
    }

    /// The current end of the feed. A subscription that continues after this cursor receives every
    /// event that is committed later, exactly once.
    async fn feed_cursor(&self, ctx: &Context<'_>) -> Result<String, Error> {
        let scope = ctx.scope();
        feed_cursor::encode(scope, &scope.latest_place().await?)
    }
}
