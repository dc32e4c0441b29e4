//! Amazon SNS, which delivers the events of Amazon SES.
//!
//! Signatures: <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>. Messages:
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html>.
//!
//! A valid signature proves that Amazon sent the message for some topic of some account. So the topic must be
//! one that the webhook lists. The URLs of the certificate and of the confirmation are built from the topic's
//! region. The URLs in the message are only compared with them. `UnsubscribeURL` is not signed, and not read.

use std::{borrow::Cow, str};

use aws_lc_rs::signature::{
    ParsedPublicKey, RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RsaParameters,
};
use chrono::TimeDelta;
use x509_parser::{pem::parse_x509_pem, time::ASN1Time};

use crate::{
    Certificate, Situation, TopicArn,
    bounds::{MAX_CERTIFICATE, MAX_MESSAGE_ID},
    json::{Json, Object},
    times,
    verify::{Attempt, Signed, Stop, base64, refused, unreadable},
};

/// SNS retries for up to an hour, with the time of the first attempt
/// (<https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html>).
const OLDEST: TimeDelta = TimeDelta::hours(1);

/// The signed fields of a notification, in the order of the signature. `Subject` is optional.
const NOTIFICATION: [&str; 6] =
    ["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];

/// The signed fields of a confirmation.
const CONFIRMATION: [&str; 7] =
    ["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// Where a topic is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct TopicRegion {
    /// The start of every URL that is fetched.
    base: String,
}

impl TopicRegion {
    /// A valid region, with the domain of its partition.
    pub(crate) fn new(region: &str, domain: &str) -> Self {
        Self { base: format!("https://sns.{region}.{domain}/") }
    }

    /// The URL of the certificate with the ID that a message names. None if the message's URL differs from it.
    fn certificate_url(&self, named: &str) -> Option<String> {
        let id = named.strip_prefix(&self.base)?.strip_prefix("SimpleNotificationService-")?;
        let id = id.strip_suffix(".pem")?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_id = id.len() == 32 && id.bytes().all(is_hex);
        is_id.then(|| format!("{}SimpleNotificationService-{id}.pem", self.base))
    }

    /// The URL that confirms a subscription.
    fn confirmation_url(&self, topic: &TopicArn, token: &str) -> String {
        format!("{}?Action=ConfirmSubscription&TopicArn={topic}&Token={token}", self.base)
    }
}

/// Verifies a message. Cheap checks come first.
pub(super) fn verify<'a>(attempt: &Attempt<'a>) -> Result<Signed<'a>, Stop> {
    if attempt.header("x-amz-sns-rawdelivery") == Some("true") {
        return Err(refused("raw messages are not signed: turn off raw message delivery"));
    }
    let body = str::from_utf8(attempt.request.body).ok().and_then(Json::parse);
    let message = body
        .and_then(Json::object)
        .ok_or_else(|| unreadable("the body is not a message of SNS"))?;
    let kind = message.get("Type").and_then(Json::exact).unwrap_or_default();
    let names: &[&str] = match kind.as_str() {
        "Notification" => &NOTIFICATION,
        "SubscriptionConfirmation" | "UnsubscribeConfirmation" => &CONFIRMATION,
        _ => return Err(unreadable("the body is not a message of SNS")),
    };
    if attempt.header("x-amz-sns-message-type").is_some_and(|header| header != kind) {
        return Err(refused("the type in the header is not the type in the body"));
    }
    let arn = message.get("TopicArn").and_then(Json::exact).unwrap_or_default();
    let topic = attempt.webhook.topics().iter().find(|topic| topic.as_str() == arn);
    let topic = topic.ok_or_else(|| refused("the webhook does not list the topic"))?;
    let algorithm: &RsaParameters = match message.part("SignatureVersion").as_str() {
        "1" => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        "2" => &RSA_PKCS1_2048_8192_SHA256,
        _ => return Err(refused("the version of the signature is unknown")),
    };
    let at = message.get("Timestamp").and_then(Json::exact).and_then(|text| times::parse(&text));
    attempt.time(at.ok_or_else(|| unreadable("the message has no time"))?, OLDEST)?;
    let signature = message.get("Signature").and_then(Json::exact);
    let signature = base64(&signature.ok_or_else(|| refused("the message is not signed"))?)?;
    let region = topic.region();
    let named = message.get("SigningCertURL").and_then(Json::exact).unwrap_or_default();
    let url = region
        .certificate_url(&named)
        .ok_or_else(|| refused("the URL of the certificate is not in the topic's region"))?;
    let confirmation = if kind == "SubscriptionConfirmation" {
        Some(confirmation(&message, topic)?)
    } else {
        None
    };
    let text = text_to_sign(&message, names)?;
    let certificate = attempt.certificate.filter(|certificate| certificate.url == url);
    let certificate = certificate.ok_or(Stop::NeedsCertificate(url))?;
    let key = public_key(attempt, certificate, algorithm)?;
    if key.verify_sig(text.as_bytes(), &signature).is_err() {
        return Err(refused("the certificate's key did not make the signature"));
    }
    if let Some(url) = confirmation {
        return Err(Stop::Confirm(url));
    }
    // an UnsubscribeConfirmation needs no answer: its URL would subscribe again
    let notification =
        message.get("Message").and_then(Json::exact).filter(|_| kind == "Notification");
    match notification {
        // such as "Successfully validated SNS topic for Amazon SES event publishing."
        Some(text) if !text.trim_start().starts_with('{') => Err(Stop::Ping),
        Some(text) => Ok(Signed { events: Cow::Owned(text.into_bytes()), ..attempt.body() }),
        None => Err(Stop::Ping),
    }
}

/// The signed text: the names and decoded values, a line each.
fn text_to_sign(message: &Object<'_>, names: &[&str]) -> Result<String, Stop> {
    let mut text = String::new();
    for name in names {
        match message.get(name).and_then(Json::exact) {
            Some(value) => text.extend([name, "\n", value.as_str(), "\n"]),
            None if *name == "Subject" => {}
            None => return Err(unreadable("the message lacks a field that is signed")),
        }
    }
    Ok(text)
}

/// The URL that confirms the subscription. The message's URL must have the same host.
fn confirmation(message: &Object<'_>, topic: &TopicArn) -> Result<String, Stop> {
    let region = topic.region();
    let named = message.get("SubscribeURL").and_then(Json::exact).unwrap_or_default();
    if !named.starts_with(&region.base) {
        return Err(refused("the URL of the subscription is not in the topic's region"));
    }
    let token = message.get("Token").and_then(Json::exact).unwrap_or_default();
    let is_token = (1..=MAX_MESSAGE_ID).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !is_token {
        return Err(refused("the token of the subscription is malformed"));
    }
    Ok(region.confirmation_url(topic, &token))
}

fn public_key(
    attempt: &Attempt<'_>,
    certificate: Certificate<'_>,
    algorithm: &'static RsaParameters,
) -> Result<ParsedPublicKey, Stop> {
    // what was fetched is not a certificate; a retry may get one
    let unavailable =
        || Stop::Refused(Situation::Unavailable, "the certificate could not be read".into());
    if certificate.pem.len() > MAX_CERTIFICATE {
        return Err(unavailable());
    }
    let (_, pem) = parse_x509_pem(certificate.pem).map_err(|_| unavailable())?;
    let parsed = pem.parse_x509().map_err(|_| unavailable())?;
    let now = ASN1Time::from_timestamp(attempt.request.received_at.timestamp())
        .map_err(|_| unavailable())?;
    if !parsed.validity().is_valid_at(now) {
        return Err(refused("the certificate is not valid at this time"));
    }
    ParsedPublicKey::new(algorithm, parsed.public_key().raw).map_err(|_| unavailable())
}

#[cfg(test)]
mod tests {
    use crate::TopicArn;

    #[test]
    fn the_certificate_is_of_the_region_of_the_topic() {
        let id = "0123456789abcdef0123456789abcdef";
        for (arn, host) in [
            ("arn:aws:sns:eu-central-1:123456789012:a", "sns.eu-central-1.amazonaws.com"),
            ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:a", "sns.us-gov-west-1.amazonaws.com"),
            ("arn:aws-cn:sns:cn-north-1:123456789012:a", "sns.cn-north-1.amazonaws.com.cn"),
        ] {
            let topic = TopicArn::parse(arn).expect("a topic");
            let url = format!("https://{host}/SimpleNotificationService-{id}.pem");
            assert_eq!(topic.region().certificate_url(&url), Some(url.clone()));
            for other in [
                url.replace("https", "http"),
                url.replace(host, "sns.us-east-1.amazonaws.com"),
                url.replace(host, &format!("{host}.evil.example")),
                url.replace(host, &format!("{host}@evil.example")),
                url.replace(host, &format!("{host}:443")),
                url.replace(id, "0123456789ABCDEF0123456789ABCDEF"),
                url.replace(id, "../../x"),
                format!("{url}?x=.pem"),
                format!("{url}#.pem"),
                String::new(),
            ] {
                assert_eq!(topic.region().certificate_url(&other), None, "{other}");
            }
        }
    }
}
