//! One operation on a socket, from its `subscribe` to its end.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::Response;
use axum::extract::ws::Message;
use campaigns_graphql::{Error, Operation, Prepared, timeout};
use campaigns_scope::{Scope, Viewer};
use tokio::task::AbortHandle;
use uuid::Uuid;

use super::{message, writer::Queue};
use crate::App;

/// The operations that are under way on a socket, by their ids.
#[derive(Clone, Default)]
pub(super) struct Operations(Arc<Mutex<HashMap<String, Running>>>);

struct Running {
    task: AbortHandle,
    is_subscription: bool,
}

impl Operations {
    pub(super) fn has(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }

    /// Ends an operation, without a word.
    pub(super) fn stop(&self, id: &str) {
        if let Some(running) = self.lock().remove(id) {
            running.task.abort();
        }
    }

    /// Ends the subscriptions, or all of them.
    pub(super) fn stop_all(&self, subscriptions_alone: bool) {
        self.lock().retain(|_, running| {
            let stops = running.is_subscription || !subscriptions_alone;
            if stops {
                running.task.abort();
            }
            !stops
        });
    }

    /// Starts an operation.
    pub(super) fn start(&self, run: Run) {
        // the task cannot end, and take its id away, before it is listed
        let mut running = self.lock();
        let (id, is_subscription) = (run.id.clone(), run.prepared.is_subscription());
        let task = tokio::spawn(run.run(self.clone())).abort_handle();
        running.insert(id, Running { task, is_subscription });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An operation that may be executed.
pub(super) struct Run {
    pub(super) app: App,
    pub(super) id: String,
    pub(super) prepared: Prepared,
    pub(super) scope: Scope,
    pub(super) viewer: Viewer,
    pub(super) queue: Queue,
}

impl Run {
    async fn run(self, operations: Operations) {
        let Self { app, id, prepared, scope, viewer, queue } = self;
        let (now, limit) = (app.clock.now(), app.settings.query_timeout);
        let send = async |text: String| queue.send(Message::Text(text.into())).await.is_ok();
        let last = if prepared.is_subscription() {
            match app.api.subscribe(prepared, scope, viewer, now, limit).await {
                Err(refused) => message::error(&id, &refused.errors),
                Ok(mut subscription) => {
                    while let Some(payload) = subscription.next().await {
                        if !send(message::next(&id, &payload)).await {
                            return;
                        }
                    }
                    message::complete(&id)
                }
            }
        } else {
            let execution = app.api.execute(prepared, scope, viewer, now, Uuid::new_v4());
            let (response, validated) = match tokio::time::timeout(limit, execution).await {
                Ok(executed) => executed,
                Err(_) => (timeout().into_response(), true),
            };
            if validated {
                if !send(message::next(&id, &json(&response))).await {
                    return;
                }
                message::complete(&id)
            } else {
                message::error(&id, &response.errors)
            }
        };
        // the peer may use the id again as soon as it has read this
        operations.lock().remove(&id);
        send(last).await;
    }
}

/// Checks an operation; says why where it is refused.
pub(super) fn prepare(
    app: &App,
    operations: &Operations,
    id: &str,
    operation: Operation,
) -> Result<Prepared, String> {
    let max = app.settings.max_operations;
    let prepared = if operations.count() >= max {
        let message = format!("A socket has {max} operations at once at most.");
        Err(Error::limit("id", message))
    } else {
        app.api.prepare(operation)
    };
    prepared.map_err(|error| message::error(id, &error.into_response().errors))
}

fn json(response: &Response) -> String {
    serde_json::to_string(response).unwrap_or_default()
}
