//! `segment` and `segments`.

use async_graphql::{Context, ID, Object};

use super::{
    Segment, SegmentFilter, SegmentOrder,
    fields::{self, SegmentField},
    preview::{self, SegmentPreview},
};
use crate::{
    connection::{self, Connection, PageArguments},
    error::Error,
    scalars::Json,
};

#[derive(Default)]
pub(crate) struct SegmentQueries;

#[Object]
impl SegmentQueries {
    /// The segment with this ID. Null if your organization has no such segment.
    async fn segment(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the segment.")] id: ID,
    ) -> Result<Option<Segment>, Error> {
        connection::find(ctx, &id).await
    }

    /// The segments of your organization.
    #[expect(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn segments(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Filters the list. All given fields must match.")] filter: Option<
            SegmentFilter,
        >,
        #[graphql(desc = "The order of the list. The default is by ID.")] order_by: Option<
            Vec<SegmentOrder>,
        >,
        #[graphql(desc = "Returns the first _n_ elements, up to 500.")] first: Option<i32>,
        #[graphql(desc = "Returns the elements after this cursor. Use with `first`.")]
        after: Option<String>,
        #[graphql(desc = "Returns the last _n_ elements, up to 500.")] last: Option<i32>,
        #[graphql(desc = "Returns the elements before this cursor. Use with `last`.")]
        before: Option<String>,
    ) -> Result<Connection<Segment>, Error> {
        let page = PageArguments { first, after, last, before };
        Connection::list(ctx, filter.as_ref(), order_by.as_deref(), page)
    }

    /// The contacts that match segment rules now. The rules are not stored.
    async fn preview_segment(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The rules, as JSON: what react-querybuilder exports, or an object with a value for each field."
        )]
        rules: Json,
    ) -> Result<SegmentPreview, Error> {
        preview::preview(ctx, rules)
    }

    /// The fields and operators that segment rules can use, for a rule editor.
    async fn segment_fields(&self) -> Vec<SegmentField> {
        fields::fields()
    }
}
