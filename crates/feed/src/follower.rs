//! Following: the next event after a cursor, from the log or from the table.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use campaigns_entity::event;
use campaigns_scope::{Error, Exhausted, Place, Scope};
use sea_orm::Condition;
use tokio::sync::watch;

use crate::{Event, Feed, batch::size, log::LogRead, reader::Listener, shelf::Page};

/// How many events, and approximately how many bytes, are read from the table at once.
const PAGE: u64 = 256;
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of bytes of an event. Larger ones are left out.
const EVENT_BYTES: usize = 64 * 1024 * 1024;
/// How many events before its first one a log gets if a follower needs them.
const BACK: u64 = 2_048;
/// The maximum time of a statement.
const STATEMENT: Duration = Duration::from_secs(10);
/// The maximum age of the data that is shown with an event.
const STALE: Duration = Duration::from_secs(10);
/// How long events are tested before other tasks run.
const TURN: Duration = Duration::from_millis(1);
/// How long to wait if the database does not respond.
const RETRY: Duration = Duration::from_millis(250);
/// The number of positions to search for a page if searching all of them takes too long.
const SPAN: i64 = 1_000_000;

/// The events that a follower wants, in three forms: in SQL, as a test of an event in memory, and
/// as text that is the same if the other two are.
pub struct EventSelection {
    /// For the table. It is made when it is needed, since it can be larger than the filter that it
    /// comes from.
    pub condition: Box<dyn Fn(&Scope) -> Condition + Send + Sync>,
    /// For the log.
    pub selects: Box<dyn Fn(&event::Model) -> bool + Send + Sync>,
    /// The text that identifies it.
    pub name: Arc<str>,
}

/// Why a follower gets no more events.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The feed has gone back to before the follower's cursor: a failover or a restore has taken
    /// back events that it has seen.
    #[error("the feed has gone back behind the cursor")]
    WentBack,
    /// An error of the database, other than being unreachable.
    #[error(transparent)]
    Scope(#[from] Error),
}

/// A follower of an organization's events.
pub struct Follower {
    scope: Arc<Scope>,
    wanted: EventSelection,
    cursor: i64,
    /// Events taken but not returned yet.
    taken: VecDeque<Event>,
    /// How many events are read from the table at once, and over how many positions.
    page: u64,
    span: Option<i64>,
    listener: Listener,
    grown: watch::Receiver<()>,
    incarnation: Arc<str>,
    /// When it came.
    since: Instant,
}

impl EventSelection {
    /// Every event.
    #[must_use]
    pub fn all() -> Self {
        let condition = Box::new(|_: &Scope| Condition::all());
        Self { condition, selects: Box::new(|_| true), name: "".into() }
    }
}

impl Feed {
    /// Follows the events of the scope's organization after a place or, without one, from now on.
    ///
    /// # Errors
    /// Any error of the database. [`FollowError::WentBack`] if the feed no longer has the place.
    pub async fn follow(
        &self,
        scope: Arc<Scope>,
        after: Option<&Place>,
        mut wanted: EventSelection,
    ) -> Result<Follower, FollowError> {
        if let Some(claims) = scope.visibility().claims() {
            // followers that see other rows read their own pages
            wanted.name = format!("{claims} {}", wanted.name).into();
        }
        let since = Instant::now();
        let scope_now = scope.operation(Instant::now() + STATEMENT, None);
        let latest = scope_now.latest_place().await?;
        let listener = Listener::of(&self.shared, &scope, &latest);
        // after the listener exists: if the feed goes back now, it is notified
        if let Some(place) = after
            && !scope_now.still_has(place).await?
        {
            return Err(FollowError::WentBack);
        }
        let grown = listener.channel.grown.subscribe();
        // the latest stored event may come before others that were deleted
        let cursor = after.map_or(listener.joined, |place| place.position);
        Ok(Follower {
            scope,
            wanted,
            cursor,
            taken: VecDeque::new(),
            page: PAGE,
            span: None,
            listener,
            grown,
            incarnation: latest.incarnation,
            since,
        })
    }
}

impl Follower {
    /// The next wanted event. Waits until there is one, also while the database does not respond.
    /// Can be dropped while it waits, and called again.
    ///
    /// # Errors
    /// See [`FollowError`]. There are no more events then.
    pub async fn next(&mut self) -> Result<Event, FollowError> {
        loop {
            if self.listener.channel.went_back() {
                return Err(FollowError::WentBack);
            }
            if let Some(event) = self.taken.pop_front() {
                return Ok(event);
            }
            self.grown.mark_unchanged();
            match self.look() {
                LogRead::Events(events) => self.select(events).await,
                LogRead::Nothing(tip) => {
                    self.cursor = self.cursor.max(tip);
                    // the sender lives as long as the listener
                    self.grown.changed().await.ok();
                }
                // rare, so that it takes no room in the thousands that wait
                LogRead::Behind => match Box::pin(self.catch_up()).await {
                    Ok(()) => {}
                    Err(Error::Timeout(_)) => {
                        self.span = Some(self.span.map_or(SPAN, |span| std::cmp::max(span / 4, 1)));
                    }
                    Err(Error::Exhausted(Exhausted::Operation)) if self.page > 1 => {
                        self.page = std::cmp::max(self.page / 8, 1);
                    }
                    Err(
                        Error::Unavailable(_)
                        | Error::Conflict(_)
                        | Error::TooManyWait
                        | Error::Busy
                        | Error::Exhausted(_),
                    ) => tokio::time::sleep(RETRY).await,
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }

    /// The earliest time of the data that it is shown: it gets data that is current when it comes,
    /// never data from long before.
    #[must_use]
    pub fn since(&self) -> Instant {
        Instant::now().checked_sub(STALE).map_or(self.since, |since| since.max(self.since))
    }

    /// The place of a returned event.
    #[must_use]
    pub fn place(&self, event: &Event) -> Place {
        let incarnation = self.listener.incarnation();
        Place {
            position: event.feed_position,
            id: event.id,
            incarnation: incarnation.unwrap_or_else(|| Arc::clone(&self.incarnation)),
            is_authentic: true,
        }
    }

    /// Takes the wanted ones of some events. If testing them takes long, others get their turn.
    async fn select(&mut self, events: Vec<Event>) {
        let mut started = Instant::now();
        for event in events {
            // one after the other: this may be dropped while others have their turn
            self.cursor = event.feed_position;
            if (self.wanted.selects)(&event) {
                self.taken.push_back(event);
            }
            if started.elapsed() > TURN {
                tokio::task::yield_now().await;
                started = Instant::now();
            }
        }
    }

    fn look(&self) -> LogRead {
        self.listener.channel.log().after_cursor(self.cursor)
    }

    /// Takes events from before the log, by extending the log backwards or by reading a page.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let channel = Arc::clone(&self.listener.channel);
        let reaches_back = channel.back.get_or_try_init(async || self.extend_back().await);
        reaches_back.await?;
        if !matches!(self.look(), LogRead::Behind) {
            return Ok(());
        }
        let page = channel.shelf.page(&self.wanted.name, self.cursor, async || self.read().await);
        let page = page.await?;
        let cursor = self.cursor;
        let rest = page.events.iter().filter(|event| event.feed_position > cursor);
        self.taken.extend(rest.cloned());
        self.cursor = page.end;
        self.page = std::cmp::min(self.page * 2, PAGE);
        Ok(())
    }

    /// Adds events before its first one to the log.
    async fn extend_back(&self) -> Result<(), Error> {
        let from = self.listener.channel.log().floor();
        let mut limit = BACK;
        loop {
            let found = self.reading(PAGE_BYTES).feed_before(from, limit).await;
            let page = match found {
                Err(Error::Exhausted(Exhausted::Operation)) if limit > 1 => {
                    limit = std::cmp::max(limit / 8, 1);
                    continue;
                }
                // an event too large for the log fits into a page
                Err(Error::Exhausted(Exhausted::Operation)) => return Ok(()),
                found => found?,
            };
            let all = u64::try_from(page.rows).is_ok_and(|rows| rows < limit);
            let first = page.events.first().map(|event| event.feed_position);
            // all except the first one if there may be more before it
            let floor = if all { 0 } else { first.unwrap_or(from) };
            let skipped = usize::from(!all);
            let events: Vec<Event> = Event::batch(page.events).skip(skipped).collect();
            self.listener.channel.log().extend_back(from, floor, events);
            return Ok(());
        }
    }

    /// Reads a page from the table.
    async fn read(&self) -> Result<Page, Error> {
        // everything in the log now is settled by the next statement
        let tip = self.listener.channel.log().tip();
        let settled = self.reading(PAGE_BYTES).settled().await?.position;
        // no further than the tip, which is the position of an event and never taken back
        let span = self.span.map(|span| self.cursor.saturating_add(span)).filter(|end| *end < tip);
        // a transaction that was seen late has a number below what was settled by then
        let upto = span.or(settled.map(|settled| settled.max(tip)));
        let selected =
            || self.scope.find::<event::Entity>().filter((self.wanted.condition)(&self.scope));
        let bytes = if self.page == 1 { EVENT_BYTES } else { PAGE_BYTES };
        let found = self.reading(bytes).feed_page(selected(), self.cursor, upto, self.page).await;
        let found = match found {
            Err(Error::Exhausted(Exhausted::Operation)) if self.page == 1 => {
                let scope = self.reading(PAGE_BYTES);
                let next = scope.next_position(selected(), self.cursor, upto).await?;
                let end = next.unwrap_or(self.cursor);
                tracing::warn!(position = end, "an event is too large and is left out");
                return Ok(Page::new(end, Vec::new(), 0, &self.scope.budget()));
            }
            found => found?,
        };
        let full = u64::try_from(found.rows).is_ok_and(|rows| rows >= self.page);
        let last = found.last.unwrap_or(self.cursor);
        let end = if full { last } else { std::cmp::max(last, span.unwrap_or(tip)) };
        let bytes = found.events.iter().map(size).sum();
        let events = Event::batch(found.events).collect();
        Ok(Page::new(end, events, bytes, &self.scope.budget()))
    }

    /// The scope for one statement that reads at most `bytes`.
    fn reading(&self, bytes: usize) -> Scope {
        self.scope.reading(Instant::now() + STATEMENT, bytes)
    }
}
