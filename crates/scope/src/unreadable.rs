//! Rows that this version cannot read, because a newer version or another program has stored an
//! unknown enum value, or another value that the column allows and the Rust type does not. Such rows
//! are left out, so that neither a list nor the feed stops at them.

use std::{
    any::TypeId,
    collections::HashMap,
    fmt::Display,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use campaigns_entity::LogThrottle;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryResult,
    RuntimeErr,
    sea_query::ColumnType,
    sqlx::{self, Row},
};

use crate::Error;

/// Whether reading a row failed because of a value in it.
fn is_of_value(error: &DbErr) -> bool {
    match error {
        DbErr::Type(_) | DbErr::Json(_) | DbErr::TryIntoErr { .. } => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(**error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
        }
        _ => false,
    }
}

/// The row, or `None` if it has a value unknown to this version.
pub(crate) fn read_row<E: EntityTrait>(row: &QueryResult) -> Result<Option<E::Model>, Error> {
    match E::Model::from_query_result(row, "") {
        Ok(model) => Ok(Some(model)),
        Err(error) if is_of_value(&error) => {
            leave_out(E::default().table_name(), &error);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The rows, without those that have a value unknown to this version.
pub(crate) fn read_rows<E: EntityTrait>(rows: &[QueryResult]) -> Result<Vec<E::Model>, Error> {
    rows.iter().filter_map(|row| read_row::<E>(row).transpose()).collect()
}

/// Removes the rows with a value unknown to this version in one of these columns, which are the first
/// columns of each row.
pub(crate) fn leave_out_unknown<E: EntityTrait>(
    rows: &mut Vec<QueryResult>,
    columns: &[E::Column],
) -> Result<(), Error> {
    let enums = enums::<E>();
    for (index, column) in columns.iter().enumerate() {
        let Some((_, variants)) = enums.iter().find(|(name, _)| *name == column.as_str()) else {
            continue;
        };
        let mut failed = None;
        rows.retain(|row| match row.try_get_by_index::<Option<String>>(index) {
            _ if is_known_text(row, index, variants) => true,
            Ok(Some(value)) if !variants.contains(&value) => {
                let why = format!("{value} is not a {}", column.as_str());
                leave_out(E::default().table_name(), &why);
                false
            }
            Ok(_) => true,
            Err(error) if is_of_value(&error) => {
                leave_out(E::default().table_name(), &error);
                false
            }
            Err(error) => {
                failed = Some(error);
                true
            }
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The enum columns of a table, each with its known values.
type Enums = Arc<[(&'static str, Vec<String>)]>;

/// The enum columns of a table. They are cached, since a column's definition is made anew each time.
fn enums<E: EntityTrait>() -> Enums {
    static CACHE: LazyLock<RwLock<HashMap<TypeId, Enums>>> = LazyLock::new(RwLock::default);
    let table = TypeId::of::<E>();
    let known = CACHE.read().unwrap_or_else(PoisonError::into_inner).get(&table).cloned();
    known.unwrap_or_else(|| {
        let of_column = |column: E::Column| match column.def().get_column_type() {
            ColumnType::Enum { variants, .. } => {
                Some((column.as_str(), variants.iter().map(ToString::to_string).collect()))
            }
            _ => None,
        };
        let found: Enums = E::Column::iter().filter_map(of_column).collect();
        CACHE.write().unwrap_or_else(PoisonError::into_inner).insert(table, Arc::clone(&found));
        found
    })
}

/// Whether a column of a row of PostgreSQL is text with one of these values, without reading it. False
/// for any other row.
fn is_known_text(row: &QueryResult, index: usize, values: &[String]) -> bool {
    let Some(Ok(value)) = row.try_as_pg_row().map(|row| row.try_get_raw(index)) else {
        return false;
    };
    value.as_bytes().is_ok_and(|bytes| values.iter().any(|known| known.as_bytes() == bytes))
}

/// Counts a row that is left out, and logs a warning from time to time.
pub fn leave_out(table: &str, error: &dyn Display) {
    static LOG: LogThrottle = LogThrottle::new();
    metrics::counter!("campaigns_unreadable_rows_total", "table" => table.to_owned()).increment(1);
    if let Some(rows) = LOG.pass() {
        tracing::warn!(%error, table, rows, "rows cannot be read and are left out");
    }
}
