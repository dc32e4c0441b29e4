//! Resend. A request has one event, delivered by Svix.
//!
//! Events: <https://resend.com/docs/dashboard/webhooks/event-types>. Signature:
//! [`standard_webhooks`](crate::standard_webhooks), with headers `svix-…`
//! (<https://resend.com/docs/dashboard/webhooks/verify-webhooks-requests>).

use uuid::Uuid;

use super::{Answers, Facts, ses};
use crate::{
    bounce::BounceClass,
    draft::{DELAYED, Draft, Meaning},
    json::Object,
    key::KeyKind,
    send_id, standard_webhooks,
};

pub(super) const FACTS: Facts = Facts {
    name: "RESEND",
    keys: KeyKind::StandardWebhooks,
    // anything but 2xx counts as a failure, for ignored events too; 410 ends the retries
    // (https://resend.com/docs/webhooks/retries-and-replays)
    answers: Answers { no_credentials: 401, refused: 401, unreadable: 400, disabled: 410 },
    batches: false,
    headers,
    verify: standard_webhooks::verify,
    read,
};

/// Only the API can set tags. Events return headers.
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![(send_id::HEADER, send.to_string())]
}

fn meaning(event: &Object<'_>, data: &Object<'_>) -> Meaning {
    match event.word("type").as_str() {
        "emailsent" => Meaning::Sent,
        "emaildelivered" => Meaning::Delivered,
        "emailbounced" => {
            let bounce = data.object("bounce");
            ses::bounce(&bounce.part("type"), &bounce.part("subType"))
        }
        "emailsuppressed" => Meaning::NotSent(Some(BounceClass::Suppressed)),
        "emailfailed" => Meaning::NotSent(None),
        "emailcomplained" => Meaning::Complained,
        "emailopened" => Meaning::Opened,
        "emailclicked" => Meaning::Clicked,
        "emaildeliverydelayed" => DELAYED,
        "emailscheduled" => Meaning::Ignored("not sent yet"),
        "emailreceived" => Meaning::Ignored("about an incoming message"),
        "" => Meaning::Unnamed,
        // contact.*, domain.*, suppression.*
        _ => Meaning::Ignored("about the account, not about a message"),
    }
}

fn read(event: &Object<'_>, delivery: &str) -> Vec<Draft> {
    let data = event.object("data");
    let mut meaning = meaning(event, &data);
    let recipients: Vec<_> =
        ["to", "cc", "bcc"].into_iter().flat_map(|name| data.texts(name)).collect();
    let only = if let [only] = recipients.as_slice() { Some(only.clone()) } else { None };
    // each recipient has an event, but the event does not name the recipient
    if recipients.len() > 1 && matches!(meaning, Meaning::Bounced(_) | Meaning::Complained) {
        meaning =
            Meaning::Ignored("the message has several recipients, and this does not say which");
    }
    let bounce = data.object("bounce");
    let suppressed = data.object("suppressed");
    let diagnostics = [bounce.texts("diagnosticCode"), suppressed.texts("diagnosticCode")].concat();
    let diagnostic =
        if diagnostics.is_empty() { bounce.text("message") } else { Some(diagnostics.join("; ")) };
    let error = match meaning {
        Meaning::NotSent(Some(_)) => {
            let list = ["reason", "type"].into_iter().find_map(|name| suppressed.text(name));
            let list = list.or_else(|| bounce.text("subType")).unwrap_or_default();
            Some(format!("suppressed by the provider: {list}"))
        }
        Meaning::NotSent(None) => data.object("failed").text("reason"),
        _ => None,
    };
    let click = data.object("click");
    let send_id =
        send_id::in_metadata(data.get("tags")).or_else(|| send_id::in_headers(data.get("headers")));
    vec![Draft {
        meaning,
        // the outer time is the event's, the inner one the message's
        at: event.time("created_at").or_else(|| click.time("timestamp")),
        // the same in retries and replays
        key: delivery.to_owned(),
        send_id,
        message_ids: vec![data.id("email_id"), data.id("message_id")],
        recipient: only,
        diagnostic,
        error,
        url: click.text("link"),
        user_agent: click.text("userAgent"),
        ..Draft::default()
    }]
}
