//! Stored values that the type of a column allows but the service cannot read.
//!
//! Adopted tables and tables without CHECKs can contain times that RFC 3339 cannot represent, invalid
//! numbers, and bytes that are not text. An unreadable value is replaced, so that neither its row nor other
//! rows are lost.
//!
//! **Invariant.** Each replaced value is counted in `campaigns_unreadable_values_total` by its
//! kind, and logged with its column, at a limited rate.

use sea_orm::{ColIdx, QueryResult, sqlx};
use sqlx::{Column, Decode, Row, Sqlite, ValueRef};

use crate::LogThrottle;

/// Implements a type of stored values as a wrapper of the type of readable values.
macro_rules! stored {
    ($name:ident of $inner:ty as $column:expr) => {
        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl From<$name> for sea_orm::Value {
            fn from($name(value): $name) -> Self {
                value.into()
            }
        }

        impl sea_orm::sea_query::ValueType for $name {
            fn try_from(value: sea_orm::Value) -> Result<Self, sea_orm::sea_query::ValueTypeErr> {
                <$inner as sea_orm::sea_query::ValueType>::try_from(value).map(Self)
            }

            fn type_name() -> String {
                <$inner as sea_orm::sea_query::ValueType>::type_name()
            }

            fn array_type() -> sea_orm::sea_query::ArrayType {
                <$inner as sea_orm::sea_query::ValueType>::array_type()
            }

            fn column_type() -> sea_orm::sea_query::ColumnType {
                $column
            }
        }

        impl sea_orm::sea_query::Nullable for $name {
            fn null() -> sea_orm::Value {
                <$inner as sea_orm::sea_query::Nullable>::null()
            }
        }
    };
}
pub(crate) use stored;

/// The bytes of a value as the database sent them. `None` for null.
pub(crate) fn bytes<I: ColIdx>(row: &QueryResult, index: I) -> Option<Vec<u8>> {
    if let Some(row) = row.try_as_pg_row() {
        let value = row.try_get_raw(index.as_sqlx_postgres_index()).ok()?;
        return value.as_bytes().ok().map(<[u8]>::to_vec);
    }
    let value = row.try_as_sqlite_row()?.try_get_raw(index.as_sqlx_sqlite_index()).ok()?;
    if value.is_null() { None } else { <Vec<u8> as Decode<Sqlite>>::decode(value).ok() }
}

/// Counts and logs an unreadable value of this kind that is replaced.
pub(crate) fn replaced<I: ColIdx>(kind: &'static str, row: &QueryResult, index: I) {
    static LOG: LogThrottle = LogThrottle::new();
    metrics::counter!("campaigns_unreadable_values_total", "kind" => kind).increment(1);
    if let Some(values) = LOG.pass() {
        let column = name(row, index).unwrap_or_default();
        tracing::warn!(kind, column, values, "values cannot be read and are replaced");
    }
}

/// The name of a column.
fn name<I: ColIdx>(row: &QueryResult, index: I) -> Option<String> {
    let Some(place) = index.as_usize() else { return index.as_str().map(str::to_owned) };
    let name = match (row.try_as_pg_row(), row.try_as_sqlite_row()) {
        (Some(row), _) => row.columns().get(*place)?.name(),
        (_, Some(row)) => row.columns().get(*place)?.name(),
        _ => return None,
    };
    Some(name.to_owned())
}
