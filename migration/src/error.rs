//! Why migrations fail.

use std::path::PathBuf;

use sea_orm_migration::sea_orm::DbErr;

use crate::adopt::check::Difference;

/// Why a migration failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Tables with these names exist in an SQLite file and were created by another program.
    #[error(
        "these tables already exist and were not created by `migrate`, which can adopt tables in \
         PostgreSQL only: {}", .0.join(", ")
    )]
    TablesExist(Vec<String>),
    /// Tables from another program differ from the documented ones in a way that matters.
    #[error("{}", differ(.0))]
    Differ(Vec<Difference>),
    /// The SQLite file does not exist.
    #[error("there is no file {}", .0.display())]
    NoFile(PathBuf),
    /// The schema does not exist.
    #[error("the database has no schema {0}")]
    NoSchema(String),
    /// The encoding of the database is not UTF-8.
    #[error(
        "the encoding of the database is {0}, in which text can be stored that is not Unicode; create \
         one with ENCODING 'UTF8' (and TEMPLATE template0), and load the data into it"
    )]
    Encoding(String),
    /// The encoding of the SQLite file is UTF-16.
    #[error(
        "the encoding of the SQLite file is UTF-16, and only UTF-8 is supported; write its content to another \
         file with `sqlite3 OLD .dump | sqlite3 NEW`, whose encoding is UTF-8"
    )]
    Utf16,
    /// Triggers do not fire in sessions of this role or database.
    #[error(
        "session_replication_role is \"replica\" by default for this role or database, so references are not \
         checked and triggers do not fire; reset it with ALTER ROLE or ALTER DATABASE ... RESET \
         session_replication_role"
    )]
    Replication,
    /// The address belongs to a pooler.
    #[error(
        "migrations need a direct connection, not one through a pooler in transaction mode: give the \
         address of PostgreSQL itself"
    )]
    Pooled,
    /// The database has no row security.
    #[error("row security is a feature of PostgreSQL; SQLite has none")]
    NoRowSecurity,
    /// An error of the database.
    #[error(transparent)]
    Database(#[from] DbErr),
}

fn differ(differences: &[Difference]) -> String {
    let lines: Vec<String> =
        differences.iter().map(|difference| format!("\n  {difference}")).collect();
    format!("the tables cannot be adopted as they are, and nothing was changed:{}", lines.concat())
}
