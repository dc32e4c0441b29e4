//! The turns of an execution on its thread.
//!
//! Fields with loaded data are resolved one after the other without waiting, for seconds if there are
//! many. Only between two polls can the thread run other tasks, and the execution notice its deadline
//! or a disconnected client. So long loops call [`Turns::pass`] for each element.
//!
//! **Invariant.** Once a poll of an execution has taken [`TURN`], each loop in it waits for the next
//! poll, however many of its futures are joined.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_graphql::Context;

/// How long an execution works before other tasks run.
const TURN: Duration = Duration::from_millis(1);

/// The turns of one execution. Clones share them.
#[derive(Clone)]
pub(crate) struct Turns(Arc<Turn>);

/// Marks a context in which selections are expanded, and has the turns of its execution.
pub(crate) struct AreExpanded(pub(crate) Turns);

struct Turn {
    base: Instant,
    /// When the current poll started, in nanoseconds after `base`.
    started: AtomicU64,
}

impl Turns {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Turn { base: Instant::now(), started: AtomicU64::new(0) }))
    }

    /// Runs an execution. Each poll of it is a turn.
    pub(crate) async fn run<T>(&self, execution: impl Future<Output = T>) -> T {
        let mut execution = pin!(execution);
        poll_fn(|context| {
            self.0.started.store(self.elapsed(), Ordering::Relaxed);
            execution.as_mut().poll(context)
        })
        .await
    }

    /// Waits for the next turn if this one is over.
    pub(crate) async fn pass(&self) {
        while self.is_over() {
            tokio::task::yield_now().await;
        }
    }

    fn is_over(&self) -> bool {
        let started = Duration::from_nanos(self.0.started.load(Ordering::Relaxed));
        self.0.base.elapsed().saturating_sub(started) > TURN
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.0.base.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Lets other tasks of the thread run, and notices deadlines, if the execution of this context has
/// worked for long. For each element of a long loop.
pub async fn pass_turn(ctx: &Context<'_>) {
    if let Some(AreExpanded(turns)) = ctx.data_opt() {
        turns.pass().await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn joined_loops_that_never_wait_share_one_turn() {
        let turns = Turns::new();
        let polls = std::sync::atomic::AtomicUsize::new(0);
        let work = async || {
            for _ in 0..10 {
                turns.pass().await;
                std::thread::sleep(TURN);
            }
        };
        let all = join_all((0..10).map(|_| work()));
        let mut counted = pin!(turns.run(all));
        poll_fn(|context| {
            polls.fetch_add(1, Ordering::Relaxed);
            counted.as_mut().poll(context)
        })
        .await;
        // each poll ends after one or two of the 100 steps
        let polls = polls.into_inner();
        assert!((50..=101).contains(&polls), "{polls}");
    }
}
