//! Whether the service is alive, and whether it is ready.

use std::borrow::Cow;

use axum::extract::State;
use http::StatusCode;

use crate::App;

/// The process is alive.
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Ready means: there are keys, the tasks of the process work, and the database responds and is
/// migrated.
pub(crate) async fn ready(State(app): State<App>) -> (StatusCode, Cow<'static, str>) {
    let unavailable = |why: &'static str| (StatusCode::SERVICE_UNAVAILABLE, why.into());
    if !app.keys.verifier().has_keys() {
        return unavailable("the keys have not been fetched yet\n");
    }
    if let Some(task) = app.failing_task() {
        let why = format!("the task \"{task}\" keeps failing; the log says why\n");
        return (StatusCode::SERVICE_UNAVAILABLE, why.into());
    }
    match app.database.applied_migrations_lately().await {
        Ok(applied) if campaigns_migration::names().iter().all(|name| applied.contains(name)) => {
            (StatusCode::OK, "ready\n".into())
        }
        Ok(_) => unavailable("the database is not migrated\n"),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            unavailable("the database does not respond\n")
        }
    }
}
