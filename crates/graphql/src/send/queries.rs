//! `send` and `sends`.

use async_graphql::{Context, ID, Object};

use super::{Send, SendFilter, SendOrder};
use crate::{
    connection::{self, Connection, PageArguments},
    error::Error,
};

#[derive(Default)]
pub(crate) struct SendQueries;

#[Object]
impl SendQueries {
    /// The send with this ID. Null if your organization has no such send.
    async fn send(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the send.")] id: ID,
    ) -> Result<Option<Send>, Error> {
        connection::find(ctx, &id).await
    }

    /// The sends of your organization, across all campaigns.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            SendFilter,
        >,
        #[graphql(desc = "The order of the list. The default is by ID.")] order_by: Option<
            Vec<SendOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<Send>, Error> {
        let page = PageArguments { first, after, last, before };
        Connection::list(ctx, filter.as_ref(), order_by.as_deref(), page)
    }
}
