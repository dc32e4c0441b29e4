//! The database of a command.

use anyhow::bail;
use campaigns_scope::{Database, Error, Options};

use super::arguments::{DatabaseUrl, Schema};

/// Why nothing can be done with a database yet.
pub(super) const NOT_MIGRATED: &str = "the database is not migrated; run `campaigns migrate` first";

/// How to connect to the database that is given.
pub(super) fn options(database: &DatabaseUrl, schema: &Schema) -> anyhow::Result<Options> {
    let url = database.require()?;
    Ok(Options { schema: schema.of(&url)?, ..Options::new(url) })
}

/// Connects to a database that is migrated.
pub(super) async fn open(options: &Options) -> anyhow::Result<Database> {
    let connected = Database::connect(options, None).await;
    let database = connected.map_err(not_connected)?;
    require_migrated(&database).await?;
    Ok(database)
}

/// Says what a connection is needed for.
pub(super) fn not_connected(error: Error) -> anyhow::Error {
    let context = match error {
        Error::NoFile(_) => NOT_MIGRATED,
        // it says so itself
        Error::Unavailable(_) => return error.into(),
        _ => "cannot connect to the database",
    };
    anyhow::Error::from(error).context(context)
}

/// Rejects a database with a schema other than this program's.
pub(super) async fn require_migrated(database: &Database) -> anyhow::Result<()> {
    let applied = database.applied_migrations().await?;
    if campaigns_migration::names().iter().all(|name| applied.contains(name)) {
        Ok(())
    } else {
        bail!(NOT_MIGRATED)
    }
}
