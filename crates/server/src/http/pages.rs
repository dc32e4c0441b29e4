//! `/`, `/graphiql` and the files that these pages load.

use std::borrow::Cow;

use axum::{
    body::Body,
    extract::{OriginalUri, Request, State},
    response::Response,
};
use http::{HeaderValue, Method, StatusCode, header};

use crate::{App, Settings};

/// Whether a browser opens the address, as opposed to loading a file or asking an API.
fn is_for_a_page(request: &Request) -> bool {
    let accepted = request.headers().get(header::ACCEPT);
    let is_page =
        accepted.and_then(|value| value.to_str().ok()).is_some_and(|of| of.contains("text/html"));
    let name = request.uri().path().rsplit('/').next();
    is_page && name.is_some_and(|name| !name.contains('.')) && is_read(request.method())
}

fn is_read(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// A page or one of its files, or 404.
pub(crate) async fn serve(
    State(app): State<App>,
    OriginalUri(original): OriginalUri,
    request: Request,
) -> Response {
    let mut response = Response::new(Body::empty());
    let accepted = request.headers().get_all(header::ACCEPT_ENCODING).iter();
    let accepted: Vec<&str> = accepted.filter_map(|value| value.to_str().ok()).collect();
    let accepted = &accepted.join(",");
    let Settings { pages, sign_in, .. } = &app.settings;
    let prefix = app.settings.prefix();
    let file = |path| pages.file(path, accepted, prefix, sign_in);
    let (path, given) = (request.uri().path(), original.path());
    // a proxy that removes the prefix leaves an address that may begin with it, such as /campaigns/ID
    let file = file(path).or_else(|| if given == path { None } else { file(given) });
    let file = file.or_else(|| {
        *response.status_mut() = StatusCode::NOT_FOUND;
        is_for_a_page(&request).then(|| pages.missing(prefix, sign_in)).flatten()
    });
    let Some(file) = file else { return response };
    if !is_read(request.method()) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(file.content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(file.cache));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if let Some(encoding) = file.encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    if let Some(policy) = file.policy.and_then(|policy| HeaderValue::from_str(&policy).ok()) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    }
    // the server sends only the header of a response to HEAD
    *response.body_mut() = match file.content {
        Cow::Borrowed(content) => Body::from(content),
        Cow::Owned(content) => Body::from(content),
    };
    response
}
