//! Limits the tasks of an organization that run at once on the threads that serve sockets and streams.
//!
//! An event wakes every follower of its organization. Each is a task in the queue of these threads, and
//! an event of another organization would wait behind thousands of them.
//!
//! **Invariant.** An organization uses at most half of these threads. Any other thread that reaches one
//! of its woken tasks finds no permit, leaves the task in the semaphore's queue, and soon reaches the
//! tasks of the next organization. A permit is held while a task is polled, and never while the task
//! waits for anything else: a slow peer or database delays only its own task.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::sync::Semaphore;
use tokio_util::sync::PollSemaphore;
use uuid::Uuid;

/// The permits of all organizations. Clones share them.
#[derive(Clone)]
pub(crate) struct Polls {
    permits: usize,
    of_organizations: Arc<Mutex<HashMap<Uuid, Weak<Semaphore>>>>,
}

/// The permits that the tasks of one socket or stream need: none before its organization is known.
/// Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Permits(Arc<OnceLock<Arc<Semaphore>>>);

pin_project! {
    /// Work that is polled only with a permit.
    pub(crate) struct Limited<F> {
        permits: Permits,
        acquiring: Option<PollSemaphore>,
        #[pin]
        work: F,
    }
}

impl Polls {
    /// Gives each organization permits for half of this number of threads, and at least one.
    pub(crate) fn new(threads: usize) -> Self {
        Self { permits: (threads / 2).max(1), of_organizations: Arc::default() }
    }

    /// The permits of an organization.
    fn of(&self, organization: Uuid) -> Arc<Semaphore> {
        let mut all = self.of_organizations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(permits) = all.get(&organization).and_then(Weak::upgrade) {
            return permits;
        }
        // rare: an organization has its first socket
        all.retain(|_, permits| permits.strong_count() > 0);
        let permits = Arc::new(Semaphore::new(self.permits));
        all.insert(organization, Arc::downgrade(&permits));
        permits
    }
}

impl Permits {
    /// From now on, the tasks need permits of this organization.
    pub(crate) fn draw_from(&self, polls: &Polls, organization: Uuid) {
        self.0.get_or_init(|| polls.of(organization));
    }

    /// Limits the work of a whole task. A permit that it gets is returned when it is polled or dropped.
    pub(crate) fn limit<F>(&self, work: F) -> Limited<F> {
        Limited { permits: self.clone(), acquiring: None, work }
    }
}

impl<F: Future> Future for Limited<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(known) = this.permits.0.get() else { return this.work.poll(context) };
        let permits = this.acquiring.get_or_insert_with(|| PollSemaphore::new(Arc::clone(known)));
        // `None` is a closed semaphore, and these are not closed
        let _permit = ready!(permits.poll_acquire(context));
        this.work.poll(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::{task::yield_now, time::timeout};

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn an_organization_uses_half_of_the_threads_at_once() {
        let (polls, organization) = (Polls::new(4), Uuid::new_v4());
        let (at_once, most): (Arc<AtomicUsize>, Arc<AtomicUsize>) = <_>::default();
        let start = || {
            let permits = Permits::default();
            permits.draw_from(&polls, organization);
            let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
            tokio::spawn(permits.limit(async move {
                for _ in 0..5 {
                    most.fetch_max(1 + at_once.fetch_add(1, Ordering::SeqCst), Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(1));
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    yield_now().await;
                }
            }))
        };
        let many: Vec<_> = (0..50).map(|_| start()).collect();
        for one in many {
            timeout(Duration::from_mins(1), one).await.expect("it ends").expect("no panic");
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn a_permit_is_not_held_while_its_task_waits() {
        let polls = Polls::new(2);
        let organization = Uuid::new_v4();
        let task = |seconds| {
            let permits = Permits::default();
            permits.draw_from(&polls, organization);
            permits.limit(tokio::time::sleep(Duration::from_secs(seconds)))
        };
        let slow: Vec<_> = (0..10).map(|_| tokio::spawn(task(3_600))).collect();
        timeout(Duration::from_mins(1), task(0)).await.expect("others wait, and hold nothing");
        slow.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_task_that_ends_before_its_turn_gives_its_permit_back() {
        let (polls, organization) = (Polls::new(2), Uuid::new_v4());
        let start = || {
            let permits = Permits::default();
            permits.draw_from(&polls, organization);
            tokio::spawn(permits.limit(async {
                for _ in 0..3 {
                    yield_now().await;
                }
            }))
        };
        for _ in 0..20 {
            let many: Vec<_> = (0..50).map(|_| start()).collect();
            yield_now().await;
            many.iter().for_each(tokio::task::JoinHandle::abort);
        }
        timeout(Duration::from_mins(1), start())
            .await
            .expect("a permit is left")
            .expect("no panic");
    }
}
