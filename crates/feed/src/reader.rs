//! The feed reader of a process.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use campaigns_entity::event;
use campaigns_scope::{
    Bucket, Error, Exhausted, FeedReader, Horizon, Place, Scope, Span, leave_out,
};
use campaigns_tasks::Task;
use tokio::{
    sync::{Notify, OnceCell, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use crate::{
    Event,
    log::Log,
    page_cache::PageCache,
    stalled::{STALLED, StallMonitor},
};

/// The pause between two polls, unless the reader is woken.
const POLL: Duration = Duration::from_millis(20);
/// The number of organizations that are read at once, and the number of events of each. An
/// organization with more events is behind, and is read after the others.
const ORGANIZATIONS: usize = 200;
const EVENTS: i64 = 32;
/// The number of organizations behind that are read at once, and the number of events of each. They
/// delay the others by one such read.
const BEHIND: usize = 4;
const EVENTS_BEHIND: i64 = 256;
/// The approximate number of bytes that are read at once, and the maximum of one event. Larger events
/// are left out.
const BYTES: usize = 16 * 1024 * 1024;
const EVENT_BYTES: usize = 64 * 1024 * 1024;
/// The pause after an error of the database.
const RETRY: Duration = Duration::from_millis(250);
/// The time after which a read that has not ended counts as failing.
const PATIENCE: Duration = Duration::from_secs(5);
/// The time between two full checks. They are needed because a crash of the database can lose drawn
/// positions.
const FULL_CHECK: Duration = Duration::from_secs(1);
/// The time between two log entries about positions that are drawn again.
const LOG_INTERVAL: Duration = Duration::from_secs(30);

/// The channel that the followers of an organization share.
pub(crate) struct Channel {
    bucket: Bucket,
    log: Mutex<Log>,
    pub(crate) page_cache: PageCache,
    /// Set once the log has been extended backwards.
    pub(crate) back: OnceCell<()>,
    /// Notified when the log has grown, or the feed has gone back.
    pub(crate) changes: watch::Sender<()>,
    went_back: AtomicBool,
}

impl Channel {
    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the feed has lost events that the log had.
    pub(crate) fn went_back(&self) -> bool {
        self.went_back.load(Ordering::SeqCst)
    }
}

/// The state of the reader.
pub(crate) struct ReaderState {
    channels: Mutex<HashMap<Uuid, (Arc<Channel>, usize)>>,
    /// Whether there is a channel that has not been read yet.
    new: AtomicBool,
    wake: Notify,
    /// The feed's incarnation, once known.
    incarnation: Mutex<Option<Arc<str>>>,
    /// When the reader last had every settled event. `None` without listeners.
    caught_up: Mutex<Option<Instant>>,
    /// When the transaction that delays the feed was first seen.
    stalled: Mutex<Option<Instant>>,
}

/// The size and the lag of a process's feed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FeedState {
    /// The number of events in the logs of all organizations.
    pub events: usize,
    /// The number of bytes of these events.
    pub bytes: usize,
    /// The time since the reader last had every settled event. Zero without listeners.
    pub lag: Duration,
    /// The time for which an open transaction or a failing reader has delayed the feed.
    pub stalled: Duration,
    /// The number of organizations with listeners.
    pub organizations: usize,
}

/// The feed of a process. Clones share it, and dropping the last one stops the reader.
#[derive(Clone)]
pub struct Feed {
    pub(crate) shared: Arc<ReaderState>,
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
        let shared = Arc::new(ReaderState {
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

    /// The current size and lag.
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
    shared: Arc<ReaderState>,
    organization: Uuid,
    pub(crate) channel: Arc<Channel>,
    /// The tip of the log when this listener joined.
    pub(crate) joined: i64,
}

impl Listener {
    /// Listens to an organization. A new log starts at this place.
    pub(crate) fn of(shared: &Arc<ReaderState>, scope: &Scope, place: &Place) -> Self {
        let organization = scope.organization();
        let mut channels = shared.channels();
        let (channel, listeners) = channels.entry(organization).or_insert_with(|| {
            let (changes, _) = watch::channel(());
            shared.new.store(true, Ordering::SeqCst);
            let channel = Channel {
                bucket: Bucket::of(organization),
                log: Mutex::new(Log::after(place, scope.budget())),
                page_cache: PageCache::default(),
                back: OnceCell::new(),
                changes,
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

    /// The feed's incarnation, if the reader has read it.
    pub(crate) fn incarnation(&self) -> Option<Arc<str>> {
        self.shared.incarnation().clone()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut channels = self.shared.channels();
        let Some((channel, listeners)) = channels.get_mut(&self.organization) else { return };
        // the feed may have gone back, and the organization may have another channel now
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
    shared: Arc<ReaderState>,
    task: Task,
    /// The last drawn position, if all channels have every event up to it.
    known: Option<i64>,
    /// When the last full check started.
    checked: Option<Instant>,
    /// The organizations with more events than one read returns, in order of their turns.
    behind: VecDeque<Uuid>,
    /// The number of events of an organization to read at once. Reduced if they exceed [`BYTES`].
    limit: i64,
    stalled: StallMonitor,
    /// When the last log entry about positions that are drawn again was written.
    drawn_again: Option<Instant>,
}

impl Reader {
    fn new(database: &Arc<FeedReader>, shared: &Arc<ReaderState>, task: &Task) -> Self {
        Self {
            database: Arc::clone(database),
            shared: Arc::clone(shared),
            task: task.clone(),
            known: None,
            checked: None,
            behind: VecDeque::new(),
            limit: EVENTS_BEHIND,
            stalled: StallMonitor::default(),
            drawn_again: None,
        }
    }

    /// Reads until the process ends.
    async fn read(mut self) -> Infallible {
        let mut failing = false;
        // a reader that panicked may have added events without notifying followers
        for (_, channel) in self.shared.listed() {
            channel.changes.send_replace(());
        }
        loop {
            // reset before the channels are listed, so that a later channel is read next time
            let new = self.shared.new.swap(false, Ordering::SeqCst);
            let channels = self.shared.listed();
            if channels.is_empty() {
                self.checked = None;
                self.stalled.forget();
                *self.shared.caught_up() = None;
                *self.shared.stalled() = None;
                self.task.works();
                self.shared.wake.notified().await;
                continue;
            }
            self.shared.caught_up().get_or_insert_with(Instant::now);
            // `known` does not apply to the new channel
            if new {
                self.checked = None;
            }
            let task = self.task.clone();
            match task.attempt(PATIENCE, self.poll(&channels)).await {
                Ok(more) => {
                    failing = false;
                    self.task.works();
                    if !more {
                        *self.shared.caught_up() = Some(Instant::now());
                        // poll again, whether woken or not
                        timeout(POLL, self.shared.wake.notified()).await.ok();
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(%error, "the feed cannot be read; retrying");
                    }
                    failing = true;
                    self.task.fails();
                    self.checked = None;
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Reads new events once, and returns whether there may be more.
    async fn poll(&mut self, channels: &Channels) -> Result<bool, Error> {
        let horizon = if self.checked.is_none_or(|at| at.elapsed() > FULL_CHECK) {
            self.check_fully(channels).await?
        } else {
            match self.database.horizon_since(self.known).await? {
                Some(horizon) => horizon,
                None => return Ok(false),
            }
        };
        // organizations with few new events do not wait for those with many, which take turns
        let behind: HashSet<Uuid> = self.behind.iter().copied().collect();
        let near: Vec<_> =
            channels.iter().filter(|(id, _)| !behind.contains(id)).cloned().collect();
        let turn: Vec<Uuid> = self.behind.drain(..self.behind.len().min(BEHIND)).collect();
        let behind: Vec<_> = channels.iter().filter(|(id, _)| turn.contains(id)).cloned().collect();
        for some in near.chunks(ORGANIZATIONS) {
            self.read_channels(some, &horizon, EVENTS).await?;
        }
        self.read_channels(&behind, &horizon, EVENTS_BEHIND).await?;
        // the end of a transaction does not change the drawn position
        let is_held =
            channels.iter().any(|(_, channel)| horizon.of(channel.bucket) < horizon.drawn());
        let more = !self.behind.is_empty();
        self.known = (!more && !is_held).then_some(horizon.drawn());
        Ok(more)
    }

    /// Reads the horizon, and checks whether the feed was replaced and whether a transaction delays it.
    async fn check_fully(&mut self, channels: &Channels) -> Result<Horizon, Error> {
        let now = Instant::now();
        let (horizon, incarnation) = self.database.horizon().await?;
        let was = self.shared.incarnation().clone();
        let is_other = was.is_some_and(|was| was != incarnation);
        let is_ahead =
            |(_, channel): &(Uuid, Arc<Channel>)| channel.log().tip() > horizon.of(channel.bucket);
        if is_other || channels.iter().any(is_ahead) {
            let closed = self.close_lost_channels(channels).await?;
            let drawn = horizon.drawn();
            if is_other || closed {
                tracing::warn!(%incarnation, drawn, "the feed was replaced, or has gone back");
            } else if channels.iter().any(|(_, channel)| channel.log().tip() > drawn)
                && self.drawn_again.is_none_or(|at| at.elapsed() > LOG_INTERVAL)
            {
                self.drawn_again = Some(Instant::now());
                tracing::error!(
                    drawn,
                    "positions of the feed are drawn again, and followers miss events: \
                     campaign_feed_position was set back; `campaigns doctor` shows the fix"
                );
            }
        }
        // detects a table that cannot be read before it has new events
        self.database.events(&[], 1, BYTES).await?;
        // stored after the channels are closed, so that a failure is repeated
        *self.shared.incarnation() = Some(incarnation);
        self.stalled.update(&self.database).await?;
        *self.shared.stalled() = self.stalled.since();
        self.checked = Some(now);
        Ok(horizon)
    }

    /// Closes the channels whose latest event is no longer in the feed, and returns whether there were
    /// any.
    async fn close_lost_channels(&self, channels: &Channels) -> Result<bool, Error> {
        let seen = |(organization, channel): &(Uuid, Arc<Channel>)| {
            let log = channel.log();
            log.tip_id().map(|id| (*organization, log.tip(), id))
        };
        let seen: Vec<(Uuid, i64, Uuid)> = channels.iter().filter_map(seen).collect();
        let places: Vec<(Uuid, i64)> = seen.iter().map(|(of, at, _)| (*of, *at)).collect();
        let present = self.database.present(&places).await?;
        let (horizon, _) = self.database.horizon().await?;
        let mut closed = false;
        for (organization, channel) in channels {
            let gone = match seen.iter().find(|(of, ..)| of == organization) {
                Some(place) => !present.contains(place),
                None => channel.log().tip() > horizon.drawn(),
            };
            if gone {
                closed = true;
                channel.went_back.store(true, Ordering::SeqCst);
                channel.changes.send_replace(());
                self.shared.channels().remove(organization);
            }
        }
        Ok(closed)
    }

    /// Reads new events of some organizations, at most `most` of each. Organizations that may have more
    /// are added to `behind`.
    async fn read_channels(
        &mut self,
        channels: &[(Uuid, Arc<Channel>)],
        horizon: &Horizon,
        most: i64,
    ) -> Result<(), Error> {
        let mut spans: Vec<Span> = Vec::with_capacity(channels.len());
        for (organization, channel) in channels {
            let (after, upto) = (channel.log().tip(), horizon.of(channel.bucket));
            if after < upto {
                spans.push(Span { organization: *organization, after, upto });
            }
        }
        if spans.is_empty() {
            return Ok(());
        }
        let limit = most.min(self.limit);
        let rows = match self.database.events(&spans, limit, BYTES).await {
            Err(Error::Exhausted(Exhausted::Operation)) => {
                if limit > 1 {
                    self.limit = (limit / 8).max(1);
                } else {
                    for span in &spans {
                        let of_span = channels.iter().find(|(id, _)| *id == span.organization);
                        if let Some((_, channel)) = of_span {
                            self.read_oversized(*span, channel).await?;
                        }
                    }
                }
                self.behind.extend(spans.iter().map(|span| span.organization));
                return Ok(());
            }
            rows => rows?,
        };
        let channels: HashMap<Uuid, &Arc<Channel>> =
            channels.iter().map(|(organization, channel)| (*organization, channel)).collect();
        let mut found: HashMap<Uuid, Vec<(i64, Option<event::Model>)>> = HashMap::new();
        for row in rows {
            found.entry(row.organization).or_default().push((row.position, row.event));
        }
        for (organization, rows) in found {
            if i64::try_from(rows.len()).is_ok_and(|rows| rows >= limit) {
                self.behind.push_back(organization);
            }
            if let Some(channel) = channels.get(&organization) {
                append(channel, rows);
            }
        }
        self.limit = (self.limit * 2).min(EVENTS_BEHIND);
        Ok(())
    }

    /// Reads the next event of one organization, or skips it if it is too large.
    async fn read_oversized(&self, span: Span, channel: &Channel) -> Result<(), Error> {
        match self.database.events(&[span], 1, EVENT_BYTES).await {
            Err(Error::Exhausted(Exhausted::Operation)) => {
                let Span { organization, after, .. } = span;
                if let Some(position) = self.database.next_position(organization, after).await? {
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

/// Adds events to the log of a channel, and notifies its followers.
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
            // otherwise the event would make the restarted reader panic as well
            let added = event.map(|event| catch_unwind(AssertUnwindSafe(|| log.push(event))));
            match added {
                Some(Ok(())) => {}
                None => log.skip(position),
                Some(Err(_)) => {
                    leave_out("campaign_events", &"it makes the feed reader panic");
                    log.skip(position);
                }
            }
        }
    }
    channel.changes.send_replace(());
}

impl ReaderState {
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
