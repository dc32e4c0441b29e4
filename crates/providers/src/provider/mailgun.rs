//! Mailgun. A request has one event, in `event-data`.
//!
//! Events: <https://documentation.mailgun.com/docs/mailgun/user-manual/events/events>. Signature:
//! <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    bounce::{BounceClass, class_of_code, enhanced_code_in},
    draft::{DELAYED, Draft, Meaning, identity, key},
    json::{Json, Object},
    key::KeyKind,
    machine::{APPLE_MPP, SCANNER},
    send_id,
    verdict::Once,
    verify::{Attempt, Signed, Stop, hex, no_credentials, refused, unreadable},
};

pub(super) const FACTS: Facts = Facts {
    name: "MAILGUN",
    keys: KeyKind::HmacSha256,
    // 406 ends the retries; anything else but 200 is retried for 8 hours
    // (https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/webhook-retries)
    answers: Answers { no_credentials: 406, refused: 406, unreadable: 406, disabled: 406 },
    batches: false,
    headers,
    verify,
    read,
};

/// Mailgun retries for 8 hours.
const OLDEST: TimeDelta = TimeDelta::hours(9);

/// The lengths of what is signed. Nothing separates the time from the token.
const TIME_DIGITS: usize = 10;
const TOKEN_LENGTH: usize = 50;

/// <https://documentation.mailgun.com/docs/mailgun/user-manual/sending-messages/send-smtp>
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-Mailgun-Variables", format!(r#"{{"send_id":"{send}"}}"#))]
}

/// HMAC with SHA-256 over the time and a token, in hexadecimal digits. The events are not signed, so a token
/// counts once.
fn verify<'a>(attempt: &Attempt<'a>) -> Result<Signed<'a>, Stop> {
    let text = str::from_utf8(attempt.request.body).ok().and_then(Json::parse);
    let body = text.and_then(Json::object).ok_or_else(|| unreadable("the body is not JSON"))?;
    let block = body.object("signature");
    let exact = |name| block.get(name).and_then(Json::exact);
    let (Some(time), Some(token), Some(signature)) =
        (exact("timestamp"), exact("token"), exact("signature"))
    else {
        return Err(no_credentials("the body has no signature"));
    };
    if time.len() != TIME_DIGITS || token.len() != TOKEN_LENGTH {
        return Err(refused("the time or the token of the signature has the wrong length"));
    }
    let at = attempt.unix_time(&time, OLDEST)?;
    attempt.signed(&[time.as_bytes(), token.as_bytes()], &hex(&signature)?)?;
    Ok(Signed { once: Some(Once { token, until: at + OLDEST }), ..attempt.body() })
}

fn meaning(event: &Object<'_>) -> Meaning {
    match event.word("event").as_str() {
        "accepted" => Meaning::Sent,
        "delivered" => Meaning::Delivered,
        "failed" => failed(event),
        "rejected" => Meaning::NotSent(None),
        "opened" => Meaning::Opened,
        "clicked" => Meaning::Clicked,
        "unsubscribed" => Meaning::Unsubscribed,
        "complained" => Meaning::Complained,
        "stored" => Meaning::Ignored("about an incoming message"),
        "" => Meaning::Unnamed,
        _ => Meaning::Unknown,
    }
}

/// A permanent failure ends the attempts. The address can exist nevertheless.
fn failed(event: &Object<'_>) -> Meaning {
    let reason = event.part("reason");
    let status = event.object("delivery-status");
    let number = status.part("code");
    if reason.starts_with("suppress-") || matches!(number.as_str(), "605" | "606" | "607") {
        return Meaning::NotSent(Some(BounceClass::Suppressed));
    }
    if event.word("severity") == "temporary" {
        return DELAYED;
    }
    let by_code = code(&status).as_deref().and_then(class_of_code);
    let class = match (by_code, status.word("bounce-type").as_str()) {
        (Some(class), _) => class,
        // given up after temporary failures
        _ if reason == "old" || status.part("last-code").starts_with('4') => BounceClass::Soft,
        (None, "soft") => BounceClass::Soft,
        (None, "hard") => BounceClass::Hard,
        _ if reason == "bounce" => BounceClass::Hard,
        _ => BounceClass::Unknown,
    };
    Meaning::Bounced(class)
}

/// The enhanced status code, from a field or from the receiver's text.
fn code(status: &Object<'_>) -> Option<String> {
    let field = ["enhanced-code", "bounce-code"].into_iter().find_map(|name| status.text(name));
    let said = ["message", "description"].into_iter().find_map(|name| {
        status.text(name).as_deref().and_then(enhanced_code_in).map(str::to_owned)
    });
    field.or(said)
}

/// Mailgun's own mark. Gmail's proxy fetches when a person opens.
fn bot(event: &Object<'_>) -> Option<&'static str> {
    match event.object("client-info").word("bot").as_str() {
        "" | "gmail" | "yahoo" => None,
        "apple" => Some(APPLE_MPP),
        _ => Some(SCANNER),
    }
}

fn read(body: &Object<'_>, _: &str) -> Vec<Draft> {
    let event = body.object("event-data");
    let meaning = meaning(&event);
    let send_id = send_id::in_metadata(event.get("user-variables"));
    let message_ids = vec![event.object("message").object("headers").id("message-id")];
    let status = event.object("delivery-status");
    // an ID is unique within a day
    let key = match event.text("id") {
        Some(id) => key([&id, &event.part("timestamp")]),
        None => key([
            &identity(&message_ids, send_id),
            &event.part("event"),
            &event.part("timestamp"),
            &event.part("recipient"),
            &event.part("url"),
        ]),
    };
    let diagnostic = ["message", "description"].into_iter().find_map(|name| status.text(name));
    let error = match meaning {
        Meaning::NotSent(Some(_)) => {
            Some(format!("suppressed by the provider: {}", event.part("reason")))
        }
        Meaning::NotSent(None) => {
            event.object("reject").text("reason").or_else(|| event.text("reason"))
        }
        _ => diagnostic.clone().or_else(|| event.text("reason")),
    };
    vec![Draft {
        meaning,
        at: event.time("timestamp"),
        key,
        send_id,
        message_ids,
        recipient: event.text("recipient"),
        code: code(&status).or_else(|| status.text("code")),
        diagnostic,
        error,
        url: event.text("url"),
        user_agent: event.object("client-info").text("user-agent"),
        machine: bot(&event),
        ..Draft::default()
    }]
}
