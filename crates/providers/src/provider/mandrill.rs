//! Mailchimp Transactional, formerly Mandrill. A request is a form with a list of events in one field.
//!
//! Events: <https://mailchimp.com/developer/transactional/docs/webhooks/>. Signature:
//! <https://mailchimp.com/developer/transactional/guides/track-respond-activity-webhooks/#authenticating-webhook-requests>.

use std::borrow::Cow;

use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    Situation,
    bounce::BounceClass,
    draft::{DELAYED, Draft, Meaning, identity, key},
    json::{Object, word},
    key::KeyKind,
    send_id,
    verify::{Attempt, Signed, Stop, base64, no_credentials, unreadable},
};

pub(super) const FACTS: Facts = Facts {
    name: "MANDRILL",
    keys: KeyKind::HmacSha1,
    // before there is a key, an unsigned HEAD request must be answered with 200
    answers: Answers::USUAL,
    batches: true,
    headers,
    verify,
    read,
};

/// The field with the events.
const EVENTS: &[u8] = b"mandrill_events";

/// The fields of a form that are signed. Mandrill sends one.
const MAX_FORM_FIELDS: usize = 100;

/// <https://mailchimp.com/developer/transactional/docs/smtp-integration/>
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-MC-Metadata", format!(r#"{{"send_id":"{send}"}}"#))]
}

/// HMAC with SHA-1 over the URL as configured at Mandrill, and the name and value of each field, by name.
fn verify<'a>(attempt: &Attempt<'a>) -> Result<Signed<'a>, Stop> {
    let signature = attempt.header("x-mandrill-signature");
    let signature = base64(
        signature.ok_or_else(|| no_credentials("the header with the signature is missing"))?,
    )?;
    let Some(url) = attempt.webhook.url() else {
        let reason = "the public URL of the service, which is signed, is not configured";
        return Err(Stop::Refused(Situation::Unavailable, reason.into()));
    };
    let mut fields = form(attempt.request.body)?;
    fields.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut parts = vec![url.as_bytes()];
    parts.extend(fields.iter().flat_map(|(name, value)| [name.as_slice(), value.as_slice()]));
    attempt.signed(&parts, &signature)?;
    let events = fields.into_iter().find(|(name, _)| name == EVENTS);
    let (_, events) = events.ok_or_else(|| unreadable("the form has no field mandrill_events"))?;
    Ok(Signed { events: Cow::Owned(events), ..attempt.body() })
}

/// The name and the value of a field.
type FormField = (Vec<u8>, Vec<u8>);

/// The fields of a form (<https://url.spec.whatwg.org/#application/x-www-form-urlencoded>).
fn form(body: &[u8]) -> Result<Vec<FormField>, Stop> {
    let mut fields = Vec::new();
    for field in body.split(|byte| *byte == b'&').filter(|field| !field.is_empty()) {
        if fields.len() == MAX_FORM_FIELDS {
            return Err(unreadable("the form has too many fields"));
        }
        let end = field.iter().position(|byte| *byte == b'=').unwrap_or(field.len());
        let (name, value) = (&field[..end], field.get(end + 1..).unwrap_or_default());
        fields.push((decoded(name), decoded(value)));
    }
    Ok(fields)
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        bytes.push(match (first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                rest = &after[2..];
                u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte")
            }
            (b'+', ..) => b' ',
            (byte, ..) => *byte,
        });
    }
    bytes
}

fn meaning(event: &Object<'_>, message: &Object<'_>) -> Meaning {
    match event.word("event").as_str() {
        "send" => Meaning::Sent,
        "delivered" => Meaning::Delivered,
        "deferral" => DELAYED,
        "hardbounce" => Meaning::Bounced(BounceClass::Hard),
        "softbounce" => Meaning::Bounced(soft_bounce(&message.word("bounce_description"))),
        "reject" => Meaning::NotSent(rejected(&rejection(event, message).unwrap_or_default())),
        "open" => Meaning::Opened,
        "click" => Meaning::Clicked,
        "spam" => Meaning::Complained,
        "unsub" => Meaning::Unsubscribed,
        "inbound" => Meaning::Ignored("about an incoming message"),
        // changes of allow and deny lists have a type instead
        "" if event.text("type").is_none() => Meaning::Unnamed,
        _ => Meaning::Unknown,
    }
}

fn soft_bounce(description: &str) -> BounceClass {
    if ["spam", "block", "reputation", "policy"].iter().any(|part| description.contains(part)) {
        BounceClass::Block
    } else if ["toolarge", "messagesize", "content"].iter().any(|part| description.contains(part)) {
        BounceClass::Content
    } else {
        BounceClass::Soft
    }
}

fn rejection(event: &Object<'_>, message: &Object<'_>) -> Option<String> {
    let reject = |object: &Object<'_>| {
        object.object("reject").text("reason").or_else(|| object.text("reject_reason"))
    };
    reject(message).or_else(|| reject(event))
}

/// Why Mandrill did not try
/// (<https://mailchimp.com/developer/transactional/docs/reputation-rejections/#rejection-denylist>).
fn rejected(reason: &str) -> Option<BounceClass> {
    match word(reason).as_str() {
        "hardbounce" | "softbounce" | "spam" | "unsub" | "custom" => Some(BounceClass::Suppressed),
        _ => None,
    }
}

fn read(event: &Object<'_>, _: &str) -> Vec<Draft> {
    let message = event.object("msg");
    let meaning = meaning(event, &message);
    let send_id = send_id::in_metadata(message.get("metadata"));
    // events of one message have the same ID
    let message_ids = vec![event.id("_id").or_else(|| message.id("_id"))];
    let is_engagement = matches!(meaning, Meaning::Opened | Meaning::Clicked);
    let of_engagement = |name: &str| if is_engagement { event.part(name) } else { String::new() };
    let key = key([
        &identity(&message_ids, send_id),
        &event.part("event"),
        &event.part("ts"),
        &of_engagement("ip"),
        &of_engagement("url"),
    ]);
    let error = match meaning {
        Meaning::NotSent(_) => {
            let reason = rejection(event, &message).unwrap_or_else(|| "no reason given".to_owned());
            Some(format!("rejected by the provider: {reason}"))
        }
        _ => message.text("diag").or_else(|| message.text("bounce_description")),
    };
    vec![Draft {
        meaning,
        at: event.time("ts"),
        key,
        send_id,
        message_ids,
        recipient: message.text("email"),
        diagnostic: message.text("diag"),
        error,
        url: event.text("url"),
        user_agent: event.text("user_agent"),
        ..Draft::default()
    }]
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn forms_are_decoded_as_bytes() {
        assert_eq!(decoded(b"a+b%20c%c3%BC%"), "a b c\u{fc}%".as_bytes());
        assert_eq!(decoded(b"%zz%4"), b"%zz%4");
    }
}
