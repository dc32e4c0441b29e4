//! Tasks that a process keeps running, and work that may panic without affecting other work.
//!
//! A panic in a spawned task ends only that task, and is lost if its result is not awaited. A [`Task`]
//! restarts instead. Work of one connection or one operation does not restart: [`caught`] returns its
//! panic to the caller, which informs the client.
//!
//! **Invariants.**
//! - A panic is logged once, with the name of the task, and counted, in `campaigns_panics_total`
//!   and in `campaigns_task_panics_total` by name. Names are constants, so their number is bounded.
//! - A task that has panicked restarts from its beginning after a pause. The pause doubles with each
//!   panic, from 100 ms up to 30 s, and is reset once the task has run for a minute.
//! - A task that must not end has the output [`Infallible`](std::convert::Infallible), so that it can
//!   only end by a panic.
//! - A task is failing from its panic or error ([`Task::fails`]) until it has done its work again
//!   ([`Task::works`]), regardless of restarts in between. Work that does not end is like an error
//!   ([`Task::attempt`]).
//!
//! State that a task shares with others has to be consistent whenever the task panics: it is changed
//! under a lock, and any code that can panic comes before the change.

#![warn(missing_docs)]

use std::{
    convert::Infallible,
    fmt::Display,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use futures_util::FutureExt;
use tokio::time::Instant;

/// The pause after the first panic. It doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The run time after which the pause is reset.
const HEALTHY: Duration = Duration::from_mins(1);

/// A task that restarts when it panics. Clones share its state.
#[derive(Clone, Debug)]
pub struct Task {
    name: &'static str,
    /// When it first failed since it last worked.
    failing: Arc<Mutex<Option<Instant>>>,
}

/// The error if work panicked. The log has the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {0} panicked")]
pub struct Panicked(&'static str);

impl Task {
    /// Creates a task with this name. It does not run yet.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        // so that alerts can detect an increase from zero
        metrics::counter!("campaigns_task_panics_total", "task" => name).increment(0);
        Self { name, failing: Arc::default() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Runs the future of `start`, and restarts it each time that it panics.
    pub async fn run<T, F: Future<Output = T>>(&self, mut start: impl FnMut() -> F) -> T {
        let mut pauses = Pauses::default();
        loop {
            let started = Instant::now();
            match AssertUnwindSafe(async { start().await }).catch_unwind().await {
                Ok(done) => return done,
                Err(_) => tokio::time::sleep(self.panicked(&mut pauses, started)).await,
            }
        }
    }

    /// Runs work on a thread of its own, and restarts it each time that it panics.
    ///
    /// # Errors
    /// If the operating system cannot create a thread.
    pub fn run_on_thread(
        self,
        mut work: impl FnMut() -> Infallible + Send + 'static,
    ) -> io::Result<()> {
        let name = self.name.to_owned();
        let run = move || {
            let mut pauses = Pauses::default();
            loop {
                let started = Instant::now();
                match catch_unwind(AssertUnwindSafe(&mut work)) {
                    Ok(never) => match never {},
                    Err(_) => thread::sleep(self.panicked(&mut pauses, started)),
                }
            }
        };
        thread::Builder::new().name(name).spawn(run).map(drop)
    }

    /// Records that the task has done its work, or one round of it.
    pub fn works(&self) {
        *self.failing() = None;
    }

    /// Records that it could not do its work because of an error.
    pub fn fails(&self) {
        self.failing().get_or_insert_with(Instant::now);
    }

    /// Awaits a round of its work. While a round takes longer than `patience`, the task is failing,
    /// from the start of the round.
    pub async fn attempt<T>(&self, patience: Duration, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(patience, &mut work).await {
            return done;
        }
        self.failing().get_or_insert(started);
        work.await
    }

    /// How long it has been failing, if it is failing.
    #[must_use]
    pub fn failing_for(&self) -> Option<Duration> {
        self.failing().map(|since| since.elapsed())
    }

    fn failing(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a panic of a run, and returns the pause until the next one.
    fn panicked(&self, pauses: &mut Pauses, started: Instant) -> Duration {
        let pause = pauses.next(started.elapsed());
        self.fails();
        count(self.name);
        tracing::error!(task = self.name, "the task panicked and restarts in {pause:?}");
        pause
    }
}

/// The pauses between the runs of a task.
#[derive(Default)]
struct Pauses(Option<Duration>);

impl Pauses {
    /// The pause after a run of this duration.
    fn next(&mut self, took: Duration) -> Duration {
        let last = self.0.filter(|_| took < HEALTHY);
        let next = last.map_or(FIRST_PAUSE, |last| (last * 2).min(LONGEST_PAUSE));
        *self.0.insert(next)
    }
}

/// Awaits work. A panic is logged and counted under a name.
///
/// The future is no larger than the work, since thousands of connections have one. The same is true of
/// [`caught_request`].
///
/// # Errors
/// If the work panics.
pub fn caught<T>(
    name: &'static str,
    work: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Panicked>> {
    catch(name, work, move || tracing::error!(task = name, "the task panicked"))
}

/// [`caught`] for the work of one request. A log entry includes the request's ID.
///
/// # Errors
/// If the work panics.
pub fn caught_request<T>(
    name: &'static str,
    request_id: impl Display,
    work: impl Future<Output = T>,
) -> impl Future<Output = Result<T, Panicked>> {
    catch(name, work, move || tracing::error!(task = name, %request_id, "the task panicked"))
}

fn catch<T>(
    name: &'static str,
    work: impl Future<Output = T>,
    log: impl FnOnce(),
) -> impl Future<Output = Result<T, Panicked>> {
    // state that it owned is dropped with it; shared state is behind locks that tolerate a panic
    AssertUnwindSafe(work).catch_unwind().map(move |done| {
        done.map_err(|_| {
            count(name);
            log();
            Panicked(name)
        })
    })
}

fn count(name: &'static str) {
    metrics::counter!("campaigns_panics_total").increment(1);
    metrics::counter!("campaigns_task_panics_total", "task" => name).increment(1);
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn pauses_double_up_to_the_longest_and_start_over_after_health() {
        let mut pauses = Pauses::default();
        let millis: Vec<_> = (0..10).map(|_| pauses.next(Duration::ZERO).as_millis()).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000]);
        assert_eq!(pauses.next(HEALTHY), FIRST_PAUSE);
        assert_eq!(pauses.next(HEALTHY / 2), FIRST_PAUSE * 2);
    }

    #[tokio::test]
    async fn a_task_that_panics_starts_again_until_it_is_done() {
        let (task, mut runs) = (Task::new("test"), 0);
        let done = task.run(|| {
            runs += 1;
            let number = runs;
            async move {
                tokio::task::yield_now().await;
                assert!(number > 3, "as the test wants");
                number
            }
        });
        assert_eq!(tokio::time::timeout(PATIENCE, done).await, Ok(4));
    }

    #[tokio::test]
    async fn a_task_fails_from_its_panic_until_it_works() {
        let task = Task::new("test");
        let (sender, orders) = mpsc::unbounded_channel::<bool>();
        let orders = tokio::sync::Mutex::new(orders);
        let (started, mut starts) = mpsc::unbounded_channel();
        let working = task.run(|| async {
            started.send(()).unwrap();
            while let Some(order) = orders.lock().await.recv().await {
                assert!(order, "as the test wants");
                task.works();
            }
        });
        let watching = async {
            starts.recv().await.unwrap();
            assert_eq!(task.failing_for(), None);
            sender.send(false).unwrap();
            starts.recv().await.unwrap();
            // it has started again, and has done nothing yet
            assert!(task.failing_for().is_some_and(|time| time >= FIRST_PAUSE));
            sender.send(true).unwrap();
            while task.failing_for().is_some() {
                tokio::task::yield_now().await;
            }
            drop(sender);
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(working, watching) }).await.unwrap();
    }

    #[tokio::test]
    async fn a_task_fails_while_an_attempt_takes_too_long_and_after_an_error() {
        let task = Task::new("test");
        task.attempt(PATIENCE, std::future::ready(())).await;
        assert_eq!(task.failing_for(), None);
        let started = Instant::now();
        {
            let endless = task.attempt(Duration::from_millis(1), std::future::pending::<()>());
            let mut endless = std::pin::pin!(endless);
            while task.failing_for().is_none() {
                tokio::time::timeout(Duration::from_millis(5), &mut endless).await.unwrap_err();
                assert!(started.elapsed() < PATIENCE);
            }
            // since it started, not since it took too long
            assert!(task.failing_for().is_some_and(|time| time >= Duration::from_millis(1)));
        }
        task.works();
        assert_eq!(task.failing_for(), None);
        task.fails();
        let first = task.failing_for().unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
        task.fails();
        assert!(task.failing_for().unwrap() >= first + Duration::from_millis(2));
    }

    #[test]
    fn a_thread_that_panics_works_again() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let mut number = 0;
        let work = move || {
            number += 1;
            sender.send(number).unwrap();
            assert!(number > 2, "as the test wants");
            loop {
                thread::park();
            }
        };
        Task::new("test").run_on_thread(work).unwrap();
        let runs: Vec<_> = (0..3).map(|_| receiver.recv_timeout(PATIENCE).unwrap()).collect();
        assert_eq!(runs, [1, 2, 3]);
    }

    #[tokio::test]
    async fn a_panic_is_returned_to_the_caller() {
        assert_eq!(caught("test", async { 42 }).await, Ok(42));
        let panicked = caught("test", async { panic!("as the test wants") });
        assert_eq!(panicked.await, Err::<(), _>(Panicked("test")));
    }
}
