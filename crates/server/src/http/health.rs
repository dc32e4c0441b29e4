//! Whether the service is alive, and whether it is ready.

use axum::extract::State;
use http::StatusCode;

use crate::App;

/// The process is alive.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// There are keys, and the database responds and is migrated.
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, &'static str) {
    if !app.keys.verifier().has_keys() {
        return (StatusCode::SERVICE_UNAVAILABLE, "the keys have not been fetched yet\n");
    }
    match app.database.applied_migrations().await {
        Ok(applied) if campaigns_migration::names().iter().all(|name| applied.contains(name)) => {
            (StatusCode::OK, "ready\n")
        }
        Ok(_) => (StatusCode::SERVICE_UNAVAILABLE, "the database is not migrated\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not respond\n")
        }
    }
}
