//! Postmark. A request has one event, of the type `RecordType`, and no signature
//! (<https://postmarkapp.com/developer/webhooks/webhooks-overview>).

use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    bounce::BounceClass,
    draft::{AUTOMATIC_REPLY, DELAYED, Draft, Meaning, RESUBSCRIBED, identity, key},
    json::Object,
    key::KeyKind,
    send_id,
    verify::by_authorization,
};

pub(super) const FACTS: Facts = Facts {
    name: "POSTMARK",
    keys: KeyKind::Authorization,
    // 403 ends the retries at once
    answers: Answers { no_credentials: 401, refused: 403, unreadable: 403, disabled: 403 },
    batches: false,
    headers,
    verify: by_authorization,
    read,
};

/// <https://postmarkapp.com/support/article/1125-custom-metadata-faq>
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-PM-Metadata-send_id", send.to_string())]
}

fn meaning(event: &Object<'_>) -> Meaning {
    match event.word("RecordType").as_str() {
        "delivery" => Meaning::Delivered,
        "bounce" => bounce(event),
        "spamcomplaint" => Meaning::Complained,
        "open" => Meaning::Opened,
        "click" => Meaning::Clicked,
        "subscriptionchange" => subscription(event),
        "" => Meaning::Unnamed,
        _ => Meaning::Unknown,
    }
}

/// The types of bounces, by name, since documents disagree about their numbers
/// (<https://postmarkapp.com/developer/api/bounce-api#bounce-types>).
fn bounce(event: &Object<'_>) -> Meaning {
    match event.word("Type").as_str() {
        "hardbounce" | "bademailaddress" => Meaning::Bounced(BounceClass::Hard),
        "softbounce" | "dnserror" => Meaning::Bounced(BounceClass::Soft),
        "blocked" | "spamnotification" | "dmarcpolicy" | "virusnotification" => {
            Meaning::Bounced(BounceClass::Block)
        }
        "manuallydeactivated" | "unconfirmed" => Meaning::NotSent(Some(BounceClass::Suppressed)),
        "smtpapierror" | "templaterenderingfailed" => Meaning::NotSent(None),
        "unsubscribe" => Meaning::Unsubscribed,
        "spamcomplaint" => Meaning::Complained,
        "transient" => DELAYED,
        "autoresponder" | "challengeverification" | "addresschange" => AUTOMATIC_REPLY,
        "openrelaytest" => Meaning::Ignored("a probe"),
        "subscribe" => RESUBSCRIBED,
        "inbounderror" => Meaning::Ignored("about an incoming message"),
        // Unknown, and new types
        _ => Meaning::Bounced(BounceClass::Unknown),
    }
}

/// Only the recipient's own choice is an unsubscribe
/// (<https://postmarkapp.com/developer/webhooks/subscription-change-webhook>).
fn subscription(event: &Object<'_>) -> Meaning {
    if !event.flag("SuppressSending") {
        return RESUBSCRIBED;
    }
    match (event.word("SuppressionReason").as_str(), event.word("Origin").as_str()) {
        ("manualsuppression", "recipient") => Meaning::Unsubscribed,
        ("manualsuppression", _) => Meaning::Ignored("suppressed by the sender's own staff"),
        ("hardbounce", _) => Meaning::Ignored("the bounce has an event of its own"),
        ("spamcomplaint", _) => Meaning::Ignored("the complaint has an event of its own"),
        _ => Meaning::Unknown,
    }
}

fn read(event: &Object<'_>, _: &str) -> Vec<Draft> {
    let meaning = meaning(event);
    let record = event.part("RecordType");
    let send_id = send_id::in_metadata(event.get("Metadata"));
    // zeros if a person suppressed the address at Postmark, and in tests
    let id =
        event.id("MessageID").filter(|id| !id.bytes().all(|byte| byte == b'0' || byte == b'-'));
    let message_ids = vec![id];
    let recipient = event.text("Email").or_else(|| event.text("Recipient"));
    let time = ["DeliveredAt", "BouncedAt", "ReceivedAt", "ChangedAt"]
        .into_iter()
        .find(|name| event.text(name).is_some())
        .unwrap_or_default();
    let is_numbered = matches!(record.as_str(), "Bounce" | "SpamComplaint");
    let key = match event.text("ID").filter(|_| is_numbered) {
        Some(id) => key([&record, &id]),
        None => key([
            &identity(&message_ids, send_id),
            &record,
            &recipient.clone().unwrap_or_default().to_lowercase(),
            &event.part(time),
            &event.part("OriginalLink"),
        ]),
    };
    let details = event.text("Details").or_else(|| event.text("Description"));
    let error = match meaning {
        Meaning::NotSent(Some(_)) => {
            Some(format!("suppressed by the provider: {}", event.part("Type")))
        }
        Meaning::NotSent(None) => details.clone().or_else(|| event.text("Type")),
        _ => details.clone().or_else(|| event.text("Name")),
    };
    vec![Draft {
        meaning,
        at: event.time(time),
        key,
        send_id,
        message_ids,
        recipient,
        diagnostic: details,
        error,
        url: event.text("OriginalLink"),
        user_agent: event.text("UserAgent"),
        ..Draft::default()
    }]
}
