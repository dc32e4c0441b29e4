//! Calls that arrive together are written together: all small calls of an organization that arrive
//! while a transaction is in progress share the next one. If many rows are waiting, a second
//! transaction starts.
//!
//! **Invariants.**
//! - A call is answered after it is committed. Otherwise, nothing of it is stored.
//! - No call waits for a timer: if no transaction is in progress, it is written at once, by itself.
//! - If a transaction with several calls fails, each call is written by itself, so an error stays
//!   with the call that caused it. The exception is an unknown outcome, of a commit or because
//!   writing panicked, which is reported to all of them.
//! - Within a transaction, calls are written in the order in which they arrived. A row that repeats
//!   one of an earlier call changes nothing, as if the calls had come one after the other.
//! - A call is not written if its client has gone away before the call was taken.
//!
//! Large calls do not wait: one transaction for each, on its own connection, is as fast.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use campaigns_scope::{Error as ScopeError, Scope, Visibility};
use campaigns_tasks::{Panicked, caught};
use tokio::{runtime::Handle, sync::oneshot};

/// The maximum number of rows of a call that is written together with others, and of all of these
/// calls together.
const SMALL: usize = 100;
const TOGETHER: usize = 1_000;
/// The number of simultaneous transactions with small calls of an organization.
const AT_ONCE: usize = 2;
/// How many rows must wait before the second of them starts. A few rows cost less in one
/// transaction.
const WORTH_A_SECOND: usize = 100;
/// How long a transaction of several calls can take if the calls have no deadline.
const LIMIT: Duration = Duration::from_secs(10);

/// Something that is written row by row.
pub(crate) trait BatchWork: Send + Sync + 'static {
    /// A row of a call.
    type Row: Clone + Send + Sync + 'static;
    /// The result for a row.
    type Done: Send + 'static;
    /// Why nothing was written.
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

/// A call that waits to be written.
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
    /// Whether this many more rows are written at once.
    fn starts_another(&self, rows: usize) -> bool {
        let waiting = || self.calls.iter().map(|call| call.rows.len()).sum::<usize>();
        self.writers == 0 || self.writers < AT_ONCE && waiting() + rows >= WORTH_A_SECOND
    }
}

/// Writes calls as they arrive. Clones share the writers.
pub(crate) struct Batcher<W: BatchWork> {
    /// The queues, by organization, or by those of its viewers who see the same.
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
        // without a runtime, no caller waits any more
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.of.clone().write_waiting(self.whose.clone(), calls));
        }
    }
}

impl<W: BatchWork> Batcher<W> {
    fn waiting(&self) -> MutexGuard<'_, HashMap<Visibility, Queue<W>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the rows of a call, together with those of other calls if others are writing.
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
        // there is no answer if the runtime ends
        answered.await.unwrap_or_else(|_| Err(ScopeError::Busy.into()))
    }

    /// Takes as many waiting calls as are written together. Returns `None`, and counts one writer
    /// less, if none is waiting.
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

/// Writes rows for calls that wait elsewhere. A panic may come before or after the commit.
async fn write_caught<W: BatchWork>(scope: &Scope, rows: &[W::Row]) -> Done<W> {
    let in_doubt = |panicked: Panicked| Err(ScopeError::InDoubt(panicked.to_string()).into());
    caught("writer of calls", W::write(scope, rows)).await.unwrap_or_else(in_doubt)
}

/// Writes calls in one transaction, or each by itself if that fails.
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
        // ends with its client
        let done = tokio::select! {
            done = write_caught::<W>(&call.scope, &call.rows) => done,
            () = call.answer.closed() => continue,
        };
        call.answer.send(done).ok();
    }
}
