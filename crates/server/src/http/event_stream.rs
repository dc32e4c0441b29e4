//! `/graphql` without a socket: GraphQL over Server-Sent Events in distinct connections mode
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>), for a POST that accepts
//! `text/event-stream`.
//!
//! An operation is a task on the threads of sockets, which sends events through the same kind of
//! queue: if the peer does not read, the queue is full, the operation waits, and no memory grows.
//!
//! **Invariants.**
//! - Nothing is sent after the token has expired or the caller's place in the organization has ended.
//! - `complete` means that there is no more. A stream that ends for another reason, as the end of the
//!   token or of the service, ends without it, so that the client comes back.
//! - The id of an event is the cursor of the feed to go on after, which `Last-Event-ID` takes.

use std::{convert::Infallible, sync::Arc, time::Duration};

use async_graphql::futures_util::{sink, stream};
use axum::{
    body::{Body, Bytes},
    extract::ws::Message,
    response::Response,
};
use campaigns_graphql::{Error, feed_place};
use campaigns_operation::{Operation, error::internal};
use campaigns_scope::{Budget, Place, Scope, Viewer};
use campaigns_tasks::caught_request;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::json;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};
use uuid::Uuid;

use super::{Unreadable, content::Answer, graphql::Requester, headers::text, respond};
use crate::{
    App,
    listen::peer::Peer,
    operation::RunningOperation,
    socket::{self, Permits},
};

/// The cursor after which a client continues.
pub(crate) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// A heartbeat, so that proxies do not see an idle connection.
const HEARTBEAT: &str = ":\n\n";

/// [`LAST_EVENT_ID`] in its usual spelling.
const LAST_EVENT_ID_NAME: &str = "Last-Event-ID";

/// The place in the feed that a request names in its header.
pub(super) fn after(headers: &HeaderMap, scope: &Scope) -> Result<Option<Place>, Error> {
    let cursor = text(headers, &LAST_EVENT_ID, LAST_EVENT_ID_NAME)?;
    cursor.map(|cursor| feed_place(scope, LAST_EVENT_ID_NAME, cursor)).transpose()
}

/// Answers with a stream of the operation, or with the reason why there is none.
pub(super) fn serve(
    asker: Requester,
    operation: Result<Operation, Error>,
    after: Result<Option<Place>, Error>,
) -> Response {
    // a stream that starts at another place than requested would miss events
    let (operation, after) = match after {
        Ok(after) => (operation, after),
        Err(error) => (operation.and(Err(error)), None),
    };
    let Requester { app, peer, caller, viewer, scope, budget } = asker;
    if scope.is_overloaded() {
        return respond::refused(Answer::Json, StatusCode::SERVICE_UNAVAILABLE, Error::busy());
    }
    let counted = app.sockets.count(scope.organization(), app.settings.max_sockets);
    let Some(counted) = counted else {
        let error = Error::TooMany("Your organization has too many sockets and streams.");
        return respond::refused(Answer::Json, StatusCode::TOO_MANY_REQUESTS, error);
    };
    let held = match scope.budget().hold(socket::HELD) {
        Ok(held) => held,
        Err(exhausted) => {
            let Unreadable(status, error) = exhausted.into();
            return respond::refused(Answer::Json, status, error);
        }
    };
    let (sender, receiver) = mpsc::channel::<Bytes>(1);
    let gone = sender.clone();
    let sink = sink::unfold(sender, async |sender, message: Message| {
        let text = message.into_text().unwrap_or_default();
        sender.send(text.into()).await.map_err(axum::Error::new)?;
        Ok(sender)
    });
    let (max, patience) = (app.settings.max_socket_bytes, app.settings.timeouts.write);
    let threads = app.sockets.threads.clone();
    let mut ending = app.sockets.open();
    let permits = Permits::default();
    permits.draw_from(&app.sockets.polls, scope.organization());
    let answering = permits.clone();
    let work = async move {
        let _counted = (counted, held);
        let (queue, _) = socket::start_writer(Box::pin(sink), max, patience, permits);
        queue.draw_from(scope.budget());
        let left = (caller.bearer.valid_until() - app.clock.now()).to_std().unwrap_or_default();
        // beyond the range of a timer, it ends eventually
        let deadline = Instant::now() + left.min(Duration::from_hours(24 * 365));
        let ended = watch::Sender::new(None);
        let mut no_longer = ended.subscribe();
        let mut check = JoinSet::new();
        check.spawn(socket::check_again(
            app.clone(),
            caller.staying_in(scope.organization()),
            ended,
        ));
        let stream = Stream { app, peer, queue };
        tokio::select! {
            () = stream.beat() => {}
            () = stream.answer(viewer, scope, budget, operation, after) => {}
            () = gone.closed() => {}
            () = sleep_until(deadline) => {}
            _ = no_longer.wait_for(Option::is_some) => {}
            _ = ending.wait_for(|ending| *ending) => {}
        }
    };
    threads.spawn(answering.limit(work));
    let events = stream::unfold(receiver, async |mut receiver| {
        let event = receiver.recv().await?;
        Some((Ok::<_, Infallible>(event), receiver))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // proxies must not buffer events
    let buffering = HeaderName::from_static("x-accel-buffering");
    headers.insert(buffering, HeaderValue::from_static("no"));
    response
}

struct Stream {
    app: App,
    peer: Peer,
    queue: socket::Queue,
}

impl Stream {
    /// Sends heartbeats until the peer is gone.
    async fn beat(&self) {
        let every = self.app.settings.socket_ping;
        // the first one at once, because it flushes the header
        let mut beats = interval_at(Instant::now(), every);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            if self.queue.is_closed() {
                return;
            }
            // if there is no room, the peer has something to read
            self.queue.try_send(Message::Text(HEARTBEAT.into())).ok();
        }
    }

    /// Executes the operation to its end, even if it panics.
    async fn answer(
        &self,
        viewer: Viewer,
        scope: Scope,
        budget: Arc<Budget>,
        operation: Result<Operation, Error>,
        after: Option<Place>,
    ) {
        let (organization, request_id) = (scope.organization(), Uuid::new_v4());
        let running = self.run(viewer, scope, budget, operation, after);
        if caught_request("event stream", request_id, running).await.is_err() {
            self.refuse(organization, &internal(request_id)).await;
        }
    }

    async fn run(
        &self,
        viewer: Viewer,
        scope: Scope,
        budget: Arc<Budget>,
        operation: Result<Operation, Error>,
        after: Option<Place>,
    ) {
        let organization = scope.organization();
        let operation = match RunningOperation::begin(&self.app, &scope, operation, None).await {
            Ok(operation) => operation,
            Err(error) => return self.refuse(organization, &error.into_response()).await,
        };
        // on the heap, since a subscription waits most of the time
        if !operation.is_subscription() {
            let time = self.app.settings.query_timeout;
            return match Box::pin(operation.execute(viewer, scope, Some(budget), time)).await {
                Ok(text) => self.last(&text).await,
                Err(refused) => self.refuse(organization, &refused).await,
            };
        }
        let followed = Box::pin(operation.follow(viewer, scope, &budget, after)).await;
        drop(budget);
        match followed {
            Err(refused) => self.refuse(organization, &refused).await,
            Ok(mut followed) => {
                while let Some(payload) = followed.next().await {
                    let cursor = followed.cursor();
                    if !self.say(next(&payload, cursor.as_deref())).await {
                        return;
                    }
                }
                self.say(COMPLETE.to_owned()).await;
            }
        }
    }

    async fn refuse(&self, organization: Uuid, response: &async_graphql::Response) {
        if let Some(retry_after) = respond::retry_after_in(response) {
            self.peer.record_refusal(organization, retry_after);
        }
        self.last(&json!({ "errors": response.errors }).to_string()).await;
    }

    /// Sends a result that no other follows.
    async fn last(&self, payload: &str) {
        if self.say(next(payload, None)).await {
            self.say(COMPLETE.to_owned()).await;
        }
    }

    /// Queues an event, waiting for room. Returns false if the peer is gone.
    async fn say(&self, event: String) -> bool {
        self.queue.send(Message::Text(event.into())).await.is_ok()
    }
}

const COMPLETE: &str = "event: complete\ndata:\n\n";

/// A result as an event. JSON as it is written here has no line breaks.
fn next(payload: &str, cursor: Option<&str>) -> String {
    let id = cursor.map(|cursor| format!("id: {cursor}\n")).unwrap_or_default();
    format!("event: next\n{id}data: {payload}\n\n")
}
