//! The orders of events.

use async_graphql::{Enum, InputObject};
use campaigns_entity::event::Column;
use campaigns_scope::{KeyKind, OrderKey, Scope};
use sea_orm::{ColumnTrait, sea_query::Expr};

use crate::connection::{OrderDirection, OrderInput};

/// The fields that events can be ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum EngagementEventOrderField {
    /// Orders by position in the live feed, which is the order in which events came in. The list ends
    /// at the feed's last settled position: an event appears once all events before it have been
    /// written.
    Feed,
    /// Orders by the time the event happened.
    OccurredAt,
}

/// Ordering options for events.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct EngagementEventOrder {
    /// The field to order by.
    field: EngagementEventOrderField,
    /// The direction of the order.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

impl EngagementEventOrder {
    /// The order of the feed.
    pub(crate) const FEED: Self =
        Self { field: EngagementEventOrderField::Feed, direction: OrderDirection::Asc };

    /// The latest events first.
    pub(crate) const LATEST: Self =
        Self { field: EngagementEventOrderField::OccurredAt, direction: OrderDirection::Desc };

    /// The requested order, or a default.
    pub(crate) fn or(requested: Option<Vec<Self>>, default: Self) -> Vec<Self> {
        requested.filter(|fields| !fields.is_empty()).unwrap_or_else(|| vec![default])
    }
}

impl OrderInput for EngagementEventOrder {
    type Field = EngagementEventOrderField;

    fn field(&self) -> EngagementEventOrderField {
        self.field
    }

    fn key(&self, _: &Scope) -> OrderKey {
        let (column, kind) = match self.field {
            EngagementEventOrderField::Feed => (Column::FeedPosition, KeyKind::Integer),
            EngagementEventOrderField::OccurredAt => (Column::OccurredAt, KeyKind::Time),
        };
        OrderKey {
            expression: Expr::col(column.as_column_ref()),
            kind,
            nullable: false,
            direction: self.direction.into(),
        }
    }

    fn is_feed(&self) -> bool {
        self.field == EngagementEventOrderField::Feed
    }
}
