//! One socket, from its first message to its close.

use std::{io, sync::Arc, time::Duration};

use async_graphql::futures_util::StreamExt;
use axum::{
    body::Bytes,
    extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket},
};
use campaigns_graphql::Error;
use campaigns_scope::{Budget, Scope, json_weight, parsed_objects_weight};
use campaigns_tasks::caught;
use http::StatusCode;
use tokio::{
    task::JoinHandle,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_tungstenite::tungstenite;

use super::{
    close_code::CloseCode,
    message::{self, Received},
    operation::{Execution, Operations},
};
use crate::{
    App,
    caller::{Caller, ORGANIZATION, Refusal},
    input,
    listen::peer::{InboundLimitExceeded, Peer},
    operation::RunningOperation,
    push::{self, Ended, Ending, FAREWELL, Guard, NotAdmitted, Pending, Permits, Queue},
};

/// The subprotocol.
pub(crate) const PROTOCOL: &str = "graphql-transport-ws";

/// The number of bytes that the peer of a socket can send before it is authenticated: enough for a
/// token.
pub(crate) const MAX_PENDING_BYTES: usize = 16 * 1024;

/// The maximum time until the peer's `connection_init`.
const INIT: Duration = Duration::from_secs(10);
/// How long queries and mutations can take to finish when the service stops.
const GRACE: Duration = Duration::from_secs(7);

/// Why a socket ends.
enum End {
    /// The service closes it with this code and reason.
    Close(CloseCode, String),
    /// The peer has closed it, is gone or does not read.
    Gone,
    /// The service stops.
    Service,
}

impl End {
    fn close(code: CloseCode, reason: impl Into<String>) -> Self {
        Self::Close(code, reason.into())
    }

    /// The close code for a caller who is not allowed.
    fn forbidden(why: &str) -> Self {
        // the maximum length in a close frame
        let why: String = why.chars().take(80).collect();
        Self::close(CloseCode::Forbidden, format!("Forbidden: {why}"))
    }
}

impl From<Ended> for End {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::Stopping => Self::Service,
            Ended::NotAdmitted => {
                Self::close(CloseCode::InitialisationTimeout, "Connection initialisation timeout")
            }
            Ended::Expired => Self::forbidden("the token has expired"),
            Ended::Forbidden(why) => Self::forbidden(&why),
        }
    }
}

impl From<NotAdmitted> for End {
    fn from(why: NotAdmitted) -> Self {
        let why = match why {
            NotAdmitted::Busy => "The service is busy".to_owned(),
            NotAdmitted::TooMany => "The organization has too many sockets".to_owned(),
            NotAdmitted::Exhausted(exhausted) => exhausted.to_string(),
        };
        Self::close(CloseCode::TryAgainLater, why)
    }
}

/// The authenticated caller.
struct Authenticated {
    caller: Caller,
    /// The scope when the caller was authenticated. Operations get their own.
    scope: Arc<Scope>,
}

struct Connection {
    app: App,
    queue: Queue,
    operations: Operations,
    peer: Peer,
    permits: Permits,
    authenticated: Result<Authenticated, Pending>,
    guard: Guard,
}

/// Serves a socket to its end.
pub(super) async fn serve(app: App, socket: WebSocket, peer: Peer, pending: Pending) {
    let (guard, mut ending) = Guard::pending(&app, INIT);
    let is_supported = socket.protocol().is_some_and(|protocol| protocol == PROTOCOL);
    let (sink, mut stream) = socket.split();
    let (max, patience) = (app.settings.max_socket_bytes, app.settings.timeouts.write);
    let permits = Permits::default();
    let (queue, mut writer) = push::start_writer(sink, max, patience, permits.clone());
    let operations = Operations::default();
    let mut connection = Connection {
        guard,
        operations: operations.clone(),
        peer: peer.clone(),
        authenticated: Err(pending),
        queue: queue.clone(),
        permits,
        app,
    };
    let end = if is_supported {
        let running = connection.run(&mut stream, &mut ending, &mut writer);
        let panicked = |_| End::close(CloseCode::InternalError, "Internal error");
        caught("socket", running).await.unwrap_or_else(panicked)
    } else {
        End::close(CloseCode::SubprotocolNotAcceptable, "Subprotocol not acceptable")
    };
    if matches!(end, End::Service) {
        connection.finish().await;
    }
    operations.stop_all(false);
    drop(connection);
    let frame = match end {
        End::Close(code, reason) => Some((code, reason)),
        End::Service => Some((CloseCode::GoingAway, "The service is stopping".to_owned())),
        End::Gone => None,
    };
    if let Some((code, reason)) = frame {
        let code = code.number();
        metrics::counter!("campaigns_sockets_closed_total", "code" => code.to_string())
            .increment(1);
        let frame = CloseFrame { code, reason: reason.into() };
        // do not wait for a peer that does not read
        let close = queue.send(Message::Close(Some(frame)));
        timeout(FAREWELL, close).await.ok();
    }
    drop(queue);
    // input that has arrived is read and discarded: unread, it would reset the connection and lose
    // the close frame
    let farewell = async {
        while let Some(Ok(_)) = stream.next().await {}
        if !writer.is_finished() {
            (&mut writer).await.ok();
        }
    };
    timeout(FAREWELL, farewell).await.ok();
    writer.abort();
}

impl Connection {
    async fn run(
        &mut self,
        stream: &mut (impl StreamExt<Item = Result<Message, axum::Error>> + Unpin),
        ending: &mut Ending,
        writer: &mut JoinHandle<()>,
    ) -> End {
        let every = self.app.settings.socket_ping;
        let mut pings = interval_at(Instant::now() + every, every);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_received = Instant::now();
        let mut incomplete_since: Option<Instant> = None;
        loop {
            tokio::select! {
                ended = ending.wait() => return ended.into(),
                // it has not read for too long, or is gone
                _ = &mut *writer => return End::Gone,
                _ = pings.tick() => {
                    if last_received.elapsed() > every * 2 {
                        return End::Gone;
                    }
                    if self.peer.unprocessed() <= MAX_PENDING_BYTES {
                        incomplete_since = None;
                    } else if incomplete_since.get_or_insert_with(Instant::now).elapsed()
                        > self.app.settings.timeouts.body
                    {
                        return End::close(CloseCode::PolicyViolation, "The rest of the message did not arrive in time");
                    }
                    // both kinds: a browser answers one, its page the other
                    if self.queue.try_send(Message::Ping(Bytes::new())).is_err() {
                        // there is enough for it to read; the writer notices whether it does
                        last_received = Instant::now();
                    }
                    if self.authenticated.is_ok() {
                        self.queue.try_send(Message::Text(message::ping().into())).ok();
                    }
                }
                received = stream.next() => {
                    last_received = Instant::now();
                    let end = match received {
                        // processing may wait until the peer reads, and then nothing else has to
                        // wait; on the heap, since most sockets wait for a message
                        Some(Ok(Message::Text(text))) => tokio::select! {
                            processed = Box::pin(self.process(text)) => processed,
                            ended = ending.wait() => return ended.into(),
                        },
                        Some(Ok(Message::Binary(_))) => {
                            Err(End::close(CloseCode::BadRequest, "Messages must be text"))
                        }
                        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Ok(()),
                        Some(Ok(Message::Close(_))) | None => Err(End::Gone),
                        Some(Err(error)) => Err(self.end_of_input(error)),
                    };
                    self.peer.message_processed();
                    if let Err(end) = end {
                        return end;
                    }
                }
            }
        }
    }

    /// Processes a message.
    async fn process(&mut self, text: Utf8Bytes) -> Result<(), End> {
        let Ok(authenticated) = &self.authenticated else {
            // it is small
            let received = Received::parse(&text)
                .map_err(|invalid| End::close(CloseCode::BadRequest, invalid.0))?;
            return self.receive(received, None).await;
        };
        let budget = authenticated.scope.operation_budget();
        // the objects until an operation of the message is prepared
        let drawn = budget.draw(text.len() + json_weight(text.as_bytes()));
        let objects = drawn.and_then(|()| budget.hold(parsed_objects_weight(text.as_bytes())));
        let _objects = objects
            .map_err(|exhausted| End::close(CloseCode::TryAgainLater, exhausted.to_string()))?;
        let deadline = std::time::Instant::now() + self.app.settings.query_timeout;
        let bytes = text.len();
        let read =
            input::read(&authenticated.scope, deadline, bytes, move || Received::parse(&text));
        let received =
            read.await.map_err(|_| End::close(CloseCode::TryAgainLater, "The service is busy"))?;
        let received = received.map_err(|invalid| End::close(CloseCode::BadRequest, invalid.0))?;
        self.receive(received, Some(budget)).await
    }

    async fn receive(
        &mut self,
        received: Received,
        budget: Option<Arc<Budget>>,
    ) -> Result<(), End> {
        match received {
            Received::Pong => Ok(()),
            Received::Ping { payload } => self.say(message::pong(payload)).await,
            Received::ConnectionInit { .. } if self.authenticated.is_ok() => Err(End::close(
                CloseCode::TooManyInitialisationRequests,
                "Too many initialisation requests",
            )),
            Received::ConnectionInit { token, organization } => {
                self.init(token.as_deref(), organization.as_deref()).await
            }
            Received::Complete { id } => {
                self.operations.stop(&id);
                Ok(())
            }
            Received::Subscribe { id, operation } => {
                let (Ok(authenticated), Some(budget)) = (&self.authenticated, budget) else {
                    return Err(End::close(CloseCode::Unauthorized, "Unauthorized"));
                };
                if self.operations.has(&id) {
                    // the maximum length in a close frame
                    let id: String = id.chars().take(20).collect();
                    return Err(End::close(
                        CloseCode::SubscriberAlreadyExists,
                        format!("Subscriber for {id} already exists"),
                    ));
                }
                let max = self.app.settings.max_operations;
                let operation = if self.operations.count() < max {
                    Ok(operation)
                } else {
                    let message = format!("A socket can have at most {max} operations at once.");
                    Err(Error::limit("id", message))
                };
                let operation =
                    RunningOperation::begin(&self.app, &authenticated.scope, operation, None).await;
                let operation = match operation {
                    Ok(operation) => operation,
                    Err(error) => {
                        let refused = message::error(&id, &error.into_response().errors);
                        return self.say(refused).await;
                    }
                };
                let (app, caller, queue) =
                    (self.app.clone(), authenticated.caller.clone(), self.queue.clone());
                let execution = Execution { app, id, operation, caller, budget, queue };
                self.operations.start(execution, &self.permits);
                Ok(())
            }
        }
    }

    async fn init(&mut self, token: Option<&str>, organization: Option<&str>) -> Result<(), End> {
        let caller = self.app.caller(token, organization).await.map_err(refused)?;
        let (_, scope) = self.app.enter(&caller).await.map_err(refused)?;
        let caller = caller.staying_in(scope.organization());
        self.guard.admit(caller.clone(), &scope)?;
        self.queue.draw_from(scope.budget());
        self.permits.draw_from(&self.app.sockets.polls, scope.organization());
        self.peer.set_budget(scope.budget());
        self.authenticated = Ok(Authenticated { caller, scope: Arc::new(scope) });
        self.say(message::connection_ack()).await
    }

    /// Queues a message, and waits until there is room: a peer that does not read is not read from
    /// either.
    async fn say(&self, text: String) -> Result<(), End> {
        self.queue.send(Message::Text(text.into())).await.map_err(|_| End::Gone)
    }

    /// The end of a socket whose input could not be read.
    fn end_of_input(&self, error: axum::Error) -> End {
        let error = error.into_inner();
        match error.downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Io(error)) if has_source::<InboundLimitExceeded>(error) => {
                // the rest of it is discarded
                self.peer.start_draining();
                End::close(CloseCode::MessageTooBig, "The message is too long")
            }
            Some(tungstenite::Error::Capacity(_)) => {
                End::close(CloseCode::MessageTooBig, "The message is too long")
            }
            Some(tungstenite::Error::Utf8(_)) => {
                End::close(CloseCode::InvalidPayload, "Text must be UTF-8")
            }
            _ => End::Gone,
        }
    }

    /// Lets queries and mutations finish.
    async fn finish(&self) {
        self.operations.stop_all(true);
        let finished = async {
            while self.operations.count() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(GRACE, finished).await.ok();
    }
}

/// Whether an error is, or comes from, one of this type.
fn has_source<E: std::error::Error + 'static>(error: &io::Error) -> bool {
    let mut cause = error.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static));
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The end of a socket of a caller who is refused, or for whom the database does not respond. The usual
/// clients reconnect after either.
fn refused(refusal: Refusal) -> End {
    match refusal {
        Refusal::Unauthenticated(why) => End::forbidden(&why),
        Refusal::Refused(StatusCode::FORBIDDEN, _) => End::forbidden("not an active member"),
        // the same would be refused again: the usual clients give up
        Refusal::Refused(..) => {
            End::close(CloseCode::BadRequest, format!("Name an organization with {ORGANIZATION}"))
        }
        Refusal::Failed(_) => {
            End::close(CloseCode::TryAgainLater, "The service cannot verify you now")
        }
    }
}
