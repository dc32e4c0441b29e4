//! Rows that this version cannot read, because a newer version or another program has stored an
//! unknown enum value, or another value that the column allows and the Rust type does not. Such rows
//! are left out, so that neither a list nor the feed stops at them.

use std::fmt::Display;

use campaigns_entity::LogThrottle;
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, QueryResult, RuntimeErr,
    sea_query::ColumnType, sqlx,
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
    for (index, column) in columns.iter().enumerate() {
        let ColumnType::Enum { variants, .. } = column.def().get_column_type().clone() else {
            continue;
        };
        let variants: Vec<String> = variants.iter().map(ToString::to_string).collect();
        let mut failed = None;
        rows.retain(|row| match row.try_get_by_index::<Option<String>>(index) {
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

/// Counts a row that is left out, and logs a warning from time to time.
pub fn leave_out(table: &str, error: &dyn Display) {
    static LOG: LogThrottle = LogThrottle::new();
    metrics::counter!("campaigns_unreadable_rows_total", "table" => table.to_owned()).increment(1);
    if let Some(rows) = LOG.pass() {
        tracing::warn!(%error, table, rows, "rows cannot be read and are left out");
    }
}
