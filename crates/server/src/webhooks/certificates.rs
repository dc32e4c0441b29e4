//! Certificates of Amazon SNS, and confirmations of subscriptions.
//!
//! **Invariants.** Nothing is fetched but what `crates/providers` built from a topic's region: a URL of a request is never
//! visited. A fetch follows no redirect, and has a deadline and a maximum size. Requests of a webhook, which are not
//! authenticated yet, cause at most one fetch in 30 seconds. The number of certificates that are kept is bounded.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use campaigns_providers::bounds::MAX_CERTIFICATE;
use reqwest::{Client, redirect};
use uuid::Uuid;

/// The most certificates that are kept.
const MOST: usize = 16;
/// The time between two fetches because of a webhook.
const BETWEEN: Duration = Duration::from_secs(30);
/// The most webhooks whose last fetch is remembered.
const MOST_WEBHOOKS: usize = 10_000;
/// The time limit of a fetch.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The most bytes of an answer to a confirmation.
const MAX_ANSWER: usize = 64 * 1024;

/// Certificates from files, from a cache, or from Amazon.
pub(crate) struct Certificates {
    pinned: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By URL, with the time of the last use.
    kept: HashMap<String, (Arc<[u8]>, Instant)>,
    /// The time of the last fetch because of a webhook.
    fetched: HashMap<Uuid, Instant>,
}

impl Certificates {
    /// Certificates that are looked up in a directory first, if one is given.
    pub(crate) fn new(pinned: Option<PathBuf>) -> Self {
        Self { pinned, state: Mutex::default() }
    }

    /// The certificate of a URL, if it is there or can be fetched now.
    pub(crate) async fn get(&self, webhook: Uuid, url: &str) -> Option<Arc<[u8]>> {
        if let Some(pem) = self.pinned(url).await {
            return Some(pem);
        }
        if let Some(kept) = self.kept(url) {
            return Some(kept);
        }
        if !self.may_fetch(webhook) {
            return None;
        }
        match fetch(url, MAX_CERTIFICATE).await {
            Ok(pem) => {
                let pem: Arc<[u8]> = pem.into();
                self.keep(url, &pem);
                Some(pem)
            }
            Err(error) => {
                tracing::warn!("a certificate of Amazon SNS could not be fetched: {error:#}");
                None
            }
        }
    }

    /// Confirms a subscription by its URL, and returns whether that succeeded.
    pub(crate) async fn confirm(&self, url: &str) -> bool {
        match fetch(url, MAX_ANSWER).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!("a subscription to a topic could not be confirmed: {error:#}");
                false
            }
        }
    }

    /// The certificate in the file that is named as the last part of the URL.
    async fn pinned(&self, url: &str) -> Option<Arc<[u8]>> {
        let name = url.rsplit('/').next().filter(|name| !name.is_empty() && *name != "..")?;
        let file = self.pinned.as_ref()?.join(name);
        let size = tokio::fs::metadata(&file).await.ok()?.len();
        if size > MAX_CERTIFICATE as u64 {
            return None;
        }
        tokio::fs::read(&file).await.ok().map(Into::into)
    }

    fn kept(&self, url: &str) -> Option<Arc<[u8]>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (pem, used) = state.kept.get_mut(url)?;
        *used = Instant::now();
        Some(Arc::clone(pem))
    }

    fn keep(&self, url: &str, pem: &Arc<[u8]>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.kept.len() >= MOST {
            let oldest = state.kept.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(url, _)| url.clone()) else { break };
            state.kept.remove(&oldest);
        }
        state.kept.insert(url.to_owned(), (Arc::clone(pem), Instant::now()));
    }

    /// Whether a webhook may cause a fetch now. If it may, this counts as one.
    fn may_fetch(&self, webhook: Uuid) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let fetched = &mut state.fetched;
        if fetched.get(&webhook).is_some_and(|at| at.elapsed() < BETWEEN) {
            return false;
        }
        if fetched.len() >= MOST_WEBHOOKS {
            fetched.retain(|_, at| at.elapsed() < BETWEEN);
        }
        if fetched.len() >= MOST_WEBHOOKS {
            return false;
        }
        fetched.insert(webhook, Instant::now());
        true
    }
}

/// Fetches a URL of Amazon.
async fn fetch(url: &str, most: usize) -> anyhow::Result<Vec<u8>> {
    let client = Client::builder()
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .https_only(true)
        // fetches are far apart
        .pool_max_idle_per_host(0)
        .user_agent(concat!("campaigns/", env!("CARGO_PKG_VERSION")))
        .build()
        .context("cannot prepare requests")?;
    // the URL of a confirmation has a token in it
    let mut response = client.get(url).send().await.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    ensure!(status.is_success(), "the answer is {status}");
    let mut content = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if content.len() + chunk.len() > most {
            bail!("the answer has more than {most} bytes");
        }
        content.extend_from_slice(&chunk);
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_webhook_causes_one_fetch_in_30_seconds_and_few_certificates_are_kept() {
        let certificates = Certificates::new(None);
        let (one, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!(certificates.may_fetch(one) && certificates.may_fetch(other));
        assert!(!certificates.may_fetch(one) && !certificates.may_fetch(other));
        let pem: Arc<[u8]> = b"pem".as_slice().into();
        for number in 0..2 * MOST {
            certificates.keep(&number.to_string(), &pem);
        }
        assert_eq!(certificates.state.lock().unwrap().kept.len(), MOST);
        assert!(certificates.kept("0").is_none());
        assert_eq!(certificates.kept(&(2 * MOST - 1).to_string()), Some(pem));
    }

    #[tokio::test]
    async fn a_certificate_comes_from_the_file_that_is_named_as_its_url() {
        let directory = std::env::temp_dir().join(Uuid::new_v4().to_string());
        std::fs::create_dir(&directory).unwrap();
        std::fs::write(directory.join("a.pem"), "pem").unwrap();
        let certificates = Certificates::new(Some(directory.clone()));
        let found = certificates.get(Uuid::nil(), "https://sns.example/a.pem").await;
        assert_eq!(found.as_deref(), Some(b"pem".as_slice()));
        assert!(certificates.pinned("https://sns.example/..").await.is_none());
        std::fs::write(directory.join("b.pem"), vec![0; MAX_CERTIFICATE + 1]).unwrap();
        assert!(certificates.pinned("https://sns.example/b.pem").await.is_none());
        std::fs::remove_dir_all(directory).unwrap();
    }
}
