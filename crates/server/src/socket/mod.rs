//! Sockets: graphql-transport-ws, the protocol of the npm package graphql-ws
//! (<https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>), strictly by its
//! specification.
//!
//! A socket has one task that reads ([`connection`]), one that writes ([`push`]), and one for each
//! operation ([`operation`]). `http/upgrade.rs` makes a socket of a request.
//!
//! **Invariants.**
//! - Nothing is executed before the token is verified or after it has expired: the socket ends with
//!   the token, or with the caller's membership or organization (4403).
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

pub(crate) use close_code::CloseCode;
pub(crate) use connection::{MAX_PENDING_BYTES, PROTOCOL};

use axum::extract::ws::WebSocket;

use crate::{
    App,
    listen::peer::Peer,
    push::{self, Pending},
};

/// Serves a socket in a task, to its end.
pub(crate) fn serve(app: App, socket: WebSocket, peer: Peer, pending: Pending) {
    let threads = app.sockets.threads.clone();
    threads.spawn(push::lasting(connection::serve(app, socket, peer, pending)));
}
