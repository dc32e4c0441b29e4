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
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<
            EngagementEventFilter,
        >,
        #[graphql(desc = "In this order; as they came in without it.")] order_by: Option<
            Vec<EngagementEventOrder>,
        >,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<EngagementEvent>, Error> {
        let page = PageArguments { first, after, last, before };
        let order_by = EngagementEventOrder::or(order_by, EngagementEventOrder::FEED);
        Connection::list(ctx.scope(), filter.as_ref(), Some(&order_by), page)
    }

    /// Where the feed is now: a subscription after this cursor is given every event that is committed
    /// later, and none twice.
    async fn feed_cursor(&self, ctx: &Context<'_>) -> Result<String, Error> {
        let scope = ctx.scope();
        cursor::encode(scope, &scope.latest_place().await?)
    }
}
