//! Text, including text that only other programs store.

use std::{fmt, ops::Deref};

use sea_orm::{ColIdx, QueryResult, TryGetError, TryGetable, sea_query::ColumnType};

use crate::stored::{bytes, replaced, stored};

/// Text in a row. Bytes that are not UTF-8, which SQLite can store, are read as U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredText(pub String);

stored!(StoredText of String as ColumnType::Text);

impl From<&str> for StoredText {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Deref for StoredText {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StoredText {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str(&self.0)
    }
}

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
