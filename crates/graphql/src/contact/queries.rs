//! `contact` and `contacts`.

use async_graphql::{Context, ID, Object};

use super::{Contact, ContactFilter, ContactOrder};
use crate::{
    connection::{self, Connection, PageArguments},
    context::RequestContext,
    error::Error,
};

#[derive(Default)]
pub(crate) struct ContactQueries;

#[Object]
impl ContactQueries {
    /// The contact of this id; null where your organization has none.
    async fn contact(&self, ctx: &Context<'_>, id: ID) -> Result<Option<Contact>, Error> {
        connection::find(ctx.scope(), &id).await
    }

    /// The contacts of your organization.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn contacts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Only those that fulfil all of this.")] filter: Option<ContactFilter>,
        #[graphql(desc = "In this order; by id without it.")] order_by: Option<Vec<ContactOrder>>,
        #[graphql(desc = "So many from the start, 500 at most.")] first: Option<i32>,
        #[graphql(desc = "Those behind this cursor; with first.")] after: Option<String>,
        #[graphql(desc = "So many from the end, 500 at most.")] last: Option<i32>,
        #[graphql(desc = "Those before this cursor; with last.")] before: Option<String>,
    ) -> Result<Connection<Contact>, Error> {
        let page = PageArguments { first, after, last, before };
        Connection::list(ctx.scope(), filter.as_ref(), order_by.as_deref(), page)
    }
}
