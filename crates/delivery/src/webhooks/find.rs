//! Finds the sends that reports are about.

use std::collections::HashMap;

use campaigns_providers::{Address, Correlation};
use campaigns_scope::{Error, FoundSend, Scope, SendRecipient};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// How to find the send of a report.
#[derive(Clone, Debug, Default)]
pub(super) struct Sought {
    pub(super) send_id: Option<Uuid>,
    pub(super) message_ids: Vec<String>,
    recipient: Option<Recipient>,
    several_recipients: bool,
    by_address_within: Option<TimeDelta>,
}

/// The recipient that a report names.
#[derive(Clone, Debug)]
enum Recipient {
    Address(Address),
    /// The hash of one, of an event that waited.
    Hash(String),
}

impl From<&Correlation> for Sought {
    fn from(correlation: &Correlation) -> Self {
        let ids = correlation.message_ids.iter().map(|id| id.replace('\0', ""));
        Self {
            send_id: correlation.send_id,
            message_ids: ids.collect(),
            recipient: correlation.recipient.clone().map(Recipient::Address),
            several_recipients: correlation.several_recipients,
            by_address_within: correlation.by_address_within,
        }
    }
}

impl Sought {
    /// Whether the event counts for a send to this address. See [`Correlation::allows`].
    fn allows(&self, scope: &Scope, address: Option<&str>) -> Result<bool, Error> {
        Ok(match (&self.recipient, address) {
            (None, _) => true,
            (Some(_), None) => !self.several_recipients,
            (Some(Recipient::Address(recipient)), Some(address)) => recipient.is(address),
            (Some(Recipient::Hash(hash)), Some(address)) => {
                *hash == scope.address_hash(Address::new(address).as_str())?
            }
        })
    }

    /// The recipient that its send has to be to.
    pub(super) fn recipient_of(&self, send_id: Uuid) -> Option<SendRecipient> {
        let address = match self.recipient.as_ref()? {
            Recipient::Address(address) => address.as_str().to_owned(),
            // no address is a hash
            Recipient::Hash(hash) => hash.clone(),
        };
        Some(SendRecipient { send_id, address })
    }

    /// The recipient to look for, if an event without IDs can be found by it.
    fn address(&self) -> Option<(&Address, TimeDelta)> {
        match (&self.recipient, self.by_address_within) {
            (Some(Recipient::Address(address)), Some(within)) => Some((address, within)),
            _ => None,
        }
    }

    /// As it waits.
    pub(super) fn to_json(&self, scope: &Scope) -> Result<Json, Error> {
        let hash = match &self.recipient {
            None => None,
            Some(Recipient::Address(address)) => Some(scope.address_hash(address.as_str())?),
            Some(Recipient::Hash(hash)) => Some(hash.clone()),
        };
        Ok(json!({
            "messageIds": self.message_ids,
            "recipient": hash,
            "several": self.several_recipients,
        }))
    }

    /// What waited.
    pub(super) fn from_json(send_id: Option<Uuid>, json: &Json) -> Self {
        let ids = json["messageIds"].as_array().into_iter().flatten();
        Self {
            send_id,
            message_ids: ids.filter_map(|id| id.as_str().map(str::to_owned)).collect(),
            recipient: json["recipient"].as_str().map(|hash| Recipient::Hash(hash.to_owned())),
            several_recipients: json["several"].as_bool().unwrap_or(false),
            by_address_within: None,
        }
    }
}

/// What was found for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It counts for this send.
    Send(Uuid),
    /// No send of the organization is known, or the recipient is another.
    None {
        /// Whether the send that it names is known, and its recipient is another: it need not be waited for.
        is_other: bool,
    },
}

/// Finds the send of each report: by its ID, or else by a message ID, or else by the address.
pub(super) async fn find(
    scope: &Scope,
    sought: &[(&Sought, DateTime<Utc>)],
) -> Result<Vec<Found>, Error> {
    let ids: Vec<Uuid> = sought.iter().filter_map(|(sought, _)| sought.send_id).collect();
    let by_id = if ids.is_empty() { HashMap::new() } else { scope.found_sends(ids).await? };
    let mut found = Vec::with_capacity(sought.len());
    for (sought, _) in sought {
        let send = sought.send_id.and_then(|id| by_id.get(&id));
        let is_allowed = match send {
            Some(send) => sought.allows(scope, send.address.as_deref())?,
            None => false,
        };
        found.push(match send {
            Some(send) if is_allowed => Found::Send(send.id),
            send => Found::None { is_other: send.is_some() },
        });
    }
    let left = |found: &[Found]| -> Vec<usize> {
        let is_left = |index: &usize| matches!(found[*index], Found::None { .. });
        (0..found.len()).filter(is_left).collect()
    };
    let ids: Vec<String> =
        left(&found).into_iter().flat_map(|index| sought[index].0.message_ids.clone()).collect();
    if !ids.is_empty() {
        let by_message = scope.sends_by_message_ids(ids).await?;
        for index in left(&found) {
            let of = sought[index].0;
            for send in of.message_ids.iter().filter_map(|id| by_message.get(id)).flatten() {
                if of.allows(scope, send.address.as_deref())? {
                    found[index] = Found::Send(send.id);
                    break;
                }
            }
        }
    }
    let addresses: Vec<String> = left(&found)
        .into_iter()
        .filter_map(|index| sought[index].0.address())
        .map(|(address, _)| address.as_str().to_owned())
        .collect();
    if !addresses.is_empty() {
        let by_address = scope.sends_by_addresses(addresses).await?;
        for index in left(&found) {
            let (of, at) = sought[index];
            let Some((address, within)) = of.address() else { continue };
            let sends = by_address.get(address.as_str()).into_iter().flatten();
            let is_recent = |send: &&FoundSend| send.at <= at && send.at >= at - within;
            if let Some(send) = sends.filter(is_recent).max_by_key(|send| send.at) {
                found[index] = Found::Send(send.id);
            }
        }
    }
    Ok(found)
}
