//! `campaigns repair`: repairs the effects of a restore, replication, or programs that turned triggers off.
//!
//! **Order.** Triggers fire before events are filed, which triggers count, and events are filed before
//! counts are compared. The versions of triggers are read before that and remembered after it, so a
//! trigger that is turned off in the meantime is noticed later.

use anyhow::bail;
use campaigns_migration::Target;
use campaigns_scope::{COUNT_TABLES, Counts, Options};
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

use super::{
    arguments::Repair,
    database::{self, not_connected},
    migrate::explained,
    output,
};

/// How many waiting events a statement looks at.
const BATCH: i32 = 2_000;

pub(super) async fn run(arguments: Repair) -> anyhow::Result<()> {
    let options = database::options(&arguments.database, &arguments.schema)?;
    let database = database::open(&options).await?;
    let counts = database.counts();
    let done = repair(&options, &counts).await;
    database.close().await?;
    if !done? {
        output::line("nothing had to be repaired")?;
    }
    Ok(())
}

/// Repairs everything, and returns whether something had to be repaired.
async fn repair(options: &Options, counts: &Counts) -> anyhow::Result<bool> {
    let primary = campaigns_scope::primary(&options.url).await.map_err(not_connected)?;
    let target = Target::from(&primary).in_schema(options.schema.clone());
    let broken = counts.triggers().await?.broken;
    if !broken.is_empty() {
        let restored = campaigns_migration::restore_triggers(target.clone()).await;
        restored.map_err(|error| explained(error.into()))?;
    }
    let places = campaigns_migration::restore_places(target).await;
    let places = places.map_err(|error| explained(error.into()))?;
    let triggers = counts.triggers().await?;
    if !triggers.broken.is_empty() {
        bail!("triggers could not be restored: {}", triggers.wrong(", "));
    }
    for trigger in &broken {
        output::line(format_args!("restored  {}", trigger.trigger))?;
    }
    if places > 0 {
        output::line(format_args!(
            "moved     {places} events to the end of the feed, as others had their places"
        ))?;
    }
    let organizations = counts.organizations().await?;
    let bar = ProgressBar::new(organizations.len() as u64)
        .with_style(ProgressStyle::with_template("  {msg}  {bar:30} {percent:>3} %  {elapsed}")?);
    let mut filed = file_waiting(counts).await?;
    let mut counted: usize = 0;
    for organization in &organizations {
        bar.set_message(organization.to_string());
        filed += counts.refile(*organization).await?;
        let wrong = differences(counts, *organization).await?;
        if wrong > 0 {
            counts.rebuild(*organization).await?;
            counted += 1;
            bar.suspend(|| {
                output::line(format_args!(
                    "counted   organization {organization}: {wrong} rows were wrong"
                ))
            })?;
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    if filed > 0 {
        output::line(format_args!("filed     {filed} events under their sends"))?;
    }
    counts.confirm(&triggers).await?;
    if !triggers.switched.is_empty() {
        output::line(format_args!(
            "compared  the counts of {} organizations with a recount",
            organizations.len()
        ))?;
    }
    Ok(!broken.is_empty() || !triggers.switched.is_empty() || places + filed > 0 || counted > 0)
}

/// Files waiting events that have a send, and returns their number.
async fn file_waiting(counts: &Counts) -> anyhow::Result<u64> {
    let (mut after, mut filed) = (Uuid::nil(), 0);
    loop {
        let found = counts.file_waiting(after, BATCH).await?;
        filed += found.filed.unsigned_abs();
        match found.last {
            Some(last) => after = last,
            None => return Ok(filed),
        }
    }
}

/// The number of wrong rows of counts.
async fn differences(counts: &Counts, organization: Uuid) -> anyhow::Result<u64> {
    let mut wrong = 0;
    for table in &COUNT_TABLES {
        wrong += counts.differences(table, organization).await?.1;
    }
    Ok(wrong)
}
