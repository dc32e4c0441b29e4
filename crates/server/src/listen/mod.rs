//! The listener: TCP connections, and what one of them can cost.
//!
//! axum's own loop has no deadlines: half a header keeps a connection forever, and so does a
//! response that is not read. Here, hyper serves each connection over a stream that enforces
//! deadlines ([`stream`]) and counts what a socket sends ([`peer`]).
//!
//! **Invariants.**
//! - The number of open connections is bounded.
//! - A connection that waits for its peer has a deadline: for the header, for the next request, for
//!   a body (`http/body.rs`), and for reading a response.
//! - On shutdown, work in progress is finished, and waiting connections are closed.
//! - A response that comes before its request was read says that the connection closes, and reaches a peer that is
//!   still sending: what comes then is read for a while, and ignored.
//! - A connection that panics returns its place, and others are still accepted.

mod acceptor;
mod backoff;
pub(crate) mod peer;
mod stream;

use std::{convert::Infallible, pin::pin, sync::Arc};

use campaigns_tasks::{Task, caught};
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, Semaphore, watch},
};

pub(crate) use acceptor::Acceptor;

use crate::{Settings, http::routes::Routes};
use peer::Peer;
use stream::TimedStream;

/// How much is buffered before a request is read, and thus the maximum size of headers.
const READ_BUFFER: usize = 64 * 1024;

/// Accepts connections until `stop` is true, and waits for the accepted ones.
/// Each takes one of the places, all of which are free.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    settings: &Settings,
    places: Arc<Semaphore>,
    stop: watch::Receiver<bool>,
) {
    let all = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
    let (acceptor, routes) = (Mutex::new(Acceptor::new(listener)), Arc::new(routes));
    let accepting = Task::new("accept loop");
    accepting
        .run(|| async {
            let mut acceptor = acceptor.lock().await;
            accept(&mut acceptor, &routes, settings, &places, stop.clone()).await;
        })
        .await;
    drop(acceptor);
    // each holds one while its stream exists, also as a socket
    drop(places.acquire_many(all).await);
}

/// Accepts connections until `stop` is true.
async fn accept(
    acceptor: &mut Acceptor,
    routes: &Arc<Routes>,
    settings: &Settings,
    places: &Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let accepted = async {
            let place = Arc::clone(places).acquire_owned().await.expect("it is never closed");
            (place, acceptor.next().await)
        };
        let (place, (stream, _)) = tokio::select! {
            accepted = accepted => accepted,
            () = stopping(&mut stop) => return,
        };
        // an event is small and should not wait for the next one
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY is not set");
        }
        let peer = Peer::default();
        let stream = TimedStream::new(stream, peer.clone(), settings.timeouts, place);
        let serving = serve_peer(stream, peer, Arc::clone(routes), stop.clone());
        tokio::spawn(caught("connection", serving));
    }
}

/// Serves a connection until the peer is gone, it becomes a socket, or the service stops.
async fn serve_peer(
    stream: TimedStream<TcpStream>,
    peer: Peer,
    routes: Arc<Routes>,
    mut stop: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (peer, routes) = (peer.clone(), Arc::clone(&routes));
        let active = peer.begin_request();
        async move {
            let mut request = request.map(|body| peer.request_body(body));
            request.extensions_mut().insert(peer.clone());
            let response = routes.answer(request).await;
            if peer.has_unread_body() {
                // lets hyper see the dropped body before it writes the header: unless the rest has already arrived,
                // it adds `Connection: close`, without which a proxy reuses the connection
                tokio::task::yield_now().await;
            }
            Ok::<_, Infallible>(response.map(|body| peer::TrackedBody::new(body, active)))
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(READ_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        () = stopping(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // errors of a peer only concern that peer
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}

/// Waits until the service should stop, or the sender is gone.
async fn stopping(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}
