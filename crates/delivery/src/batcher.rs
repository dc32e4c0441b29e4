//! Batches concurrent calls: all small calls of an organization that arrive while a transaction is in
//! progress share the next one. If many rows are waiting, a second transaction starts.
//!
//! **Invariants.**
//! - A call succeeds only after its commit. If it fails, none of its rows is stored.
//! - No call waits for a timer: if no transaction is in progress, it is written at once, alone.
//! - If a transaction with several calls fails, each call is written separately, so that only the call
//!   that caused the error fails. The exception is an unknown outcome, of a commit or because of a panic,
//!   which is reported to all of them.
//! - Within a transaction, calls are written in the order of their arrival. A row that repeats a row of an
//!   earlier call has no effect, as if the calls had been sequential.
//! - A call is not written if its client disconnects before the call's batch starts.
//!
//! Large calls are not batched: a separate transaction for each, on its own connection, is as fast.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use campaigns_scope::{Error as ScopeError, Scope, Visibility};
use campaigns_tasks::{Panicked, caught};
use tokio::{runtime::Handle, sync::oneshot};

/// The maximum number of rows of a small call, and of a batch.
const SMALL: usize = 100;
const TOGETHER: usize = 1_000;
/// The maximum number of concurrent batches of an organization.
const AT_ONCE: usize = 2;
/// The number of waiting rows at which a second batch starts. For fewer rows, a second transaction
/// costs more than the wait.
const WORTH_A_SECOND: usize = 100;
/// The time limit of a batch whose calls have no deadline.
const LIMIT: Duration = Duration::from_secs(10);

/// Work that is written row by row.
pub(crate) trait BatchWork: Send + Sync + 'static {
    /// A row of a call.
    type Row: Clone + Send + Sync + 'static;
    /// The result of a row.
    type Done: Send + 'static;
    /// The error of a call. Nothing is written then.
    type Error: From<ScopeError> + Send + 'static;

    /// Writes the rows in one transaction, and returns the result for each.
    fn write(
        scope: &Scope,
        rows: &[Self::Row],
    ) -> impl Future<Output = Result<Vec<Self::Done>, Self::Error>> + Send;

    /// The underlying error if the outcome of the commit is unknown.
    fn in_doubt(error: &Self::Error) -> Option<&ScopeError>;
}

type Done<W> = Result<Vec<<W as BatchWork>::Done>, <W as BatchWork>::Error>;

/// A waiting call.
struct Call<W: BatchWork> {
    scope: Scope,
    rows: Vec<W::Row>,
    answer: oneshot::Sender<Done<W>>,
}

/// The calls to write for an organization.
struct Queue<W: BatchWork> {
    /// The number of active writers.
    writers: usize,
    /// The calls that arrived in the meantime.
    calls: VecDeque<Call<W>>,
}

impl<W: BatchWork> Queue<W> {
    /// Whether a call with this many rows starts another batch.
    fn starts_another(&self, rows: usize) -> bool {
        let waiting = || self.calls.iter().map(|call| call.rows.len()).sum::<usize>();
        self.writers == 0 || self.writers < AT_ONCE && waiting() + rows >= WORTH_A_SECOND
    }
}

/// Writes calls as they arrive. Clones share the writers.
pub(crate) struct Batcher<W: BatchWork> {
    /// The queues by visibility: the organization and, with row security, the viewer's claims.
    waiting: Arc<Mutex<HashMap<Visibility, Queue<W>>>>,
}

impl<W: BatchWork> Clone for Batcher<W> {
    fn clone(&self) -> Self {
        Self { waiting: Arc::clone(&self.waiting) }
    }
}

impl<W: BatchWork> Default for Batcher<W> {
    fn default() -> Self {
        Self { waiting: Arc::default() }
    }
}

/// A writer for an organization. When it is dropped, the waiting calls are written.
struct ActiveWriter<W: BatchWork> {
    of: Batcher<W>,
    whose: Visibility,
}

impl<W: BatchWork> Drop for ActiveWriter<W> {
    fn drop(&mut self) {
        let Some(calls) = self.of.take(&self.whose) else { return };
        // without a runtime, no caller is waiting
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.of.clone().write_waiting(self.whose.clone(), calls));
        }
    }
}

impl<W: BatchWork> Batcher<W> {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Visibility, Queue<W>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the rows of a call, in a batch with other calls if a batch is in progress.
    ///
    /// # Errors
    /// The errors of [`BatchWork::write`].
    pub(crate) async fn write(&self, scope: &Scope, rows: Vec<W::Row>) -> Done<W> {
        if rows.len() > SMALL {
            return W::write(scope, &rows).await;
        }
        let whose = scope.visibility();
        let (answer, answered) = oneshot::channel();
        let rows = {
            let mut waiting = self.waiting();
            let queue = waiting.entry(whose.clone());
            let queue = queue.or_insert_with(|| Queue { writers: 0, calls: VecDeque::new() });
            if queue.starts_another(rows.len()) {
                queue.writers += 1;
                Some(rows)
            } else {
                queue.calls.push_back(Call { scope: scope.clone(), rows, answer });
                None
            }
        };
        if let Some(rows) = rows {
            let _writer = ActiveWriter { of: self.clone(), whose };
            return W::write(scope, &rows).await;
        }
        // the sender is dropped if the runtime shuts down
        answered.await.unwrap_or_else(|_| Err(ScopeError::Busy.into()))
    }

    /// Takes the waiting calls of the next batch. If there are none, removes a writer and returns
    /// `None`.
    fn take(&self, whose: &Visibility) -> Option<Vec<Call<W>>> {
        let mut waiting = self.waiting();
        let queue = waiting.get_mut(whose)?;
        let calls = &mut queue.calls;
        let (mut taken, mut rows) = (Vec::new(), 0);
        while let Some(call) = calls.front() {
            if !taken.is_empty() && rows + call.rows.len() > TOGETHER {
                break;
            }
            rows += call.rows.len();
            taken.extend(calls.pop_front().filter(|call| !call.answer.is_closed()));
        }
        if taken.is_empty() {
            queue.writers -= 1;
            if queue.writers == 0 {
                waiting.remove(whose);
            }
            return None;
        }
        Some(taken)
    }

    /// Writes calls, and after them the calls that arrived in the meantime.
    async fn write_waiting(self, whose: Visibility, calls: Vec<Call<W>>) {
        let _writer = ActiveWriter { of: self, whose };
        write_all(calls).await;
    }
}

/// Writes rows, and returns a panic as an unknown outcome: it can occur before or after the commit.
async fn write_caught<W: BatchWork>(scope: &Scope, rows: &[W::Row]) -> Done<W> {
    let in_doubt = |panicked: Panicked| Err(ScopeError::InDoubt(panicked.to_string()).into());
    caught("writer of calls", W::write(scope, rows)).await.unwrap_or_else(in_doubt)
}

/// Writes calls in one transaction, or each separately if that fails.
async fn write_all<W: BatchWork>(mut calls: Vec<Call<W>>) {
    if calls.len() > 1 {
        let rows: Vec<W::Row> = calls.iter().flat_map(|call| call.rows.iter().cloned()).collect();
        let deadlines = calls.iter().filter_map(|call| call.scope.deadline());
        let deadline = deadlines.min().unwrap_or_else(|| Instant::now() + LIMIT);
        let scope = calls[0].scope.operation(deadline, None);
        match write_caught::<W>(&scope, &rows).await {
            Ok(done) => {
                let mut done = done.into_iter();
                for call in calls {
                    let of_call = done.by_ref().take(call.rows.len()).collect();
                    call.answer.send(Ok(of_call)).ok();
                }
                return;
            }
            Err(error) => {
                if let Some(ScopeError::InDoubt(why)) = W::in_doubt(&error) {
                    for call in calls {
                        call.answer.send(Err(ScopeError::InDoubt(why.clone()).into())).ok();
                    }
                    return;
                }
            }
        }
    }
    for mut call in calls.drain(..) {
        // canceled if the client disconnects
        let done = tokio::select! {
            done = write_caught::<W>(&call.scope, &call.rows) => done,
            () = call.answer.closed() => continue,
        };
        call.answer.send(done).ok();
    }
}
