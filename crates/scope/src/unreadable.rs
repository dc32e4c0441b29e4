//! Rows that this version cannot read, because a newer version beside it, or another program, has
//! stored an unknown enum value. Such a row is left out, and neither a list nor the feed stops at
//! it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, FromQueryResult, IdenStatic, QueryResult,
    sea_query::ColumnType,
};

use crate::Error;

/// How often this is logged.
const PAUSE: Duration = Duration::from_secs(10);

/// The row, or `None` if it has a value unknown to this version.
pub(crate) fn known<E: EntityTrait>(row: &QueryResult) -> Result<Option<E::Model>, Error> {
    match E::Model::from_query_result(row, "") {
        Ok(model) => Ok(Some(model)),
        Err(error @ DbErr::Type(_)) => {
            skipped(E::default().table_name(), &error);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// The rows, without those that have a value unknown to this version.
pub(crate) fn all_known<E: EntityTrait>(rows: &[QueryResult]) -> Result<Vec<E::Model>, Error> {
    rows.iter().filter_map(|row| known::<E>(row).transpose()).collect()
}

/// Leaves out rows with a value unknown to this version in one of these columns, which come first
/// in each row.
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
                let error = DbErr::Type(format!("{value} is not a {}", column.as_str()));
                skipped(E::default().table_name(), &error);
                false
            }
            Ok(_) => true,
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

/// Counts a row that is left out, and logs this from time to time.
pub(crate) fn skipped(table: &str, error: &DbErr) {
    static SAID: Mutex<(Option<Instant>, u64)> = Mutex::new((None, 0));
    metrics::counter!("campaigns_unreadable_rows_total", "table" => table.to_owned()).increment(1);
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    said.1 += 1;
    if said.0.is_none_or(|at| at.elapsed() > PAUSE) {
        tracing::warn!(%error, table, rows = said.1, "rows cannot be read and are left out");
        *said = (Some(Instant::now()), 0);
    }
}
