//! HTTP: what answers at which address.

pub(crate) mod authenticate;
mod content;
mod graphiql;
mod graphql;
mod health;
pub(crate) mod respond;

use axum::{
    Router,
    routing::{any, get},
};
use http::{Method, header};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, cors::CorsLayer};

use crate::App;

/// How a refusal is shown to who did not say how.
pub(crate) const JSON: content::Answer = content::Answer::Json;

/// Every address of the service.
pub(crate) fn router(app: App) -> Router {
    let cors = CorsLayer::new()
        .allow_origin(app.settings.cors_origins.clone())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::ACCEPT, header::AUTHORIZATION, header::CONTENT_TYPE]);
    Router::new()
        .route("/graphql", any(graphql::handle))
        .route("/graphiql", get(graphiql::page))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(app)
        .layer(CatchPanicLayer::custom(respond::panicked))
        .layer(CompressionLayer::new())
        .layer(cors)
}
