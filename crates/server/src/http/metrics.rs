//! `/metrics`: the metrics, in the text format of Prometheus.

use axum::extract::State;

use crate::App;

/// All metrics.
pub(crate) async fn text(State(app): State<App>) -> String {
    app.metrics.render(&app)
}
