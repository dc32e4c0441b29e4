//! `campaigns demo`.

use anyhow::bail;
use chrono::Utc;

use super::{arguments::Demo, database, output};
use crate::demo;

pub(super) async fn run(arguments: Demo) -> anyhow::Result<()> {
    let options = database::options(&arguments.database, &arguments.schema)?;
    let database = database::open(&options).await?;
    if database.operator().has_campaigns().await? {
        bail!("the database already has campaigns; the demo data needs an empty one");
    }
    demo::load(&database, Utc::now()).await?;
    for organization in demo::ORGANIZATIONS {
        output::line(format_args!("{}  {}", organization.id, organization.name))?;
    }
    database.close().await?;
    Ok(())
}
