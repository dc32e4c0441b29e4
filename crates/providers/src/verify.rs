//! What checks of signatures share.

use std::{borrow::Cow, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::{DateTime, TimeDelta, Utc};
use http::HeaderMap;

use crate::{Situation, Webhook, key::Credentials, verdict::Once};

/// A request to a webhook.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its headers.
    pub headers: &'a HeaderMap,
    /// The bytes of its body.
    pub body: &'a [u8],
    /// When it was received.
    pub received_at: DateTime<Utc>,
}

impl fmt::Debug for Request<'_> {
    /// Without headers, which can be secret, and without the body, which is personal data.
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Request({} bytes at {})", self.body.len(), self.received_at)
    }
}

/// A signing certificate that was fetched, or pinned.
#[derive(Clone, Copy, Debug)]
pub struct Certificate<'a> {
    /// Its URL, as a verdict named it.
    pub url: &'a str,
    /// The certificate as PEM.
    pub pem: &'a [u8],
}

/// How far the sender's clock can be ahead.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// A request, and what it is verified with.
pub(crate) struct Attempt<'a> {
    pub(crate) webhook: &'a Webhook,
    pub(crate) request: Request<'a>,
    pub(crate) certificate: Option<Certificate<'a>>,
}

/// What a signature covers.
pub(crate) struct Signed<'a> {
    /// The events, as JSON.
    pub(crate) events: Cow<'a, [u8]>,
    /// The ID of the delivery, for providers whose events have none.
    pub(crate) delivery: String,
    /// See [`Once`].
    pub(crate) once: Option<Once>,
}

/// Why there are no events to read: see [`Verdict`](crate::Verdict).
pub(crate) enum Stop {
    Refused(Situation, Cow<'static, str>),
    NeedsCertificate(String),
    Confirm(String),
    Ping,
}

/// The signature does not hold, or the sender is another.
pub(crate) fn refused(reason: impl Into<Cow<'static, str>>) -> Stop {
    Stop::Refused(Situation::Refused, reason.into())
}

/// The request has no credentials.
pub(crate) fn no_credentials(reason: &'static str) -> Stop {
    Stop::Refused(Situation::NoCredentials, reason.into())
}

/// The request is not what the provider sends.
pub(crate) fn unreadable(reason: &'static str) -> Stop {
    Stop::Refused(Situation::Unreadable, reason.into())
}

/// Decodes a signature: base64 of the standard alphabet, with its padding.
pub(crate) fn base64(text: &str) -> Result<Vec<u8>, Stop> {
    BASE64_STANDARD.decode(text).map_err(|_| refused("the signature is not base64"))
}

/// Decodes a signature: hexadecimal digits.
pub(crate) fn hex(text: &str) -> Result<Vec<u8>, Stop> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let digits = digits.filter(|digits| digits.len().is_multiple_of(2));
    let digits = digits.ok_or_else(|| refused("the signature is not hexadecimal"))?;
    let byte = |pair: &[u32]| u8::try_from(16 * pair[0] + pair[1]).expect("two digits are a byte");
    Ok(digits.chunks(2).map(byte).collect())
}

impl<'a> Attempt<'a> {
    /// A header, if there is exactly one of the name.
    pub(crate) fn header(&self, name: &str) -> Option<&'a str> {
        let mut values = self.request.headers.get_all(name).iter();
        let value = values.next()?;
        if values.next().is_some() { None } else { value.to_str().ok() }
    }

    /// The whole body, as events.
    pub(crate) fn body(&self) -> Signed<'a> {
        Signed { events: Cow::Borrowed(self.request.body), delivery: String::new(), once: None }
    }

    /// Checks that a key of the webhook signed the parts. All keys are tried.
    pub(crate) fn signed(&self, parts: &[&[u8]], signature: &[u8]) -> Result<(), Stop> {
        let mut holds = false;
        for key in self.webhook.keys() {
            holds |= key.signed(parts, signature);
        }
        if holds { Ok(()) } else { Err(refused("no key of this webhook made the signature")) }
    }

    /// Checks the time of a signature: digits, Unix seconds, not older than `oldest`.
    pub(crate) fn unix_time(&self, text: &str, oldest: TimeDelta) -> Result<DateTime<Utc>, Stop> {
        // digits alone: otherwise bytes could move between the time and what is signed after it
        if !(1..=12).contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(refused("the time of the signature is not a number of seconds"));
        }
        let seconds = text.parse().ok();
        let at = seconds
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .ok_or_else(|| refused("the time of the signature is not a number of seconds"))?;
        self.time(at, oldest).map(|()| at)
    }

    /// Checks that a signature is neither older than `oldest` nor from the future.
    pub(crate) fn time(&self, at: DateTime<Utc>, oldest: TimeDelta) -> Result<(), Stop> {
        let age = self.request.received_at - at;
        if age > oldest {
            return Err(refused("the signature is too old"));
        }
        if age < -AHEAD {
            return Err(refused("the signature is from the future: check the clocks"));
        }
        Ok(())
    }

    /// Checks the header `Authorization`: Basic (RFC 7617) or Bearer (RFC 6750). A token can also be in
    /// [`SECRET_HEADER`], for providers that can add headers but not this one. All keys are tried.
    pub(crate) fn authorization(&self) -> Result<Signed<'a>, Stop> {
        let credentials = self.credentials()?;
        let mut holds = false;
        for key in self.webhook.keys() {
            holds |= key.accepts(&credentials);
        }
        if holds { Ok(self.body()) } else { Err(refused("the credentials are wrong")) }
    }

    fn credentials(&self) -> Result<Credentials<'a>, Stop> {
        let Some(value) = self.header("authorization") else {
            let token = self.header(SECRET_HEADER).map(Credentials::Token);
            return token.ok_or_else(|| no_credentials("the request has no credentials"));
        };
        let (scheme, credentials) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
        let credentials = credentials.trim();
        if scheme.eq_ignore_ascii_case("basic") {
            let decoded = BASE64_STANDARD.decode(credentials);
            decoded.map(Credentials::Basic).map_err(|_| refused("the credentials are not base64"))
        } else if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Credentials::Token(credentials))
        } else {
            Err(refused("the credentials are neither Basic nor Bearer"))
        }
    }
}

/// Another header for a token.
const SECRET_HEADER: &str = "x-campaigns-secret";

/// Verifies the credentials of a provider that does not sign.
pub(crate) fn by_authorization<'a>(attempt: &Attempt<'a>) -> Result<Signed<'a>, Stop> {
    attempt.authorization()
}
