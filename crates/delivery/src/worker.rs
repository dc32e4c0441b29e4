//! Starts due campaigns, and completes campaigns whose sends are final.
//!
//! **Invariants.**
//! - A campaign starts once, with any number of workers: a worker locks its row and checks its status and
//!   time again. The step and its sends are one transaction, so a killed worker has done all of it or
//!   nothing.
//! - A campaign whose step fails or panics is retried with exponential backoff, and does not delay the
//!   others. An organization with very many failing campaigns is paused as a whole, so that it does not
//!   displace the others from a round.

use std::{
    collections::HashMap,
    fmt::Display,
    time::{Duration, Instant},
};

use campaigns_scope::{Database, DueCampaign, Error, Exclusions};
use campaigns_tasks::caught;
use chrono::Utc;
use tokio::{sync::watch, task::JoinSet};
use uuid::Uuid;

use crate::{
    StepError,
    lifecycle::{complete_if_done, start_if_due},
};

/// The number of connections that a worker uses.
pub const WORKER_CONNECTIONS: u32 = AT_ONCE + 2;
/// The time limit of a step. A campaign can have millions of sends.
pub const WORKER_LIMIT: Duration = Duration::from_mins(10);

/// The number of concurrent steps.
const AT_ONCE: u32 = 4;
/// The number of campaigns of each kind in a round.
const ROUND: u32 = 100;
/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);
/// The pause of a campaign after a failed step. It doubles each time.
const FIRST_REST: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_mins(5);
/// The number of paused campaigns at which the worker itself pauses, since it is a general problem.
const RESTING: usize = 10_000;
/// The number of paused campaigns at which their organization is paused as a whole.
const RESTING_OF_ONE: usize = 1_000;

/// The step that a worker takes with a campaign.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Start,
    Complete,
}

/// The pause of a campaign after a failed step.
struct Rest {
    organization: Uuid,
    until: Instant,
    pause: Duration,
}

/// The currently paused campaigns and organizations.
fn resting_at(now: Instant, rests: &HashMap<Uuid, Rest>) -> Exclusions {
    let mut resting = Exclusions::default();
    let mut of_organizations: HashMap<Uuid, usize> = HashMap::new();
    for (campaign, rest) in rests.iter().filter(|(_, rest)| rest.until > now) {
        resting.campaigns.push(*campaign);
        *of_organizations.entry(rest.organization).or_default() += 1;
    }
    let many = of_organizations.into_iter().filter(|(_, number)| *number >= RESTING_OF_ONE);
    resting.organizations = many.map(|(organization, _)| organization).collect();
    resting
}

/// Steps campaigns of all organizations until `stop` becomes true, and then finishes the steps in
/// progress. If this is dropped, these are rolled back.
pub async fn work(database: Database, mut stop: watch::Receiver<bool>) {
    let mut resting = HashMap::new();
    while !*stop.borrow() {
        let start = Instant::now();
        let stepped = match round(&database, &mut resting, &stop).await {
            Ok(stepped) => stepped,
            Err(error) => {
                tracing::warn!(%error, "the worker cannot step campaigns: the database does not respond");
                false
            }
        };
        // no pause if campaigns are left over from a round
        let pause = if stepped { Duration::ZERO } else { PAUSE.saturating_sub(start.elapsed()) };
        // a dropped sender means the same
        let waited = tokio::time::timeout(pause, stop.wait_for(|stop| *stop)).await;
        if matches!(waited, Ok(Err(_))) {
            return;
        }
    }
}

/// Steps campaigns, up to a limit. Returns whether the limit was reached and at least one step succeeded.
async fn round(
    database: &Database,
    resting: &mut HashMap<Uuid, Rest>,
    stop: &watch::Receiver<bool>,
) -> Result<bool, Error> {
    let now = Instant::now();
    // an ended pause is remembered for a while, to double it if the retry fails
    resting.retain(|_, rest| rest.until + LONGEST_REST > now);
    let except = resting_at(now, resting);
    if except.campaigns.len() >= RESTING {
        return Ok(false);
    }
    let operator = database.operator();
    let starts = operator.campaigns_to_start(Utc::now(), &except, ROUND).await?;
    let completions = operator.campaigns_to_complete(&except, ROUND).await?;
    let is_full = [&starts, &completions].iter().any(|due| due.len() >= ROUND as usize);
    let starts = starts.into_iter().map(|due| (Task::Start, due));
    let completions = completions.into_iter().map(|due| (Task::Complete, due));
    let mut waiting = starts.chain(completions);
    let mut under_way = JoinSet::new();
    let mut stepped = false;
    loop {
        while under_way.len() < AT_ONCE as usize && !*stop.borrow() {
            let Some((task, due)) = waiting.next() else { break };
            let database = database.clone();
            under_way.spawn(async move {
                (due, caught("campaign step", step(&database, task, due)).await)
            });
        }
        match under_way.join_next().await {
            None => return Ok(is_full && stepped),
            Some(Ok((due, Ok(Ok(done))))) => {
                resting.remove(&due.campaign);
                stepped |= done;
            }
            Some(Ok((due, Ok(Err(error))))) => rest(resting, due, &error),
            Some(Ok((due, Err(panicked)))) => rest(resting, due, &panicked),
            // never happens: steps are not aborted, and their panics are caught
            Some(Err(error)) => tracing::error!(%error, "the step of a campaign was lost"),
        }
    }
}

fn rest(resting: &mut HashMap<Uuid, Rest>, due: DueCampaign, error: &dyn Display) {
    let DueCampaign { organization, campaign } = due;
    let pause = resting
        .get(&campaign)
        .map_or(FIRST_REST, |rest| std::cmp::min(rest.pause * 2, LONGEST_REST));
    tracing::warn!(%campaign, %error, "the campaign was not stepped; trying again in {pause:?}");
    resting.insert(campaign, Rest { organization, until: Instant::now() + pause, pause });
}

/// Steps a campaign. Returns whether the step was due.
async fn step(database: &Database, task: Task, due: DueCampaign) -> Result<bool, StepError> {
    let DueCampaign { organization, campaign } = due;
    let scope = database.operator().scope(organization);
    let scope = scope.operation(Instant::now() + WORKER_LIMIT, None);
    match task {
        Task::Start => {
            let started = scope.repeat(|| start_if_due(&scope, campaign, Utc::now())).await?;
            let Some(queued) = started else { return Ok(false) };
            metrics::counter!("campaigns_worker_steps_total", "step" => "start").increment(1);
            tracing::info!(
                %organization,
                %campaign,
                queued = queued.queued,
                already_queued = queued.already_queued,
                suppressed = queued.suppressed,
                without_address = queued.without_address,
                "campaign started"
            );
        }
        Task::Complete => {
            if !scope.repeat(|| complete_if_done(&scope, campaign, Utc::now())).await? {
                return Ok(false);
            }
            metrics::counter!("campaigns_worker_steps_total", "step" => "complete").increment(1);
            tracing::info!(%organization, %campaign, "campaign completed");
        }
    }
    Ok(true)
}
