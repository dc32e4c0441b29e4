//! The listener: TCP connections, and what one of them can cost.
//!
//! axum's own loop has no deadline for anything: half a header keeps a connection for ever, and so
//! does an answer that nobody reads. Here each connection is served by hyper over a stream that
//! keeps time ([`stream`]) and that counts what a socket sends ([`peer`]).
//!
//! **Invariants.**
//! - No more than a fixed number of connections are open at once.
//! - A connection that waits for its peer has a deadline: for the header, for the next request, for
//!   a body (`http/body.rs`), for the reading of an answer.
//! - At the end, what is under way is finished; connections that wait are closed.

pub(crate) mod peer;
mod stream;

use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};
use tower::ServiceExt;

use crate::Settings;
use peer::Peer;
use stream::Timed;

/// How much of what a peer sends is buffered before a request is read: headers are no longer.
const READ_BUFFER: usize = 64 * 1024;
/// How long to wait where the operating system has no more to give.
const PAUSE: Duration = Duration::from_millis(100);

/// Accepts connections until `stop` is true, and waits for those that were accepted.
/// Each takes one of the places, all of which are free.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    settings: &Settings,
    places: Arc<Semaphore>,
    mut stop: watch::Receiver<bool>,
) {
    let all = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = told(&mut stop) => break,
        };
        match accepted {
            Ok((stream, _)) => {
                // an event is small, and is not to wait for the next
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY is not set");
                }
                let peer = Peer::default();
                let stream = Timed::new(stream, peer.clone(), settings.timeouts, place);
                tokio::spawn(serve_peer(stream, peer, router.clone(), stop.clone()));
            }
            Err(error) => {
                // of a connection that has gone again, or for want of file descriptors
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    // each has one for as long as its stream is there, as a socket too
    drop(places.acquire_many(all).await);
}

/// Serves a connection until the peer is gone, it becomes a socket, or the service ends.
async fn serve_peer(
    stream: Timed<TcpStream>,
    peer: Peer,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (peer, router) = (peer.clone(), router.clone());
        let under_way = peer.begin_request();
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            let response = router.oneshot(request).await?;
            Ok::<_, Infallible>(response.map(|body| peer::Noted::new(body, under_way)))
        }
    });
    let connection = http1::Builder::new()
        .max_buf_size(READ_BUFFER)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let served = tokio::select! {
        served = &mut connection => served,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // what goes wrong with a peer is the peer's affair
    if let Err(error) = served {
        tracing::trace!(%error, "a connection ended");
    }
}

/// Waits until the service is to end, or whoever could say so is gone.
async fn told(stop: &mut watch::Receiver<bool>) {
    stop.wait_for(|stop| *stop).await.ok();
}
