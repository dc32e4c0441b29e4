//! Connections through a pooler, which can serve each transaction on another server connection.
//!
//! PgBouncer refuses a connection whose startup packet has other than a few parameters. So every
//! statement runs in a transaction that begins with the settings, in one message, and statements do
//! not stay prepared.
//!
//! **Invariants.**
//! - No cancel requests are sent. The process of a transaction later serves other programs, and the
//!   request would queue for a server of the same pool, behind the statements that it should end.
//!   Measured with the process known and the request in one message, another organization waited
//!   three times as long as with the next rule.
//! - An abandoned transaction is rolled back if its statement ends within [`GRACE`], as most do.
//!   Otherwise its connection is closed: the pooler then closes its server connection, or removes the
//!   transaction from its queue, and PostgreSQL ends the statement within [`CHECK_INTERVAL`]
//!   (`client_connection_check_interval`). Its place becomes free only then ([`END_DELAY`]), so that a
//!   client that disconnects repeatedly does not accumulate server processes.
//! - A transaction that has begun to commit is not abandoned.
//! - Organizations run no more transactions at once than the pooler has servers for. Its queue is
//!   first come, first served, so one organization could fill it ([`Servers`]).

use std::{
    future::Future,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::sqlx::{self, error::DatabaseError};
use tokio::time::{timeout, timeout_at};

use super::{Failure, link::Link};
use crate::shares::Shares;

/// The time that the statement of an abandoned transaction has to end.
pub(super) const GRACE: Duration = Duration::from_millis(50);
/// How often PostgreSQL checks, while a statement runs, whether its client is still connected.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);
/// The time after which the statement of a closed connection has ended.
pub(super) const END_DELAY: Duration = Duration::from_millis(150);

/// PostgreSQL's setting for [`CHECK_INTERVAL`]. Servers before version 14, and those on Windows, refuse it.
const CHECK_SETTING: &str = "client_connection_check_interval";

/// The settings of each transaction: the given ones, and [`CHECK_INTERVAL`] if the server accepts it.
pub(super) async fn settings(
    link: &mut Link,
    mut settings: Vec<(&'static str, String)>,
) -> Result<Vec<(&'static str, String)>, Failure> {
    let check = (CHECK_SETTING, CHECK_INTERVAL.as_millis().to_string());
    match link.begin(&begin("BEGIN", std::slice::from_ref(&check))).await {
        Ok(()) => settings.push(check),
        Err(Failure::Sqlx(error)) if is_refused_setting(&error) => tracing::warn!(
            "the server does not support {CHECK_SETTING}: behind a pooler, statements of \
             disconnected clients run until their statement_timeout"
        ),
        Err(error) => return Err(error),
    }
    link.end("ROLLBACK").await?;
    Ok(settings)
}

/// Whether the code is `undefined_object` or `invalid_parameter_value`.
fn is_refused_setting(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    matches!(code.as_deref(), Some("42704" | "22023"))
}

/// The start of a transaction with its settings. Behind a pooler, settings of the connection would be
/// lost.
pub(super) fn begin(sql: &str, settings: &[(&str, String)]) -> String {
    let set = settings.iter().map(|(name, value)| match *name {
        // a list of names, each quoted if needed
        "search_path" => format!("; SET LOCAL {name} = {value}"),
        _ => format!("; SET LOCAL {name} = '{value}'"),
    });
    std::iter::once(sql.to_owned()).chain(set).collect()
}

/// The time after which a transaction that has not begun is waiting for a server.
const BEGIN_TIME: Duration = Duration::from_millis(25);
/// The smallest assumed number of servers: one each for two organizations, and one for the feed and
/// control lanes.
const MIN_SERVERS: usize = 3;
/// The pause between a wait for a server and the next attempt to use one more. It doubles after each
/// failed attempt, up to [`LONGEST_PAUSE`].
const PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// An estimate of the number of servers that the pooler has for this process. The pooler does not
/// report it, and other programs share them: when a transaction waits for a server, the running
/// transactions have all of them. Organizations get places for all but one. If all places are in use,
/// one more server is tried from time to time.
#[derive(Clone)]
pub(super) struct Servers(Arc<Mutex<State>>);

struct State {
    organizations: Shares,
    /// The number of organizations' places if there are enough servers.
    most: usize,
    /// The number of transactions that have a server.
    running: usize,
    /// The estimated number of servers.
    limit: usize,
    /// When a transaction last waited for a server.
    full: Option<Instant>,
    pause: Duration,
    /// Whether one more server was tried since.
    has_tried: bool,
}

/// The use of a server by a transaction, until it is dropped.
pub(super) struct Server(Servers);

impl Servers {
    pub(super) fn new(organizations: Shares, most: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            organizations,
            most,
            running: 0,
            limit: (most + 1).max(MIN_SERVERS),
            full: None,
            pause: PAUSE,
            has_tried: false,
        })))
    }

    /// Begins a transaction. Waits for a server, at most until the deadline.
    pub(super) async fn begin(
        &self,
        link: &mut Link,
        sql: &str,
        until: Instant,
    ) -> Result<(), Failure> {
        let server = self.wait(link.begin(sql), until).await?;
        link.server = Some(server);
        Ok(())
    }

    async fn wait(
        &self,
        begin: impl Future<Output = Result<(), Failure>>,
        until: Instant,
    ) -> Result<Server, Failure> {
        let mut begin = pin!(begin);
        if let Ok(done) = timeout(BEGIN_TIME, begin.as_mut()).await {
            done?;
            self.state().enter(true);
        } else {
            self.state().note_full();
            timeout_at(until.into(), begin).await.unwrap_or(Err(Failure::NoneFree))?;
            self.state().enter(false);
        }
        Ok(Server(self.clone()))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Records that a transaction waits, because the running ones have all servers.
    fn note_full(&mut self) {
        if self.full.is_none_or(|full| full.elapsed() > LONGEST_PAUSE * 4) {
            self.pause = PAUSE;
        } else if self.has_tried {
            self.pause = LONGEST_PAUSE.min(self.pause * 2);
        }
        self.has_tried = false;
        self.full = Some(Instant::now());
        self.set_limit(self.running);
    }

    /// Records that a transaction has a server.
    fn enter(&mut self, at_once: bool) {
        self.running += 1;
        if self.running > self.limit {
            self.set_limit(self.running);
        } else if at_once
            && self.running + 1 >= self.limit
            && self.limit <= self.most
            && self.full.is_none_or(|full| full.elapsed() > self.pause)
        {
            self.has_tried = true;
            self.set_limit(self.limit + 1);
        }
    }

    fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(MIN_SERVERS);
        self.organizations.set_places(self.most.min(self.limit - 1));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.state().running -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;
    use crate::shares::Share;

    fn servers(most: usize) -> (Servers, Shares) {
        let organizations = Shares::new(most, Share::default(), 100);
        (Servers::new(organizations.clone(), most), organizations)
    }

    /// A transaction that begins at once.
    async fn begin(servers: &Servers) -> Server {
        servers.wait(ready(Ok(())), Instant::now()).await.unwrap()
    }

    /// A transaction that waits, and gives up.
    async fn wait(servers: &Servers) {
        let until = Instant::now() + BEGIN_TIME * 2;
        let waited = servers.wait(pending(), until).await;
        assert!(matches!(waited, Err(Failure::NoneFree)));
    }

    #[tokio::test]
    async fn a_transaction_that_waits_shows_how_many_servers_there_are() {
        let (servers, organizations) = servers(14);
        let places = || organizations.occupancy().places;
        let mut running = Vec::new();
        for _ in 0..5 {
            running.push(begin(&servers).await);
        }
        assert_eq!(places(), 14);
        wait(&servers).await;
        assert_eq!(places(), 4);
        // two organizations always have a place, though other programs may have all servers
        running.clear();
        wait(&servers).await;
        assert_eq!(places(), 2);
    }

    #[tokio::test]
    async fn more_servers_than_known_are_used() {
        let (servers, organizations) = servers(14);
        let mut running = vec![begin(&servers).await];
        wait(&servers).await;
        // the waiting transactions get a server after all: the pooler has opened more
        for _ in 0..6 {
            running.push(begin(&servers).await);
        }
        assert_eq!(organizations.occupancy().places, 6);
    }

    #[tokio::test]
    async fn one_more_is_tried_after_a_pause_that_grows_while_there_is_none() {
        let (servers, organizations) = servers(14);
        let places = || organizations.occupancy().places;
        let mut running = Vec::new();
        for _ in 0..4 {
            running.push(begin(&servers).await);
        }
        wait(&servers).await;
        assert_eq!(places(), 3);
        let pause = || servers.state().pause;
        let begin_another = async |running: &mut Vec<Server>| {
            running.pop();
            running.push(begin(&servers).await);
        };
        begin_another(&mut running).await;
        assert_eq!(places(), 3, "the pause is not over");
        for pauses in [1, 2, 4] {
            assert_eq!(pause(), PAUSE * pauses);
            servers.state().full = Instant::now().checked_sub(pause() * 2);
            begin_another(&mut running).await;
            assert_eq!(places(), 4);
            wait(&servers).await;
            assert_eq!(places(), 3);
        }
    }
}
