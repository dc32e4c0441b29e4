//! How campaigns are ordered.

use async_graphql::{Enum, InputObject};
use campaigns_analytics::{OrderBy, order_expression};
use campaigns_entity::campaign::Column;
use campaigns_scope::{KeyKind, OrderKey, Scope};
use sea_orm::{ColumnTrait, sea_query::Expr};

use crate::connection::{OrderDirection, OrderInput};

/// What campaigns are ordered by. Nulls come last, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum CampaignOrderField {
    /// By name, by code point.
    Name,
    /// By state: DRAFT, SCHEDULED, SENDING, SENT, PAUSED, CANCELED.
    Status,
    /// By channel, by code point.
    Channel,
    /// By the time it is scheduled for.
    ScheduledAt,
    /// By the time it was sent.
    SentAt,
    /// By the time it was made.
    CreatedAt,
    /// By the time it last changed.
    UpdatedAt,
    /// By the number of sends.
    Sends,
    /// By stats.openRate as it is shown.
    OpenRate,
    /// By stats.clickRate as it is shown.
    ClickRate,
    /// By stats.bounceRate as it is shown.
    BounceRate,
}

/// By what, and which way.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct CampaignOrder {
    /// By what.
    field: CampaignOrderField,
    /// Which way.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

/// The states in their order.
const STATES: &[&str] = &["draft", "scheduled", "sending", "sent", "paused", "canceled"];

impl OrderInput for CampaignOrder {
    type Field = CampaignOrderField;

    fn field(&self) -> CampaignOrderField {
        self.field
    }

    fn key(&self, scope: &Scope) -> OrderKey {
        use CampaignOrderField as Field;
        let column = |column: Column| Expr::col(column.as_column_ref());
        let (expression, kind, nullable) = match self.field {
            Field::Name => (column(Column::Name), KeyKind::Text, false),
            Field::Status => {
                (column(Column::Status), KeyKind::Enum("campaign_status", STATES), false)
            }
            Field::Channel => (column(Column::Channel), KeyKind::Text, false),
            Field::ScheduledAt => (column(Column::ScheduledAt), KeyKind::Time, true),
            Field::SentAt => (column(Column::SentAt), KeyKind::Time, true),
            Field::CreatedAt => (column(Column::CreatedAt), KeyKind::Time, false),
            Field::UpdatedAt => (column(Column::UpdatedAt), KeyKind::Time, false),
            Field::Sends => (order_expression(scope, OrderBy::Sends), KeyKind::Integer, false),
            Field::OpenRate => (order_expression(scope, OrderBy::OpenRate), KeyKind::Integer, true),
            Field::ClickRate => {
                (order_expression(scope, OrderBy::ClickRate), KeyKind::Integer, true)
            }
            Field::BounceRate => {
                (order_expression(scope, OrderBy::BounceRate), KeyKind::Integer, true)
            }
        };
        OrderKey { expression, kind, nullable, direction: self.direction.into() }
    }
}
