//! Numbers as other programs may have stored them.

use sea_orm::{
    ColIdx, QueryResult, TryGetError, TryGetable, prelude::Decimal, sea_query::ColumnType,
};

use crate::stored::{replaced, stored};

/// A number of a row, for a column that can be null. A value that is not a number, infinite, or
/// longer than 28 digits is read as null.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredNumber(pub Decimal);

stored!(StoredNumber of Decimal as ColumnType::Decimal(None));

impl TryGetable for StoredNumber {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        match Decimal::try_get_by(row, index) {
            Ok(number) => Ok(Self(number)),
            Err(TryGetError::DbErr(_)) => {
                replaced("number", row, index);
                Err(TryGetError::Null(format!("{index:?}")))
            }
            Err(null) => Err(null),
        }
    }
}
