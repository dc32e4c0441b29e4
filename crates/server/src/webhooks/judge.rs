//! Judges a request: verifies its signature, and reads its events.

use std::sync::Arc;

use campaigns_encryption::Keyring;
use campaigns_providers::{
    Certificate, MachineAgents, Outcome, Provider, Refusal, Report, Request, Verdict,
    Webhook as ProviderWebhook,
};
use campaigns_scope::{OnceToken, Webhook};
use chrono::{DateTime, Utc};
use http::HeaderMap;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// A webhook with its keys.
pub(super) struct Configured {
    id: Uuid,
    webhook: ProviderWebhook,
}

/// A request whose body was read.
pub(super) struct Received {
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) at: DateTime<Utc>,
}

/// Why a webhook cannot be used.
pub(super) struct NotConfigured(pub(super) String);

/// What to do with a request.
pub(super) enum Judgement {
    /// Record its events.
    Taken {
        once: Option<OnceToken>,
        outcomes: Vec<Outcome>,
    },
    Refused(Refusal),
    /// Judge it again with the certificate of this URL.
    NeedsCertificate(String),
    /// Fetch this URL.
    Confirm(String),
}

impl Configured {
    /// Opens the keys of a webhook. Keys that cannot be opened verify nothing.
    pub(super) fn new(
        provider: Provider,
        webhook: &Webhook,
        keyring: &Keyring,
        url: Option<String>,
    ) -> Result<Self, NotConfigured> {
        let opened = webhook.keys.iter().filter_map(|(id, sealed)| keyring.open(*id, sealed).ok());
        let keys: Vec<String> = opened.filter_map(|key| String::from_utf8(key).ok()).collect();
        if keys.len() < webhook.keys.len() {
            let message = "no --encryption-key opens some of its keys; see `campaigns doctor`";
            if keys.is_empty() {
                return Err(NotConfigured(message.to_owned()));
            }
            tracing::warn!(webhook = %webhook.id, "a webhook works in part: {message}");
        }
        let configured = ProviderWebhook::new(provider, &keys, &webhook.topic_arns, url);
        let configured = configured.map_err(|error| NotConfigured(error.to_string()))?;
        Ok(Self { id: webhook.id, webhook: configured })
    }

    /// Judges a request.
    pub(super) fn judge(
        &self,
        received: &Received,
        certificate: Option<&(String, Arc<[u8]>)>,
        agents: &MachineAgents,
    ) -> Judgement {
        let Received { headers, body, at } = received;
        let request = Request { headers, body, received_at: *at };
        let certificate = certificate.map(|(url, pem)| Certificate { url, pem });
        let accepted = match self.webhook.verify(request, certificate) {
            Verdict::Accepted(accepted) => accepted,
            Verdict::Refused(refusal) => return Judgement::Refused(refusal),
            Verdict::NeedsCertificate { url } => return Judgement::NeedsCertificate(url),
            Verdict::Confirm { url } => return Judgement::Confirm(url),
            Verdict::Ping => return Judgement::Taken { once: None, outcomes: Vec::new() },
        };
        match accepted.read(agents) {
            Ok(outcomes) => {
                let once = accepted.once().map(|once| OnceToken {
                    webhook: self.id,
                    token: Sha256::digest(once.token.as_bytes()).into(),
                    events: self.hash(&outcomes),
                    until: once.until,
                });
                Judgement::Taken { once, outcomes }
            }
            Err(refusal) => Judgement::Refused(refusal),
        }
    }

    /// The hash of what a request reports: the same for a retry, and another for other events.
    fn hash(&self, outcomes: &[Outcome]) -> [u8; 32] {
        let mut hash = Sha256::new();
        for outcome in outcomes {
            match outcome {
                Outcome::Report(report) => {
                    hash.update(report.id(self.id));
                    hash.update(content(report));
                }
                Outcome::Ignored(why) | Outcome::Unreadable(why) => hash.update(why),
            }
            hash.update([0]);
        }
        hash.finalize().into()
    }
}

/// What distinguishes reports with the same key.
fn content(report: &Report) -> String {
    let Report { correlation, at, status, error, event, .. } = report;
    format!(
        "{:?} {:?} {at} {status:?} {error:?} {event:?}",
        correlation.send_id, correlation.message_ids
    )
}
