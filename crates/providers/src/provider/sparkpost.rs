//! SparkPost. A request has a list of events, each in an object of its class; an empty object is a ping
//! (<https://developers.sparkpost.com/api/webhooks/>, <https://support.sparkpost.com/docs/tech-resources/webhook-event-reference>).

use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    bounce::BounceClass,
    draft::{AUTOMATIC_REPLY, DELAYED, Draft, Meaning, NOT_SPAM, RESUBSCRIBED, identity, key},
    json::{Json, Object},
    key::KeyKind,
    machine::APPLE_MPP,
    send_id,
    verify::by_authorization,
};

pub(super) const FACTS: Facts = Facts {
    name: "SPARKPOST",
    keys: KeyKind::Authorization,
    // anything but 200 is retried for 8 hours
    answers: Answers::USUAL,
    batches: true,
    headers,
    verify: by_authorization,
    read,
};

/// <https://developers.sparkpost.com/api/smtp/>
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-MSYS-API", format!(r#"{{"metadata":{{"send_id":"{send}"}}}}"#))]
}

fn meaning(event: &Object<'_>) -> Meaning {
    match event.word("type").as_str() {
        "injection" => Meaning::Sent,
        "delivery" => Meaning::Delivered,
        "bounce" | "outofband" => bounce(&event.part("bounce_class")),
        "policyrejection" | "generationfailure" | "generationrejection" => Meaning::NotSent(None),
        "delay" => DELAYED,
        "spamcomplaint" if event.word("fbtype") == "notspam" => NOT_SPAM,
        "spamcomplaint" => Meaning::Complained,
        "open" | "ampopen" => Meaning::Opened,
        // comes in addition to the open
        "initialopen" | "ampinitialopen" => Meaning::Ignored("the open has an event of its own"),
        "click" | "ampclick" => Meaning::Clicked,
        "listunsubscribe" | "linkunsubscribe" => Meaning::Unsubscribed,
        "" => Meaning::Unnamed,
        _ => Meaning::Unknown,
    }
}

/// The codes of bounces (<https://support.sparkpost.com/docs/deliverability/bounce-classification-codes>).
fn bounce(class: &str) -> Meaning {
    match class {
        // invalid recipient, no recipient
        "10" | "30" => Meaning::Bounced(BounceClass::Hard),
        // soft, DNS, mailbox full, too large, timeout; generic; transient
        "20" | "21" | "22" | "23" | "24" | "40" | "70" => Meaning::Bounced(BounceClass::Soft),
        // refused by the configuration of the account
        "25" => Meaning::NotSent(None),
        // mail block, spam block, spam content, attachment, relaying denied
        "50" | "51" | "52" | "53" | "54" => Meaning::Bounced(BounceClass::Block),
        // automatic reply, challenge
        "60" | "100" => AUTOMATIC_REPLY,
        "80" => RESUBSCRIBED,
        "90" => Meaning::Unsubscribed,
        // 1, undetermined
        _ => Meaning::Bounced(BounceClass::Unknown),
    }
}

fn read(entry: &Object<'_>, _: &str) -> Vec<Draft> {
    let Some(wrapper) = entry.get("msys").and_then(Json::object) else {
        return vec![Draft::default()];
    };
    // there is one class, and none in a ping
    wrapper.fields().map(|(_, event)| draft(&event.object().unwrap_or_default())).collect()
}

fn draft(event: &Object<'_>) -> Draft {
    let meaning = meaning(event);
    let send_id = send_id::in_metadata(event.get("rcpt_meta"));
    // the API answers with the ID of the transmission
    let message_ids = vec![event.id("transmission_id"), event.id("message_id")];
    let recipient = event.text("raw_rcpt_to").or_else(|| event.text("rcpt_to"));
    let key = event.text("event_id").unwrap_or_else(|| {
        key([
            &identity(&message_ids, send_id),
            &event.part("type"),
            &recipient.clone().unwrap_or_default().to_lowercase(),
            &event.part("timestamp"),
            &event.part("target_link_url"),
        ])
    });
    let reason = event.text("raw_reason").or_else(|| event.text("reason"));
    let has_enhanced =
        reason.as_deref().is_some_and(|text| crate::bounce::enhanced_code_in(text).is_some());
    Draft {
        meaning,
        at: event.time("timestamp"),
        key,
        send_id,
        message_ids,
        recipient,
        // the enhanced code in the text says more
        code: if has_enhanced { None } else { event.text("error_code") },
        error: reason.clone().or_else(|| event.text("type")),
        diagnostic: reason,
        url: event.text("target_link_url"),
        user_agent: event.text("user_agent"),
        machine: event.object("user_agent_parsed").flag("is_prefetched").then_some(APPLE_MPP),
        ..Draft::default()
    }
}
