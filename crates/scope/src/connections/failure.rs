//! The reasons why a statement fails.

use std::{path::PathBuf, sync::Arc};

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, error::ErrorKind},
};

use super::{is_replaced_by_look_up, is_stale_plan};
use crate::budget::Exhausted;

/// The reason why a statement did not run, or did not finish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Sqlx(#[from] sqlx::Error),
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    #[error("the operation ran out of time")]
    OutOfTime,
    #[error("no connection became free in time")]
    NoneFree,
    #[error("too many operations of the organization are waiting for a connection")]
    TooManyWait,
    #[error("the connections are closed")]
    Closed,
    #[error("an earlier statement of the transaction failed")]
    Aborted,
    #[error("it is unknown whether the transaction was committed: {0}")]
    InDoubt(String),
}

impl From<Failure> for DbErr {
    fn from(failure: Failure) -> Self {
        let error = match failure {
            Failure::Sqlx(error) => error,
            // Error::from unwraps it
            other => sqlx::Error::AnyDriverError(Box::new(other)),
        };
        DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
    }
}

/// Whether a retry of the failed transaction may succeed at once: it was aborted in favor of another,
/// or a row that it had looked up has changed since.
pub(crate) fn may_repeat(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else { return false };
    // deadlock_detected, serialization_failure
    matches!(database.code().as_deref(), Some("40P01" | "40001"))
        || database.kind() == ErrorKind::ForeignKeyViolation
        || is_stale_plan(error)
        || is_replaced_by_look_up(error)
}
