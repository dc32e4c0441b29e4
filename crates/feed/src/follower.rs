//! Followers, which read the events after a cursor from the log or from the table.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use campaigns_entity::event;
use campaigns_scope::{Error, Exhausted, Place, Scope};
use sea_orm::Condition;
use tokio::sync::watch;

use crate::{Event, Feed, batch::size, log::LogRead, page_cache::Page, reader::Listener};

/// The number of events, and the approximate number of bytes, to read from the table at once.
const PAGE: u64 = 256;
const PAGE_BYTES: usize = 4 * 1024 * 1024;
/// The maximum number of bytes of an event. Larger events are left out.
const EVENT_BYTES: usize = 64 * 1024 * 1024;
/// The number of events by which a log is extended backwards if a follower needs them.
const BACK: u64 = 2_048;
/// The time limit of a statement.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The maximum age of the data that is shown with an event.
const STALE: Duration = Duration::from_secs(10);
/// The time after which testing events yields to other tasks.
const TIME_SLICE: Duration = Duration::from_millis(1);
/// The pause after an error of the database.
const RETRY: Duration = Duration::from_millis(250);
/// The number of positions to search for a page after a search of all positions timed out.
const SPAN: i64 = 1_000_000;

/// A selection of events, in three equivalent forms: an SQL condition, a predicate in memory, and a
/// text that is equal for equal selections.
pub struct EventSelection {
    /// The condition for the table. It is built when it is needed, since it can be larger than its
    /// filter.
    pub condition: Box<dyn Fn(&Scope) -> Condition + Send + Sync>,
    /// The predicate for the log.
    pub selects: Box<dyn Fn(&event::Model) -> bool + Send + Sync>,
    /// The text that identifies the selection.
    pub name: Arc<str>,
}

/// The reason why a follower ends.
#[derive(Debug, thiserror::Error)]
pub enum FollowError {
    /// The feed has gone back to before the follower's cursor: a failover or a restore has lost events
    /// that the follower has seen.
    #[error("the feed has gone back behind the cursor")]
    WentBack,
    /// An error of the database that is not temporary.
    #[error(transparent)]
    Scope(#[from] Error),
}

/// A follower of an organization's events.
pub struct Follower {
    scope: Arc<Scope>,
    selection: EventSelection,
    cursor: i64,
    /// The selected events that are not returned yet.
    taken: VecDeque<Event>,
    /// The number of events to read from the table at once, and the number of positions to search.
    page: u64,
    span: Option<i64>,
    listener: Listener,
    changes: watch::Receiver<()>,
    incarnation: Arc<str>,
    /// When the follower was created.
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
    /// Follows the events of the scope's organization after a place. Without a place, from now on.
    ///
    /// # Errors
    /// Any error of the database. [`FollowError::WentBack`] if the feed no longer has the place.
    pub async fn follow(
        &self,
        scope: Arc<Scope>,
        after: Option<&Place>,
        mut selection: EventSelection,
    ) -> Result<Follower, FollowError> {
        if let Some(claims) = scope.visibility().claims() {
            // followers with other claims can see other rows, and do not share pages
            selection.name = format!("{claims} {}", selection.name).into();
        }
        let since = Instant::now();
        let scope_now = scope.operation(Instant::now() + STATEMENT_TIMEOUT, None);
        let latest = scope_now.latest_place().await?;
        let listener = Listener::of(&self.shared, &scope, &latest);
        // checked after the listener exists, which is notified if the feed goes back from now on
        if let Some(place) = after
            && !scope_now.still_has(place).await?
        {
            return Err(FollowError::WentBack);
        }
        let changes = listener.channel.changes.subscribe();
        // the log may have seen later events that were deleted since
        let cursor = after.map_or(listener.joined, |place| place.position);
        Ok(Follower {
            scope,
            selection,
            cursor,
            taken: VecDeque::new(),
            page: PAGE,
            span: None,
            listener,
            changes,
            incarnation: latest.incarnation,
            since,
        })
    }
}

impl Follower {
    /// The next selected event. Waits until there is one, also while the database does not respond. The
    /// future can be dropped, and the method called again.
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
            self.changes.mark_unchanged();
            match self.read_log() {
                LogRead::Events(events) => self.select(events).await,
                LogRead::Nothing(tip) => {
                    self.cursor = self.cursor.max(tip);
                    // the sender lives as long as the listener
                    self.changes.changed().await.ok();
                }
                // boxed because it is rare: thousands of waiting futures have no space for it
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
                        | Error::ReadOnly(_)
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

    /// The earliest allowed load time of data that is shown with events: not before the follower was
    /// created, and at most [`STALE`] ago.
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

    /// Keeps the selected events of some events. Yields to other tasks if testing takes long.
    async fn select(&mut self, events: Vec<Event>) {
        let mut started = Instant::now();
        for event in events {
            // advanced for each event, because this can be dropped while it yields
            self.cursor = event.feed_position;
            if (self.selection.selects)(&event) {
                self.taken.push_back(event);
            }
            if started.elapsed() > TIME_SLICE {
                tokio::task::yield_now().await;
                started = Instant::now();
            }
        }
    }

    fn read_log(&self) -> LogRead {
        self.listener.channel.log().after_cursor(self.cursor)
    }

    /// Reads events from before the log, by extending the log backwards or from a page.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let channel = Arc::clone(&self.listener.channel);
        let reaches_back = channel.back.get_or_try_init(async || self.extend_back().await);
        reaches_back.await?;
        if !matches!(self.read_log(), LogRead::Behind) {
            return Ok(());
        }
        let page =
            channel.page_cache.page(&self.selection.name, self.cursor, async || self.read().await);
        let page = page.await?;
        let cursor = self.cursor;
        let rest = page.events.iter().filter(|event| event.feed_position > cursor);
        self.taken.extend(rest.cloned());
        self.cursor = page.end;
        self.page = std::cmp::min(self.page * 2, PAGE);
        Ok(())
    }

    /// Extends the log backwards.
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
                // the event is too large for the log, but fits into a page
                Err(Error::Exhausted(Exhausted::Operation)) => return Ok(()),
                found => found?,
            };
            let all = u64::try_from(page.rows).is_ok_and(|rows| rows < limit);
            let first = page.events.first().map(|event| event.feed_position);
            // if there may be more events before it, the first event is not added
            let floor = if all { 0 } else { first.unwrap_or(from) };
            let skipped = usize::from(!all);
            let events: Vec<Event> = Event::batch(page.events).skip(skipped).collect();
            self.listener.channel.log().extend_back(from, floor, events);
            return Ok(());
        }
    }

    /// Reads a page from the table.
    async fn read(&self) -> Result<Page, Error> {
        // read before the settled position, which then covers the whole log
        let tip = self.listener.channel.log().tip();
        let settled = self.reading(PAGE_BYTES).settled().await?.position;
        // not beyond the tip, which is the position of an event, so that the cursor stays valid
        let span = self.span.map(|span| self.cursor.saturating_add(span)).filter(|end| *end < tip);
        // a transaction that was noticed late can lower the settled position below the tip
        let upto = span.or(settled.map(|settled| settled.max(tip)));
        let selected =
            || self.scope.find::<event::Entity>().filter((self.selection.condition)(&self.scope));
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
        self.scope.reading(Instant::now() + STATEMENT_TIMEOUT, bytes)
    }
}
