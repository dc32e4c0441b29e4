//! Sockets: graphql-transport-ws, the protocol of the npm package graphql-ws
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>), strictly by its
//! specification.
//!
//! A socket has one task that reads ([`connection`]), one that writes, and one for each operation,
//! on threads that serve only sockets ([`threads`]). Operations send through a queue that is
//! bounded in messages and bytes. If the peer does not read, the queue is full, the operations
//! wait, and nothing grows. A subscription that waits falls behind, and the feed serves it from the
//! table later.
//!
//! **Invariants.**
//! - Nothing is executed before the token is verified or after it has expired: the socket ends with
//!   the token (4403). It also ends, within [`Settings::socket_check`](crate::Settings) and the
//!   time that results are remembered, after its organization or its user's membership there has
//!   ended.
//! - An operation's ID is in use until its `complete` or `error` is sent, or the peer's `complete`
//!   has arrived. Another operation with that ID ends the socket (4409). After either, the
//!   operation sends nothing more.
//! - A peer that neither responds nor reads for some time is dropped.
//! - Before the peer is authenticated, it can send 16 KiB. Afterwards, what it sends is drawn from
//!   the budget of its organization.
//! - A panic ends the operation that it happens in, with an `error`, or else the socket, with 1011.
//!   What they hold is given back.
//! - When the service stops, it sends 1001 and never a `complete`, which would tell the client that
//!   the operation is finished.

mod close_code;
mod connection;
mod message;
mod operation;
mod polls;
mod sockets;
mod threads;
mod writer;

pub(crate) use close_code::CloseCode;
pub(crate) use connection::check_again;
pub(crate) use polls::Permits;
pub(crate) use sockets::Sockets;
pub(crate) use writer::{Queue, start as start_writer};

use std::sync::Once;

use axum::{
    extract::{FromRequestParts, WebSocketUpgrade},
    response::Response,
};
use campaigns_graphql::{Code, Error};
use http::{HeaderMap, Method, StatusCode, header, request::Parts};

use crate::{App, PublicUrl, Settings, http::respond, listen::peer::Peer};
use threads::lasting;

/// The bytes of a socket with its tasks and buffers, without its operations and queued messages.
pub(crate) const HELD: usize = 16 * 1024;

/// The number of bytes that the peer of a socket can send before it is authenticated: enough for a
/// token.
const MAX_PENDING_BYTES: usize = 16 * 1024;

/// The maximum number of characters of a header in the log.
const MAX_LOGGED: usize = 200;

/// The subprotocol.
const PROTOCOL: &str = "graphql-transport-ws";

/// Whether a request asks for a socket (RFC 6455, section 4.1).
pub(crate) fn is_upgrade(parts: &Parts) -> bool {
    let lists = |name, wanted: &str| {
        let values = parts.headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(wanted))
    };
    parts.method == Method::GET
        && lists(header::CONNECTION, "upgrade")
        && lists(header::UPGRADE, "websocket")
}

/// Turns a request into a socket.
pub(crate) async fn upgrade(app: App, parts: &mut Parts) -> Response {
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
        return respond::refused(crate::http::JSON, StatusCode::FORBIDDEN, error);
    }
    let upgrade = match WebSocketUpgrade::from_request_parts(parts, &()).await {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            return axum::response::IntoResponse::into_response(rejection);
        }
    };
    let Some(pending) = app.sockets.pending() else {
        let message = "Too many sockets are not authenticated yet. Try again later.";
        let error = Error::of(Code::Unavailable, message);
        return respond::refused(crate::http::JSON, StatusCode::SERVICE_UNAVAILABLE, error);
    };
    let peer = Peer::of(&parts.extensions);
    peer.become_socket(MAX_PENDING_BYTES);
    let size = app.settings.max_body;
    upgrade
        // there are thousands of them
        .read_buffer_size(4 * 1024)
        .write_buffer_size(8 * 1024)
        .max_message_size(size)
        .max_frame_size(size)
        .protocols([PROTOCOL])
        .on_upgrade(async move |socket| {
            let threads = app.sockets.threads.clone();
            threads.spawn(lasting(connection::serve(app, socket, peer, pending)));
        })
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
