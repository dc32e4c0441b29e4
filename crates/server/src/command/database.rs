//! The database of a command, and what a command requires of it.

use anyhow::{Context, bail};
use campaigns_scope::{Database, Error, FeedFault, Options, Writability};

use super::arguments::{DatabaseUrl, Schema};

/// The error of a database that is not migrated.
pub(super) const NOT_MIGRATED: &str = "the database is not migrated; run `campaigns migrate` first";

/// The options to connect to a database.
pub(super) fn options(database: &DatabaseUrl, schema: &Schema) -> anyhow::Result<Options> {
    let url = database.require()?;
    Ok(Options { schema: schema.of(&url)?, ..Options::new(url) })
}

/// Connects to a database that is migrated.
pub(super) async fn open(options: &Options) -> anyhow::Result<Database> {
    let connected = Database::connect(options, None).await;
    let database = connected.map_err(not_connected)?;
    require_usable(&database).await?;
    require_migrated(&database).await?;
    Ok(database)
}

/// Rejects a database whose text can be other than Unicode or is UTF-16, and sessions in which triggers do not fire.
pub(super) async fn require_usable(database: &Database) -> anyhow::Result<()> {
    let faults = database.session_faults().await?;
    if let Some(encoding) = faults.encoding {
        return Err(match encoding.as_str() {
            "UTF-16" => campaigns_migration::Error::Utf16,
            _ => campaigns_migration::Error::Encoding(encoding),
        }
        .into());
    }
    if faults.is_replica {
        return Err(campaigns_migration::Error::Replication.into());
    }
    Ok(())
}

/// Rejects a standby, on which the functions of the feed do not run.
pub(super) async fn require_primary(url: &str) -> anyhow::Result<Writability> {
    match campaigns_scope::writability(url).await.map_err(not_connected)? {
        Writability::Standby => {
            bail!(
                "the database is a standby, on which the feed cannot be read; give the address of the primary"
            )
        }
        other => Ok(other),
    }
}

/// The error of a failed connection, with context.
pub(super) fn not_connected(error: Error) -> anyhow::Error {
    let context = match error {
        Error::NoFile(_) => NOT_MIGRATED,
        // they say so themselves
        Error::Unavailable(_) | Error::ReadOnly(_) | Error::NotOpened(_) => return error.into(),
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

/// Rejects tables that another program has changed so that the service cannot work with them.
pub(super) async fn require_tables(database: &Database) -> anyhow::Result<()> {
    let faults = database.table_faults().await?;
    if faults.is_empty() {
        return Ok(());
    }
    bail!(
        "the tables were changed, and the service cannot work with them:\n  {}",
        faults.join("\n  ")
    )
}

/// Rejects a role that lacks a privilege that the service needs.
pub(super) async fn require_rights(database: &Database) -> anyhow::Result<()> {
    let missing = database.missing_rights().await.context("they cannot be looked up")?;
    if missing.is_empty() {
        return Ok(());
    }
    bail!("the role lacks {}; deploy/grants.sql gives them", missing.join(", "))
}

/// Rejects a database in which a trigger does not fire when it has to. Returns the triggers that were
/// turned off for a time.
pub(super) async fn require_triggers(database: &Database) -> anyhow::Result<Vec<String>> {
    let triggers = database.counts().triggers().await?;
    if triggers.broken.is_empty() {
        return Ok(triggers.switched);
    }
    bail!(
        "figures would be wrong, or events would not appear in the feed; `campaigns repair` corrects both:\n  {}",
        triggers.wrong("\n  ")
    )
}

/// Rejects a database in which followers of the feed would miss events, or events have no cursors.
pub(super) async fn require_feed_order(database: &Database) -> anyhow::Result<()> {
    let faults = database.feed_reader().faults().await?;
    if faults.is_empty() {
        return Ok(());
    }
    let lines = faults.iter().map(|FeedFault { wrong, remedy }| format!("\n  {wrong}: {remedy}"));
    bail!("the feed would lose events:{}", lines.collect::<String>())
}

/// Rejects a database in which policies would not apply to a role, with the reasons.
pub(super) async fn require_row_security(database: &Database, role: &str) -> anyhow::Result<()> {
    let gaps = database.gaps_in_row_security(role).await?;
    if gaps.is_empty() {
        return Ok(());
    }
    bail!(
        "row security would not apply; `campaigns migrate --with-policies` creates policies where there are none:\n  {}",
        gaps.join("\n  ")
    )
}
