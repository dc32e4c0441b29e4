//! Adds pending changes to the running counts while the process runs.
//!
//! Every read includes the pending changes, so this only affects the amount of data that it reads. One
//! process at a time adds changes. If changes arrive faster than they are added, batches follow each other
//! without a pause.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use campaigns_scope::Counts;
use campaigns_tasks::Task;
use tokio::task::JoinHandle;

use crate::upkeep::{Upkeep, is_of_database};

/// The number of changes of each kind to add at once, which takes a few hundred milliseconds.
const AT_ONCE: i32 = 20_000;
/// The pause after a batch, and after a batch without changes.
const AFTER_SOME: Duration = Duration::from_millis(250);
const AFTER_NONE: Duration = Duration::from_secs(1);
/// The pause after an error of the database.
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// The time after which a round that has not ended counts as failing.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two counts of the pending changes, and the number to count up to.
const BETWEEN_COUNTS: Duration = Duration::from_secs(5);
const MOST_COUNTED: i64 = 100_000;
/// The time for which a count of the pending changes is reported.
const KNOWN: Duration = Duration::from_mins(1);

/// The task that adds changes to the counts. Clones share it, and dropping the last one stops the task.
#[derive(Clone)]
pub struct Keeper {
    task: Task,
    waiting: Arc<Backlog>,
    _running: Arc<Running>,
}

struct Running(JoinHandle<Infallible>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The last count of the pending changes, and its time.
#[derive(Default)]
struct Backlog(Mutex<Option<(i64, Instant)>>);

impl Keeper {
    /// Starts the task.
    #[must_use]
    pub fn start(counts: Counts) -> Self {
        let (task, waiting) = (Task::new("counts keeper"), Arc::<Backlog>::default());
        let (supervisor, counted) = (task.clone(), Arc::clone(&waiting));
        let running =
            tokio::spawn(
                async move { supervisor.run(|| keep(&counts, &counted, &supervisor)).await },
            );
        Self { task, waiting, _running: Arc::new(Running(running)) }
    }

    /// The task.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// The number of pending changes, counted up to 100,000. `None` if they were not counted in the last
    /// minute.
    #[must_use]
    pub fn waiting(&self) -> Option<i64> {
        let counted = *self.waiting.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.filter(|(_, at)| at.elapsed() < KNOWN).map(|(waiting, _)| waiting)
    }
}

async fn keep(counts: &Counts, waiting: &Backlog, task: &Task) -> Infallible {
    let mut counted: Option<Instant> = None;
    let mut upkeep = Upkeep::default();
    loop {
        let round = async {
            let is_kept_up = upkeep.step(counts).await;
            if counted.is_none_or(|at| at.elapsed() > BETWEEN_COUNTS) {
                counted = Some(Instant::now());
                waiting.count(counts).await;
            }
            (is_kept_up, counts.fold(AT_ONCE).await)
        };
        let (is_kept_up, folded) = task.attempt(PATIENCE, round).await;
        if is_kept_up && folded.as_ref().err().is_none_or(is_of_database) {
            task.works();
        } else {
            task.fails();
        }
        let pause = match folded {
            Ok(Some(added)) => {
                metrics::counter!("campaigns_counted_changes_total")
                    .increment(added.unsigned_abs());
                match added {
                    0 => AFTER_NONE,
                    added if added < i64::from(AT_ONCE) => AFTER_SOME,
                    _ => continue,
                }
            }
            // another process is adding changes
            Ok(None) => AFTER_NONE,
            Err(error) => {
                tracing::warn!(%error, "pending changes could not be added to the counts");
                AFTER_ERROR
            }
        };
        tokio::time::sleep(pause).await;
    }
}

impl Backlog {
    async fn count(&self, counts: &Counts) {
        match counts.waiting(MOST_COUNTED).await {
            Ok(waiting) => {
                let counted = Some((waiting, Instant::now()));
                *self.0.lock().unwrap_or_else(PoisonError::into_inner) = counted;
            }
            Err(error) => tracing::warn!(%error, "the pending changes could not be counted"),
        }
    }
}
