//! Following: the next event after a cursor, wherever it is.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError},
    time::Duration,
};

use campaigns_entity::event;
use campaigns_scope::{Error, KeyValue, Scope, Window};
use sea_orm::sea_query::{Expr, ExprTrait};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Event, Feed, latest, log::Found, order, position, reader::Listener};

/// How many events are read from the table at once.
const PAGE: u64 = 256;
/// How long to wait where the database does not answer.
const RETRY: Duration = Duration::from_millis(250);

/// Which events a follower wants, said twice: in SQL, and for an event in memory. The two mean
/// the same.
pub struct Wanted {
    /// For the table.
    pub condition: Expr,
    /// For the log.
    pub selects: Box<dyn Fn(&event::Model) -> bool + Send + Sync>,
}

/// Somebody who follows an organization's events.
pub struct Follower {
    scope: Arc<Scope>,
    wanted: Wanted,
    cursor: i64,
    /// Taken and not given yet.
    taken: VecDeque<Event>,
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
        let now = latest(&scope).await?.map_or(0, |event| event.feed_position);
        let listener = Listener::of(&self.shared, scope.organization(), now);
        let grown = listener.channel.grown.subscribe();
        let cursor = after.unwrap_or(now);
        Ok(Follower { scope, wanted, cursor, taken: VecDeque::new(), listener, grown })
    }
}

impl Follower {
    /// The next event that is wanted; waits until there is one. May be dropped while it waits, and
    /// asked again. While the database does not answer, it waits too.
    ///
    /// # Errors
    /// What the database says, other than that it does not answer.
    pub async fn next(&mut self) -> Result<Event, Error> {
        loop {
            if let Some(event) = self.taken.pop_front() {
                return Ok(event);
            }
            self.grown.mark_unchanged();
            match self.look() {
                Found::Events(events) => {
                    self.cursor = events.last().map_or(self.cursor, |event| event.feed_position);
                    let selects = &self.wanted.selects;
                    self.taken.extend(events.into_iter().filter(|event| selects(event)));
                }
                Found::Nothing => {
                    // the sender lives as long as the listener
                    self.grown.changed().await.ok();
                }
                Found::Behind => match self.catch_up().await {
                    Ok(()) => {}
                    Err(Error::Unavailable(_) | Error::Timeout(_) | Error::Deadlock(_)) => {
                        tokio::time::sleep(RETRY).await;
                    }
                    Err(error) => return Err(error),
                },
            }
        }
    }

    fn look(&self) -> Found {
        let log = self.listener.channel.log.lock().unwrap_or_else(PoisonError::into_inner);
        log.after_cursor(self.cursor)
    }

    /// Takes a page from the table.
    async fn catch_up(&mut self) -> Result<(), Error> {
        // whatever is settled by the next statement includes all that the log has now
        let tip = {
            let log = self.listener.channel.log.lock().unwrap_or_else(PoisonError::into_inner);
            log.tip()
        };
        let mut selected = self.scope.find::<event::Entity>().filter(self.wanted.condition.clone());
        if let Some(settled) = self.scope.settled().await? {
            selected = selected.filter(position().lte(settled));
        }
        // no row has this id, so all at the cursor's position come before
        let cursor = vec![KeyValue::Integer(self.cursor), KeyValue::Id(Uuid::max())];
        let window = Window { limit: PAGE, from_end: false, cursor: Some(cursor) };
        let page = self.scope.page(selected, &order(), &window).await?;
        let last = page.rows.last().map_or(self.cursor, |(event, _)| event.feed_position);
        self.cursor = if page.more { last } else { std::cmp::max(last, tip) };
        self.taken.extend(page.rows.into_iter().map(|(event, _)| Arc::new(event)));
        Ok(())
    }
}
