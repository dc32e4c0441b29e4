//! Text as others may have stored it.

use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable, sea_query::ColumnType};

use crate::stored::{bytes, replaced, stored};

/// Text of a row. Bytes that are no UTF-8, as SQLite stores them and PostgreSQL does in a database
/// without an encoding, are read as U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredText(pub String);

stored!(StoredText of String as ColumnType::Text);

impl TryGetable for StoredText {
    fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
        match String::try_get_by(row, index) {
            Ok(text) => Ok(Self(text)),
            Err(TryGetError::DbErr(error)) => {
                let bytes = bytes(row, index).ok_or(error)?;
                replaced("text", row, index);
                Ok(Self(String::from_utf8_lossy(&bytes).into_owned()))
            }
            Err(null) => Err(null),
        }
    }
}
