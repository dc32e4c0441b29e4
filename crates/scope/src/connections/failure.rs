//! The reasons why a statement fails.

use std::{path::PathBuf, sync::Arc};

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, error::ErrorKind, postgres::PgDatabaseError},
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
    #[error("the file {} cannot be opened", .0.display())]
    NotOpened(PathBuf),
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
    if raised_by(error).is_some() {
        return false;
    }
    // deadlock_detected, serialization_failure
    matches!(database.code().as_deref(), Some("40P01" | "40001"))
        || database.kind() == ErrorKind::ForeignKeyViolation
        || is_stale_plan(error)
        || is_replaced_by_look_up(error)
}

/// The function of another program that raised an error. It can raise any code, including those by
/// which PostgreSQL reports that a transaction can be repeated or was canceled.
pub(crate) fn raised_by(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    // class 53, Insufficient Resources, is temporary, and a function may pass it on
    if error.routine() != Some("exec_stmt_raise") || error.code().starts_with("53") {
        return None;
    }
    let (function, _) = error.r#where()?.strip_prefix("PL/pgSQL function ")?.split_once('(')?;
    let (_, name) = function.rsplit_once('.').unwrap_or(("", function));
    // the service's own functions are excluded
    (!name.starts_with("campaign_")).then_some(name)
}
