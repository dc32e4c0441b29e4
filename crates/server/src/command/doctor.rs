//! `campaigns doctor`.

use anyhow::bail;
use campaigns_entity::segment;
use campaigns_scope::{Database, Findings};
use campaigns_segments::Rules;
use chrono::Utc;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    arguments::Doctor,
    database,
    output::{self, NotWritten},
    secrets,
};

pub(super) async fn run(arguments: Doctor) -> anyhow::Result<()> {
    let options = database::options(&arguments.database, &arguments.schema)?;
    let keys = arguments.encryption.keyring_for(&options.url)?;
    let database = database::open(&options).await?;
    let (doctor, most) = (database.doctor(), u64::from(arguments.rows));
    let checks = doctor.checks();
    let bar = ProgressBar::new(checks.len() as u64 + 2)
        .with_style(ProgressStyle::with_template("  {bar:30} {percent:>3} %  {elapsed}  {msg}")?);
    let mut wrong: u64 = 0;
    for check in &checks {
        bar.set_message(check.wrong.clone());
        let found = match doctor.look(check, Utc::now(), most).await {
            // what other checks find can be the reason
            Err(
                error @ (campaigns_scope::Error::Database(_)
                | campaigns_scope::Error::Misconfigured(_)),
            ) => Findings { named: vec![format!("this cannot be checked: {error}")], all: 1 },
            found => found?,
        };
        wrong += found.all;
        bar.suspend(|| print(&check.wrong, &check.remedy, &found))?;
        bar.inc(1);
    }
    bar.set_message("campaign_segments.filter_rules");
    let found = unreadable_rules(&database, most).await?;
    wrong += found.all;
    bar.suspend(|| print(
        "campaign_segments.filter_rules cannot be read",
        "The segment cannot be used. Correct the rules at the path, or save them with updateSegment, which checks them.",
        &found,
    ))?;
    bar.inc(1);
    bar.set_message("secrets");
    let found = secrets::unopened(&database, &keys, most).await?;
    wrong += found.all;
    bar.finish_and_clear();
    print(
        "secrets are not opened by any --encryption-key",
        "What needs them fails. Give the keys that they were encrypted with, or set the secrets again.",
        &found,
    )?;
    database.close().await?;
    if wrong > 0 {
        bail!("{wrong} problems");
    }
    Ok(output::line(format_args!("no problems found by {} checks", checks.len() + 2))?)
}

fn print(wrong: &str, remedy: &str, found: &Findings) -> Result<(), NotWritten> {
    if found.all == 0 {
        return Ok(());
    }
    output::line(format_args!("{wrong}: {}", found.all))?;
    for line in &found.named {
        output::line(format_args!("  {line}"))?;
    }
    let others = found.all - found.named.len() as u64;
    if others > 0 {
        output::line(format_args!("  and {others} more"))?;
    }
    output::line(format_args!("  Remedy: {remedy}\n"))
}

/// Segments whose rules are an object but not valid rules.
async fn unreadable_rules(database: &Database, most: u64) -> anyhow::Result<Findings> {
    let operator = database.operator();
    let mut found = Findings::default();
    for organization in operator.organizations().await? {
        let scope = operator.scope(organization.id);
        for segment in scope.all(scope.find::<segment::Entity>()).await? {
            if !segment.filter_rules.0.is_object() {
                continue;
            }
            if let Err(error) = Rules::parse(&segment.filter_rules.0) {
                found.all += 1;
                if found.all <= most {
                    found.named.push(format!(
                        "campaign_segments {} of organization {}: {error}",
                        segment.id, organization.id
                    ));
                }
            }
        }
    }
    Ok(found)
}
