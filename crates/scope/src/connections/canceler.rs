//! Cancels statements of PostgreSQL.
//!
//! **Invariants.**
//! - A cancel request waits for no statement but other cancel requests: it has a connection of its
//!   own.
//! - It is one message, and names the process of a connection that no pooler shares. If its outcome
//!   is unknown, both connections are closed: it could reach a later statement.

use std::time::Duration;

use tokio::{sync::Mutex, time::timeout};

use super::{ASK_AFTER, Failure, LIFETIME, connector::Connector, link::Link};

/// How long a cancel request can take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sends cancel requests.
pub(super) struct Canceler {
    link: Mutex<Option<Link>>,
    /// Whether the connection is one of the counted ones, so that it can stay open.
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
    /// If it is unknown whether that was done.
    pub(super) async fn cancel(&self, connector: &Connector, process: i32) -> Result<(), Failure> {
        let canceled = timeout(PATIENCE, self.say(connector, process)).await;
        let canceled = canceled.unwrap_or(Err(Failure::NoneFree));
        if let Err(error) = &canceled {
            tracing::warn!(%error, process, "a statement could not be canceled");
        }
        canceled
    }

    async fn say(&self, connector: &Connector, process: i32) -> Result<(), Failure> {
        let mut kept = self.link.lock().await;
        // not in its place until it has answered, so that it is closed if this is dropped
        let mut link = match kept.take() {
            Some(link) if link.opened.elapsed() < LIFETIME => match answering(link).await {
                Some(link) => link,
                None => connector.connect().await?,
            },
            _ => connector.connect().await?,
        };
        link.say(&format!("SELECT pg_cancel_backend({process})")).await?;
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
    let answers = link.used.elapsed() < ASK_AFTER || link.ping().await.is_ok();
    answers.then_some(link)
}
