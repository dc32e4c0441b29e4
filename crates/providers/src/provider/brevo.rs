//! Brevo, formerly Sendinblue. Events have neither a signature nor an ID
//! (<https://developers.brevo.com/docs/transactional-webhooks>).

use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    bounce::BounceClass,
    draft::{DELAYED, Draft, Meaning, identity, key},
    json::Object,
    key::KeyKind,
    machine::APPLE_MPP,
    send_id,
    verify::by_authorization,
};

pub(super) const FACTS: Facts = Facts {
    name: "BREVO",
    keys: KeyKind::Authorization,
    answers: Answers::USUAL,
    batches: true,
    headers,
    verify: by_authorization,
    read,
};

/// <https://developers.brevo.com/docs/custom-variables-in-transactional-emails>
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-Mailin-custom", format!(r#"{{"send_id":"{send}"}}"#))]
}

fn meaning(event: &Object<'_>) -> Meaning {
    match event.word("event").as_str() {
        // comes before the message is sent, so that `blocked` can follow
        "request" | "sent" => Meaning::Sent,
        "delivered" => Meaning::Delivered,
        "hardbounce" | "invalidemail" => Meaning::Bounced(BounceClass::Hard),
        "softbounce" => Meaning::Bounced(BounceClass::Soft),
        "blocked" => Meaning::NotSent(Some(BounceClass::Suppressed)),
        "error" => Meaning::NotSent(None),
        "spam" | "complaint" => Meaning::Complained,
        "unsubscribe" | "unsubscribed" => Meaning::Unsubscribed,
        // `unique_…` replaces the other for the first open
        "opened" | "uniqueopened" | "proxyopen" | "uniqueproxyopen" | "loadedbyproxy" => {
            Meaning::Opened
        }
        "click" | "clicked" => Meaning::Clicked,
        "deferred" => DELAYED,
        "" => Meaning::Unnamed,
        _ => Meaning::Unknown,
    }
}

fn read(event: &Object<'_>, _: &str) -> Vec<Draft> {
    let name = event.part("event");
    let by_proxy = event.word("event").contains("proxy");
    let send_id = ["X-Mailin-custom", "tags", "tag"]
        .into_iter()
        .find_map(|field| send_id::in_metadata(event.get(field)));
    let message_ids = vec![event.id("message-id")];
    let recipient = event.text("email");
    // the others are in the time zone of the account; only `ts_epoch` is UTC, in milliseconds
    let time = ["ts_epoch", "ts_event", "ts"].into_iter().find(|name| event.text(name).is_some());
    let time = time.unwrap_or_default();
    let key = key([
        &identity(&message_ids, send_id),
        &name,
        &recipient.clone().unwrap_or_default().to_lowercase(),
        &event.part(time),
        &event.part("link"),
    ]);
    let reason = event.text("reason");
    vec![Draft {
        meaning: meaning(event),
        at: event.time(time),
        key,
        send_id,
        message_ids,
        recipient,
        error: reason.clone().or(Some(name)),
        diagnostic: reason,
        url: event.text("link"),
        user_agent: event.text("user_agent"),
        machine: by_proxy.then_some(APPLE_MPP),
        ..Draft::default()
    }]
}
