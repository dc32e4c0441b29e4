//! The one reader of a process.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use campaigns_scope::{Error, FeedReader};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::timeout,
};
use uuid::Uuid;

use crate::log::{Log, size};

/// How long the reader waits before it looks again, unless it is woken.
const POLL: Duration = Duration::from_millis(20);
/// How many events of an organization are read at once, and how many bytes, about, may be read
/// before it is fewer.
const READ_AT_ONCE: i64 = 1_000;
const MANY_BYTES: usize = 4 * 1024 * 1024;
/// How long it waits where the database does not answer.
const RETRY: Duration = Duration::from_millis(250);
/// After how long it looks thoroughly, whatever was known.
const THOROUGH: Duration = Duration::from_secs(1);

/// What several followers of an organization share.
pub(crate) struct Channel {
    pub(crate) log: Mutex<Log>,
    /// Is told when the log has grown.
    pub(crate) grown: watch::Sender<()>,
}

/// The state of the reader.
pub(crate) struct Shared {
    channels: Mutex<HashMap<Uuid, (Arc<Channel>, usize)>>,
    /// Whether there is a channel that was not looked at yet.
    new: AtomicBool,
    wake: Notify,
}

/// The feed of a process. Cloning shares it; it ends with the last clone.
#[derive(Clone)]
pub struct Feed {
    pub(crate) shared: Arc<Shared>,
    _reader: Arc<Reader>,
}

struct Reader(JoinHandle<()>);

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Feed {
    /// Starts the reader, on a task of its own.
    #[must_use]
    pub fn start(reader: FeedReader) -> Self {
        let shared = Arc::new(Shared {
            channels: Mutex::default(),
            new: AtomicBool::new(false),
            wake: Notify::new(),
        });
        let task = tokio::spawn(read(reader, Arc::clone(&shared)));
        Self { shared, _reader: Arc::new(Reader(task)) }
    }

    /// Makes the reader look at once: this process has written events.
    pub fn wake(&self) {
        self.shared.wake.notify_one();
    }
}

/// Somebody who listens to an organization.
pub(crate) struct Listener {
    shared: Arc<Shared>,
    organization: Uuid,
    pub(crate) channel: Arc<Channel>,
    /// Where the channel had come to when this one came.
    pub(crate) joined: i64,
}

impl Listener {
    /// Listens to an organization, from this position on at the latest.
    pub(crate) fn of(shared: &Arc<Shared>, organization: Uuid, position: i64) -> Self {
        let mut channels = shared.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let (channel, listeners) = channels.entry(organization).or_insert_with(|| {
            let (grown, _) = watch::channel(());
            shared.new.store(true, Ordering::SeqCst);
            (Arc::new(Channel { log: Mutex::new(Log::after(position)), grown }), 0)
        });
        *listeners += 1;
        let channel = Arc::clone(channel);
        drop(channels);
        shared.wake.notify_one();
        let joined = channel.tip().max(position);
        Self { shared: Arc::clone(shared), organization, channel, joined }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut channels = self.shared.channels.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, listeners)) = channels.get_mut(&self.organization) {
            *listeners -= 1;
            if *listeners == 0 {
                channels.remove(&self.organization);
            }
        }
    }
}

/// Reads for as long as the process runs.
async fn read(reader: FeedReader, shared: Arc<Shared>) {
    let mut known = None;
    let mut looked = Instant::now();
    let mut failing = false;
    let mut limit = READ_AT_ONCE;
    loop {
        // before the channels are listed: one that comes after that is looked at next time
        let new = shared.new.swap(false, Ordering::SeqCst);
        let channels = shared.channels();
        if channels.is_empty() {
            known = None;
            shared.wake.notified().await;
            continue;
        }
        // what is known is known of the channels that there were; and a crash of the database may
        // take back numbers that were drawn
        if new || looked.elapsed() > THOROUGH {
            known = None;
            looked = Instant::now();
        }
        match look(&reader, &channels, &mut known, &mut limit).await {
            Ok(more) => {
                failing = false;
                if !more {
                    // woken or not, it is time to look
                    timeout(POLL, shared.wake.notified()).await.ok();
                }
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "the feed cannot be read, and is tried again");
                }
                failing = true;
                known = None;
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

/// Looks once, and says whether there may be more at once.
async fn look(
    reader: &FeedReader,
    channels: &[(Uuid, Arc<Channel>)],
    known: &mut Option<i64>,
    limit: &mut i64,
) -> Result<bool, Error> {
    let settled = reader.settled(*known).await?;
    if *known == Some(settled) {
        return Ok(false);
    }
    let tips = channels.iter().map(|(organization, channel)| (*organization, channel.tip()));
    let events = reader.events(tips.collect::<Vec<_>>(), settled, *limit).await?;
    let bytes: usize = events.iter().map(size).sum();
    let channels: HashMap<Uuid, &Arc<Channel>> =
        channels.iter().map(|(organization, channel)| (*organization, channel)).collect();
    let mut read: HashMap<Uuid, i64> = HashMap::new();
    for event in events {
        let Some(channel) = channels.get(&event.org_id) else { continue };
        *read.entry(event.org_id).or_default() += 1;
        channel.log.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::new(event));
    }
    for organization in read.keys() {
        channels[organization].grown.send_replace(());
    }
    let more = read.values().any(|count| *count >= *limit);
    *limit = if bytes > MANY_BYTES { (*limit / 4).max(1) } else { (*limit * 2).min(READ_AT_ONCE) };
    *known = if more { None } else { Some(settled) };
    Ok(more)
}

impl Shared {
    fn channels(&self) -> Vec<(Uuid, Arc<Channel>)> {
        let channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        channels.iter().map(|(id, (channel, _))| (*id, Arc::clone(channel))).collect()
    }
}

impl Channel {
    fn tip(&self) -> i64 {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).tip()
    }
}
