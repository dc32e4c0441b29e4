//! The threads that serve sockets and streams.
//!
//! An event wakes thousands of sockets at once. On the threads that serve HTTP, a request would
//! queue behind all of them. On separate threads of a lower priority, the operating system lets the
//! request go first.

use std::sync::Arc;

use campaigns_operation::lower_priority;
use campaigns_tasks::caught;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// A document can be nested 64 levels deep; without optimization, each level needs much stack.
const STACK: usize = 8 * 1024 * 1024;

/// Their priority: below that of requests, above that of expensive operations.
const NICE: i32 = 5;

/// The maximum size of a lasting task's future.
const LARGEST: usize = 3 * 1024;

/// Marks work that lasts as long as a socket or a subscription, of which there are thousands. A large
/// future is a compiler error: a future has room for everything that it holds at any `await`, so what
/// only a start or an end needs is boxed.
pub(crate) fn lasting<F: Future>(work: F) -> F {
    const { assert!(size_of::<F>() <= LARGEST, "each socket would have this size") };
    work
}

/// The number of threads: one per core, and at least two.
pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).max(2)
}

/// The threads. Clones share them.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Owned>);

struct Owned(Option<Runtime>);

impl Threads {
    /// Starts the threads.
    pub(super) fn start() -> Self {
        let runtime = Builder::new_multi_thread()
            .enable_all()
            .thread_name("sockets")
            .worker_threads(count())
            .thread_stack_size(STACK)
            .on_thread_start(|| lower_priority(NICE))
            .build()
            .expect("the operating system gives threads");
        Self(Arc::new(Owned(Some(runtime))))
    }

    /// Runs work on one of them, together with the tasks that it spawns. A panic that the work does
    /// not catch ends only that work.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.0.0 {
            runtime.spawn(caught("socket", work));
        }
    }

    /// Runs work on one of them, which is aborted when the set is dropped.
    pub(super) fn spawn_in(
        &self,
        set: &mut JoinSet<()>,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        if let Some(runtime) = &self.0.0 {
            set.spawn_on(work, runtime.handle());
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // the last owner may be a task on these threads, which must not wait for itself
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
