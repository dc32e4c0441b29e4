//! HTTP: the handlers of all addresses.

mod authenticate;
mod body;
mod content;
mod encodings;
mod event_stream;
mod graphql;
mod headers;
mod health;
mod metrics;
mod pages;
mod request;
pub(crate) mod respond;
pub(crate) mod routes;
pub(crate) mod status;
mod unreadable;
mod upgrade;
mod webhooks;

use std::sync::Arc;

use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
};

use self::routes::Routes;
use crate::{App, listen};
pub(crate) use body::read as read_body;
pub(crate) use unreadable::too_large;

/// The maximum number of simultaneous connections to the address of `/metrics`.
const METRICS_PEERS: usize = 16;

impl App {
    /// Serves connections until `stop` becomes true, and then finishes the work in progress.
    pub async fn serve(&self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let places = Arc::clone(&self.free_peers);
        listen::serve(listener, Routes::of(self.clone()), &self.settings, places, stop).await;
    }

    /// Serves `/metrics` alone.
    pub async fn serve_metrics(&self, listener: TcpListener, stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(METRICS_PEERS));
        let routes = Routes::only(metrics::router(self.clone()));
        listen::serve(listener, routes, &self.settings, places, stop).await;
    }
}
