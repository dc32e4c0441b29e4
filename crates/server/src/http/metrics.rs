//! `/metrics`: the metrics, in the text format of Prometheus.

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use campaigns_scope::Occupancy;
use http::header;

use crate::{
    App,
    logs::dropped_lines,
    metrics::{number, set_gauge},
};

/// A router of this address alone.
pub(super) fn router(app: App) -> Router {
    Router::new().route("/metrics", get(text)).with_state(app)
}

/// All metrics.
pub(super) async fn text(State(app): State<App>) -> Response {
    let content_type = (header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8");
    set_gauges(&app);
    ([content_type], app.metrics.render()).into_response()
}

/// Sets the gauges of the service to its current state.
fn set_gauges(app: &App) {
    set_gauge("campaigns_held_bytes", number(app.database.budgets().process().held()));
    let limits = app.database.budgets().limits();
    set_gauge("campaigns_held_bytes_limit", number(limits.process));
    set_gauge("campaigns_operation_cache_bytes", number(app.api.kept_bytes()));

    let connections = app.database.connections_in_use();
    set_gauge("campaigns_database_connections_limit", number(connections.places));
    set_gauge("campaigns_database_connections_used", number(connections.held));
    set_gauge("campaigns_database_connections_idle", number(app.database.idle_connections()));
    set_gauge("campaigns_database_connections_waiting", number(connections.waiting));
    let budgets = app.database.budgets();
    for (cost, Occupancy { places, held, waiting }) in
        [("any", budgets.executing()), ("expensive", budgets.expensive())]
    {
        metrics::gauge!("campaigns_operations_executing_limit", "cost" => cost).set(number(places));
        metrics::gauge!("campaigns_operations_executing", "cost" => cost).set(number(held));
        metrics::gauge!("campaigns_operations_waiting", "cost" => cost).set(number(waiting));
    }

    set_gauge("campaigns_peers", number(app.peers()));
    set_gauge("campaigns_sockets", number(app.sockets.count_authenticated()));
    set_gauge("campaigns_sockets_unknown", number(app.sockets.count_pending()));

    let feed = app.feed.state();
    set_gauge("campaigns_feed_log_events", number(feed.events));
    set_gauge("campaigns_feed_log_bytes", number(feed.bytes));
    set_gauge("campaigns_feed_lag_seconds", feed.lag.as_secs_f64());
    set_gauge("campaigns_feed_stalled_seconds", feed.stalled.as_secs_f64());
    set_gauge("campaigns_feed_organizations", number(feed.organizations));
    // a stale value must not look current
    let waiting = app.keeper.waiting().and_then(|waiting| usize::try_from(waiting).ok());
    set_gauge("campaigns_waiting_changes", waiting.map_or(f64::NAN, number));

    metrics::counter!("campaigns_log_lines_dropped_total").absolute(dropped_lines() as u64);
}
