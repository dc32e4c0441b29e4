//! `contact` and `contacts`.

use async_graphql::{Context, ID, Object};

use super::{Contact, ContactFilter, ContactOrder};
use crate::{
    connection::{self, Connection, PageArguments},
    error::Error,
};

#[derive(Default)]
pub(crate) struct ContactQueries;

#[Object]
impl ContactQueries {
    /// The contact with this ID. Null if your organization has no such contact.
    async fn contact(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the contact.")] id: ID,
    ) -> Result<Option<Contact>, Error> {
        connection::find(ctx, &id).await
    }

    /// The contacts of your organization.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn contacts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            ContactFilter,
        >,
        #[graphql(desc = "The order of the list. The default is by ID.")] order_by: Option<
            Vec<ContactOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<Contact>, Error> {
        let page = PageArguments { first, after, last, before };
        Connection::list(ctx, filter.as_ref(), order_by.as_deref(), page)
    }
}
