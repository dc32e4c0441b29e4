//! The orders of campaigns.

use async_graphql::{Enum, InputObject};
use campaigns_analytics::{OrderBy, Rate, order_expression};
use campaigns_entity::campaign::Column;
use campaigns_scope::{KeyKind, OrderKey, Scope};
use sea_orm::{ColumnTrait, sea_query::Expr};

use crate::connection::{OrderDirection, OrderInput};

/// The fields that campaigns can be ordered by. Nulls come last in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum CampaignOrderField {
    /// Orders by name, compared by code point.
    Name,
    /// Orders by status: DRAFT, SCHEDULED, SENDING, SENT, PAUSED, CANCELED.
    Status,
    /// Orders by channel, compared by code point.
    Channel,
    /// Orders by the time the campaign is scheduled for.
    ScheduledAt,
    /// Orders by the time the campaign was sent.
    SentAt,
    /// Orders by creation time.
    CreatedAt,
    /// Orders by the time of the last update.
    UpdatedAt,
    /// Orders by the number of sends.
    Sends,
    /// Orders by `stats.openRate`, rounded to one decimal.
    OpenRate,
    /// Orders by `stats.clickRate`, rounded to one decimal.
    ClickRate,
    /// Orders by `stats.bounceRate`, rounded to one decimal.
    BounceRate,
}

/// Ordering options for campaigns.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct CampaignOrder {
    /// The field to order by.
    field: CampaignOrderField,
    /// The direction of the order.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

/// The statuses in order.
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
            Field::OpenRate => {
                (order_expression(scope, OrderBy::Rate(Rate::Open)), KeyKind::Integer, true)
            }
            Field::ClickRate => {
                (order_expression(scope, OrderBy::Rate(Rate::Click)), KeyKind::Integer, true)
            }
            Field::BounceRate => {
                (order_expression(scope, OrderBy::Rate(Rate::Bounce)), KeyKind::Integer, true)
            }
        };
        OrderKey { expression, kind, nullable, direction: self.direction.into() }
    }
}
