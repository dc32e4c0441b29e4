//! Wrong usage of the command line.

/// The command line was used incorrectly.
#[derive(Debug)]
pub(in crate::command) struct WrongUsage(pub(in crate::command) String);

impl std::fmt::Display for WrongUsage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// Rejects a flag for a database that is not PostgreSQL.
pub(in crate::command) fn require_postgres(flag: &str, url: &str) -> Result<(), WrongUsage> {
    if url.starts_with("postgres") {
        Ok(())
    } else {
        Err(WrongUsage(format!("{flag} requires PostgreSQL")))
    }
}
