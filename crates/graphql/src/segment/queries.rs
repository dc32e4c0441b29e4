//! `segment` and `segments`.

use async_graphql::{Context, ID, Object};

use super::{Segment, SegmentFilter, SegmentOrder};
use crate::{
    connection::{self, Connection, PageArguments},
    context::RequestContext,
    error::Error,
};

#[derive(Default)]
pub(crate) struct SegmentQueries;

#[Object]
impl SegmentQueries {
    /// The segment of this id; null where your organization has none.
    async fn segment(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Segment>, Error> {
        connection::find(ctx.scope(), &id).await
    }

    /// The segments of your organization.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn segments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<SegmentFilter>,
        #[graphql(desc = "In this order; by id without it.")] order_by: Option<Vec<SegmentOrder>>,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<Segment>, Error> {
        let page = PageArguments { first, after, last, before };
        Connection::list(ctx.scope(), filter.as_ref(), order_by.as_deref(), page)
    }
}
