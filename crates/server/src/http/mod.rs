//! HTTP: the handlers of all addresses.

mod authenticate;
mod body;
mod content;
mod encodings;
mod event_stream;
mod graphql;
mod headers;
mod health;
mod metrics;
mod pages;
mod request;
pub(crate) mod respond;
pub(crate) mod status;
mod unreadable;
mod upgrade;

use std::{future::ready, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::Request,
    middleware::{from_fn, map_request},
    routing::{any, get},
};
use http::{HeaderValue, Method, Uri, header};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, DefaultPredicate, Predicate, predicate::SizeAbove},
    cors::{AllowHeaders, CorsLayer},
};

use crate::{App, listen};

/// The maximum number of simultaneous connections to the address of `/metrics`.
const METRICS_PEERS: usize = 16;

/// The level of compression. Of a page of 150 kB in JSON, gzip makes 37 kB in 9 ms at its default level,
/// Brotli 34 kB in 7 ms at this one. Higher levels take longer than they save.
const COMPRESSION: CompressionLevel = CompressionLevel::Precise(4);
/// The minimum size of a response that is compressed: fewer bytes fit into a packet.
const WORTH_IT: u64 = 1_024;

/// How long a browser can cache the result of a preflight request. Browsers have shorter limits.
const PREFLIGHT: Duration = Duration::from_hours(2);

/// What browsers allow pages of these origins to do. Any header is allowed, as tracing and client
/// libraries add their own: none of them authenticates a request without a page that has the token.
pub(crate) fn cors(origins: &[HeaderValue]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(origins.to_vec())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::RETRY_AFTER])
        .max_age(PREFLIGHT)
}

impl App {
    /// Serves connections until `stop` becomes true, and then finishes the work in progress.
    pub async fn serve(&self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let places = Arc::clone(&self.free_peers);
        listen::serve(listener, router(self.clone()), &self.settings, places, stop).await;
    }

    /// Serves `/metrics` alone.
    pub async fn serve_metrics(&self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(METRICS_PEERS));
        let router = metrics::router(self.clone());
        listen::serve(listener, router, &self.settings, places, stop).await;
    }
}

/// Whether a response is compressed, if its client accepts that.
#[derive(Clone)]
struct IsCompressed;

impl Predicate for IsCompressed {
    fn should_compress<B: http_body::Body>(&self, response: &http::Response<B>) -> bool {
        let usual = DefaultPredicate::new().and(SizeAbove::new(WORTH_IT));
        encodings::must_encode(response.extensions()) || usual.should_compress(response)
    }
}

/// Every address of the service.
fn router(app: App) -> Router {
    let cors = cors(&app.settings.cors_origins);
    let router = Router::new()
        .route("/graphql", any(graphql::handle))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready));
    let router = if app.settings.has_metrics {
        router.route("/metrics", get(metrics::text))
    } else {
        router
    };
    let prefix = app.settings.prefix().to_owned();
    let router = router
        .fallback(pages::serve)
        .with_state(app)
        .layer(CatchPanicLayer::custom(respond::panicked))
        .layer(from_fn(encodings::mark))
        .layer(CompressionLayer::new().quality(COMPRESSION).compress_when(IsCompressed))
        .layer(from_fn(encodings::negotiate))
        .layer(cors);
    also_below(&prefix, router)
}

/// Serves the same addresses below this prefix as well, for proxies that pass it on.
pub(crate) fn also_below(prefix: &str, router: Router) -> Router {
    if prefix.is_empty() {
        return router;
    }
    let prefix = Arc::<str>::from(prefix);
    // a layer runs before the router within, which then sees the address without the prefix
    Router::new().fallback_service(router).layer(map_request(move |mut request: Request| {
        if let Some(uri) = without(&prefix, request.uri()) {
            *request.uri_mut() = uri;
        }
        ready(request)
    }))
}

/// The address without the prefix, if its path begins with it.
fn without(prefix: &str, uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_prefix(prefix)?;
    let path = match path {
        "" => "/",
        path if path.starts_with('/') => path,
        _ => return None,
    };
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{path}{query}").parse().ok();
    Uri::from_parts(parts).ok()
}
