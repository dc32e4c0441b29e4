//! Lists of values. A list is bound as one value, an array in PostgreSQL and JSON in SQLite, so that
//! the statement's text does not depend on its length: the statement is prepared once, and its plan
//! takes no memory for each value.

use chrono::SecondsFormat;
use sea_orm::{
    ColumnTrait, ColumnType, Value,
    sea_query::{
        Alias, ArrayType, Expr, ExprTrait, Func, Query, SelectStatement,
        extension::postgres::PgFunc, sea_value_to_json_value,
    },
};
use serde_json::{Number, Value as Json};
use uuid::Uuid;

use super::Dialect;
use crate::raw::custom;

impl Dialect {
    /// The condition that a column has one of these values, none of which is null. If the column is
    /// null, the condition is null. An empty list matches nothing.
    #[must_use]
    pub fn is_one_of<V: Into<Value>>(
        self,
        column: impl ColumnTrait,
        values: impl IntoIterator<Item = V>,
    ) -> Expr {
        let own = Expr::col(column.as_column_ref());
        match (self, column.def().get_column_type()) {
            (Self::Postgres, ColumnType::Enum { name, .. }) => {
                let of_enum = Alias::new(format!("{name}[]"));
                self.is_in_as(own, values, |array| array.as_enum(of_enum))
            }
            _ => self.is_in(own, values),
        }
    }

    /// The same for any expression, and values of one type.
    #[must_use]
    pub fn is_in<V: Into<Value>>(self, own: Expr, values: impl IntoIterator<Item = V>) -> Expr {
        self.is_in_as(own, values, |array| array)
    }

    fn is_in_as<V: Into<Value>>(
        self,
        own: Expr,
        values: impl IntoIterator<Item = V>,
        cast: impl FnOnce(Expr) -> Expr,
    ) -> Expr {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        let Some(first) = values.first() else { return Expr::val(false) };
        match self {
            Self::Postgres => {
                let array = Value::Array(first.array_type(), Some(Box::new(values)));
                own.eq(PgFunc::any(cast(Expr::val(array))))
            }
            Self::Sqlite => {
                let element = element("value", &first.array_type());
                let list = format!("? IN (SELECT {element} FROM json_each(?))");
                let values = Expr::val(values.iter().map(json).collect::<Json>());
                Expr::cust_with_exprs(list, [own, values])
            }
        }
    }

    /// The same for JSON numbers, which the database parses like those of [`Dialect::json_value`].
    #[must_use]
    pub fn is_json_number_in(self, own: Expr, numbers: impl IntoIterator<Item = Number>) -> Expr {
        match self {
            Self::Postgres => {
                let texts: Vec<String> = numbers.into_iter().map(|of| of.to_string()).collect();
                let numbers = custom(self.backend(), "CAST(? AS numeric[])", vec![texts.into()]);
                own.eq(PgFunc::any(numbers))
            }
            Self::Sqlite => {
                let numbers = Expr::val(numbers.into_iter().map(Json::Number).collect::<Json>());
                let list = "? IN (SELECT value FROM json_each(?))";
                Expr::cust_with_exprs(list, [own, numbers])
            }
        }
    }

    /// Selects these IDs, as `id`.
    pub(crate) fn each_id(self, ids: &[Uuid]) -> SelectStatement {
        let (mut select, id) = (Query::select(), Alias::new("id"));
        match self {
            Self::Postgres => {
                select.expr_as(Func::cust("unnest").arg(Expr::val(ids.to_vec())), id);
            }
            Self::Sqlite => {
                let ids: Json = ids.iter().map(|id| Json::String(id.to_string())).collect();
                let each = Func::cust("json_each").arg(Expr::val(ids));
                select.expr_as(Expr::cust(element("value", &ArrayType::Uuid)), id);
                select.from_function(each, Alias::new("listed"));
            }
        }
        select
    }

    /// Rows of values as an item of FROM, and the value of each `?` in it. The values of a column have
    /// one type and are not null.
    pub(crate) fn rows(self, rows: &[Vec<Value>]) -> (String, Vec<Value>) {
        let width = rows.first().map_or(0, Vec::len);
        let column = |index: usize| -> Vec<Value> {
            rows.iter().filter_map(|row| row.get(index).cloned()).collect()
        };
        match self {
            Self::Postgres => {
                let arrays = (0..width).map(|index| {
                    let values = column(index);
                    let of = values.first().map_or(ArrayType::String, Value::array_type);
                    Value::Array(of, Some(Box::new(values)))
                });
                (format!("unnest({})", vec!["?"; width].join(", ")), arrays.collect())
            }
            Self::Sqlite => {
                let elements = rows.first().into_iter().flatten().enumerate();
                let elements: Vec<String> = elements
                    .map(|(index, of)| element(&format!("value ->> {index}"), &of.array_type()))
                    .collect();
                let rows: Json =
                    rows.iter().map(|row| row.iter().map(json).collect::<Json>()).collect();
                (format!("(SELECT {} FROM json_each(?))", elements.join(", ")), vec![rows.into()])
            }
        }
    }
}

/// The expression that converts a JSON value to this type as SQLite stores it.
fn element(value: &str, of: &ArrayType) -> String {
    match of {
        ArrayType::Uuid => format!("unhex(replace({value}, '-', ''))"),
        _ => value.to_owned(),
    }
}

/// A value as JSON that both databases can read.
pub(crate) fn json(value: &Value) -> Json {
    match value {
        Value::Uuid(id) => id.map_or(Json::Null, |id| Json::String(id.to_string())),
        // as SQLite stores it
        Value::ChronoDateTimeUtc(time) => time.map_or(Json::Null, |time| {
            Json::String(time.to_rfc3339_opts(SecondsFormat::AutoSi, false))
        }),
        other => sea_value_to_json_value(other),
    }
}
