//! `/graphql` as a WebSocket: the handshake.

use std::sync::Once;

use axum::{
    extract::{FromRequestParts, WebSocketUpgrade},
    response::{IntoResponse, Response},
};
use campaigns_graphql::{Code, Error};
use http::{HeaderMap, Method, StatusCode, header, request::Parts};

use super::{content::MediaType, respond};
use crate::{App, PublicUrl, Settings, listen::peer::Peer, socket};

/// The maximum number of characters of a header in the log.
const MAX_LOGGED: usize = 200;

/// Whether a request asks for a socket (RFC 6455, section 4.1).
pub(super) fn is_requested(parts: &Parts) -> bool {
    let lists = |name, wanted: &str| {
        let values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(wanted))
    };
    parts.method == Method::GET
        && lists(header::CONNECTION, "upgrade")
        && lists(header::UPGRADE, "websocket")
}

/// Turns a request into a socket.
pub(super) async fn answer(app: App, parts: &mut Parts) -> Response {
    if !app.lets_in(&parts.headers) {
        static LOGGED: Once = Once::new();
        LOGGED.call_once(|| {
            let [origin, host] = [header::ORIGIN, header::HOST].map(|name| {
                let text = parts.headers.get(name).and_then(|value| value.to_str().ok());
                text.map(|text| text.chars().take(MAX_LOGGED).collect::<String>())
            });
            tracing::warn!(
                ?origin, ?host,
                "a page of another origin was refused a socket, which is logged once; if it is a page of the service \
                 behind a proxy, give --public-url, and if it is another one that may ask, --cors-origin"
            );
        });
        let error = Error::bad_input(
            "origin",
            "Pages of this origin are not allowed. Behind a proxy, the service needs --public-url; for other pages, \
             --cors-origin.",
        );
        return respond::refused(MediaType::Json, StatusCode::FORBIDDEN, error);
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let Some(pending) = app.sockets.pending() else {
        let message = "Too many sockets are not authenticated yet. Try again later.";
        let error = Error::of(Code::Unavailable, message);
        return respond::refused(MediaType::Json, StatusCode::SERVICE_UNAVAILABLE, error);
    };
    let peer = Peer::of(&parts.extensions);
    peer.become_socket(socket::MAX_PENDING_BYTES);
    let size = app.settings.max_body;
    upgrade
        // there are thousands of sockets, whose messages to the service are small
        .read_buffer_size(1024)
        .write_buffer_size(8 * 1024)
        .max_message_size(size)
        .max_frame_size(size)
        .protocols([socket::PROTOCOL])
        .on_upgrade(async move |socket| socket::serve(app, socket, peer, pending))
}

impl App {
    /// Whether a page of the origin in these headers can open a socket. Browsers send no preflight
    /// request for it, so it is refused here. Clients other than pages name no origin.
    fn lets_in(&self, headers: &HeaderMap) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return true };
        if origins.next().is_some() {
            return false;
        }
        let Settings { cors_origins, public_url, .. } = &self.settings;
        let own = public_url.as_ref().map(PublicUrl::origin);
        if cors_origins.contains(origin) || own == Some(origin) {
            return true;
        }
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        matches!((own, host), (Some((_, own)), Some(host)) if own.eq_ignore_ascii_case(host))
    }
}
