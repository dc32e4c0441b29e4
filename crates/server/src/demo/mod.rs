//! Demo data that looks real: a company's campaigns over the last 90 days, and a second, small
//! organization.
//!
//! **Invariant.** It is the same every time, including IDs, except for the dates, which count back
//! from the day it is loaded. An organization is loaded in one transaction: completely or not at
//! all.

mod audience;
mod organizations;
mod outreach;
mod plans;

use std::cmp::Reverse;

use campaigns_scope::{Database, Error};
use chrono::{DateTime, TimeDelta, Utc};
use indicatif::{ProgressBar, ProgressStyle};
pub use organizations::{ADMIN, MEMBER, ORGANIZATIONS, Organization};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use outreach::Suppressed;

/// Loads the organizations that do not exist yet, as of `now`, the first one last.
///
/// # Errors
/// Any error of the database.
///
/// # Panics
/// Never: the template of the progress bar is a constant.
pub async fn load(database: &Database, now: DateTime<Utc>) -> Result<(), Error> {
    let steps =
        ORGANIZATIONS.iter().map(|organization| organization.campaigns.len() + 1).sum::<usize>();
    let bar = ProgressBar::new(steps as u64).with_style(
        ProgressStyle::with_template("demo data {bar:30} {pos}/{len} {msg}")
            .expect("the template is a constant"),
    );
    let there = database.operator().organizations().await?;
    for (seed, organization) in (0..).zip(&ORGANIZATIONS).collect::<Vec<_>>().into_iter().rev() {
        if there.iter().any(|found| found.id == organization.id) {
            continue;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let Organization { id, name, slug, .. } = *organization;
        database
            .operator()
            .create_organization(id, name, slug, now - TimeDelta::days(400), async |scope| {
                bar.set_message(format!("{name}: contacts"));
                let audience =
                    audience::load(scope, &mut rng, organization, seed == 0, now).await?;
                bar.inc(1);
                // the oldest first: who unsubscribes is sent nothing after that
                let mut plans: Vec<_> = organization.campaigns.iter().collect();
                plans.sort_by_key(|plan| Reverse(plan.age));
                let mut suppressed = Suppressed::new();
                for plan in plans {
                    bar.set_message(format!("{name}: {}", plan.name));
                    outreach::load(scope, &mut rng, plan, &audience, &mut suppressed, now).await?;
                    bar.inc(1);
                }
                Ok::<_, Error>(())
            })
            .await?;
    }
    database.operator().analyze().await?;
    bar.finish_and_clear();
    Ok(())
}
