//! From a request to its handler.
//!
//! axum's router boxes each request, its response and the body once per layer, which takes longer than what the layers
//! do. `/graphql` has the same layers without the router.
//!
//! **Invariant.** Every address has the same layers: pages of other origins can read a response only if their origin is
//! allowed, an encoding is negotiated before the handler runs, and a panic of the handler is answered.

use std::{convert::Infallible, future::ready, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_graphql::futures_util::FutureExt;
use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{from_fn, map_request},
    response::Response,
    routing::{any, get},
};
use http::{HeaderValue, Method, Uri, header};
use tower::{Layer, ServiceExt, service_fn};
use tower_http::{
    CompressionLevel,
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, DefaultPredicate, Predicate, predicate::SizeAbove},
    cors::{AllowHeaders, CorsLayer},
};

use super::{encodings, graphql, health, metrics, pages, respond, webhooks};
use crate::App;

/// The path of GraphQL.
const GRAPHQL: &str = "/graphql";

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

/// Whether a response is compressed, if its client accepts that.
#[derive(Clone)]
struct IsCompressed;

impl Predicate for IsCompressed {
    fn should_compress<B: http_body::Body>(&self, response: &http::Response<B>) -> bool {
        let usual = DefaultPredicate::new().and(SizeAbove::new(WORTH_IT));
        encodings::must_encode(response.extensions()) || usual.should_compress(response)
    }
}

fn compression() -> CompressionLayer<IsCompressed> {
    CompressionLayer::new().quality(COMPRESSION).compress_when(IsCompressed)
}

/// The handlers of all addresses of a listener.
pub(crate) struct Routes {
    /// `/graphql`, if this listener has it.
    graphql: Option<Graphql>,
    others: Router,
    /// The prefix below which the same addresses are found as well, or nothing.
    prefix: String,
}

impl Routes {
    /// Every address of the service.
    pub(super) fn of(app: App) -> Self {
        let cors = cors(&app.settings.cors_origins);
        let others = Router::new()
            .route("/healthz", get(health::alive))
            .route("/readyz", get(health::ready))
            .route("/webhooks/{token}", any(webhooks::handle));
        let others = if app.settings.has_metrics {
            others.route("/metrics", get(metrics::text))
        } else {
            others
        };
        let prefix = app.settings.prefix().to_owned();
        let others = others
            .fallback(pages::serve)
            .with_state(app.clone())
            .layer(CatchPanicLayer::custom(respond::panicked))
            .layer(from_fn(encodings::mark))
            .layer(compression())
            .layer(from_fn(encodings::negotiate))
            .layer(cors.clone());
        let graphql = Graphql { app, cors, compression: compression() };
        Self { graphql: Some(graphql), others: also_below(&prefix, others), prefix }
    }

    /// The addresses of a router.
    pub(super) fn only(others: Router) -> Self {
        Self { graphql: None, others, prefix: String::new() }
    }

    /// Answers a request.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path();
        let is_graphql = below(&self.prefix, path).unwrap_or(path) == GRAPHQL;
        let answered = match &self.graphql {
            Some(graphql) if is_graphql => graphql.answer(request).await,
            _ => self.others.clone().oneshot(request).await,
        };
        answered.unwrap_or_else(|never| match never {})
    }
}

/// The handler of `/graphql`, in its layers.
struct Graphql {
    app: App,
    cors: CorsLayer,
    compression: CompressionLayer<IsCompressed>,
}

impl Graphql {
    async fn answer(&self, request: Request) -> Result<Response, Infallible> {
        let handler = service_fn(|request: Request| {
            let mark = encodings::mark_of(&request);
            let handled = AssertUnwindSafe(graphql::handle(self.app.clone(), request));
            // boxed, as it is large and would be copied into the future of each layer
            let handled = Box::pin(handled.catch_unwind());
            async move {
                let response = handled.await.unwrap_or_else(respond::panicked);
                Ok::<_, Infallible>(mark.put_on(response))
            }
        });
        let negotiated = service_fn(|mut request: Request| async move {
            if let Some(refused) = encodings::refusal(&mut request) {
                return Ok(refused);
            }
            let response = self.compression.layer(handler).oneshot(request).await;
            response.map(|response| response.map(Body::new))
        });
        self.cors.layer(negotiated).oneshot(request).await
    }
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

/// The address without the prefix, if its path is below it.
fn without(prefix: &str, uri: &Uri) -> Option<Uri> {
    let path = below(prefix, uri.path())?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = format!("{path}{query}").parse().ok();
    Uri::from_parts(parts).ok()
}

/// The path without the prefix, if it is below it.
fn below<'a>(prefix: &str, path: &'a str) -> Option<&'a str> {
    match path.strip_prefix(prefix)? {
        "" => Some("/"),
        path => path.starts_with('/').then_some(path),
    }
}
