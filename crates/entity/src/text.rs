//! Text, including text that only other programs store.

use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable, sea_query::ColumnType};

use crate::stored::{bytes, replaced, stored};

/// Text in a row. Invalid UTF-8 is read as U+FFFD. SQLite can store it, and PostgreSQL in a database without
/// an encoding.
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
