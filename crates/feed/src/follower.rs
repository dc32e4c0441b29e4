//! Following: the next event after a cursor, wherever it is.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

use campaigns_entity::event;
use campaigns_scope::{Error, Scope};
use sea_orm::sea_query::Expr;
use tokio::sync::watch;

use crate::{
    Event, Feed,
    log::{Found, size},
    reader::Listener,
};

/// How many events are read from the table at once, and how many bytes, about, may be read before
/// it is fewer.
const PAGE: u64 = 256;
const MANY_BYTES: usize = 1024 * 1024;
/// How long to wait where the database does not answer.
const RETRY: Duration = Duration::from_millis(250);
/// Over how many positions a page is looked for where the database takes too long over all.
const SPAN: i64 = 1_000_000;

/// Which events a follower wants, said twice: in SQL, and for an event in memory. The two mean
/// the same.
pub struct Wanted {
    /// For the table.
    pub condition: Expr,
    /// For the log.
    pub selects: Box<dyn Fn(&event::Model) -> bool + Send + Sync>,
}

/// What a follower is given.
#[derive(Clone, Debug)]
pub struct Given {
    /// The event.
    pub event: Event,
    /// Whether it has just come, and not been read from the table.
    pub live: bool,
}

/// Somebody who follows an organization's events.
pub struct Follower {
    scope: Arc<Scope>,
    wanted: Wanted,
    cursor: i64,
    /// Taken and not given yet.
    taken: VecDeque<Given>,
    /// How many events, and over how many positions, are read from the table at once.
    page: u64,
    span: Option<i64>,
    listener: Listener,
    grown: watch::Receiver<()>,
}

impl Feed {
    /// Follows the events of the scope's organization after a position or, without one, from now
    /// on.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn follow(
        &self,
        scope: Arc<Scope>,
        after: Option<i64>,
        wanted: Wanted,
    ) -> Result<Follower, Error> {
        let latest = scope.latest_event().await?.map_or(0, |(position, _)| position);
        let listener = Listener::of(&self.shared, scope.organization(), latest);
        let grown = listener.channel.grown.subscribe();
        // the latest that is stored may lie before others that were there and are deleted
        let cursor = after.unwrap_or(listener.joined);
        Ok(Follower {
            scope,
            wanted,
            cursor,
            taken: VecDeque::new(),
            page: PAGE,
            span: None,
            listener,
            grown,
        })
    }
}

impl Follower {
    /// The next event that is wanted; waits until there is one. May be dropped while it waits, and
    /// asked again. While the database does not answer, it waits too.
    ///
    /// # Errors
    /// What the database says, other than that it does not answer.
    pub async fn next(&mut self) -> Result<Given, Error> {
        loop {
            if let Some(given) = self.taken.pop_front() {
                return Ok(given);
            }
            self.grown.mark_unchanged();
            match self.look() {
                Found::Events(events) => {
                    self.cursor = events.last().map_or(self.cursor, |event| event.feed_position);
                    let selects = &self.wanted.selects;
                    let wanted = events.into_iter().filter(|event| selects(event));
                    self.taken.extend(wanted.map(|event| Given { event, live: true }));
                }
                Found::Nothing => {
                    // the sender lives as long as the listener
                    self.grown.changed().await.ok();
                }
                Found::Behind => match self.catch_up().await {
                    Ok(()) => {}
                    Err(Error::Timeout(_)) => {
                        self.span = Some(self.span.map_or(SPAN, |span| std::cmp::max(span / 4, 1)));
                    }
                    Err(Error::Unavailable(_) | Error::Conflict(_) | Error::TooManyWait) => {
                        tokio::time::sleep(RETRY).await;
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn look(&self) -> Found {
        if self.cursor < self.listener.joined {
            return Found::Behind;
        }
        let log = self.listener.channel.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.after_cursor(self.cursor)
    }

    /// Takes a page from the table.
    async fn catch_up(&mut self) -> Result<(), Error> {
        // whatever is settled by the next statement includes all that the log has now
        let tip = {
            let log = self.listener.channel.log.lock().unwrap_or_else(PoisonError::into_inner);
            std::cmp::max(log.tip(), self.listener.joined)
        };
        let settled = self.scope.settled().await?;
        // no further than the tip, which is an event's position: one is never taken back
        let span = self.span.map(|span| self.cursor.saturating_add(span)).filter(|end| *end < tip);
        let selected = self.scope.find::<event::Entity>().filter(self.wanted.condition.clone());
        let found =
            self.scope.feed_page(selected, self.cursor, span.or(settled), self.page).await?;
        let full = u64::try_from(found.len()).is_ok_and(|count| count >= self.page);
        let last = found.last().map_or(self.cursor, |event| event.feed_position);
        self.cursor = if full { last } else { std::cmp::max(last, span.unwrap_or(tip)) };
        let bytes: usize = found.iter().map(size).sum();
        self.page = if bytes > MANY_BYTES {
            std::cmp::max(self.page / 4, 1)
        } else {
            std::cmp::min(self.page * 2, PAGE)
        };
        let given = |event| Given { event: Arc::new(event), live: false };
        self.taken.extend(found.into_iter().map(given));
        Ok(())
    }
}
