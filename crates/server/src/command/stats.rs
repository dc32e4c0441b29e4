//! `campaigns stats`.

use anyhow::bail;
use campaigns_scope::{COUNT_TABLES, Counts, Difference};
use indicatif::{ProgressBar, ProgressStyle};
use uuid::Uuid;

use super::{
    arguments::{Stats, StatsAction},
    database, output,
};

pub(super) async fn run(arguments: Stats) -> anyhow::Result<()> {
    let options = database::options(&arguments.database, &arguments.schema)?;
    let database = database::open(&options).await?;
    let counts = database.counts();
    let organizations = counts.organizations().await?;
    let steps = organizations.len() * COUNT_TABLES.len();
    let bar = ProgressBar::new(steps as u64)
        .with_style(ProgressStyle::with_template("  {msg}  {bar:30} {percent:>3} %  {elapsed}")?);
    let done = match arguments.action {
        StatsAction::Check => check(&counts, &organizations, &bar).await,
        StatsAction::Rebuild => match database::require_triggers(&database).await {
            Ok(_) => rebuild(&counts, &organizations, &bar).await,
            Err(broken) => Err(broken),
        },
    };
    bar.finish_and_clear();
    database.close().await?;
    output::line(done?)?;
    Ok(())
}

async fn check(
    counts: &Counts,
    organizations: &[Uuid],
    bar: &ProgressBar,
) -> anyhow::Result<String> {
    let mut wrong = 0;
    for organization in organizations {
        for table in &COUNT_TABLES {
            bar.set_message(table.name);
            let (differences, all) = counts.differences(table, *organization).await?;
            for difference in &differences {
                bar.suspend(|| output::line(line(table.name, *organization, difference)))?;
            }
            let unnamed = all - differences.len() as u64;
            if unnamed > 0 {
                let more = format!("{} of {organization}: {unnamed} more", table.name);
                bar.suspend(|| output::line(more))?;
            }
            wrong += all;
            bar.inc(1);
        }
    }
    if wrong > 0 {
        bail!("{wrong} rows of counts are wrong; `campaigns stats rebuild` recounts them");
    }
    Ok(format!("the counts of {} organizations are correct", organizations.len()))
}

/// `campaign_counts of …: campaign_id …: opens is 5 and should be 4`.
fn line(table: &str, organization: Uuid, difference: &Difference) -> String {
    let row: Vec<String> =
        difference.row.iter().map(|(column, value)| format!("{column} {value}")).collect();
    let counts: Vec<String> = difference
        .counts
        .iter()
        .map(|(count, kept, counted)| format!("{count} is {kept} and should be {counted}"))
        .collect();
    // a row with zeros on both sides exists although it should not
    let wrong =
        if counts.is_empty() { "should not be there".to_owned() } else { counts.join(", ") };
    format!("{table} of {organization}: {}: {wrong}", row.join(", "))
}

async fn rebuild(
    counts: &Counts,
    organizations: &[Uuid],
    bar: &ProgressBar,
) -> anyhow::Result<String> {
    for organization in organizations {
        bar.set_message(organization.to_string());
        counts.rebuild(*organization).await?;
        bar.inc(COUNT_TABLES.len() as u64);
    }
    Ok(format!("the counts of {} organizations are stored", organizations.len()))
}
