//! How segments are ordered.

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

/// What segments are ordered by. Nulls come last, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum SegmentOrderField {
    /// By name, by code point.
    Name,
    /// By contactCount.
    ContactCount,
    /// By campaignsUsedIn.
    CampaignsUsedIn,
    /// By the time it was made.
    CreatedAt,
    /// By the time it last changed.
    UpdatedAt,
}

/// By what, and which way.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct SegmentOrder {
    /// By what.
    field: SegmentOrderField,
    /// Which way.
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
