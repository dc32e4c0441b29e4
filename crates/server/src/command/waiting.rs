//! A service that waits for its database.
//!
//! **Invariant.** It listens from the start and reports its state: `/healthz` says that the process is
//! alive, and every other address that the service is unavailable. Any error except an unavailable
//! database ends it.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header::CONNECTION},
    middleware::map_response,
    response::Response,
    routing::get,
};
use campaigns_graphql::Error as Refusal;
use campaigns_scope::{Database, Error};
use campaigns_tasks::{Panicked, caught};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use super::{arguments::ListenAddress, database::not_connected};
use crate::{
    PublicUrl,
    http::{
        respond,
        routes::{also_below, cors},
    },
    listen::Acceptor,
};

/// How long to wait before the next attempt to connect.
const PAUSE: Duration = Duration::from_millis(500);
/// How many attempts are made between two log lines.
const QUIET: usize = 20;

/// A bound listener.
pub(super) struct Bound(TcpListener);

impl Bound {
    pub(super) async fn to(address: &ListenAddress) -> anyhow::Result<Self> {
        Ok(Self(address.bind().await?))
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) fn into_listener(self) -> TcpListener {
        self.0
    }

    /// Answers 503 until the returned handle is ended.
    fn wait(
        self,
        origins: &[HeaderValue],
        url: Option<&PublicUrl>,
    ) -> anyhow::Result<WaitingServer> {
        let listener = self.0.into_std()?;
        let shared = TcpListener::from_std(listener.try_clone()?)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let server = axum::serve(Acceptor::new(shared), router(origins, url))
            .with_graceful_shutdown(async {
                stopped.await.ok();
            });
        let server = tokio::spawn(caught("waiting listener", server.into_future()));
        Ok(WaitingServer { listener, stop, server })
    }
}

struct WaitingServer {
    listener: std::net::TcpListener,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<std::io::Result<()>, Panicked>>,
}

impl WaitingServer {
    async fn end(self) -> anyhow::Result<Bound> {
        self.stop.send(()).ok();
        // connections that stay open are not awaited
        tokio::time::timeout(PAUSE, self.server).await.ok();
        Ok(Bound(TcpListener::from_std(self.listener)?))
    }
}

fn router(origins: &[HeaderValue], url: Option<&PublicUrl>) -> Router {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route(
            "/readyz",
            get(async || (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n")),
        )
        .fallback(async || respond::unavailable(Refusal::busy()))
        // the next request is for the service itself
        .layer(map_response(async |mut response: Response| {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        }))
        .layer(cors(origins));
    also_below(url.map_or("", PublicUrl::prefix), router)
}

/// The result of waiting for the database.
pub(super) enum WaitOutcome {
    Connected(Database, Option<Bound>),
    /// The process was asked to stop before that.
    Ended,
}

/// Connects. While the database does not answer, listens and tries again, after a call of `listening`.
/// Pages of these origins can read its responses, at the root and below the path of its public URL.
pub(super) async fn connect(
    address: &ListenAddress,
    origins: &[HeaderValue],
    url: Option<&PublicUrl>,
    listening: impl FnOnce(&Bound) -> anyhow::Result<()>,
    connect: impl AsyncFn() -> Result<Database, Error>,
    mut termination: Pin<&mut impl Future<Output = ()>>,
) -> anyhow::Result<WaitOutcome> {
    let mut error = match connect().await {
        Ok(database) => return Ok(WaitOutcome::Connected(database, None)),
        Err(error) => error,
    };
    if !matches!(error, Error::Unavailable(_)) {
        return Err(not_connected(error));
    }
    let bound = Bound::to(address).await?;
    listening(&bound)?;
    let waiting = bound.wait(origins, url)?;
    let mut attempts = 0;
    let database = loop {
        if attempts % QUIET == 0 {
            tracing::warn!(%error, "the database does not answer; trying again");
        }
        attempts += 1;
        tokio::select! {
            () = tokio::time::sleep(PAUSE) => {}
            () = &mut termination => return Ok(WaitOutcome::Ended),
        }
        match connect().await {
            Ok(database) => break database,
            Err(again @ Error::Unavailable(_)) => error = again,
            Err(other) => return Err(not_connected(other)),
        }
    };
    tracing::info!("the database answers");
    Ok(WaitOutcome::Connected(database, Some(waiting.end().await?)))
}
