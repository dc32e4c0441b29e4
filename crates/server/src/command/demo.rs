//! `campaigns demo`.

use anyhow::bail;
use campaigns_scope::{Database, Options};
use chrono::Utc;

use super::arguments::Demo;
use crate::demo;

pub(super) async fn run(arguments: Demo) -> anyhow::Result<()> {
    let options =
        Options { schema: arguments.schema.schema, ..Options::new(arguments.database.require()?) };
    let database = Database::connect(&options, None).await?;
    require_migrated(&database).await?;
    if database.operator().has_campaigns().await? {
        bail!("the database already has campaigns; the demo data needs an empty one");
    }
    demo::load(&database, Utc::now()).await?;
    for organization in demo::ORGANIZATIONS {
        println!("{}  {}", organization.id, organization.name);
    }
    database.close().await?;
    Ok(())
}

/// Rejects a database with a schema other than this program's.
pub(super) async fn require_migrated(database: &Database) -> anyhow::Result<()> {
    let applied = database.applied_migrations().await?;
    if campaigns_migration::names().iter().all(|name| applied.contains(name)) {
        Ok(())
    } else {
        bail!("the database is not migrated; run `campaigns migrate` first")
    }
}
