//! Rows that this version cannot read, because a newer version or another program has stored an
//! unknown enum value, an ID that is not a UUID, or another value that the column allows and the Rust
//! type does not. Such rows are left out, so that neither a list nor the feed stops at them.

use std::{
    any::TypeId,
    collections::{BTreeSet, HashMap},
    fmt::Display,
    mem,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use campaigns_entity::LogThrottle;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, Iterable, QueryResult,
    RuntimeErr,
    sea_query::ColumnType,
    sqlx::{self, Row, TypeInfo, ValueRef},
};
use uuid::Uuid;

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
/// columns of each row. Returns the removed rows with their positions.
pub(crate) fn leave_out_unknown<E: EntityTrait>(
    rows: &mut Vec<QueryResult>,
    columns: &[E::Column],
) -> Result<Vec<(usize, QueryResult)>, Error> {
    let checked = checked_columns::<E>();
    let mut unreadable = BTreeSet::new();
    for (index, column) in columns.iter().enumerate() {
        let Some((_, checked)) = checked.iter().find(|(name, _)| *name == column.as_str()) else {
            continue;
        };
        for (position, row) in rows.iter().enumerate() {
            if let Some(fault) = checked.fault(row, index)?
                && unreadable.insert(position)
            {
                let why = format!("{}: {fault}", column.as_str());
                leave_out(E::default().table_name(), &why);
            }
        }
    }
    let mut removed = Vec::with_capacity(unreadable.len());
    if !unreadable.is_empty() {
        for (position, row) in mem::take(rows).into_iter().enumerate() {
            if unreadable.contains(&position) {
                removed.push((position, row));
            } else {
                rows.push(row);
            }
        }
    }
    Ok(removed)
}

/// A column that can have a value with which its row cannot be shown.
enum CheckedColumn {
    /// An enum with these known values.
    Enum(Vec<String>),
    /// An ID. In SQLite, it is a blob of 16 bytes, which statements compare it with.
    Id,
}

impl CheckedColumn {
    /// Why the value at a position in a row cannot be read, if it cannot.
    fn fault(&self, row: &QueryResult, index: usize) -> Result<Option<String>, DbErr> {
        let read = match self {
            Self::Enum(known) if is_known_text(row, index, known) => return Ok(None),
            Self::Enum(known) => row.try_get_by_index::<Option<String>>(index).map(|value| {
                value
                    .filter(|value| !known.contains(value))
                    .map(|value| format!("{value} is unknown"))
            }),
            Self::Id if is_id_in_postgres(row, index) => return Ok(None),
            Self::Id => row
                .try_get_by_index::<Option<Uuid>>(index)
                .map(|_| has_text(row, index).then(|| "text is not an ID".to_owned())),
        };
        match read {
            Err(error) if is_of_value(&error) => Ok(Some(error.to_string())),
            read => read,
        }
    }
}

/// The checked columns of a table.
type CheckedColumns = Arc<[(&'static str, CheckedColumn)]>;

/// The checked columns of a table. They are cached, since building a column's definition takes time.
fn checked_columns<E: EntityTrait>() -> CheckedColumns {
    static CACHE: LazyLock<RwLock<HashMap<TypeId, CheckedColumns>>> =
        LazyLock::new(RwLock::default);
    let table = TypeId::of::<E>();
    let known = CACHE.read().unwrap_or_else(PoisonError::into_inner).get(&table).cloned();
    known.unwrap_or_else(|| {
        let of_column = |column: E::Column| match column.def().get_column_type() {
            ColumnType::Enum { variants, .. } => {
                let known = variants.iter().map(ToString::to_string).collect();
                Some((column.as_str(), CheckedColumn::Enum(known)))
            }
            ColumnType::Uuid => Some((column.as_str(), CheckedColumn::Id)),
            _ => None,
        };
        let found: CheckedColumns = E::Column::iter().filter_map(of_column).collect();
        CACHE.write().unwrap_or_else(PoisonError::into_inner).insert(table, Arc::clone(&found));
        found
    })
}

/// Whether a column of a row of PostgreSQL is null or has the length of an ID, without reading it. False for
/// any other row.
fn is_id_in_postgres(row: &QueryResult, index: usize) -> bool {
    let Some(Ok(value)) = row.try_as_pg_row().map(|row| row.try_get_raw(index)) else {
        return false;
    };
    value.is_null() || value.as_bytes().is_ok_and(|bytes| bytes.len() == 16)
}

/// Whether a column of a row of SQLite has text.
fn has_text(row: &QueryResult, index: usize) -> bool {
    let value = row.try_as_sqlite_row().and_then(|row| row.try_get_raw(index).ok());
    value.is_some_and(|value| value.type_info().name() == "TEXT")
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
