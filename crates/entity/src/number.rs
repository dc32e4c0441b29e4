//! Numbers, including numbers that only other programs store.

use sea_orm::{
    ColIdx, QueryResult, TryGetError, TryGetable, prelude::Decimal, sea_query::ColumnType,
};

use crate::stored::{replaced, stored};

/// A number in a nullable column. NaN, infinity and numbers with more than 28 digits are read as null.
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
