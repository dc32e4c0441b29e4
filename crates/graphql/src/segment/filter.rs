//! The filter of segments.

use async_graphql::InputObject;
use campaigns_entity::segment::Column;
use sea_orm::{
    ColumnTrait,
    sea_query::{Expr, Func},
};

use crate::{
    error::Error,
    filter::{All, DateTimeFilter, Filter, IdFilter, IntFilter, JsonFilter, StringFilter, logical},
    input::Path,
};

/// Filters segments. All given fields must match. An empty filter matches all segments.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct SegmentFilter {
    /// Matches if all of these filters match. An empty list matches everything.
    and: Option<Vec<SegmentFilter>>,
    /// Matches if at least one of these filters matches. An empty list matches nothing.
    or: Option<Vec<SegmentFilter>>,
    /// Matches everything that this filter does not match, including null values.
    not: Option<Box<SegmentFilter>>,
    /// Filters by ID.
    id: Option<IdFilter>,
    /// Filters by name.
    name: Option<StringFilter>,
    /// Filters by description.
    description: Option<StringFilter>,
    /// Filters by `contactCount`.
    contact_count: Option<IntFilter>,
    /// Filters by creation time.
    created_at: Option<DateTimeFilter>,
    /// Filters by the time of the last update.
    updated_at: Option<DateTimeFilter>,
    /// Filters by custom data.
    metadata: Option<JsonFilter>,
}

impl Filter for SegmentFilter {
    logical!();

    fn fields(&self, all: &mut All<'_>, path: Path<'_>) -> Result<(), Error> {
        all.id(path.field("id"), self.id.as_ref(), Column::Id)?;
        all.text(path.field("name"), self.name.as_ref(), Column::Name)?;
        all.text(path.field("description"), self.description.as_ref(), Column::Description)?;
        all.int(path.field("contactCount"), self.contact_count.as_ref(), &contact_count())?;
        all.time(path.field("createdAt"), self.created_at.as_ref(), Column::CreatedAt)?;
        all.time(path.field("updatedAt"), self.updated_at.as_ref(), Column::UpdatedAt)?;
        all.json(path.field("metadata"), self.metadata.as_ref(), "campaign_segments.metadata")
    }
}

/// The count as shown: 0 if there is none.
pub(super) fn contact_count() -> Expr {
    Func::coalesce([Expr::col(Column::ContactCount.as_column_ref()), Expr::val(0)]).into()
}
