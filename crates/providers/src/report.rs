//! What a provider's event says about a send.
//!
//! A provider's file makes a [`Draft`] of each event: what it means, and what it holds. [`Draft::finish`]
//! makes the [`Outcome`] of it, in the same way for every provider: bounded, without addresses, marked.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{
    address::{Address, redact},
    bounce::{Bounce, BounceClass, code_in},
    bounds::{
        MAX_CODE, MAX_DIAGNOSTIC, MAX_EVENT_KEY, MAX_MESSAGE_ID, MAX_URL, MAX_USER_AGENT, cut,
    },
    json::Json,
    machine::{Engagement, MachineAgents},
    provider::Provider,
};

/// What became of an event of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is about a send.
    Report(Box<Report>),
    /// There is nothing to record, for this reason.
    Ignored(&'static str),
    /// It lacks a required value, for this reason.
    Unreadable(&'static str),
}

/// A report about a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The provider.
    pub provider: Provider,
    /// How to find the send.
    pub correlation: Correlation,
    /// What identifies the event in all of its deliveries. It can contain an address, so store
    /// [`Report::id`] instead.
    pub key: String,
    /// When it happened, never later than it was received.
    pub at: DateTime<Utc>,
    /// The send's new status, for `updateSends`: a status that only moves forward.
    pub status: Option<Status>,
    /// Why the send bounced or failed, without addresses.
    pub error: Option<String>,
    /// The event to record, as `recordEvents` does.
    pub event: Option<Event>,
    /// Why the message bounced, or was not sent.
    pub bounce: Option<Bounce>,
    /// The provider's ID of the message, as the provider writes it.
    pub message_id: Option<String>,
    /// The start of the client's user agent.
    pub user_agent: Option<String>,
    /// Why the event is a machine's. Empty for a person's.
    pub machine_reasons: Vec<&'static str>,
}

/// The status of a send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The provider has the message.
    Sent,
    /// The receiver has it.
    Delivered,
    /// The receiver refused it.
    Bounced,
    /// The provider did not send it.
    Failed,
}

/// An event of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The message was opened.
    Open,
    /// A link was clicked.
    Click {
        /// The link.
        url: String,
    },
    /// The message bounced.
    Bounce {
        /// Whether the bounce is hard. It is soft otherwise.
        hard: bool,
    },
    /// The recipient marked the message as spam.
    Complaint,
    /// The recipient unsubscribed.
    Unsubscribe,
}

/// How to find the send of a report: by its ID, or else by one of the message's IDs, or else by the address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Correlation {
    /// The send's ID, from the provider's metadata.
    pub send_id: Option<Uuid>,
    /// The provider's IDs of the message, the best first, in the form of [`message_id`].
    pub message_ids: Vec<String>,
    /// The recipient that the event names. See [`Correlation::allows`].
    pub recipient: Option<Address>,
    /// Whether the message had several recipients, so that the send's ID says nothing about this one.
    pub several_recipients: bool,
    /// If the event has no ID, it can be about the last message to the recipient within this time before it.
    pub by_address_within: Option<TimeDelta>,
}

impl Correlation {
    /// Whether the event counts for a send to this address. It does not if the event names another recipient,
    /// or if the message had several recipients and the address is not known.
    #[must_use]
    pub fn allows(&self, address: Option<&str>) -> bool {
        match (&self.recipient, address) {
            (None, _) => true,
            (Some(recipient), Some(address)) => recipient.is(address),
            (Some(_), None) => !self.several_recipients,
        }
    }

    /// Whether there is nothing to find a send by.
    fn is_empty(&self) -> bool {
        self.send_id.is_none()
            && self.message_ids.is_empty()
            && (self.recipient.is_none() || self.by_address_within.is_none())
    }
}

/// A message's ID in the form to compare: without angle brackets. None if it is empty or too long.
#[must_use]
pub fn message_id(text: &str) -> Option<&str> {
    let trimmed = text.trim();
    let inner =
        trimmed.strip_prefix('<').and_then(|id| id.strip_suffix('>')).unwrap_or(trimmed).trim();
    (!inner.is_empty() && inner.len() <= MAX_MESSAGE_ID).then_some(inner)
}

impl Report {
    /// Whether the event is a machine's.
    #[must_use]
    pub fn is_machine(&self) -> bool {
        !self.machine_reasons.is_empty()
    }

    /// The ID of the event of a webhook: a UUID of version 5, made of the webhook's ID and the event's key.
    #[must_use]
    pub fn id(&self, webhook: Uuid) -> Uuid {
        let mut name = webhook.as_bytes().to_vec();
        name.extend_from_slice(self.key.as_bytes());
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &name);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&hash.as_ref()[..16]);
        uuid::Builder::from_sha1_bytes(bytes).into_uuid()
    }

    /// What is kept in the event's `metadata`.
    #[must_use]
    pub fn metadata(&self) -> Map<String, Value> {
        let mut metadata = Map::new();
        metadata.insert("provider".to_owned(), self.provider.name().into());
        if let Some(message_id) = &self.message_id {
            metadata.insert("messageId".to_owned(), message_id.as_str().into());
        }
        if let Some(Bounce { class, code, diagnostic }) = &self.bounce {
            let mut bounce = json!({ "class": class.name() });
            for (name, text) in [("code", code), ("diagnostic", diagnostic)] {
                if let Some(text) = text {
                    bounce[name] = text.as_str().into();
                }
            }
            metadata.insert("bounce".to_owned(), bounce);
        }
        if let Some(user_agent) = &self.user_agent {
            metadata.insert("userAgent".to_owned(), user_agent.as_str().into());
        }
        if self.is_machine() {
            metadata.insert("machine".to_owned(), true.into());
            metadata.insert("machineReasons".to_owned(), json!(self.machine_reasons));
        }
        metadata
    }
}

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

/// The send's ID in a provider's metadata: an object with `send_id`, its JSON text, a list of names and
/// values, a list of tags, or the ID alone.
pub(crate) fn send_id(metadata: Option<Json<'_>>) -> Option<Uuid> {
    let metadata = metadata?;
    if let Some(object) = metadata.object() {
        return object.texts("send_id").first().and_then(|id| id.parse().ok());
    }
    if let Some(list) = metadata.list() {
        let paired = list.iter().filter_map(|entry| entry.object()).find_map(|entry| {
            let is_send = entry.text("name").is_some_and(|name| name == "send_id");
            entry.text("value").filter(|_| is_send)?.parse().ok()
        });
        return paired
            .or_else(|| list.iter().filter_map(|tag| tag.text()).find_map(|tag| tagged(&tag)));
    }
    let text = metadata.text()?;
    match Json::parse(&text) {
        Some(inner) if text.starts_with(['{', '[']) => match inner.object() {
            Some(object) => object.texts("send_id").first().and_then(|id| id.parse().ok()),
            None => inner.texts().iter().find_map(|tag| tagged(tag)),
        },
        _ => tagged(&text).or_else(|| text.split('|').find_map(named)),
    }
}

/// The send's ID in a tag: `send_id:…`, `send_id=…` or the ID alone.
fn tagged(tag: &str) -> Option<Uuid> {
    named(tag).or_else(|| tag.parse().ok())
}

/// The send's ID behind its name.
fn named(tag: &str) -> Option<Uuid> {
    tag.trim().strip_prefix("send_id")?.trim_start_matches([':', '=', ' ']).parse().ok()
}

/// The send's ID in the header that this service sets on every message, where a provider returns headers.
pub(crate) fn send_id_in_headers(headers: Option<Json<'_>>) -> Option<Uuid> {
    header(headers, SEND_HEADER)?.parse().ok()
}

/// The header with the send's ID.
pub(crate) const SEND_HEADER: &str = "X-Campaigns-Send";

/// A header of a message, from a list of names and values or an object.
pub(crate) fn header(headers: Option<Json<'_>>, name: &str) -> Option<String> {
    let headers = headers?;
    if let Some(object) = headers.object() {
        return object
            .fields()
            .find(|(field, _)| field.eq_ignore_ascii_case(name))
            .and_then(|(_, value)| value.texts().into_iter().next());
    }
    headers.list()?.into_iter().filter_map(Json::object).find_map(|header| {
        let is_it = header.text("name").is_some_and(|field| field.eq_ignore_ascii_case(name));
        header.text("value").filter(|_| is_it)
    })
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
    use uuid::Uuid;

    use super::{bounded_key, message_id, send_id};
    use crate::{bounds::MAX_EVENT_KEY, json::Json};

    #[test]
    fn message_ids_are_compared_without_angle_brackets() {
        assert_eq!(message_id(" <a.b@c> "), Some("a.b@c"));
        assert_eq!(message_id("a.b@c"), Some("a.b@c"));
        assert_eq!(message_id("<>"), None);
        assert_eq!(message_id(&"a".repeat(513)), None);
    }

    #[test]
    fn a_send_id_is_found_in_each_form_of_metadata() {
        let id: Uuid = "0198f6a2-7c31-7b5e-9d02-5f1f0a6c4e11".parse().expect("a UUID");
        for metadata in [
            r#"{"send_id":"ID"}"#,
            r#"{"send_id":["ID"]}"#,
            r#"[{"name":"a","value":"b"},{"name":"send_id","value":"ID"}]"#,
            r#"["august","ID"]"#,
            r#"["send_id:ID"]"#,
            r#""ID""#,
            r#""send_id=ID""#,
            r#""campaign_id:0198f6a0-11aa-7c10-8b33-0d6a51c0aa01|send_id:ID""#,
            r#""{\"send_id\":\"ID\"}""#,
            r#""[\"august\",\"ID\"]""#,
        ] {
            let text = metadata.replace("ID", &id.to_string());
            assert_eq!(send_id(Json::parse(&text)), Some(id), "{metadata}");
        }
        for nothing in ["null", "{}", "[]", "3", r#"{"send_id":"3"}"#, r#""august""#, r#""{""#] {
            assert_eq!(send_id(Json::parse(nothing)), None, "{nothing}");
        }
    }

    #[test]
    fn long_keys_differ_where_they_differed() {
        let keys = ["a", "b"].map(|end| bounded_key("ü".repeat(MAX_EVENT_KEY) + end));
        assert_ne!(keys[0], keys[1]);
        assert!(keys.iter().all(|key| key.len() <= MAX_EVENT_KEY));
        assert_eq!(bounded_key("short".to_owned()), "short");
    }
}
