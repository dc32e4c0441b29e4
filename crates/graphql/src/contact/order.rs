//! The orders of contacts.

use async_graphql::{Enum, InputObject};
use campaigns_entity::contact::Column;
use campaigns_scope::{KeyKind, OrderKey, Scope};
use sea_orm::{ColumnTrait, sea_query::Expr};

use crate::connection::{OrderDirection, OrderInput};

/// The fields that contacts can be ordered by. Nulls come last in both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum ContactOrderField {
    /// Orders by last name, compared by code point.
    LastName,
    /// Orders by first name, compared by code point.
    FirstName,
    /// Orders by e-mail address, compared by code point.
    Email,
    /// Orders by creation time.
    CreatedAt,
}

/// Ordering options for contacts.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct ContactOrder {
    /// The field to order by.
    field: ContactOrderField,
    /// The direction of the order.
    #[graphql(default_with = "OrderDirection::Asc")]
    direction: OrderDirection,
}

impl ContactOrder {
    /// By last name, then by first name.
    pub(crate) const BY_NAME: [Self; 2] = [
        Self { field: ContactOrderField::LastName, direction: OrderDirection::Asc },
        Self { field: ContactOrderField::FirstName, direction: OrderDirection::Asc },
    ];
}

impl OrderInput for ContactOrder {
    type Field = ContactOrderField;

    fn field(&self) -> ContactOrderField {
        self.field
    }

    fn key(&self, _: &Scope) -> OrderKey {
        let column = |column: Column| Expr::col(column.as_column_ref());
        let (expression, kind, nullable) = match self.field {
            ContactOrderField::LastName => (column(Column::LastName), KeyKind::Text, true),
            ContactOrderField::FirstName => (column(Column::FirstName), KeyKind::Text, false),
            ContactOrderField::Email => (column(Column::Email), KeyKind::Text, true),
            ContactOrderField::CreatedAt => (column(Column::CreatedAt), KeyKind::Time, false),
        };
        OrderKey { expression, kind, nullable, direction: self.direction.into() }
    }
}
