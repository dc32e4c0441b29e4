//! One operation on a socket, from its `subscribe` to its end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{message, writer::Queue};
use crate::{
    App,
    http::authenticate::{Caller, Refusal},
    observe::Observed,
};
use axum::extract::ws::Message;
use campaigns_graphql::{Asked, Code, Error, Executed, error::is_passing};
use campaigns_operation::{Operation, Prepared};
use campaigns_scope::{Budget, Scope, Viewer};
use tokio::task::AbortHandle;
use tracing::Instrument;

/// How long to wait before the database is queried again.
const RETRY: Duration = Duration::from_millis(250);

/// How long rejecting an operation without room for it can take.
const REFUSAL: Duration = Duration::from_secs(1);

/// The operations in progress on a socket, by ID.
#[derive(Clone, Default)]
pub(super) struct Operations(Arc<Mutex<Listed>>);

#[derive(Default)]
struct Listed {
    running: HashMap<String, Running>,
    /// The number of started operations, which distinguishes an operation from a later one with the
    /// same ID.
    started: u64,
}

struct Running {
    number: u64,
    task: AbortHandle,
    is_subscription: bool,
}

impl Operations {
    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().running.contains_key(id)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().running.len()
    }

    /// Ends an operation silently: from now on, it sends nothing.
    pub(super) fn stop(&self, id: &str) {
        if let Some(running) = self.lock().running.remove(id) {
            running.task.abort();
        }
    }

    /// Ends the subscriptions, or all of them.
    pub(super) fn stop_all(&self, subscriptions_alone: bool) {
        self.lock().running.retain(|_, running| {
            let stops = running.is_subscription || !subscriptions_alone;
            if stops {
                running.task.abort();
            }
            !stops
        });
    }

    /// Starts an operation.
    pub(super) fn start(&self, run: Run) {
        // the task cannot send anything before it is listed
        let mut listed = self.lock();
        listed.started += 1;
        let number = listed.started;
        let (id, is_subscription) = (run.id.clone(), run.prepared.is_subscription());
        let listing = Listing { operations: self.clone(), id: id.clone(), number };
        let task = tokio::spawn(run.run(listing)).abort_handle();
        listed.running.insert(id, Running { number, task, is_subscription });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Listed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listing of an operation. If it was removed, the operation sends nothing. It is removed when
/// the operation ends in any way.
struct Listing {
    operations: Operations,
    id: String,
    number: u64,
}

impl Listing {
    /// Queues a message, which may be the last one. Returns false if nothing more should be sent.
    async fn say(&self, queue: &Queue, text: String, last: bool) -> bool {
        let Ok(place) = queue.reserve(text.len()).await else { return false };
        // an abort only takes effect at the next await, and the ID may belong to another operation
        // by then
        let mut listed = self.operations.lock();
        let own = listed.running.get(&self.id).is_some_and(|own| own.number == self.number);
        if own {
            place.send(Message::Text(text.into()));
        }
        if own && last {
            // the peer can reuse the ID as soon as it has read this
            listed.running.remove(&self.id);
        }
        own && !last
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let mut listed = self.operations.lock();
        if listed.running.get(&self.id).is_some_and(|own| own.number == self.number) {
            listed.running.remove(&self.id);
        }
    }
}

/// An operation that can be executed.
pub(super) struct Run {
    pub(super) app: App,
    pub(super) id: String,
    pub(super) prepared: Prepared,
    pub(super) caller: Caller,
    /// The budget that the operation was drawn from when it arrived.
    pub(super) budget: Option<Arc<Budget>>,
    pub(super) queue: Queue,
    pub(super) observed: Observed,
}

impl Run {
    async fn run(self, listing: Listing) {
        let Self { app, id, prepared, caller, budget, queue, observed } = self;
        let (now, limit) = (app.clock.now(), app.settings.query_timeout);
        let (viewer, scope) = match enter(&app, &caller, prepared.is_subscription()).await {
            Ok(entered) => entered,
            Err(error) => {
                observed.end(Some(error.code()));
                let refused = message::error(&id, &error.into_response().errors);
                listing.say(&queue, refused, true).await;
                return;
            }
        };
        let is_subscription = prepared.is_subscription();
        let request_id = observed.request_id();
        let asked = Asked { scope, budget, viewer, now, request_id, after: None };
        let last = if is_subscription {
            match app.api.subscribe(prepared, asked, limit).await {
                Err(refused) => {
                    observed.end(Code::of(&refused));
                    message::error(&id, &refused.errors)
                }
                Ok(mut subscription) => {
                    let sent = metrics::counter!("campaigns_subscription_messages_total");
                    while let Some(payload) = subscription.next().await {
                        sent.increment(1);
                        if !listing.say(&queue, message::next(&id, &payload), false).await {
                            return;
                        }
                    }
                    observed.end(None);
                    message::complete(&id)
                }
            }
        } else {
            let budget = asked.budget.clone();
            match app.api.execute(prepared, asked, limit).instrument(observed.span()).await {
                Ok(Executed { text, code }) => {
                    observed.end(code);
                    let next = message::next(&id, &text);
                    drop(text);
                    let said = listing.say(&queue, next, false).await;
                    // until then, it belonged to the operation
                    drop(budget);
                    if !said {
                        return;
                    }
                    message::complete(&id)
                }
                Err(refused) => {
                    observed.end(Code::of(&refused));
                    if is_passing(&refused) {
                        // or a caller that retries at once would do so very often
                        tokio::time::sleep(REFUSAL).await;
                    }
                    message::error(&id, &refused.errors)
                }
            }
        };
        listing.say(&queue, last, true).await;
    }
}

/// The viewer and the scope of an operation. While the database cannot determine them, a
/// subscription waits, since an error would be final for the client.
async fn enter(app: &App, caller: &Caller, waits: bool) -> Result<(Viewer, Scope), Error> {
    loop {
        match app.enter(caller).await {
            Ok(entered) => return Ok(entered),
            Err(Refusal::Failed(_)) if waits => tokio::time::sleep(RETRY).await,
            Err(Refusal::Failed(error) | Refusal::Refused(_, error)) => return Err(error),
            Err(Refusal::Unauthenticated(why)) => return Err(Error::unauthenticated(why)),
        }
    }
}

/// Checks an operation, and returns the reason if it is rejected.
pub(super) fn prepare(
    app: &App,
    operations: &Operations,
    operation: Operation,
    observed: &mut Observed,
) -> Result<Prepared, Error> {
    let max = app.settings.max_operations;
    let prepared = if operations.count() >= max {
        let message = format!("A socket can have at most {max} operations at once.");
        Err(Error::limit("id", message))
    } else {
        app.api.prepare(operation)
    };
    if let Ok(prepared) = &prepared {
        observed.is(prepared.about(), None);
    }
    prepared
}
