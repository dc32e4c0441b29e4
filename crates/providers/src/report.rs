//! Reports: what a provider's event says about a send.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{address::Address, bounce::Bounce, bounds::MAX_MESSAGE_ID, provider::Provider};

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
    pub(crate) fn is_empty(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use super::message_id;

    #[test]
    fn message_ids_are_compared_without_angle_brackets() {
        assert_eq!(message_id(" <a.b@c> "), Some("a.b@c"));
        assert_eq!(message_id("a.b@c"), Some("a.b@c"));
        assert_eq!(message_id("<>"), None);
        assert_eq!(message_id(&"a".repeat(513)), None);
    }
}
