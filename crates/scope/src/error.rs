//! The errors of this crate.

use std::path::PathBuf;

use sea_orm::{
    DbErr, RuntimeErr, SqlErr,
    sqlx::{
        self,
        error::ErrorKind,
        postgres::{PgDatabaseError, PgSeverity},
    },
};
use uuid::Uuid;

use crate::{
    budget::Exhausted,
    connections::{Failure, may_repeat, raised_by},
};

/// Part of the error message if a trigger stores a row under another ID than the given one.
pub(crate) const CHANGED_ID: &str = "a trigger changed the ID to ";
/// The reason for which a text is refused. PostgreSQL does not name the column.
const TOO_SHORT: &str = "limited length of a column";

/// Why a statement failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The row that this column refers to does not exist, or belongs to another organization.
    #[error("{column} does not refer to a row of the organization")]
    ReferenceNotFound {
        /// The name of the referring column.
        column: &'static str,
        /// The IDs without a row, if known.
        missing: Vec<Uuid>,
    },
    /// The transaction was aborted in favor of another. A retry may succeed at once.
    #[error("the transaction was aborted in favor of another: {}", cause(.0))]
    Conflict(DbErr),
    /// The database cannot be reached, or has no free connection. The same may succeed later.
    #[error("the database cannot be reached: {}", cause(.0))]
    Unavailable(DbErr),
    /// The database is read-only, such as a standby, or an SQLite file that cannot be written.
    #[error("the database is read-only: {}", cause(.0))]
    ReadOnly(DbErr),
    /// The database lacks a table, a column, a function or a privilege that the service needs.
    #[error("the database lacks what the service needs: {}; `campaigns serve --check` names all of it", cause(.0))]
    Misconfigured(DbErr),
    /// The SQLite file exists and cannot be opened.
    #[error(
        "the SQLite file {} cannot be opened; the user of the service must be able to write the file and its \
         directory, where SQLite keeps its -wal and -shm files", .0.display()
    )]
    NotOpened(PathBuf),
    /// The SQLite file does not exist.
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    /// The statement exceeded its time and was canceled in the database.
    #[error("the statement ran out of time")]
    Timeout(DbErr),
    /// A budget of bytes is exhausted.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// Too many operations of the organization are waiting, or this one has waited too long for the
    /// organization's others.
    #[error("too many operations of the organization are waiting")]
    TooManyWait,
    /// The process is overloaded.
    #[error("the service is overloaded")]
    Busy,
    /// The connection was lost while the transaction was being committed.
    #[error("it is unknown whether the transaction was committed: {0}")]
    InDoubt(String),
    /// The time ran out before all steps were done. The same call continues from there.
    #[error("the deletion is not finished")]
    Unfinished,
    /// A constraint or a trigger of another program does not allow the change.
    #[error("{} of the database does not allow this", by.as_deref().unwrap_or("a trigger"))]
    Refused {
        /// The name of the constraint, or SQLite's message in its place. `None` for a trigger.
        by: Option<String>,
    },
    /// A trigger, a rule or a column of another program does not allow the change.
    #[error("the {by} of the database does not allow this")]
    Stopped {
        /// Its kind and its name, such as `trigger keep`.
        by: String,
    },
    /// Events cannot be filed. Contains the IDs and tables of some of them.
    #[error(
        "events cannot be filed under their sends, because their campaign or contact has the ID of nothing \
         (00000000-0000-0000-0000-000000000000), they are in a child table, or a trigger keeps them as they \
         are: {0}"
    )]
    Unfilable(String),
    /// The database refuses connections, for a reason that does not pass by itself.
    #[error("the database refuses connections: {}", cause(.0))]
    Closed(DbErr),
    /// Row security policies cannot read the token's claims, so every statement would fail.
    #[error("the policies of the database cannot read the token: {0}")]
    Claims(&'static str),
    /// Any other error of the database.
    #[error("{}", cause(.0))]
    Database(DbErr),
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::ForeignKeyConstraintViolation(_)) = error.sql_err() {
            return Self::ReferenceNotFound { column: "id", missing: Vec::new() };
        }
        match sqlx_error(&error) {
            Some(sqlx::Error::AnyDriverError(own)) => match own.downcast_ref::<Failure>() {
                Some(Failure::Exhausted(exhausted)) => Self::Exhausted(*exhausted),
                Some(Failure::NoFile(path)) => Self::NoFile(path.clone()),
                Some(Failure::NotOpened(path)) => Self::NotOpened(path.clone()),
                Some(Failure::OutOfTime) => Self::Timeout(error),
                Some(Failure::TooManyWait) => Self::TooManyWait,
                Some(Failure::InDoubt(why)) => Self::InDoubt(why.clone()),
                Some(Failure::NoneFree | Failure::Closed) => Self::Unavailable(error),
                _ => Self::Database(error),
            },
            Some(sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed) => {
                Self::Unavailable(error)
            }
            Some(of_driver @ sqlx::Error::Database(database)) => match database.code().as_deref() {
                _ if raised_by(of_driver).is_some() => {
                    refusal(of_driver).unwrap_or(Self::Database(error))
                }
                // PostgreSQL's query_canceled, SQLite's SQLITE_INTERRUPT
                Some("57014" | "9") => Self::Timeout(error),
                _ if may_repeat(of_driver) => Self::Conflict(error),
                // shutdowns, crashes, start-ups, and the connection exceptions
                Some("57P01" | "57P02" | "57P03") => Self::Unavailable(error),
                Some(code) if is_read_only(code, database.message()) => Self::ReadOnly(error),
                Some(code) if is_missing(code, database.message()) => Self::Misconfigured(error),
                // out of resources
                Some(code) if code.starts_with("53") => Self::Unavailable(error),
                Some(code) if code.starts_with("08") => Self::Unavailable(error),
                Some(code) if is_out_of_reach_in_sqlite(code) => Self::Unavailable(error),
                _ if is_fatal(of_driver) => Self::Closed(error),
                _ => refusal(of_driver).unwrap_or(Self::Database(error)),
            },
            _ => Self::Database(error),
        }
    }
}

impl Error {
    /// The error of a statement that deletes: a foreign key violation means that another row refers
    /// to the deleted one.
    pub(crate) fn of_deletion(error: DbErr) -> Self {
        match sqlx_error(&error) {
            Some(of_driver @ sqlx::Error::Database(of))
                if of.kind() == ErrorKind::ForeignKeyViolation =>
            {
                refusal(of_driver).unwrap_or(Self::Refused { by: None })
            }
            _ => error.into(),
        }
    }
}

/// Whether PostgreSQL ended or refused the connection with this error.
fn is_fatal(error: &sqlx::Error) -> bool {
    let of_postgres =
        |error: &PgDatabaseError| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic);
    let error = error.as_database_error();
    error.and_then(|error| error.try_downcast_ref::<PgDatabaseError>()).is_some_and(of_postgres)
}

/// [`Error::Refused`] if a constraint or a trigger is the reason.
fn refusal(source: &sqlx::Error) -> Option<Error> {
    let error = source.as_database_error()?;
    if let Some(of_postgres) = error.try_downcast_ref::<PgDatabaseError>() {
        let code = of_postgres.code();
        let by = of_postgres.constraint().or(of_postgres.column());
        if let (None, Some(function)) = (by, raised_by(source)) {
            return Some(Error::Stopped { by: format!("trigger function {function}") });
        }
        match code {
            // string_data_right_truncation
            "22001" => return Some(Error::Stopped { by: TOO_SHORT.to_owned() }),
            "42501" if of_postgres.message().contains("row-level security") => {
                return Some(Error::Stopped { by: "row-level security policy".to_owned() });
            }
            "22P02" if of_postgres.message().contains(CHANGED_ID) => {
                return Some(Error::Stopped { by: "trigger that changes IDs".to_owned() });
            }
            _ => {}
        }
        // class 23: Integrity Constraint Violation; raise_exception; with_check_option_violation
        let refuses = code.starts_with("23") || code == "P0001" || code == "44000";
        return refuses.then(|| Error::Refused { by: by.map(str::to_owned) });
    }
    // SQLITE_CONSTRAINT: "UNIQUE constraint failed: table.column", "FOREIGN KEY constraint failed", or
    // with SQLITE_CONSTRAINT_TRIGGER the text of a trigger
    let code = error.code()?.parse::<u32>().ok()?;
    if code & 0xff != 19 {
        return None;
    }
    let named = error.message().split_once(" constraint failed").filter(|_| code != 1811);
    let by = named.map(|(kind, name)| name.strip_prefix(": ").unwrap_or(kind).to_owned());
    Some(Error::Refused { by })
}

/// Whether an error means that the database is read-only: PostgreSQL's `read_only_sql_transaction`, as during a
/// failover, and functions that a standby does not run; SQLite's `SQLITE_READONLY`.
fn is_read_only(code: &str, message: &str) -> bool {
    match code {
        "25006" => true,
        "55000" => message == "recovery is in progress",
        code => result_of_sqlite(code) == Some(8),
    }
}

/// Whether an error means that something is missing: PostgreSQL's `undefined_table`, `undefined_column`,
/// `undefined_function`, `undefined_object`, `invalid_schema_name` and `insufficient_privilege`, unless a policy
/// refuses a row; the messages of SQLite, which has no codes for them, `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
fn is_missing(code: &str, message: &str) -> bool {
    match code {
        "42P01" | "42703" | "42883" | "42704" | "3F000" => true,
        "42501" => !message.contains("row-level security"),
        code => match result_of_sqlite(code) {
            Some(1) => message.starts_with("no such "),
            result => matches!(result, Some(11 | 26)),
        },
    }
}

/// The primary result code of an error of SQLite.
fn result_of_sqlite(code: &str) -> Option<u32> {
    // PostgreSQL's codes have five characters
    let code = if code.len() < 5 { code.parse::<u32>().ok() } else { None };
    code.map(|code| code & 0xff)
}

/// Whether a result code of SQLite (<https://sqlite.org/rescode.html>) means that the file cannot be
/// read or written at the moment: another writer holds it for too long, the disk is full or fails, or
/// the file cannot be opened.
fn is_out_of_reach_in_sqlite(code: &str) -> bool {
    const BUSY: u32 = 5;
    const LOCKED: u32 = 6;
    const IOERR: u32 = 10;
    const FULL: u32 = 13;
    const CANTOPEN: u32 = 14;
    matches!(result_of_sqlite(code), Some(BUSY | LOCKED | IOERR | FULL | CANTOPEN))
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        DbErr::from(failure).into()
    }
}

/// The message of the database or the network, without the names of the layers in between.
fn cause(error: &DbErr) -> String {
    match sqlx_error(error) {
        Some(sqlx::Error::Database(database)) => match database.code() {
            Some(code) => format!("{} ({code})", database.message()),
            None => database.message().to_owned(),
        },
        Some(sqlx::Error::Io(io)) => io.to_string(),
        Some(sqlx::Error::AnyDriverError(own)) => own.to_string(),
        Some(other) => other.to_string(),
        None => error.to_string(),
    }
}

/// The code of an error of the database.
pub(crate) fn code(error: &DbErr) -> Option<String> {
    match sqlx_error(error) {
        Some(sqlx::Error::Database(database)) => database.code().map(Into::into),
        _ => None,
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
