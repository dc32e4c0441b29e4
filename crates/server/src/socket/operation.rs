//! One operation on a socket, from its `subscribe` to its end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_graphql::{Response as GraphqlResponse, futures_util::FutureExt};
use axum::extract::ws::Message;
use campaigns_graphql::{Error, error::is_passing};
use campaigns_operation::error::internal;
use campaigns_scope::{Budget, Scope, Viewer};
use campaigns_tasks::caught_request;
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::message;
use crate::{
    App,
    caller::{Caller, Refusal},
    operation::{ResponseStream, RunningOperation},
    push::{Permits, Queue, lasting},
};

/// How long to wait before the database is queried again.
const RETRY: Duration = Duration::from_millis(250);

/// How long rejecting an operation without room for it can take.
const REFUSAL: Duration = Duration::from_secs(1);

/// The operations in progress on a socket, by ID.
#[derive(Clone, Default)]
pub(super) struct Operations(Arc<Mutex<OperationTable>>);

#[derive(Default)]
struct OperationTable {
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

    /// Ends all operations, or only the subscriptions.
    pub(super) fn stop_all(&self, subscriptions_only: bool) {
        self.lock().running.retain(|_, running| {
            let stops = running.is_subscription || !subscriptions_only;
            if stops {
                running.task.abort();
            }
            !stops
        });
    }

    /// Starts an operation, which is polled with these permits.
    pub(super) fn start(&self, execution: Execution, permits: &Permits) {
        // the task cannot send anything before it is listed
        let mut listed = self.lock();
        listed.started += 1;
        let number = listed.started;
        let (id, is_subscription) = (execution.id.clone(), execution.operation.is_subscription());
        let listing = Listing { operations: self.clone(), id: id.clone(), number };
        let task = tokio::spawn(lasting(permits.limit(execution.run(listing)))).abort_handle();
        listed.running.insert(id, Running { number, task, is_subscription });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, OperationTable> {
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

/// An operation to be executed.
pub(super) struct Execution {
    pub(super) app: App,
    pub(super) id: String,
    pub(super) operation: RunningOperation,
    pub(super) caller: Caller,
    /// The budget that the operation's input was drawn from.
    pub(super) budget: Arc<Budget>,
    pub(super) queue: Queue,
}

impl Execution {
    /// Executes the operation to its end, and reports a panic to the client.
    fn run(self, listing: Listing) -> impl Future<Output = ()> {
        let (queue, listing, request_id) = (self.queue.clone(), Arc::new(listing), Uuid::new_v4());
        let answering = self.answer(Arc::clone(&listing));
        caught_request("socket operation", request_id, answering).then(async move |answered| {
            if answered.is_err() {
                let panicked = message::error(&listing.id, &internal(request_id).errors);
                listing.say(&queue, panicked, true).await;
            }
        })
    }

    async fn answer(self, listing: Arc<Listing>) {
        let Self { app, id, operation, caller, budget, queue } = self;
        let is_subscription = operation.is_subscription();
        // on the heap, as what follows, since thousands of subscriptions are open and wait
        let (viewer, scope) = match Box::pin(enter(&app, &caller, is_subscription)).await {
            Ok(entered) => entered,
            Err(error) => {
                operation.refuse(error.code());
                let refused = message::error(&id, &error.into_response().errors);
                listing.say(&queue, refused, true).await;
                return;
            }
        };
        if is_subscription {
            let followed = Box::pin(operation.follow(viewer, scope, &budget, None)).await;
            drop((app, caller, budget));
            follow(followed, &id, &listing, &queue).await;
        } else {
            let time = app.settings.query_timeout;
            let drawn = Some(Arc::clone(&budget));
            let executed = Box::pin(operation.execute(viewer, scope, drawn, time)).await;
            answer(executed, budget, &id, &listing, &queue).await;
        }
    }
}

/// Sends the responses of a subscription to its end.
async fn follow(
    followed: Result<ResponseStream, GraphqlResponse>,
    id: &str,
    listing: &Listing,
    queue: &Queue,
) {
    let last = match followed {
        Err(refused) => message::error(id, &refused.errors),
        Ok(mut followed) => {
            while let Some(payload) = followed.next().await {
                if !listing.say(queue, message::next(id, &payload), false).await {
                    return;
                }
            }
            message::complete(id)
        }
    };
    listing.say(queue, last, true).await;
}

/// Sends the response of a query or a mutation. The budget is held until there is room for it.
async fn answer(
    executed: Result<String, GraphqlResponse>,
    budget: Arc<Budget>,
    id: &str,
    listing: &Listing,
    queue: &Queue,
) {
    let last = match executed {
        Ok(text) => {
            let next = message::next(id, &text);
            drop(text);
            let said = listing.say(queue, next, false).await;
            drop(budget);
            if !said {
                return;
            }
            message::complete(id)
        }
        Err(refused) => {
            if is_passing(&refused) {
                // delays callers that retry at once
                tokio::time::sleep(REFUSAL).await;
            }
            message::error(id, &refused.errors)
        }
    };
    listing.say(queue, last, true).await;
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
