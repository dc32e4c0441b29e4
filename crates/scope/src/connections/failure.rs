//! Why a statement failed.

use std::{path::PathBuf, sync::Arc};

use sea_orm::{DbErr, RuntimeErr, sqlx};

use crate::{Error, budget::Exhausted};

/// Why a statement did not run, or did not finish.
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
            // Error::from takes it out again
            other => sqlx::Error::AnyDriverError(Box::new(other)),
        };
        DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        DbErr::from(failure).into()
    }
}
