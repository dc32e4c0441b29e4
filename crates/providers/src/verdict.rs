//! Verdicts: what to do with a request.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, Utc};

use crate::{
    Outcome, Provider, Situation,
    bounds::MAX_EVENTS,
    json::{self, BodyError},
    key::KeyKind,
    machine::MachineAgents,
    verify::{Signed, Stop},
};

/// What to do with a request.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// The signature holds. Read the events, store them, and answer [`Situation::Taken`].
    Accepted(Accepted<'a>),
    /// Store nothing, and answer [`Refusal::status`].
    Refused(Refusal),
    /// Look this certificate up by the last part of its URL, or fetch it without following redirects, and
    /// verify again. The sender is not authenticated yet, so limit the rate of fetches.
    NeedsCertificate {
        /// Its URL, built from the topic's region.
        url: String,
    },
    /// The signature holds, and this URL, built from the topic and the token, confirms the subscription.
    /// Fetch it without following redirects, and answer [`Situation::Taken`] if that succeeds.
    Confirm {
        /// The URL.
        url: String,
    },
    /// The signature holds, and there is nothing to do. Answer [`Situation::Taken`].
    Ping,
}

/// A request whose signature holds.
pub struct Accepted<'a> {
    provider: Provider,
    received_at: DateTime<Utc>,
    signed: Signed<'a>,
}

/// A token that a webhook accepts once, because the signature covers it but not the events. If the webhook
/// has accepted it before, the request is a retry if all of its events are stored, or else
/// [`Refusal::token_seen`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// The token.
    pub token: String,
    /// The time until which it must be remembered. Afterwards, the request is too old.
    pub until: DateTime<Utc>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    provider: Provider,
    situation: Situation,
    reason: Cow<'static, str>,
}

impl<'a> Verdict<'a> {
    pub(crate) fn new(
        provider: Provider,
        received_at: DateTime<Utc>,
        result: Result<Signed<'a>, Stop>,
    ) -> Self {
        match result {
            Ok(signed) => Self::Accepted(Accepted { provider, received_at, signed }),
            Err(Stop::Refused(situation, reason)) => {
                Self::Refused(Refusal { provider, situation, reason })
            }
            Err(Stop::NeedsCertificate(url)) => Self::NeedsCertificate { url },
            Err(Stop::Confirm(url)) => Self::Confirm { url },
            Err(Stop::Ping) => Self::Ping,
        }
    }
}

impl Accepted<'_> {
    /// The token that counts once, for providers that do not sign their events.
    #[must_use]
    pub fn once(&self) -> Option<&Once> {
        self.signed.once.as_ref()
    }

    /// What becomes of each event, in the order of the body. Empty for a ping.
    ///
    /// # Errors
    /// A [`Refusal`] if the body is not what the provider sends, or has too many events.
    pub fn read(&self, agents: &MachineAgents) -> Result<Vec<Outcome>, Refusal> {
        let refusal = |situation, reason: &'static str| Refusal {
            provider: self.provider,
            situation,
            reason: reason.into(),
        };
        let facts = self.provider.facts();
        // bytes that are not UTF-8 damage one text, not the whole body
        let body = String::from_utf8_lossy(&self.signed.events);
        let events = json::events(&body).map_err(|error| match error {
            BodyError::Unreadable => {
                refusal(Situation::Unreadable, "the body is not what the provider sends")
            }
            BodyError::TooMany => refusal(Situation::TooLarge, "the body has too many events"),
        })?;
        if !facts.batches && !body.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            return Err(refusal(Situation::Unreadable, "the body is not what the provider sends"));
        }
        let mut outcomes = Vec::with_capacity(events.len());
        for event in events {
            let Some(event) = event.object() else {
                outcomes.push(Outcome::Unreadable("not an object"));
                continue;
            };
            let drafts = (facts.read)(&event, &self.signed.delivery);
            outcomes.extend(
                drafts
                    .into_iter()
                    .map(|draft| draft.finish(self.provider, self.received_at, agents)),
            );
            if outcomes.len() > MAX_EVENTS {
                return Err(refusal(Situation::TooLarge, "the body has too many events"));
            }
        }
        Ok(outcomes)
    }
}

impl fmt::Debug for Accepted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Accepted({}, {} bytes)", self.provider, self.signed.events.len())
    }
}

impl Refusal {
    /// The refusal of a request whose token was seen before with other events.
    #[must_use]
    pub fn token_seen(provider: Provider) -> Self {
        let reason = "the signature was used before, with other events".into();
        Self { provider, situation: Situation::Refused, reason }
    }

    /// The situation.
    #[must_use]
    pub fn situation(&self) -> Situation {
        self.situation
    }

    /// The HTTP status to answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.provider.status(self.situation)
    }

    /// The header `WWW-Authenticate` to answer with.
    #[must_use]
    pub fn challenge(&self) -> Option<&'static str> {
        let has_credentials = self.provider.facts().keys == KeyKind::Authorization;
        (has_credentials && self.status() == 401)
            .then_some("Basic realm=\"webhook\", charset=\"UTF-8\"")
    }

    /// Why, in plain words, for the webhook's administrators. It contains no text of the request.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }
}
