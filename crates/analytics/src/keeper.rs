//! Adds waiting changes to the running counts while the process runs.
//!
//! Every reader adds up the waiting changes itself, so this only affects how much readers have to
//! read. Of several processes, one does it at a time. If changes arrive faster than they are added,
//! batches follow each other immediately.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use campaigns_scope::Counts;
use tokio::task::JoinHandle;

/// The number of changes of each kind that are added at once, which takes a few hundred
/// milliseconds.
const AT_ONCE: i32 = 20_000;
/// How long it waits until it checks again, and if there was nothing.
const AFTER_SOME: Duration = Duration::from_millis(250);
const AFTER_NONE: Duration = Duration::from_secs(1);
/// How long it waits if the database does not respond.
const AFTER_ERROR: Duration = Duration::from_secs(5);
/// How often it counts the changes that wait, and up to how many.
const BETWEEN_COUNTS: Duration = Duration::from_secs(5);
const MOST_COUNTED: i64 = 100_000;

/// The task that adds changes to the counts. Clones share it; it ends with the last clone.
#[derive(Clone)]
pub struct Keeper {
    _task: Arc<Task>,
}

struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Keeper {
    /// Starts it.
    #[must_use]
    pub fn start(counts: Counts) -> Self {
        Self { _task: Arc::new(Task(tokio::spawn(keep(counts)))) }
    }
}

async fn keep(counts: Counts) {
    let mut counted: Option<Instant> = None;
    loop {
        if counted.is_none_or(|at| at.elapsed() > BETWEEN_COUNTS) {
            counted = Some(Instant::now());
            count_waiting(&counts).await;
        }
        let pause = match counts.fold(AT_ONCE).await {
            Ok(Some(added)) => {
                metrics::counter!("campaigns_counted_changes_total")
                    .increment(added.unsigned_abs());
                match added {
                    0 => AFTER_NONE,
                    added if added < i64::from(AT_ONCE) => AFTER_SOME,
                    _ => continue,
                }
            }
            // another process is doing it
            Ok(None) => AFTER_NONE,
            Err(error) => {
                tracing::warn!(%error, "changes wait to be added to the counts");
                AFTER_ERROR
            }
        };
        tokio::time::sleep(pause).await;
    }
}

async fn count_waiting(counts: &Counts) {
    match counts.waiting(MOST_COUNTED).await {
        #[expect(clippy::cast_precision_loss, reason = "it is no more than a hundred thousand")]
        Ok(waiting) => metrics::gauge!("campaigns_waiting_changes").set(waiting as f64),
        Err(error) => tracing::warn!(%error, "the changes that wait could not be counted"),
    }
}
