//! Cancels statements of PostgreSQL.
//!
//! **Invariants.**
//! - A cancel request waits only for other cancel requests: it has a connection of its own.
//! - It is one message, and names the process of a connection that no pooler shares. If its outcome
//!   is unknown, both connections are closed, since it could reach a later statement.

use std::time::Duration;

use tokio::{sync::Mutex, time::timeout};

use super::{Failure, LIFETIME, PING_AFTER, connector::Connector, link::Link};

/// The time limit of a cancel request.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends cancel requests.
pub(super) struct Canceler {
    link: Mutex<Option<Link>>,
    /// Whether the connection counts towards the maximum, so that it can stay open.
    is_counted: bool,
}

impl Canceler {
    pub(super) fn new(is_counted: bool) -> Self {
        Self { link: Mutex::default(), is_counted }
    }

    pub(super) fn is_counted(&self) -> bool {
        self.is_counted
    }

    /// Cancels the running statement of a process.
    ///
    /// # Errors
    /// If it is unknown whether the statement was canceled.
    pub(super) async fn cancel(&self, connector: &Connector, process: i32) -> Result<(), Failure> {
        let canceled = timeout(PATIENCE, self.send(connector, process)).await;
        let canceled = canceled.unwrap_or(Err(Failure::NoneFree));
        if let Err(error) = &canceled {
            tracing::warn!(%error, process, "a statement could not be canceled");
        }
        canceled
    }

    async fn send(&self, connector: &Connector, process: i32) -> Result<(), Failure> {
        let mut kept = self.link.lock().await;
        // stored only after the answer, so that the connection is closed if this is dropped
        let mut link = match kept.take() {
            Some(link) if link.opened.elapsed() < LIFETIME => match answering(link).await {
                Some(link) => link,
                None => connector.connect().await?,
            },
            _ => connector.connect().await?,
        };
        link.execute_batch(&format!("SELECT pg_cancel_backend({process})")).await?;
        if self.is_counted {
            link.used = std::time::Instant::now();
            *kept = Some(link);
        }
        Ok(())
    }

    /// Closes its connection.
    pub(super) async fn close(&self) -> Result<(), Failure> {
        if let Some(link) = self.link.lock().await.take() {
            link.close().await?;
        }
        Ok(())
    }
}

/// The connection, if its server still answers.
async fn answering(mut link: Link) -> Option<Link> {
    let answers = link.used.elapsed() < PING_AFTER || link.ping().await.is_ok();
    answers.then_some(link)
}
