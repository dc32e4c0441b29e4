//! Postal, which is self-hosted. A request has one event
//! (<https://docs.postalserver.io/developer/webhooks>, and for the signature
//! <https://github.com/postalserver/docs/pull/92>).

use uuid::Uuid;

use super::{Answers, Facts};
use crate::{
    bounce::BounceClass,
    draft::{DELAYED, Draft, Meaning, identity, key},
    json::Object,
    key::KeyKind,
    send_id,
    verify::{Attempt, Signed, Stop, base64, no_credentials, refused},
};

pub(super) const FACTS: Facts = Facts {
    name: "POSTAL",
    keys: KeyKind::Rsa,
    answers: Answers::USUAL,
    batches: false,
    headers,
    verify,
    read,
};

/// A message has one tag.
fn headers(send: Uuid) -> Vec<(&'static str, String)> {
    vec![("X-Postal-Tag", send.to_string())]
}

/// RSA with SHA-256 over the raw body. Servers before version 3 sign with SHA-1 alone.
fn verify<'a>(attempt: &Attempt<'a>) -> Result<Signed<'a>, Stop> {
    let Some(signature) = attempt.header("x-postal-signature-256") else {
        return Err(match attempt.header("x-postal-signature") {
            Some(_) => refused("the signature uses SHA-1: upgrade the server to version 3"),
            None => no_credentials("the header with the signature is missing"),
        });
    };
    attempt.signed(&[attempt.request.body], &base64(signature)?)?;
    Ok(attempt.body())
}

fn meaning(event: &Object<'_>, message: &Object<'_>) -> Meaning {
    if message.word("direction") == "incoming" {
        return Meaning::Ignored("about an incoming message");
    }
    match event.word("event").as_str() {
        // the receiver has it
        "messagesent" => Meaning::Delivered,
        "messagedeliveryfailed" => Meaning::Bounced(BounceClass::Unknown),
        "messagebounced" => Meaning::Bounced(BounceClass::Hard),
        // one for each attempt (https://github.com/postalserver/postal/issues/768)
        "messagedelayed" => DELAYED,
        "messageheld" => Meaning::Ignored("held by the server"),
        "messagelinkclicked" => Meaning::Clicked,
        "messageloaded" => Meaning::Opened,
        "" => Meaning::Unnamed,
        // such as DomainDNSError and SendLimitApproaching
        _ => Meaning::Unknown,
    }
}

fn read(event: &Object<'_>, _: &str) -> Vec<Draft> {
    let payload = event.object("payload");
    let name =
        if payload.get("original_message").is_some() { "original_message" } else { "message" };
    let message = payload.object(name);
    let send_id = send_id::in_metadata(message.get("tag"));
    let message_ids = vec![message.id("id"), message.id("message_id"), message.id("token")];
    let key = event.text("uuid").unwrap_or_else(|| {
        key([
            &identity(&message_ids, send_id),
            &event.part("event"),
            &event.part("timestamp"),
            &payload.part("ip_address"),
            &payload.part("url"),
        ])
    });
    let output = payload.text("output");
    vec![Draft {
        meaning: meaning(event, &message),
        at: event.time("timestamp"),
        key,
        send_id,
        message_ids,
        recipient: message.text("to"),
        error: payload.text("details").or_else(|| output.clone()),
        diagnostic: output,
        url: payload.text("url"),
        user_agent: payload.text("user_agent"),
        ..Draft::default()
    }]
}
