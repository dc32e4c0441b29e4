//! `/graphql` without a socket: GraphQL over Server-Sent Events in distinct connections mode
//! (<https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md>), for a POST that accepts
//! `text/event-stream`.
//!
//! An operation is a task on the threads of sockets, which sends events through the same kind of
//! queue, and ends with the token, as sockets do ([`push`]).
//!
//! **Invariants.**
//! - `complete` means that there is no more. A stream that ends for another reason, such as the end of
//!   the token or of the service, ends without it, so that the client comes back.
//! - The ID of an event is its cursor in the feed, which `Last-Event-ID` accepts.

use std::{convert::Infallible, sync::Arc};

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
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval_at},
};
use uuid::Uuid;

use super::{
    content::MediaType, headers::text, request::Requester, respond, unreadable::Unreadable,
};
use crate::{
    App,
    listen::peer::Peer,
    operation::RunningOperation,
    push::{self, Guard, NotAdmitted, Permits, Queue},
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
    requester: Requester,
    operation: Result<Operation, Error>,
    after: Result<Option<Place>, Error>,
) -> Response {
    // a stream that starts at another place than requested would miss events
    let (operation, after) = match after {
        Ok(after) => (operation, after),
        Err(error) => (operation.and(Err(error)), None),
    };
    let Requester { app, peer, caller, viewer, scope, budget } = requester;
    let (guard, mut ending) = match Guard::admitted(&app, caller, &scope) {
        Ok(guarded) => guarded,
        Err(why) => {
            let Unreadable(status, error) = why.into();
            return respond::refused(MediaType::Json, status, error);
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
    let permits = Permits::default();
    permits.draw_from(&app.sockets.polls, scope.organization());
    let answering = permits.clone();
    let work = async move {
        let _guard = guard;
        let (queue, _) = push::start_writer(Box::pin(sink), max, patience, permits);
        queue.draw_from(scope.budget());
        let stream = Stream { app, peer, queue };
        tokio::select! {
            () = stream.beat() => {}
            () = stream.answer(viewer, scope, budget, operation, after) => {}
            () = gone.closed() => {}
            _ = ending.wait() => {}
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

impl From<NotAdmitted> for Unreadable {
    fn from(why: NotAdmitted) -> Self {
        match why {
            NotAdmitted::Busy => Error::busy().into(),
            NotAdmitted::TooMany => {
                Error::TooMany("Your organization has too many sockets and streams.").into()
            }
            NotAdmitted::Exhausted(exhausted) => exhausted.into(),
        }
    }
}

struct Stream {
    app: App,
    peer: Peer,
    queue: Queue,
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
