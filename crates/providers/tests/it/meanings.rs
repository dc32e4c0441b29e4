//! Events that the fixtures lack, and what they mean.

use std::slice::from_ref;

use campaigns_providers::{Event, Outcome, Provider, Status};
use serde_json::{Value, json};

use crate::senders::post_events;

/// The time of all events.
const SECONDS: i64 = 1_788_004_680;
const TIME: &str = "2026-08-29T11:58:00Z";

/// The status and the class of the only report that the event becomes, and its event.
fn meaning(
    provider: Provider,
    event: &Value,
) -> (Option<Status>, Option<&'static str>, Option<Event>) {
    let outcomes = post_events(provider, from_ref(event));
    let [Outcome::Report(report)] = &outcomes[..] else { panic!("{event}: {outcomes:?}") };
    let class = report.bounce.as_ref().map(|bounce| bounce.class.name());
    (report.status, class, report.event.clone())
}

/// Asserts that the event is a bounce of the class.
fn assert_bounce(provider: Provider, event: &Value, class: &'static str) {
    let expected = Event::Bounce { hard: class == "hard" };
    assert_eq!(
        meaning(provider, event),
        (Some(Status::Bounced), Some(class), Some(expected)),
        "{event}"
    );
}

/// Asserts that the event means that the message was not sent.
fn assert_failed(provider: Provider, event: &Value, class: Option<&'static str>) {
    assert_eq!(meaning(provider, event), (Some(Status::Failed), class, None), "{event}");
}

fn assert_status(provider: Provider, event: &Value, status: Status) {
    assert_eq!(meaning(provider, event), (Some(status), None, None), "{event}");
}

fn assert_event(provider: Provider, event: &Value, expected: Event) {
    assert_eq!(meaning(provider, event), (None, None, Some(expected)), "{event}");
}

fn with(mut event: Value, fields: &Value) -> Value {
    event
        .as_object_mut()
        .expect("an object")
        .extend(fields.as_object().expect("an object").clone());
    event
}

#[test]
fn a_bounce_of_ses_has_its_class() {
    let bounce = |bounce_type: Value, sub_type: Value| {
        json!({ "eventType": "Bounce", "mail": { "messageId": "m" },
            "bounce": { "bounceType": bounce_type, "bounceSubType": sub_type, "feedbackId": "f", "timestamp": TIME } })
    };
    for (bounce_type, sub_type, class) in [
        ("Permanent", "NoEmail", "hard"),
        ("Permanent", "Suppressed", "hard"),
        ("Transient", "General", "soft"),
        ("Transient", "MailboxFull", "soft"),
        ("Transient", "MessageTooLarge", "content"),
        ("Transient", "ContentRejected", "content"),
        ("Transient", "AttachmentRejected", "content"),
        ("Undetermined", "Undetermined", "unknown"),
    ] {
        assert_bounce(Provider::Ses, &bounce(bounce_type.into(), sub_type.into()), class);
    }
    assert_bounce(Provider::Ses, &bounce(Value::Null, Value::Null), "unknown");
    let failure = json!({ "eventType": "Rendering Failure", "mail": { "messageId": "m", "timestamp": TIME },
        "failure": { "templateName": "t", "errorMessage": "attribute 'name' is not present" } });
    assert_failed(Provider::Ses, &failure, None);
}

#[test]
fn a_change_of_topics_in_ses_is_an_unsubscribe_if_one_is_left() {
    let change = |new: Value, old: Value| {
        json!({ "eventType": "Subscription", "mail": { "messageId": "m" },
            "subscription": { "timestamp": TIME, "newTopicPreferences": new, "oldTopicPreferences": old } })
    };
    let topic = |status: &str| json!({ "topicSubscriptionStatus": [{ "topicName": "news", "subscriptionStatus": status }] });
    assert_event(Provider::Ses, &change(topic("OptOut"), topic("OptIn")), Event::Unsubscribe);
    assert_event(
        Provider::Ses,
        &change(json!({ "unsubscribeAll": true }), json!({})),
        Event::Unsubscribe,
    );
    for (new, old) in [("OptIn", "OptOut"), ("OptOut", "OptOut"), ("OptIn", "OptIn")] {
        let outcomes = post_events(Provider::Ses, &[change(topic(new), topic(old))]);
        assert!(matches!(outcomes[..], [Outcome::Ignored(_)]), "{new} {old}: {outcomes:?}");
    }
}

#[test]
fn an_event_of_sendgrid_has_its_meaning() {
    let event = |fields: &Value| {
        let common = json!({ "event": "bounce", "type": "bounce", "email": "ada@example.com",
            "timestamp": SECONDS, "sg_message_id": "m.1" });
        with(common, fields)
    };
    for (classification, status, class) in [
        ("Invalid Address", "5.0.0", "hard"),
        ("invalid address", "5.5.0", "hard"),
        ("Unclassified", "5.1.1", "hard"),
        ("", "5.1.1", "hard"),
        ("Reputation", "5.0.0", "block"),
        ("Frequency or Volume Too High", "4.0.0", "block"),
        ("Mailbox Unavailable", "5.2.2", "soft"),
        ("Mailbox Unavailable", "4.2.1", "soft"),
        ("Content", "5.0.0", "content"),
        ("Technical Failure", "5.0.0", "unknown"),
        ("technical", "5.0.0", "unknown"),
        ("Unclassified", "5.0.0", "unknown"),
    ] {
        let bounce = event(&json!({ "bounce_classification": classification, "status": status }));
        assert_bounce(Provider::Sendgrid, &bounce, class);
    }
    let reason = json!({ "reason": "550 5.1.1 no such user", "status": "5.0.0" });
    assert_bounce(Provider::Sendgrid, &event(&reason), "hard");
    assert_bounce(
        Provider::Sendgrid,
        &event(&json!({ "type": "blocked", "status": "5.1.1" })),
        "block",
    );
    for (reason, class) in [
        ("Bounced Address", "suppressed"),
        ("Spam Reporting Address", "suppressed"),
        ("Spam Content", "content"),
        ("Invalid SMTPAPI header", "unknown"),
        ("Recipient List over Package Quota", "unknown"),
    ] {
        assert_failed(
            Provider::Sendgrid,
            &event(&json!({ "event": "dropped", "reason": reason })),
            Some(class),
        );
    }
    assert_status(Provider::Sendgrid, &event(&json!({ "event": "processed" })), Status::Sent);
    assert_event(Provider::Sendgrid, &event(&json!({ "event": "spamreport" })), Event::Complaint);
    let group = json!({ "event": "group_unsubscribe", "asm_group_id": 7 });
    assert_event(Provider::Sendgrid, &event(&group), Event::Unsubscribe);
    // an argument of the sender's that is named like a field does not replace it; a time in milliseconds
    let milliseconds = json!({ "event": "open", "timestamp": SECONDS * 1_000 });
    assert_event(Provider::Sendgrid, &event(&milliseconds), Event::Open);
}

#[test]
fn a_bounce_of_postmark_has_its_class() {
    let bounce = |name: &str| json!({ "RecordType": "Bounce", "Type": name, "ID": 1, "MessageID": "m", "BouncedAt": TIME });
    for (name, class) in
        [("DnsError", "soft"), ("VirusNotification", "block"), ("SomethingNew", "unknown")]
    {
        assert_bounce(Provider::Postmark, &bounce(name), class);
    }
    assert_failed(Provider::Postmark, &bounce("Unconfirmed"), Some("suppressed"));
    assert_failed(Provider::Postmark, &bounce("SMTPApiError"), None);
    assert_failed(Provider::Postmark, &bounce("TemplateRenderingFailed"), None);
    for name in ["AddressChange", "Subscribe", "InboundError"] {
        let outcomes = post_events(Provider::Postmark, &[bounce(name)]);
        assert!(matches!(outcomes[..], [Outcome::Ignored(_)]), "{name}: {outcomes:?}");
    }
}

#[test]
fn a_failure_of_mailgun_has_its_class() {
    let failed = |reason: &str, status: Value| {
        json!({ "event": "failed", "severity": "permanent", "reason": reason, "id": "i", "timestamp": SECONDS,
            "message": { "headers": { "message-id": "m" } }, "delivery-status": status })
    };
    for (reason, status, class) in [
        ("bounce", json!({ "code": 550, "message": "no such user" }), "hard"),
        ("bounce", json!({ "code": 550, "enhanced-code": "5.7.1" }), "block"),
        ("generic", json!({ "code": 550, "message": "5.1.1 no such user" }), "hard"),
        ("generic", json!({ "code": 552, "enhanced-code": "5.2.2" }), "soft"),
        ("generic", json!({ "code": 550 }), "unknown"),
        ("generic", json!({ "last-code": "421" }), "soft"),
        ("generic", Value::Null, "unknown"),
    ] {
        assert_bounce(Provider::Mailgun, &failed(reason, status), class);
    }
    assert_failed(
        Provider::Mailgun,
        &failed("suppress-bounce", json!({ "code": 605 })),
        Some("suppressed"),
    );
    assert_failed(Provider::Mailgun, &failed("", json!({ "code": "607" })), Some("suppressed"));
    let complained = with(failed("", Value::Null), &json!({ "event": "complained" }));
    assert_event(Provider::Mailgun, &complained, Event::Complaint);
}

#[test]
fn a_bounce_of_resend_has_its_class() {
    let bounce = |bounce: Value| json!({ "type": "email.bounced", "created_at": TIME, "data": { "email_id": "m", "bounce": bounce } });
    for (bounce_type, sub_type, class) in [
        ("Permanent", "Suppressed", "hard"),
        ("Transient", "General", "soft"),
        ("Transient", "ContentRejected", "content"),
        ("Undetermined", "Undetermined", "unknown"),
    ] {
        assert_bounce(
            Provider::Resend,
            &bounce(json!({ "type": bounce_type, "subType": sub_type })),
            class,
        );
    }
    assert_bounce(Provider::Resend, &bounce(Value::Null), "unknown");
    let several = json!({ "type": "email.complained", "created_at": TIME, "data": { "email_id": "m", "to": ["a@b", "c@d"] } });
    let outcomes = post_events(Provider::Resend, &[several]);
    assert!(matches!(outcomes[..], [Outcome::Ignored(_)]), "{outcomes:?}");
}

#[test]
fn a_bounce_of_sparkpost_has_its_class() {
    let event = |fields: &Value| {
        let common = json!({ "type": "bounce", "event_id": "e", "timestamp": "1788004680", "transmission_id": "m" });
        json!({ "msys": { "message_event": with(common, fields) } })
    };
    for (code, class) in [
        ("30", "hard"),
        ("20", "soft"),
        ("24", "soft"),
        ("40", "soft"),
        ("70", "soft"),
        ("50", "block"),
        ("54", "block"),
        ("1", "unknown"),
        ("", "unknown"),
    ] {
        assert_bounce(Provider::Sparkpost, &event(&json!({ "bounce_class": code })), class);
    }
    assert_bounce(Provider::Sparkpost, &event(&json!({ "bounce_class": 10 })), "hard");
    assert_failed(Provider::Sparkpost, &event(&json!({ "bounce_class": "25" })), None);
    assert_event(Provider::Sparkpost, &event(&json!({ "bounce_class": "90" })), Event::Unsubscribe);
    assert_failed(Provider::Sparkpost, &event(&json!({ "type": "generation_failure" })), None);
    assert_status(Provider::Sparkpost, &event(&json!({ "type": "injection" })), Status::Sent);
    assert_event(Provider::Sparkpost, &event(&json!({ "type": "amp_open" })), Event::Open);
}

#[test]
fn an_event_of_mailjet_has_its_meaning() {
    let event = |fields: &Value| {
        with(
            json!({ "event": "bounce", "time": SECONDS, "MessageID": 1, "hard_bounce": true }),
            fields,
        )
    };
    for (error, related_to, class) in [
        ("user unknown", "recipient", "hard"),
        ("invalid domain", "domain", "hard"),
        ("quota exceeded", "recipient", "soft"),
        ("sender blocked", "spam", "block"),
        ("content blocked", "spam", "content"),
        ("relay/access denied", "domain", "block"),
        ("connection issue", "system", "unknown"),
    ] {
        let bounce = event(&json!({ "error": error, "error_related_to": related_to }));
        assert_bounce(Provider::Mailjet, &bounce, class);
    }
    let soft =
        json!({ "hard_bounce": false, "error": "connection issue", "error_related_to": "system" });
    assert_bounce(Provider::Mailjet, &event(&soft), "soft");
    let duplicate = json!({ "event": "blocked", "error": "duplicate in campaign" });
    assert_failed(Provider::Mailjet, &event(&duplicate), None);
    let click = json!({ "event": "click", "url": "https://shop.example/" });
    let url = "https://shop.example/".to_owned();
    assert_event(Provider::Mailjet, &event(&click), Event::Click { url });
    assert_event(Provider::Mailjet, &event(&json!({ "event": "spam" })), Event::Complaint);
}

#[test]
fn an_event_of_mandrill_has_its_meaning() {
    let event = |name: &str, message: Value| json!({ "event": name, "_id": "m", "ts": SECONDS, "msg": message });
    assert_status(Provider::Mandrill, &event("send", json!({})), Status::Sent);
    assert_status(
        Provider::Mandrill,
        &event("delivered", json!({ "metadata": [] })),
        Status::Delivered,
    );
    assert_bounce(Provider::Mandrill, &event("soft_bounce", json!({})), "soft");
    let spam = json!({ "bounce_description": "spam_rejected" });
    assert_bounce(Provider::Mandrill, &event("soft_bounce", spam), "block");
    let hard = json!({ "reject": { "reason": "hard-bounce" } });
    assert_failed(Provider::Mandrill, &event("reject", hard), Some("suppressed"));
    assert_failed(Provider::Mandrill, &event("reject", json!({})), None);
    assert_event(Provider::Mandrill, &event("unsub", json!({})), Event::Unsubscribe);
    let click = with(event("click", json!({})), &json!({ "url": "https://shop.example/" }));
    assert_event(
        Provider::Mandrill,
        &click,
        Event::Click { url: "https://shop.example/".to_owned() },
    );
}

#[test]
fn an_event_of_brevo_has_its_meaning() {
    let event =
        |name: &str| json!({ "event": name, "message-id": "<m>", "ts_epoch": SECONDS * 1_000 });
    assert_event(Provider::Brevo, &event("unique_proxy_open"), Event::Open);
    assert_event(Provider::Brevo, &event("unsubscribed"), Event::Unsubscribe);
    assert_bounce(Provider::Brevo, &event("hard_bounce"), "hard");
    assert_bounce(Provider::Brevo, &event("invalid_email"), "hard");
    assert_bounce(Provider::Brevo, &event("soft_bounce"), "soft");
    assert_failed(Provider::Brevo, &event("blocked"), Some("suppressed"));
    assert_failed(Provider::Brevo, &event("error"), None);
}

#[test]
fn an_event_of_postal_has_its_meaning() {
    let event = |name: &str, payload: Value| json!({ "event": name, "timestamp": SECONDS, "payload": payload, "uuid": "u" });
    let failed = json!({ "message": { "id": 1 }, "status": "HardFail", "details": "refused", "output": "550 5.1.1 no" });
    assert_bounce(Provider::Postal, &event("MessageDeliveryFailed", failed), "unknown");
    assert_bounce(
        Provider::Postal,
        &event("MessageBounced", json!({ "original_message": { "id": 1 } })),
        "hard",
    );
    let delayed = event("MessageDelayed", json!({ "message": { "id": 1 } }));
    assert!(matches!(post_events(Provider::Postal, &[delayed])[..], [Outcome::Ignored(_)]));
}

#[test]
fn events_that_say_nothing_about_a_send_are_ignored() {
    for (provider, event) in [
        (
            Provider::Ses,
            json!({ "notificationType": "AmazonSnsSubscriptionSucceeded", "message": "subscribed" }),
        ),
        (Provider::Ses, json!({ "notificationType": "Received", "mail": { "messageId": "m" } })),
        (Provider::Ses, json!({ "eventType": "Something New", "mail": { "messageId": "m" } })),
        (
            Provider::Sendgrid,
            json!({ "event": "deferred", "email": "ada@example.com", "timestamp": SECONDS }),
        ),
        (Provider::Postmark, json!({ "RecordType": "Inbound" })),
        (
            Provider::Mailgun,
            json!({ "event": "failed", "severity": "temporary", "reason": "greylisted" }),
        ),
        (Provider::Mailgun, json!({ "event": "list_member_uploaded" })),
        (Provider::Resend, json!({ "type": "domain.updated" })),
        (Provider::Brevo, json!({ "event": "deferred" })),
        (Provider::Brevo, json!({ "event": "list_addition" })),
        (Provider::Sparkpost, json!({ "msys": { "track_event": { "type": "initial_open" } } })),
        (Provider::Sparkpost, json!({ "msys": { "message_event": { "type": "delay" } } })),
        (
            Provider::Mailjet,
            json!({ "event": "bounce", "error": "greylisted", "hard_bounce": false }),
        ),
        (Provider::Mandrill, json!({ "type": "blacklist", "action": "add" })),
        (
            Provider::Postal,
            json!({ "event": "MessageSent", "payload": { "message": { "direction": "incoming" } } }),
        ),
        (Provider::Postal, json!({ "event": "DomainDNSError" })),
        // it names no message
        (
            Provider::Postmark,
            json!({ "RecordType": "Open", "Recipient": "ada@example.com", "ReceivedAt": TIME }),
        ),
    ] {
        let outcomes = post_events(provider, from_ref(&event));
        assert!(matches!(outcomes[..], [Outcome::Ignored(_)]), "{provider} {event}: {outcomes:?}");
    }
}
