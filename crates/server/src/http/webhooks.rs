//! `/webhooks/…`: the paths of providers' webhooks.

use axum::{
    extract::{Path, Request, State},
    response::Response,
};

use crate::{App, webhooks};

pub(super) async fn handle(
    State(app): State<App>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    webhooks::answer(app, token, parts, body).await
}
