//! Which segments.

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

/// Segments that fulfil every field that is given; none: all of them.
#[derive(Clone, Debug, Default, InputObject)]
pub(crate) struct SegmentFilter {
    /// All of these; [] is everything.
    and: Option<Vec<SegmentFilter>>,
    /// At least one of these; [] is nothing.
    or: Option<Vec<SegmentFilter>>,
    /// Exactly those that this does not select.
    not: Option<Box<SegmentFilter>>,
    /// By id.
    id: Option<IdFilter>,
    /// By name.
    name: Option<StringFilter>,
    /// By description.
    description: Option<StringFilter>,
    /// By contactCount.
    contact_count: Option<IntFilter>,
    /// By the time it was made.
    created_at: Option<DateTimeFilter>,
    /// By the time it last changed.
    updated_at: Option<DateTimeFilter>,
    /// By what you keep with it.
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

/// The count as it is shown: 0 where there is none.
pub(super) fn contact_count() -> Expr {
    Func::coalesce([Expr::col(Column::ContactCount.as_column_ref()), Expr::val(0)]).into()
}
