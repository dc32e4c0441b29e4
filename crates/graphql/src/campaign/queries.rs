//! `campaign` and `campaigns`.

use async_graphql::{Context, ID, Object};

use super::{Campaign, CampaignFilter, order::CampaignOrder};
use crate::{
    connection::{self, Connection, PageArguments},
    error::Error,
};

#[derive(Default)]
pub(crate) struct CampaignQueries;

#[Object]
impl CampaignQueries {
    /// The campaign with this ID. Null if your organization has no such campaign.
    async fn campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<Option<Campaign>, Error> {
        connection::find(ctx, &id).await
    }

    /// The campaigns of your organization.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn campaigns(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            CampaignFilter,
        >,
        #[graphql(desc = "The order of the list. The default is by ID.")] order_by: Option<
            Vec<CampaignOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<Campaign>, Error> {
        let page = PageArguments { first, after, last, before };
        Connection::list(ctx, filter.as_ref(), order_by.as_deref(), page)
    }
}
