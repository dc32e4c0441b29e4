//! Accepts connections, and keeps going when the system has no resources for more.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::{Duration, Instant},
};

use axum::serve::Listener;
use tokio::net::{TcpListener, TcpStream};

/// How long to wait when the operating system has no resources left.
const PAUSE: Duration = Duration::from_millis(100);
/// The minimum time between two log lines about it.
const QUIET: Duration = Duration::from_mins(1);

/// A listener that continues after errors.
pub(crate) struct Acceptor {
    listener: TcpListener,
    /// When it last logged that connections are not accepted.
    logged: Option<Instant>,
}

impl Acceptor {
    pub(crate) fn new(listener: TcpListener) -> Self {
        Self { listener, logged: None }
    }

    /// The next connection. Cancel safe.
    pub(crate) async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_peer(&error) => {}
                Err(error) => {
                    if self.logged.is_none_or(|logged| logged.elapsed() >= QUIET) {
                        self.logged = Some(Instant::now());
                        tracing::warn!(
                            %error,
                            "connections are not accepted; retrying, and logging this at most once a minute"
                        );
                    }
                    // the connection still waits, so there is no event to wait for
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Whether the connection ended before it was accepted, which concerns its peer alone.
fn is_of_peer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

impl Listener for Acceptor {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        self.next().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}
