//! Orders: their keys, the comparison of keys, and the condition for rows after a cursor.

use std::sync::Arc;

use campaigns_entity::StoredTime;
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition,
    sea_query::{Alias, Expr, ExprTrait, NullOrdering, Order as SqlOrder, SelectStatement},
};
use uuid::Uuid;

use crate::{
    Dialect, OrganizationOwned,
    dialect::{of_unknown, position},
};

/// The longest value of an enum in PostgreSQL, in bytes.
const LONGEST_ENUM_VALUE: usize = 63;

/// The direction of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// The kind of a key, which decides its comparison and its form in a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// Text, by code point.
    Text,
    /// A point in time.
    Time,
    /// A 64-bit integer.
    Integer,
    /// A row's ID.
    Id,
    /// An enum type with this name and these values, in order. Values of newer versions come where the type has them.
    Enum(&'static str, &'static [&'static str]),
    /// An enum stored as text, by its position among these values. Others come after them.
    Position(&'static [&'static str]),
}

/// The value of a key in one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyValue {
    /// No value.
    Null,
    /// Text, or the value of an enum.
    Text(String),
    /// Text that is not UTF-8, or has a NUL, which SQLite stores: its bytes.
    StoredText(Arc<[u8]>),
    /// A time.
    Time(DateTime<Utc>),
    /// A time that RFC 3339 cannot represent, or that SQLite stores in another format: the text of the
    /// database.
    StoredTime(Arc<str>),
    /// An integer.
    Integer(i64),
    /// An ID.
    Id(Uuid),
}

impl KeyKind {
    /// Whether a key of this kind can have this value.
    #[must_use]
    pub fn takes(self, value: &KeyValue, dialect: Dialect) -> bool {
        match (self, value) {
            // PostgreSQL would reject text that is not a time
            (Self::Time, KeyValue::StoredTime(text)) => {
                dialect == Dialect::Sqlite || StoredTime::of_postgres_text(text).is_some()
            }
            // PostgreSQL has no such text
            (Self::Text, KeyValue::StoredText(_)) => dialect == Dialect::Sqlite,
            (Self::Text, KeyValue::Text(_))
            | (Self::Time, KeyValue::Time(_))
            | (Self::Integer, KeyValue::Integer(_))
            | (Self::Id, KeyValue::Id(_)) => true,
            // a newer version can have stored other values
            (Self::Enum(..) | Self::Position(_), KeyValue::Text(value)) => {
                value.len() <= LONGEST_ENUM_VALUE
            }
            _ => false,
        }
    }
}

/// An enum's value that this version does not know, if the type has it. A cast of any text would fail.
fn stored_enum_value(name: &str, text: &str) -> Expr {
    Expr::cust_with_expr(
        format!(
            "(SELECT CAST(CAST(enumlabel AS text) AS {name}) FROM pg_catalog.pg_enum \
             WHERE enumtypid = CAST('{name}' AS regtype) AND enumlabel = CAST($1 AS text))"
        ),
        Expr::val(text),
    )
}

/// One key of an order.
#[derive(Clone, Debug)]
pub struct OrderKey {
    /// A column, or an expression over the table's columns.
    pub expression: Expr,
    /// Its kind.
    pub kind: KeyKind,
    /// Whether it can be null.
    pub nullable: bool,
    /// Its direction.
    pub direction: Direction,
}

/// The order of a list. The row's ID, ascending, is added after the keys.
#[derive(Clone, Debug, Default)]
pub struct Order(pub Vec<OrderKey>);

impl Order {
    /// Whether a row in this order can have these keys, including the ID.
    #[must_use]
    pub fn takes(&self, cursor: &[KeyValue], dialect: Dialect) -> bool {
        cursor.len() == self.0.len() + 1
            && matches!(cursor.last(), Some(KeyValue::Id(_)))
            && self.0.iter().zip(cursor).all(|(key, value)| {
                key.kind.takes(value, dialect) || (key.nullable && *value == KeyValue::Null)
            })
    }

    /// The keys, including the ID.
    pub(super) fn keys<E: OrganizationOwned>(&self) -> Vec<OrderKey> {
        let id = OrderKey {
            expression: Expr::col(E::ID.as_column_ref()),
            kind: KeyKind::Id,
            nullable: false,
            direction: Direction::Ascending,
        };
        self.0.iter().cloned().chain([id]).collect()
    }
}

impl OrderKey {
    /// The same key, with an enum's values by position.
    pub(super) fn by_position(self) -> Self {
        match self.kind {
            KeyKind::Enum(_, values) => Self {
                expression: self.expression.cast_as(Alias::new("text")),
                kind: KeyKind::Position(values),
                ..self
            },
            _ => self,
        }
    }

    /// The expression that is ordered and compared.
    pub(super) fn ordered(&self, dialect: Dialect) -> Expr {
        match (self.kind, dialect) {
            (KeyKind::Text, _) => dialect.by_code_point(self.expression.clone()),
            (KeyKind::Enum(_, values), Dialect::Sqlite) | (KeyKind::Position(values), _) => {
                position(&self.expression, values)
            }
            _ => self.expression.clone(),
        }
    }

    /// The expression that a cursor contains, if it differs from the ordered one: an enum's text.
    pub(super) fn shown(&self, dialect: Dialect) -> Option<Expr> {
        match (self.kind, dialect) {
            (KeyKind::Enum(..), Dialect::Postgres) => {
                Some(self.expression.clone().cast_as(Alias::new("text")))
            }
            (KeyKind::Enum(..), Dialect::Sqlite) | (KeyKind::Position(_), _) => {
                Some(self.expression.clone())
            }
            _ => None,
        }
    }

    /// A cursor's value, for comparison with [`OrderKey::ordered`].
    fn bound(&self, value: &KeyValue, dialect: Dialect) -> Expr {
        match (self.kind, value, dialect) {
            (KeyKind::Enum(name, values), KeyValue::Text(text), Dialect::Postgres) => {
                if values.contains(&text.as_str()) {
                    Expr::val(text.clone()).cast_as(Alias::new(name))
                } else {
                    stored_enum_value(name, text)
                }
            }
            (KeyKind::Enum(_, values), KeyValue::Text(text), Dialect::Sqlite)
            | (KeyKind::Position(values), KeyValue::Text(text), _) => {
                let position = (0_i64..).zip(values).find(|(_, value)| **value == text.as_str());
                Expr::val(position.map_or(of_unknown(values), |(position, _)| position))
            }
            (_, KeyValue::Text(text), _) => Expr::val(text.clone()),
            (_, KeyValue::StoredText(bytes), _) => {
                Expr::cust_with_expr("CAST(? AS TEXT)", Expr::val(bytes.to_vec()))
            }
            (_, KeyValue::Time(time), _) => Expr::val(*time),
            (_, KeyValue::StoredTime(text), Dialect::Postgres) => {
                Expr::val(text.to_string()).cast_as(Alias::new("timestamptz"))
            }
            (_, KeyValue::StoredTime(text), Dialect::Sqlite) => Expr::val(text.to_string()),
            (_, KeyValue::Integer(number), _) => Expr::val(*number),
            (_, KeyValue::Id(id), _) => Expr::val(*id),
            (_, KeyValue::Null, _) => Expr::val(Option::<String>::None),
        }
    }

    pub(super) fn sort(&self, select: &mut SelectStatement, expression: Expr, reversed: bool) {
        let order = match (self.direction, reversed) {
            (Direction::Ascending, false) | (Direction::Descending, true) => SqlOrder::Asc,
            _ => SqlOrder::Desc,
        };
        if self.nullable {
            let nulls = if reversed { NullOrdering::First } else { NullOrdering::Last };
            select.order_by_expr_with_nulls(expression, order, nulls);
        } else {
            select.order_by_expr(expression, order);
        }
    }

    /// The condition that a row comes after this value, or `None` if no row can.
    fn after(&self, value: &KeyValue, reversed: bool, dialect: Dialect) -> Option<Expr> {
        let expression = self.ordered(dialect);
        if *value == KeyValue::Null {
            return reversed.then(|| expression.is_not_null());
        }
        let bound = self.bound(value, dialect);
        let after = match (self.direction, reversed) {
            (Direction::Ascending, false) | (Direction::Descending, true) => {
                expression.clone().gt(bound)
            }
            _ => expression.clone().lt(bound),
        };
        Some(if self.nullable && !reversed { after.or(expression.is_null()) } else { after })
    }

    fn equal(&self, value: &KeyValue, dialect: Dialect) -> Expr {
        match value {
            KeyValue::Null => self.ordered(dialect).is_null(),
            value => self.ordered(dialect).eq(self.bound(value, dialect)),
        }
    }
}

/// The condition that a row comes after the cursor, or before it if `reversed`.
pub(super) fn beyond(
    keys: &[OrderKey],
    cursor: &[KeyValue],
    reversed: bool,
    dialect: Dialect,
) -> Condition {
    let one_way = keys.iter().all(|key| !key.nullable && key.direction == keys[0].direction);
    if one_way {
        let row = Expr::tuple(keys.iter().map(|key| key.ordered(dialect)));
        let bound =
            Expr::tuple(keys.iter().zip(cursor).map(|(key, value)| key.bound(value, dialect)));
        let ascending = (keys[0].direction == Direction::Ascending) != reversed;
        return Condition::all().add(if ascending { row.gt(bound) } else { row.lt(bound) });
    }
    let mut any = Condition::any();
    for (index, (key, value)) in keys.iter().zip(cursor).enumerate() {
        let Some(after) = key.after(value, reversed, dialect) else { continue };
        let equal = keys[..index].iter().zip(cursor).map(|(key, value)| key.equal(value, dialect));
        any = any.add(equal.fold(Condition::all(), Condition::add).add(after));
    }
    let first = Condition::any()
        .add_option(keys[0].after(&cursor[0], reversed, dialect))
        .add(keys[0].equal(&cursor[0], dialect));
    Condition::all().add(first).add(any)
}

/// The condition that a row is the cursor's own or comes before it, or after it with `from_end`.
pub(super) fn other_side(
    keys: &[OrderKey],
    cursor: &[KeyValue],
    from_end: bool,
    dialect: Dialect,
) -> Condition {
    let itself = keys
        .iter()
        .zip(cursor)
        .fold(Condition::all(), |all, (key, value)| all.add(key.equal(value, dialect)));
    Condition::any().add(beyond(keys, cursor, !from_end, dialect)).add(itself)
}
