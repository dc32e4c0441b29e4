//! `send` and `sends`.

use async_graphql::{Context, ID, Object};

use super::{Send, SendFilter, SendOrder};
use crate::{
    connection::{self, Connection, PageArguments},
    context::RequestContext,
    error::Error,
};

#[derive(Default)]
pub(crate) struct SendQueries;

#[Object]
impl SendQueries {
    /// The send of this id; null where your organization has none.
    async fn send(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Send>, Error> {
        connection::find(ctx.scope(), &id).await
    }

    /// The sends of your organization, of every campaign.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn sends(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<SendFilter>,
        #[graphql(desc = "In this order; by id without it.")] order_by: Option<Vec<SendOrder>>,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<Send>, Error> {
        let page = PageArguments { first, after, last, before };
        Connection::list(ctx.scope(), filter.as_ref(), order_by.as_deref(), page)
    }
}
