//! The reader of a process.

use std::{
    collections::HashMap,
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use campaigns_entity::event;
use campaigns_scope::{Error, Exhausted, FeedReader, Place, Scope, leave_out};
use campaigns_tasks::Task;
use tokio::{
    sync::{Notify, OnceCell, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use crate::{Event, log::Log, shelf::Shelf};

/// How long the reader waits before it checks again, unless it is woken.
const POLL: Duration = Duration::from_millis(20);
/// How many events of an organization are read at once.
const READ_AT_ONCE: i64 = 1_000;
/// How many organizations are read at once.
const ORGANIZATIONS: usize = 200;
/// The approximate number of bytes that are read at once, and the maximum for one event. Larger
/// ones are left out.
const BYTES: usize = 16 * 1024 * 1024;
const EVENT_BYTES: usize = 64 * 1024 * 1024;
/// How long it waits if the database does not respond.
const RETRY: Duration = Duration::from_millis(250);
/// The time between two full checks, whatever is known.
const THOROUGH: Duration = Duration::from_secs(1);
/// The time after which a transaction that holds up the feed is logged.
const STALLED: Duration = Duration::from_secs(3);
/// The time between two log entries about it.
const STALLED_AGAIN: Duration = Duration::from_secs(30);

/// The channel that the followers of an organization share.
pub(crate) struct Channel {
    log: Mutex<Log>,
    pub(crate) shelf: Shelf,
    /// Set once the log has been extended to before its start.
    pub(crate) back: OnceCell<()>,
    /// Notified when the log has grown, or the feed has gone back.
    pub(crate) grown: watch::Sender<()>,
    went_back: AtomicBool,
}

impl Channel {
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the feed has gone back to before events that the log has seen.
    pub(crate) fn went_back(&self) -> bool {
        self.went_back.load(Ordering::SeqCst)
    }
}

/// The state of the reader.
pub(crate) struct Shared {
    channels: Mutex<HashMap<Uuid, (Arc<Channel>, usize)>>,
    /// Whether there is a new channel that has not been read yet.
    new: AtomicBool,
    wake: Notify,
    /// The feed's incarnation, once known.
    incarnation: Mutex<Option<Arc<str>>>,
    /// When the reader last had every settled event; `None` while nobody listens.
    caught_up: Mutex<Option<Instant>>,
    /// Since when a transaction has held up the feed.
    stalled: Mutex<Option<Instant>>,
}

/// What the feed of a process holds and how far it is behind.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedState {
    /// Events in the logs of all organizations.
    pub events: usize,
    /// Bytes that they take.
    pub bytes: usize,
    /// How long ago the reader last had every settled event; zero while nobody listens.
    pub lag: Duration,
    /// How long an open transaction, or a reader that fails, has held up the feed.
    pub stalled: Duration,
    /// Organizations with a listener.
    pub organizations: usize,
}

/// The feed of a process. Clones share it; it ends with the last clone.
#[derive(Clone)]
pub struct Feed {
    pub(crate) shared: Arc<Shared>,
    task: Task,
    _running: Arc<Running>,
}

struct Running(JoinHandle<Infallible>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Feed {
    /// Starts the reader in a new task.
    #[must_use]
    pub fn start(reader: FeedReader) -> Self {
        let shared = Arc::new(Shared {
            channels: Mutex::default(),
            new: AtomicBool::new(false),
            wake: Notify::new(),
            incarnation: Mutex::default(),
            caught_up: Mutex::default(),
            stalled: Mutex::default(),
        });
        let (task, database) = (Task::new("feed reader"), Arc::new(reader));
        let (supervisor, of_reader) = (task.clone(), Arc::clone(&shared));
        let running = tokio::spawn(async move {
            let start = || Reader::new(&database, &of_reader, &supervisor).read();
            supervisor.run(start).await
        });
        Self { shared, task, _running: Arc::new(Running(running)) }
    }

    /// The task of the reader.
    #[must_use]
    pub fn task(&self) -> &Task {
        &self.task
    }

    /// What the logs hold now, and how far the reader is behind.
    #[must_use]
    pub fn state(&self) -> FeedState {
        let since = |at: Option<Instant>| at.map_or(Duration::ZERO, |at| at.elapsed());
        let held_up = Some(since(*self.shared.stalled())).filter(|age| *age >= STALLED);
        let channels = self.shared.listed();
        let sizes = channels.iter().map(|(_, channel)| channel.log().size());
        let (events, bytes) =
            sizes.fold((0, 0), |sum, (events, bytes)| (sum.0 + events, sum.1 + bytes));
        FeedState {
            events,
            bytes,
            lag: since(*self.shared.caught_up()),
            stalled: held_up.max(self.task.failing_for()).unwrap_or_default(),
            organizations: channels.len(),
        }
    }

    /// Wakes the reader, because this process has written events.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }
}

/// A listener of an organization.
pub(crate) struct Listener {
    shared: Arc<Shared>,
    organization: Uuid,
    pub(crate) channel: Arc<Channel>,
    /// The position of the channel when this listener joined.
    pub(crate) joined: i64,
}

impl Listener {
    /// Listens to an organization, starting at this place or earlier.
    pub(crate) fn of(shared: &Arc<Shared>, scope: &Scope, place: &Place) -> Self {
        let organization = scope.organization();
        let mut channels = shared.channels();
        let (channel, listeners) = channels.entry(organization).or_insert_with(|| {
            let (grown, _) = watch::channel(());
            shared.new.store(true, Ordering::SeqCst);
            let channel = Channel {
                log: Mutex::new(Log::after(place, scope.budget())),
                shelf: Shelf::default(),
                back: OnceCell::new(),
                grown,
                went_back: AtomicBool::new(false),
            };
            (Arc::new(channel), 0)
        });
        *listeners += 1;
        let channel = Arc::clone(channel);
        drop(channels);
        shared.wake.notify_one();
        let joined = channel.log().tip().max(place.position);
        Self { shared: Arc::clone(shared), organization, channel, joined }
    }

    /// The feed's incarnation, as far as the reader knows.
    pub(crate) fn incarnation(&self) -> Option<Arc<str>> {
        self.shared.incarnation().clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut channels = self.shared.channels();
        let Some((channel, listeners)) = channels.get_mut(&self.organization) else { return };
        // there may be another one by now, after the feed went back
        if Arc::ptr_eq(channel, &self.channel) {
            *listeners -= 1;
            if *listeners == 0 {
                channels.remove(&self.organization);
            }
        }
    }
}

type Channels = Vec<(Uuid, Arc<Channel>)>;

struct Reader {
    database: Arc<FeedReader>,
    shared: Arc<Shared>,
    task: Task,
    /// The settled position that all channels have reached.
    known: Option<i64>,
    limit: i64,
    stalled: Option<Stalled>,
}

/// The transaction that holds the feed up.
struct Stalled {
    entered: i64,
    since: Instant,
    named: Option<Instant>,
}

impl Reader {
    fn new(database: &Arc<FeedReader>, shared: &Arc<Shared>, task: &Task) -> Self {
        Self {
            database: Arc::clone(database),
            shared: Arc::clone(shared),
            task: task.clone(),
            known: None,
            limit: READ_AT_ONCE,
            stalled: None,
        }
    }

    /// Reads while the process runs.
    async fn read(mut self) -> Infallible {
        let mut looked: Option<Instant> = None;
        let mut failing = false;
        // a reader that panicked may have added events without notifying the waiters
        for (_, channel) in self.shared.listed() {
            channel.grown.send_replace(());
        }
        loop {
            // before the channels are listed: a later one is read next time
            let new = self.shared.new.swap(false, Ordering::SeqCst);
            let channels = self.shared.listed();
            if channels.is_empty() {
                self.known = None;
                self.stalled = None;
                *self.shared.caught_up() = None;
                *self.shared.stalled() = None;
                self.task.works();
                self.shared.wake.notified().await;
                continue;
            }
            self.shared.caught_up().get_or_insert_with(Instant::now);
            // what is known applies to the channels that existed; and a crash of the database may
            // take back drawn numbers
            if new || looked.is_none_or(|looked| looked.elapsed() > THOROUGH) {
                self.known = None;
                looked = Some(Instant::now());
            }
            match self.look(&channels).await {
                Ok(more) => {
                    failing = false;
                    self.task.works();
                    if !more {
                        *self.shared.caught_up() = Some(Instant::now());
                        // woken or not, it is time to check
                        timeout(POLL, self.shared.wake.notified()).await.ok();
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the feed cannot be read; trying again");
                    }
                    failing = true;
                    self.known = None;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Checks once, and returns whether there may be more right away.
    async fn look(&mut self, channels: &Channels) -> Result<bool, Error> {
        let settled = match self.known {
            Some(known) => {
                let settled = self.database.settled_since(known).await?;
                if settled == known {
                    return Ok(false);
                }
                settled
            }
            None => self.look_thoroughly(channels).await?,
        };
        let mut more = false;
        for some in channels.chunks(ORGANIZATIONS) {
            more |= self.look_at(some, settled).await?;
        }
        self.known = (!more).then_some(settled);
        Ok(more)
    }

    /// The settled position of the feed. Also checks whether it is still the same feed, and what
    /// holds it up.
    async fn look_thoroughly(&mut self, channels: &Channels) -> Result<i64, Error> {
        let settled = self.database.settled().await?;
        let position = settled.position.unwrap_or(i64::MAX);
        let was = self.shared.incarnation().clone();
        let is_other = was.is_some_and(|was| was != settled.incarnation);
        let is_behind = channels.iter().any(|(_, channel)| channel.log().tip() > position);
        if is_other || is_behind {
            tracing::warn!(
                incarnation = %settled.incarnation, settled = position,
                "the feed was replaced, or has gone back"
            );
            self.close_those_ahead(channels).await?;
        }
        // not before they are closed, so that this is repeated if it fails
        *self.shared.incarnation() = Some(settled.incarnation);
        self.look_for_holder().await?;
        Ok(position)
    }

    /// Closes the channels that have seen events that are no longer in the feed.
    async fn close_those_ahead(&self, channels: &Channels) -> Result<(), Error> {
        let seen = |(organization, channel): &(Uuid, Arc<Channel>)| {
            let log = channel.log();
            log.tip_id().map(|id| (*organization, log.tip(), id))
        };
        let seen: Vec<(Uuid, i64, Uuid)> = channels.iter().filter_map(seen).collect();
        let places: Vec<(Uuid, i64)> = seen.iter().map(|(of, at, _)| (*of, *at)).collect();
        let present = self.database.present(&places).await?;
        let settled = self.database.settled().await?.position.unwrap_or(i64::MAX);
        for (organization, channel) in channels {
            let gone = match seen.iter().find(|(of, ..)| of == organization) {
                Some(place) => !present.contains(place),
                None => channel.log().tip() > settled,
            };
            if gone {
                channel.went_back.store(true, Ordering::SeqCst);
                channel.grown.send_replace(());
                self.shared.channels().remove(organization);
            }
        }
        Ok(())
    }

    /// Logs the transaction that has held up the feed for some time: an open one that has written
    /// events.
    async fn look_for_holder(&mut self) -> Result<(), Error> {
        let holder = self.database.holder().await?.filter(|holder| holder.drawn > holder.entered);
        let Some(holder) = holder else {
            self.stalled = None;
            *self.shared.stalled() = None;
            return Ok(());
        };
        let stalled = match &mut self.stalled {
            Some(stalled) if stalled.entered == holder.entered => stalled,
            _ => self.stalled.insert(Stalled {
                entered: holder.entered,
                since: Instant::now(),
                named: None,
            }),
        };
        *self.shared.stalled() = Some(stalled.since);
        let age = stalled.since.elapsed();
        if age < STALLED {
            return Ok(());
        }
        if stalled.named.is_none_or(|named| named.elapsed() > STALLED_AGAIN) {
            stalled.named = Some(Instant::now());
            tracing::warn!(
                process = holder.process,
                seconds = age.as_secs(),
                waiting = holder.drawn - holder.entered,
                "an open transaction that has written events holds the live feed up; check \
                 pg_stat_activity, and set idle_in_transaction_session_timeout"
            );
        }
        Ok(())
    }

    /// Reads new events of some organizations, and returns whether there may be more right away.
    async fn look_at(
        &mut self,
        channels: &[(Uuid, Arc<Channel>)],
        settled: i64,
    ) -> Result<bool, Error> {
        let tips: Vec<(Uuid, i64)> = channels
            .iter()
            .map(|(organization, channel)| (*organization, channel.log().tip()))
            .collect();
        let rows = match self.database.events(&tips, settled, self.limit, BYTES).await {
            Err(Error::Exhausted(Exhausted::Operation)) if self.limit > 1 => {
                self.limit = (self.limit / 8).max(1);
                return Ok(true);
            }
            Err(Error::Exhausted(Exhausted::Operation)) => {
                for (organization, channel) in channels {
                    self.look_at_one(*organization, channel, settled).await?;
                }
                return Ok(true);
            }
            rows => rows?,
        };
        let channels: HashMap<Uuid, &Arc<Channel>> =
            channels.iter().map(|(organization, channel)| (*organization, channel)).collect();
        let mut found: HashMap<Uuid, Vec<(i64, Option<event::Model>)>> = HashMap::new();
        for row in rows {
            found.entry(row.organization).or_default().push((row.position, row.event));
        }
        let mut more = false;
        for (organization, rows) in found {
            more |= i64::try_from(rows.len()).is_ok_and(|rows| rows >= self.limit);
            if let Some(channel) = channels.get(&organization) {
                append(channel, rows);
            }
        }
        self.limit = (self.limit * 2).min(READ_AT_ONCE);
        Ok(more)
    }

    /// Reads the next event of one organization, or skips it if it is too large.
    async fn look_at_one(
        &self,
        organization: Uuid,
        channel: &Channel,
        settled: i64,
    ) -> Result<(), Error> {
        let tip = channel.log().tip();
        match self.database.events(&[(organization, tip)], settled, 1, EVENT_BYTES).await {
            Err(Error::Exhausted(Exhausted::Operation)) => {
                if let Some(position) = self.database.next_position(organization, tip).await? {
                    tracing::warn!(position, "an event is too large and is left out");
                    append(channel, vec![(position, None)]);
                }
            }
            rows => {
                let rows = rows?.into_iter().map(|row| (row.position, row.event));
                append(channel, rows.collect());
            }
        }
        Ok(())
    }
}

/// Adds events to the log of a channel, and notifies the waiters.
fn append(channel: &Channel, rows: Vec<(i64, Option<event::Model>)>) {
    if rows.is_empty() {
        return;
    }
    let mut positions = Vec::with_capacity(rows.len());
    let mut events = Vec::with_capacity(rows.len());
    for (position, event) in rows {
        positions.push((position, event.is_some()));
        events.extend(event);
    }
    metrics::counter!("campaigns_feed_events_total").increment(events.len() as u64);
    let mut events = Event::batch(events);
    {
        let mut log = channel.log();
        for (position, is_readable) in positions {
            let event = if is_readable { events.next() } else { None };
            // an event that makes this panic would make the next reader panic as well
            let added = event.map(|event| catch_unwind(AssertUnwindSafe(|| log.push(event))));
            match added {
                Some(Ok(())) => {}
                None => log.skip(position),
                Some(Err(_)) => {
                    leave_out("campaign_events", &"it makes the reader panic");
                    log.skip(position);
                }
            }
        }
    }
    channel.grown.send_replace(());
}

impl Shared {
    fn channels(&self) -> MutexGuard<'_, HashMap<Uuid, (Arc<Channel>, usize)>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn incarnation(&self) -> MutexGuard<'_, Option<Arc<str>>> {
        self.incarnation.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn caught_up(&self) -> MutexGuard<'_, Option<Instant>> {
        self.caught_up.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stalled(&self) -> MutexGuard<'_, Option<Instant>> {
        self.stalled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listed(&self) -> Channels {
        self.channels().iter().map(|(id, (channel, _))| (*id, Arc::clone(channel))).collect()
    }
}
