//! The orders of sends.

use async_graphql::{Enum, InputObject};
use campaigns_entity::send::Column;
use campaigns_scope::{KeyKind, OrderKey, Scope};
use sea_orm::{ColumnTrait, sea_query::Expr};

use crate::connection::{OrderDirection, OrderInput};

/// The fields that sends can be ordered by. Nulls come last in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum SendOrderField {
    /// Orders by status: QUEUED, SENT, DELIVERED, BOUNCED, FAILED.
    Status,
    /// Orders by the time the message was sent.
    SentAt,
    /// Orders by the time the delivery was confirmed.
    DeliveredAt,
    /// Orders by the time the send was queued.
    CreatedAt,
}

/// Ordering options for sends.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct SendOrder {
    /// The field to order by.
    field: SendOrderField,
    /// The direction of the order.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

/// The statuses in order.
const STATUSES: &[&str] = &["queued", "sent", "delivered", "bounced", "failed"];

impl OrderInput for SendOrder {
    type Field = SendOrderField;

    fn field(&self) -> SendOrderField {
        self.field
    }

    fn key(&self, _: &Scope) -> OrderKey {
        let (column, kind, nullable) = match self.field {
            SendOrderField::Status => {
                (Column::Status, KeyKind::Enum("send_status", STATUSES), false)
            }
            SendOrderField::SentAt => (Column::SentAt, KeyKind::Time, true),
            SendOrderField::DeliveredAt => (Column::DeliveredAt, KeyKind::Time, true),
            SendOrderField::CreatedAt => (Column::CreatedAt, KeyKind::Time, false),
        };
        OrderKey {
            expression: Expr::col(column.as_column_ref()),
            kind,
            nullable,
            direction: self.direction.into(),
        }
    }
}
