//! What can go wrong at the door.

use sea_orm::{DbErr, RuntimeErr, SqlErr, sqlx};
use uuid::Uuid;

/// Why a statement did not do what it was sent for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row that this column refers to is not there, or not the organization's.
    #[error("{column} refers to no row of the organization")]
    ReferenceNotFound {
        /// The name of the referring column.
        column: &'static str,
        /// The ids of which there is no row, where they are known.
        missing: Vec<Uuid>,
    },
    /// Two transactions waited for each other, and this one was chosen to end. The same may work
    /// at once.
    #[error("two transactions waited for each other")]
    Deadlock(#[source] DbErr),
    /// The database cannot be reached, or has no connection to spare. The same may work later.
    #[error("the database cannot be reached")]
    Unavailable(#[source] DbErr),
    /// The statement ran past its time and was canceled in the database.
    #[error("the statement ran out of time")]
    Timeout(#[source] DbErr),
    /// Anything else that the database says.
    #[error(transparent)]
    Database(DbErr),
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::ForeignKeyConstraintViolation(_)) = error.sql_err() {
            return Self::ReferenceNotFound { column: "id", missing: Vec::new() };
        }
        match sqlx_error(&error) {
            Some(
                sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed,
            ) => Self::Unavailable(error),
            Some(sqlx::Error::Database(database)) => match database.code().as_deref() {
                // PostgreSQL's query_canceled, SQLite's SQLITE_INTERRUPT
                Some("57014" | "9") => Self::Timeout(error),
                // deadlock_detected, serialization_failure
                Some("40P01" | "40001") => Self::Deadlock(error),
                // shutdowns, crashes, start-ups, and the connection exceptions
                Some("57P01" | "57P02" | "57P03") => Self::Unavailable(error),
                // out of resources; read-only for as long as a failover takes
                Some(code) if code.starts_with("53") || code == "25006" => Self::Unavailable(error),
                Some(code) if code.starts_with("08") => Self::Unavailable(error),
                // SQLITE_BUSY: another writer holds the file for longer than a statement waits
                Some("5" | "261" | "517") => Self::Unavailable(error),
                _ => Self::Database(error),
            },
            _ if matches!(error, DbErr::ConnectionAcquire(_)) => Self::Unavailable(error),
            _ => Self::Database(error),
        }
    }
}

fn sqlx_error(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Query(RuntimeErr::SqlxError(error)) => Some(error),
        _ => None,
    }
}
