//! The orders of segments.

use async_graphql::{Enum, InputObject};
use campaigns_analytics::used_in_expression;
use campaigns_entity::segment::Column;
use campaigns_scope::{KeyKind, OrderKey, Scope};
use sea_orm::{
    ColumnTrait,
    sea_query::{Expr, ExprTrait},
};

use super::filter::contact_count;
use crate::connection::{OrderDirection, OrderInput};

/// The fields that segments can be ordered by. Nulls come last in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum SegmentOrderField {
    /// Orders by name, compared by code point.
    Name,
    /// Orders by `contactCount`.
    ContactCount,
    /// Orders by `campaignsUsedIn`.
    CampaignsUsedIn,
    /// Orders by creation time.
    CreatedAt,
    /// Orders by the time of the last update.
    UpdatedAt,
}

/// Ordering options for segments.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct SegmentOrder {
    /// The field to order by.
    field: SegmentOrderField,
    /// The direction of the order.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

impl OrderInput for SegmentOrder {
    type Field = SegmentOrderField;

    fn field(&self) -> SegmentOrderField {
        self.field
    }

    fn key(&self, scope: &Scope) -> OrderKey {
        let column = |column: Column| Expr::col(column.as_column_ref());
        let (expression, kind, nullable) = match self.field {
            SegmentOrderField::Name => (column(Column::Name), KeyKind::Text, false),
            SegmentOrderField::ContactCount => {
                (contact_count().cast_as("bigint"), KeyKind::Integer, false)
            }
            SegmentOrderField::CampaignsUsedIn => {
                (used_in_expression(scope), KeyKind::Integer, false)
            }
            SegmentOrderField::CreatedAt => (column(Column::CreatedAt), KeyKind::Time, false),
            SegmentOrderField::UpdatedAt => (column(Column::UpdatedAt), KeyKind::Time, false),
        };
        OrderKey { expression, kind, nullable, direction: self.direction.into() }
    }
}
