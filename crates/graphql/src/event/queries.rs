//! `events`.

use async_graphql::{Context, Object};

use super::{EngagementEvent, EngagementEventFilter, EngagementEventOrder, cursor};
use crate::{
    connection::{Connection, PageArguments},
    context::RequestContext,
    error::Error,
};

#[derive(Default)]
pub(crate) struct EventQueries;

#[Object]
impl EventQueries {
    /// The events of your organization, of every campaign. Without orderBy they come in the order of
    /// the live feed, and a cursor of that order is one that the feed goes on from.
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
        #[graphql(desc = "Returns the first n elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with first.")] after: Option<
            String,
        >,
        #[graphql(desc = "Returns the last n elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with last.")] before: Option<
            String,
        >,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::list(ctx, filter.as_ref(), Some(&order_by), page)
    }

    /// Where the feed is now: a subscription after this cursor is given every event that is committed
    /// later, and none twice.
    async fn feed_cursor(&self, ctx: &Context<'_>) -> Result<String, Error> {
        let scope = ctx.scope();
        cursor::encode(scope, &scope.latest_place().await?)
    }
}
