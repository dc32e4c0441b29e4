//! Drafts: what a provider's file makes of an event, and the rest, which is the same for every provider.
//! [`Draft::finish`] makes the report: bounded, without addresses, and marked if a machine caused the event.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::{
    address::{Address, redact},
    bounce::{Bounce, BounceClass, code_in},
    bounds::{MAX_CODE, MAX_DIAGNOSTIC, MAX_EVENT_KEY, MAX_URL, MAX_USER_AGENT, cut},
    machine::{Engagement, MachineAgents},
    provider::Provider,
    report::{Correlation, Event, Outcome, Report, Status, message_id},
};

/// What an event of a provider means.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Meaning {
    /// SENT.
    Sent,
    /// DELIVERED.
    Delivered,
    /// BOUNCED, and a bounce: hard if the class is.
    Bounced(BounceClass),
    /// FAILED: the provider never tried, or could not.
    NotSent(Option<BounceClass>),
    /// An open.
    Opened,
    /// A click.
    Clicked,
    /// A complaint.
    Complained,
    /// An unsubscribe.
    Unsubscribed,
    /// Nothing that is recorded, for this reason.
    Ignored(&'static str),
    /// Of a kind that this program does not know.
    Unknown,
    /// Without a kind.
    #[default]
    Unnamed,
}

/// Reasons to ignore an event, which several providers share.
pub(crate) const DELAYED: Meaning = Meaning::Ignored("delayed, will be tried again");
pub(crate) const AUTOMATIC_REPLY: Meaning = Meaning::Ignored("an automatic reply is not a bounce");
pub(crate) const NOT_SPAM: Meaning = Meaning::Ignored("a report of not-spam is not a complaint");
pub(crate) const RESUBSCRIBED: Meaning = Meaning::Ignored("a subscription is not recorded");

/// An event, as a provider's file reads it.
#[derive(Default)]
pub(crate) struct Draft {
    /// What it means.
    pub(crate) meaning: Meaning,
    /// When it happened.
    pub(crate) at: Option<DateTime<Utc>>,
    /// What identifies it: see [`key`].
    pub(crate) key: String,
    /// The send's ID in the metadata.
    pub(crate) send_id: Option<Uuid>,
    /// The IDs of the message. The first is the one to keep.
    pub(crate) message_ids: Vec<Option<String>>,
    /// The recipient that it names.
    pub(crate) recipient: Option<String>,
    /// See [`Correlation::several_recipients`].
    pub(crate) several_recipients: bool,
    /// See [`Correlation::by_address_within`].
    pub(crate) by_address_within: Option<TimeDelta>,
    /// The status code.
    pub(crate) code: Option<String>,
    /// The receiver's text.
    pub(crate) diagnostic: Option<String>,
    /// The error of the send, if it is not the diagnostic text.
    pub(crate) error: Option<String>,
    /// The clicked link.
    pub(crate) url: Option<String>,
    /// The user agent.
    pub(crate) user_agent: Option<String>,
    /// The reason for the provider's own mark of a machine.
    pub(crate) machine: Option<&'static str>,
}

/// The key of an event, made of what identifies it.
pub(crate) fn key<const PARTS: usize>(parts: [&str; PARTS]) -> String {
    // only some events have the last parts
    parts.join("|").trim_end_matches('|').to_owned()
}

/// The first part of a key: the first ID of the message, or else the send's.
pub(crate) fn identity(message_ids: &[Option<String>], send_id: Option<Uuid>) -> String {
    let first = message_ids.iter().flatten().next().cloned();
    first.or_else(|| send_id.map(|id| id.to_string())).unwrap_or_default()
}

impl Draft {
    /// What becomes of the event.
    pub(crate) fn finish(
        self,
        provider: Provider,
        received_at: DateTime<Utc>,
        agents: &MachineAgents,
    ) -> Outcome {
        let (status, event, class) = match self.meaning {
            Meaning::Ignored(reason) => return Outcome::Ignored(reason),
            Meaning::Unknown => return Outcome::Ignored("of a kind that is not recorded"),
            Meaning::Unnamed => return Outcome::Unreadable("without a type"),
            Meaning::Sent => (Some(Status::Sent), None, None),
            Meaning::Delivered => (Some(Status::Delivered), None, None),
            Meaning::Bounced(class) => {
                let hard = class == BounceClass::Hard;
                (Some(Status::Bounced), Some(Event::Bounce { hard }), Some(class))
            }
            Meaning::NotSent(class) => (Some(Status::Failed), None, class),
            Meaning::Opened => (None, Some(Event::Open), None),
            Meaning::Clicked => {
                let Some(url) = self.url else {
                    return Outcome::Unreadable("a click without a link");
                };
                if url.len() > MAX_URL {
                    return Outcome::Unreadable("a click on a link that is too long");
                }
                (None, Some(Event::Click { url }), None)
            }
            Meaning::Complained => (None, Some(Event::Complaint), None),
            Meaning::Unsubscribed => (None, Some(Event::Unsubscribe), None),
        };
        let Some(at) = self.at else { return Outcome::Unreadable("without a time") };
        if self.key.is_empty() {
            return Outcome::Unreadable("without an identity");
        }
        let ids = self.message_ids.into_iter().flatten();
        let mut message_ids: Vec<String> = Vec::new();
        let mut kept = None;
        for id in ids {
            let Some(plain) = message_id(&id).map(str::to_owned) else { continue };
            kept.get_or_insert(id);
            if !message_ids.contains(&plain) {
                message_ids.push(plain);
            }
        }
        let correlation = Correlation {
            send_id: self.send_id,
            message_ids,
            recipient: self.recipient.as_deref().map(Address::new),
            several_recipients: self.several_recipients,
            by_address_within: self.by_address_within,
        };
        if correlation.is_empty() {
            return match correlation.recipient {
                // it is about a person, whom a colleague suppressed for example
                Some(_) => Outcome::Ignored("it names no message"),
                None => Outcome::Unreadable("without a message"),
            };
        }
        let plain = |text: &String| cut(&redact(text), MAX_DIAGNOSTIC);
        let diagnostic = self.diagnostic.as_ref().map(plain);
        let error = self.error.as_ref().map(plain).or_else(|| diagnostic.clone());
        let code = self.code.or_else(|| diagnostic.as_deref().and_then(code_in).map(str::to_owned));
        let machine_reasons = match event {
            Some(Event::Open | Event::Click { .. }) => {
                let is_open = event == Some(Event::Open);
                let engagement = if is_open { Engagement::Open } else { Engagement::Click };
                match self.machine {
                    Some(reason) => vec![reason],
                    None => agents.reasons(engagement, self.user_agent.as_deref()),
                }
            }
            _ => Vec::new(),
        };
        Outcome::Report(Box::new(Report {
            provider,
            correlation,
            key: bounded_key(self.key),
            at: at.min(received_at),
            error: if matches!(status, Some(Status::Bounced | Status::Failed)) {
                error
            } else {
                None
            },
            status,
            event,
            bounce: class.map(|class| Bounce {
                class,
                code: code.map(|code| cut(&redact(&code), MAX_CODE)),
                diagnostic,
            }),
            message_id: kept,
            user_agent: self.user_agent.map(|agent| cut(&agent, MAX_USER_AGENT)),
            machine_reasons,
        }))
    }
}

/// A key of at most [`MAX_EVENT_KEY`] bytes, which differs where the key differs.
fn bounded_key(key: String) -> String {
    if key.len() <= MAX_EVENT_KEY {
        return key;
    }
    let hash = digest(&SHA256, key.as_bytes());
    let hash = BASE64_STANDARD.encode(hash);
    cut(&key, MAX_EVENT_KEY - hash.len()) + &hash
}

#[cfg(test)]
mod tests {
    use super::bounded_key;
    use crate::bounds::MAX_EVENT_KEY;

    #[test]
    fn long_keys_differ_where_they_differed() {
        let keys = ["a", "b"].map(|end| bounded_key("ü".repeat(MAX_EVENT_KEY) + end));
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| key.len() <= MAX_EVENT_KEY));
        assert_eq!(bounded_key("short".to_owned()), "short");
    }
}
