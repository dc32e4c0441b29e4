//! Twilio SendGrid, Event Webhook v3.
//!
//! Events: <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/event>. Signature:
//! <https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features>.

use chrono::TimeDelta;
use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    bounce::{BounceClass, class_of_code, enhanced_code_in},
    draft::{DELAYED, Draft, Meaning, RESUBSCRIBED, identity, key},
    json::Object,
    key::KeyKind,
    machine::APPLE_MPP,
    send_id,
    verify::{Attempt, Signed, Stop, base64, no_credentials},
};

pub(super) const FACTS: Facts = Facts {
    name: "SENDGRID",
    keys: KeyKind::P256,
    // anything but 2xx is retried for 24 hours
    answers: Answers::USUAL,
    batches: true,
    headers,
    verify,
    read,
};

/// SendGrid retries for 24 hours. Whether retries get a new signature is not documented.
const OLDEST: TimeDelta = TimeDelta::hours(26);

/// The longest time between a message and its asynchronous bounce, which has no IDs.
const BOUNCE_DELAY: TimeDelta = TimeDelta::days(7);

/// <https://www.twilio.com/docs/sendgrid/for-developers/sending-email/unique-arguments>
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-SMTPAPI", format!(r#"{{"unique_args":{{"send_id":"{send}"}}}}"#))]
}

/// ECDSA on P-256 with SHA-256 over the time and the raw body, with its last CR LF. ECDSA signatures are
/// malleable, so they identify nothing.
fn verify<'a>(attempt: &Attempt<'a>) -> Result<Signed<'a>, Stop> {
    let signature = attempt.header("x-twilio-email-event-webhook-signature");
    let timestamp = attempt.header("x-twilio-email-event-webhook-timestamp");
    let (Some(signature), Some(timestamp)) = (signature, timestamp) else {
        return Err(no_credentials(
            "a header of the signature is missing: turn on the signed event webhook",
        ));
    };
    attempt.unix_time(timestamp, OLDEST)?;
    attempt.signed(&[timestamp.as_bytes(), attempt.request.body], &base64(signature)?)?;
    Ok(attempt.body())
}

fn meaning(event: &Object<'_>) -> Meaning {
    match event.word("event").as_str() {
        "processed" => Meaning::Sent,
        "delivered" => Meaning::Delivered,
        "bounce" | "blocked" => Meaning::Bounced(bounce(event)),
        "dropped" => Meaning::NotSent(Some(dropped(event))),
        "open" => Meaning::Opened,
        "click" => Meaning::Clicked,
        "spamreport" => Meaning::Complained,
        "unsubscribe" | "groupunsubscribe" => Meaning::Unsubscribed,
        "deferred" => DELAYED,
        "groupresubscribe" => RESUBSCRIBED,
        "accountstatuschange" => Meaning::Ignored("about the account, not about a message"),
        "" => Meaning::Unnamed,
        _ => Meaning::Unknown,
    }
}

/// The class of a bounce. SendGrid has seven classifications, and documents differ in their case
/// (<https://www.twilio.com/docs/sendgrid/ui/analytics-and-reporting/bounce-and-block-classifications>).
fn bounce(event: &Object<'_>) -> BounceClass {
    let by_code = code(event).as_deref().and_then(class_of_code);
    let classification = event.word("bounce_classification");
    // the receiver refused the sender, and the address can be valid
    if event.word("type") == "blocked" || event.word("event") == "blocked" {
        return BounceClass::Block;
    }
    match classification.as_str() {
        name if name.starts_with("invalid") => BounceClass::Hard,
        name if name.starts_with("content") => BounceClass::Content,
        name if name.starts_with("reputation") || name.starts_with("frequency") => {
            BounceClass::Block
        }
        name if name.starts_with("mailbox") => by_code.unwrap_or(BounceClass::Soft),
        // Technical Failure, Unclassified, or none
        _ => by_code.unwrap_or(BounceClass::Unknown),
    }
}

/// Why SendGrid did not try.
fn dropped(event: &Object<'_>) -> BounceClass {
    match event.word("reason").as_str() {
        "bouncedaddress" | "unsubscribedaddress" | "spamreportingaddress" | "invalid" => {
            BounceClass::Suppressed
        }
        "spamcontent" => BounceClass::Content,
        // the quota, a header that is not valid
        _ => BounceClass::Unknown,
    }
}

/// The enhanced status code, from the status or the receiver's text. `5.0.0` means that SendGrid knows none.
fn code(event: &Object<'_>) -> Option<String> {
    let status = event.text("status").filter(|status| status != "5.0.0" && status != "4.0.0");
    let reason = event.text("reason");
    status.or_else(|| reason.as_deref().and_then(enhanced_code_in).map(str::to_owned))
}

fn read(event: &Object<'_>, _: &str) -> Vec<Draft> {
    let meaning = meaning(event);
    // custom arguments are fields of the event; SendGrid's own fields take precedence
    let send_id = send_id::in_metadata(event.get("send_id"));
    let id = event.id("sg_message_id");
    // the API answers with the part before the first full stop
    let answered = id.as_deref().and_then(|id| id.split('.').next()).map(str::to_owned);
    let is_async = send_id.is_none() && id.is_none();
    let message_ids = vec![id, answered, event.id("smtp-id")];
    let recipient = event.text("email");
    let name = event.part("event");
    let group = if name.starts_with("group_") { event.text("asm_group_id") } else { None };
    let group = group.map(|group| format!("group={group}")).unwrap_or_default();
    // the event's ID changes in retries
    // (https://github.com/sendgrid/sendgrid-nodejs/issues/1435)
    let common = key([
        &identity(&message_ids, send_id),
        &name,
        &event.part("timestamp"),
        &recipient.clone().unwrap_or_default().to_lowercase(),
        &group,
    ]);
    let is_engagement = matches!(meaning, Meaning::Opened | Meaning::Clicked);
    let key = if is_engagement {
        let index = event.object("url_offset").part("index");
        key([&common, &event.part("ip"), &event.part("useragent"), &event.part("url"), &index])
    } else {
        common
    };
    let reason = event.text("reason");
    let dropped = reason.as_ref().map(|reason| format!("dropped by the provider: {reason}"));
    vec![Draft {
        meaning,
        at: event.time("timestamp"),
        key,
        send_id,
        message_ids,
        recipient,
        // an asynchronous bounce can lack both IDs
        by_address_within: (is_async && matches!(meaning, Meaning::Bounced(_)))
            .then_some(BOUNCE_DELAY),
        code: code(event).or_else(|| event.text("status")),
        error: dropped.filter(|_| matches!(meaning, Meaning::NotSent(_))),
        diagnostic: reason,
        url: event.text("url"),
        user_agent: event.text("useragent"),
        machine: event.flag("sg_machine_open").then_some(APPLE_MPP),
        ..Draft::default()
    }]
}
