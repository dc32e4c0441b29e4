//! Looks after what webhooks keep, in each process: matches events whose send came after them, drops those that waited
//! for too long, merges figures, and sweeps away what is not needed any more.
//!
//! An event and its message ID that are stored at the same time do not see each other, and a provider can know the ID of a
//! send before the send is committed. So events that came lately are looked at often, and all others now and then.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use campaigns_scope::{Error, WebhookPart, WebhookStats, WebhookUpkeep};
use campaigns_tasks::Task;
use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::waiting::match_waiting;
use crate::RecordError;

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(2);
/// The pause after an error of the database.
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// The time after which a round that has not ended counts as failing.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long an event is looked at in each round.
const LATELY: TimeDelta = TimeDelta::minutes(2);
/// The time between two looks at all events.
const BETWEEN_ALL: Duration = Duration::from_mins(10);
/// The time between two looks at events that have waited for too long, or are too many.
const BETWEEN_DROPS: Duration = Duration::from_secs(15);
/// The time between two sweeps.
const BETWEEN_SWEEPS: Duration = Duration::from_mins(1);

/// The task. Clones share it, and dropping the last one stops it.
#[derive(Clone)]
pub struct WebhookKeeper {
    task: Task,
    _running: Arc<Running>,
}

struct Running(JoinHandle<Infallible>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What was done last.
#[derive(Default)]
struct Last {
    all: Option<Instant>,
    drop: Option<Instant>,
    sweep: Option<Instant>,
    /// The last message ID that was checked.
    message: Uuid,
}

impl WebhookKeeper {
    /// Starts the task.
    #[must_use]
    pub fn start(upkeep: WebhookUpkeep) -> Self {
        let task = Task::new("webhooks keeper");
        let supervisor = task.clone();
        let running =
            tokio::spawn(async move { supervisor.run(|| keep(&upkeep, &supervisor)).await });
        Self { task, _running: Arc::new(Running(running)) }
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }
}

async fn keep(upkeep: &WebhookUpkeep, task: &Task) -> Infallible {
    let mut last = Last::default();
    loop {
        let round = round(upkeep, &mut last);
        let pause = match task.attempt(PATIENCE, round).await {
            Ok(()) => {
                task.works();
                PAUSE
            }
            Err(error) => {
                // the readiness check detects a database that does not respond
                if matches!(error, RecordError::Scope(Error::Unavailable(_))) {
                    task.works();
                } else {
                    task.fails();
                }
                tracing::warn!(%error, "webhooks could not be looked after");
                AFTER_ERROR
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn round(upkeep: &WebhookUpkeep, last: &mut Last) -> Result<(), RecordError> {
    let now = Utc::now();
    let is_due = |at: Option<Instant>, between| at.is_none_or(|at| at.elapsed() >= between);
    let since = if is_due(last.all, BETWEEN_ALL) {
        last.all = Some(Instant::now());
        DateTime::UNIX_EPOCH
    } else {
        now - LATELY
    };
    match_all(upkeep, since, now).await?;
    for (organization, webhook) in upkeep.mergeable().await? {
        let scope = upkeep.scope(organization).await?;
        scope.repeat(|| scope.merge_webhook_parts(webhook)).await?;
    }
    if is_due(last.drop, BETWEEN_DROPS) {
        let is_more = drop_waiting(upkeep, now).await?;
        last.drop = if is_more { None } else { Some(Instant::now()) };
    }
    if is_due(last.sweep, BETWEEN_SWEEPS) {
        let is_more = upkeep.sweep(now).await?;
        last.sweep = if is_more { None } else { Some(Instant::now()) };
        last.message = upkeep.sweep_message_ids(last.message).await?.unwrap_or_default();
    }
    Ok(())
}

/// Records waiting events whose send is known by now.
async fn match_all(
    upkeep: &WebhookUpkeep,
    since: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), RecordError> {
    let mut after = None;
    loop {
        let page = upkeep.matchable(since, after).await?;
        let Some(end) = page.last() else { return Ok(()) };
        after = Some(*end);
        let mut of_organizations: BTreeMap<Uuid, Vec<_>> = BTreeMap::new();
        for (organization, webhook, id) in page {
            of_organizations.entry(organization).or_default().push((webhook, id));
        }
        for (organization, keys) in of_organizations {
            let scope = upkeep.scope(organization).await?;
            let done = scope.repeat(|| async {
                scope
                    .transaction(async |scope| {
                        let waiting = scope.waiting(keys.iter().copied()).await?;
                        match_waiting(scope, &waiting, now).await
                    })
                    .await
            });
            match done.await {
                // a send can have been deleted meanwhile
                Ok(_) | Err(RecordError::SendNotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Drops events that have waited for too long, or are too many, and counts them. Returns whether there can be more.
async fn drop_waiting(upkeep: &WebhookUpkeep, now: DateTime<Utc>) -> Result<bool, RecordError> {
    let (droppable, is_more) = upkeep.droppable(now).await?;
    let mut of_organizations: BTreeMap<Uuid, Vec<_>> = BTreeMap::new();
    for (organization, webhook, id) in droppable {
        of_organizations.entry(organization).or_default().push((webhook, id));
    }
    for (organization, keys) in of_organizations {
        let scope = upkeep.scope(organization).await?;
        let dropped = scope.repeat(|| async {
            scope
                .transaction(async |scope| {
                    let removed = scope.remove_waiting(keys.iter().copied()).await?;
                    let mut parts: BTreeMap<Uuid, i64> = BTreeMap::new();
                    for (webhook, _) in &removed {
                        *parts.entry(*webhook).or_default() += 1;
                    }
                    let parts = parts.into_iter().map(|(webhook, dropped)| {
                        let stats = WebhookStats { dropped, ..Default::default() };
                        WebhookPart { webhook, stats }
                    });
                    scope.add_webhook_parts(&parts.collect::<Vec<_>>()).await?;
                    Ok::<_, Error>(removed.len())
                })
                .await
        });
        let dropped = dropped.await?;
        metrics::counter!("campaigns_webhook_events_total", "outcome" => "dropped")
            .increment(dropped as u64);
    }
    Ok(is_more)
}
