//! How contacts are ordered.

use async_graphql::{Enum, InputObject};
use campaigns_entity::contact::Column;
use campaigns_scope::{KeyKind, OrderKey, Scope};
use sea_orm::{ColumnTrait, sea_query::Expr};

use crate::connection::{OrderDirection, OrderInput};

/// What contacts are ordered by. Nulls come last, in either direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum ContactOrderField {
    /// By last name, by code point.
    LastName,
    /// By first name, by code point.
    FirstName,
    /// By e-mail address, by code point.
    Email,
    /// By the time it was made.
    CreatedAt,
}

/// By what, and which way.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct ContactOrder {
    /// By what.
    field: ContactOrderField,
    /// Which way.
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
