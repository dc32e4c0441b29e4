//! Mailjet. A request has a list of events, or one event if grouping is off, and no signature
//! (<https://dev.mailjet.com/email/guides/webhooks/>).

use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    bounce::BounceClass,
    draft::{DELAYED, Draft, Meaning, identity, key},
    json::Object,
    key::KeyKind,
    send_id,
    verify::by_authorization,
};

pub(super) const FACTS: Facts = Facts {
    name: "MAILJET",
    keys: KeyKind::Authorization,
    // anything but 200 is retried for 24 hours, and then the URL is suspended
    answers: Answers::USUAL,
    batches: true,
    headers,
    verify: by_authorization,
    read,
};

/// <https://dev.mailjet.com/smtp-relay/custom-headers/>
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-MJ-CustomID", send.to_string())]
}

fn meaning(event: &Object<'_>) -> Meaning {
    let is_hard = event.flag("hard_bounce");
    let error = event.word("error");
    match event.word("event").as_str() {
        // the receiver has it
        "sent" => Meaning::Delivered,
        "bounce" | "blocked" if error == "greylisted" && !is_hard => DELAYED,
        "bounce" => Meaning::Bounced(bounce(&error, &event.word("error_related_to"), is_hard)),
        "blocked" => Meaning::NotSent(blocked(&error)),
        "open" => Meaning::Opened,
        "click" => Meaning::Clicked,
        "spam" => Meaning::Complained,
        "unsub" => Meaning::Unsubscribed,
        "" => Meaning::Unnamed,
        _ => Meaning::Unknown,
    }
}

/// The class of a bounce. `hard_bounce` is also true if the receiver refused the sender or the content, so
/// the error decides (<https://dev.mailjet.com/email/guides/webhooks/#possible-values-for-errors>).
fn bounce(error: &str, related_to: &str, is_hard: bool) -> BounceClass {
    match (error, related_to) {
        ("contentblocked", _) => BounceClass::Content,
        (_, "spam")
        | ("senderblocked" | "policyissue" | "blacklisted" | "relayaccessdenied", _) => {
            BounceClass::Block
        }
        ("quotaexceeded", _) => BounceClass::Soft,
        ("userunknown" | "invaliddomain" | "nomailhost" | "typofix", _) if is_hard => {
            BounceClass::Hard
        }
        (_, "recipient" | "domain") if is_hard => BounceClass::Hard,
        _ if is_hard => BounceClass::Unknown,
        _ => BounceClass::Soft,
    }
}

/// Why Mailjet did not try.
fn blocked(error: &str) -> Option<BounceClass> {
    match error {
        "preblocked" | "blacklisted" | "spamreporter" | "userunknown" | "mailboxinactive" => {
            Some(BounceClass::Suppressed)
        }
        "contentblocked" => Some(BounceClass::Content),
        _ => None,
    }
}

fn read(event: &Object<'_>, _: &str) -> Vec<Draft> {
    let meaning = meaning(event);
    let send_id = ["CustomID", "Payload"]
        .into_iter()
        .find_map(|field| send_id::in_metadata(event.get(field)));
    // too large for a float; zero in tests
    let id = |name: &str| event.id(name).filter(|id| id != "0");
    let message_ids = vec![id("MessageID"), id("Message_GUID"), id("mj_message_id")];
    let is_engagement = matches!(meaning, Meaning::Opened | Meaning::Clicked);
    let of_engagement = |name: &str| if is_engagement { event.part(name) } else { String::new() };
    let key = key([
        &identity(&message_ids, send_id),
        &event.part("event"),
        &event.part("time"),
        &of_engagement("ip"),
        &of_engagement("url"),
    ]);
    let said = event.text("comment").or_else(|| event.text("smtp_reply"));
    let reason = match (event.text("error"), said) {
        (Some(error), Some(said)) => Some(format!("{error}: {said}")),
        (error, said) => error.or(said),
    };
    let blocked = reason.as_ref().map(|reason| format!("blocked by the provider: {reason}"));
    vec![Draft {
        meaning,
        at: event.time("time"),
        key,
        send_id,
        message_ids,
        recipient: event.text("email"),
        error: blocked.filter(|_| matches!(meaning, Meaning::NotSent(_))),
        diagnostic: reason,
        url: event.text("url"),
        user_agent: event.text("agent"),
        ..Draft::default()
    }]
}
