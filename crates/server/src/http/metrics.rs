//! `/metrics`: the metrics, in the text format of Prometheus.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::header;

use crate::App;

/// The address alone.
pub(crate) fn router(app: App) -> Router {
    Router::new().route("/metrics", get(text)).with_state(app)
}

/// All metrics.
pub(crate) async fn text(State(app): State<App>) -> Response {
    let content_type = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    ([content_type], app.metrics.render(&app)).into_response()
}
