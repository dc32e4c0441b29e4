//! Keys from a URL: fetched, kept, and fetched again.
//!
//! **Invariants.**
//! - One task fetches, so there is one fetch at a time, and a request that ends does not end a
//!   fetch.
//! - A fetch has a deadline and a maximum size, and stays with the origin that the operator named. While fetches fail, the
//!   last keys stay in use.
//! - Tokens with unknown keys cause at most one fetch in [`Pace::unknown`], however many there are.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use campaigns_scope::{Bearer, InvalidToken, KeySet, Verifier};
use campaigns_tasks::Task;
use reqwest::{Client, Url, redirect};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::Clock;

/// The maximum size of a key set.
const MAX_BYTES: usize = 1 << 20;
/// The maximum number of redirects of a fetch.
const MAX_REDIRECTS: usize = 3;
/// The first pause if there are no keys yet. Each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How often keys are fetched, and how long that may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The maximum time of a fetch.
    pub timeout: Duration,
    /// The time between two regular fetches.
    pub renewal: Duration,
    /// The time until a failed fetch is tried again.
    pub retry: Duration,
    /// The minimum time between two fetches because of unknown keys.
    pub unknown: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            renewal: Duration::from_mins(5),
            retry: Duration::from_secs(30),
            unknown: Duration::from_secs(30),
        }
    }
}

/// What tokens are verified with.
pub enum Keys {
    /// Keys that stay the same.
    Given(Verifier),
    /// Keys from a server.
    Server(KeyServer),
}

impl From<Verifier> for Keys {
    fn from(verifier: Verifier) -> Self {
        Self::Given(verifier)
    }
}

impl From<KeyServer> for Keys {
    fn from(server: KeyServer) -> Self {
        Self::Server(server)
    }
}

impl Keys {
    pub(crate) fn verifier(&self) -> &Verifier {
        match self {
            Self::Given(verifier) => verifier,
            Self::Server(server) => &server.shared.verifier,
        }
    }

    /// The task that fetches them, if any.
    pub(crate) fn task(&self) -> Option<&Task> {
        match self {
            Self::Given(_) => None,
            Self::Server(server) => Some(&server.task),
        }
    }

    /// The bearer of a token. If the key is unknown, waits until the key server was asked for it.
    pub(crate) async fn bearer(&self, token: &str, clock: &Clock) -> Result<Bearer, InvalidToken> {
        let verify = || self.verifier().bearer(token, clock.now());
        match (verify(), self) {
            (Err(InvalidToken::UnknownKey), Self::Server(server)) => {
                server.fetch_unknown_key().await;
                verify()
            }
            (verified, _) => verified,
        }
    }
}

/// Keeps the keys of a [`Verifier`] up to date with a server, until it is dropped.
pub struct KeyServer {
    shared: Arc<Shared>,
    task: Task,
    running: JoinHandle<Infallible>,
}

struct Shared {
    client: Client,
    url: Url,
    pace: Pace,
    verifier: Verifier,
    requests: Mutex<FetchRequests>,
    wake: Notify,
    /// The number of the last fetch request that was served.
    served: watch::Sender<u64>,
}

/// The fetch requests caused by unknown keys.
#[derive(Default)]
struct FetchRequests {
    number: u64,
    last: Option<Instant>,
}

impl KeyServer {
    /// Fetches the keys at this address, once before this returns, and from then on in a task. A
    /// server that does not respond is not an error: the fetch is tried again.
    ///
    /// # Errors
    /// If the process cannot make requests at all.
    pub async fn start(url: Url, verifier: Verifier, pace: Pace) -> anyhow::Result<Self> {
        let client = Client::builder()
            .timeout(pace.timeout)
            .redirect(within_origin())
            .https_only(url.scheme() == "https")
            // fetches are minutes apart
            .pool_max_idle_per_host(0)
            .user_agent(concat!("campaigns/", env!("CARGO_PKG_VERSION")))
            .build()
            .context("cannot prepare requests for keys")?;
        let shared = Arc::new(Shared {
            client,
            url,
            pace,
            verifier,
            requests: Mutex::default(),
            wake: Notify::new(),
            served: watch::Sender::new(0),
        });
        let first = shared.renew().await;
        let task = Task::new("key server");
        let (supervisor, kept) = (task.clone(), Arc::clone(&shared));
        let running = tokio::spawn(async move {
            let mut first = Some(first);
            // after a panic, keys are fetched at once: requests may be waiting for them
            supervisor.run(|| keep(&kept, &supervisor, first.take())).await
        });
        Ok(Self { shared, task, running })
    }

    /// Whether it has provided keys yet.
    pub(crate) fn has_keys(&self) -> bool {
        self.shared.verifier.has_keys()
    }

    /// Fetches the keys because of an unknown one, unless that was done recently, and waits until
    /// the fetch has ended.
    async fn fetch_unknown_key(&self) {
        let Shared { requests, wake, served, pace, .. } = &*self.shared;
        let number = {
            let mut requests = requests.lock().unwrap_or_else(PoisonError::into_inner);
            if requests.last.is_none_or(|last| last.elapsed() >= pace.unknown) {
                requests.last = Some(Instant::now());
                requests.number += 1;
                wake.notify_one();
            }
            requests.number
        };
        // a fetch that has already started does not count, so there may be two to wait for
        let wait = pace.timeout * 2;
        timeout(wait, served.subscribe().wait_for(|served| *served >= number)).await.ok();
    }
}

impl Drop for KeyServer {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Follows redirects of the key server to itself alone: others could lead to keys of another party,
/// or to a service that only this process can reach.
fn within_origin() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let first = attempt.previous().first().map(Url::origin);
        if first.as_ref() != Some(&attempt.url().origin()) {
            attempt.error("it redirects to another origin")
        } else if attempt.previous().len() > MAX_REDIRECTS {
            attempt.error("it redirects too often")
        } else {
            attempt.follow()
        }
    })
}

/// Fetches the keys whenever that is due or requested. `first` says whether the first fetch succeeded;
/// without it, the keys are fetched at once.
async fn keep(shared: &Shared, task: &Task, first: Option<bool>) -> Infallible {
    let mut pause = FIRST_PAUSE;
    let mut has_succeeded = match first {
        Some(has_succeeded) => has_succeeded,
        None => shared.serve_requests(task).await,
    };
    loop {
        let due = if has_succeeded {
            shared.pace.renewal
        } else if shared.verifier.has_keys() {
            shared.pace.retry
        } else {
            let short = pause.min(shared.pace.retry);
            // no longer, or a server that stays away for long would make it overflow
            pause = (pause * 2).min(shared.pace.retry);
            short
        };
        tokio::select! {
            () = sleep(due) => {}
            () = shared.wake.notified() => {}
        }
        has_succeeded = shared.serve_requests(task).await;
    }
}

impl Shared {
    /// Fetches the keys for the requests so far. Returns whether that succeeded.
    async fn serve_requests(&self, task: &Task) -> bool {
        let number = self.requests.lock().unwrap_or_else(PoisonError::into_inner).number;
        let has_succeeded = self.renew().await;
        self.served.send_replace(number);
        task.works();
        has_succeeded
    }

    /// Fetches the keys and uses them. Returns whether that succeeded.
    async fn renew(&self) -> bool {
        let fetched = self.fetch().await;
        let outcome = if fetched.is_ok() { "fetched" } else { "failed" };
        metrics::counter!("campaigns_key_fetches_total", "outcome" => outcome).increment(1);
        match fetched {
            Ok(keys) => {
                self.verifier.replace_keys(keys);
                true
            }
            Err(error) => {
                let then = if self.verifier.has_keys() {
                    "the last ones stay in use"
                } else {
                    "and no token can be verified until then"
                };
                tracing::warn!("the keys could not be fetched, {then}: {error:#}");
                false
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<KeySet> {
        let request = self.client.get(self.url.clone()).header("accept", "application/json");
        // its address may have a password or a key in it
        let mut response = request.send().await.map_err(reqwest::Error::without_url)?;
        let status = response.status();
        ensure!(status.is_success(), "the key server responded with {status}");
        let mut text = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
            if text.len() + chunk.len() > MAX_BYTES {
                bail!("the key set has more than {MAX_BYTES} bytes");
            }
            text.extend_from_slice(&chunk);
        }
        Ok(KeySet::parse(&text)?)
    }
}
