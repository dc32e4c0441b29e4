//! The fixtures of each provider become what `expected.json` says.

use std::slice::from_ref;

use campaigns_providers::{BounceClass, Event, Outcome, Provider, Report, Status};
use chrono::DateTime;
use serde_json::{Value, json};

use crate::senders::{directory, events, expected, post, post_events};

/// The ID of the delivery in the fixtures of Resend.
const DELIVERY: &str = "msg_3Fx0aQz7RkLmN8vTcY2wJdHsB5e";

fn assert_outcome(case: &str, outcome: &Outcome, expected: &Value) {
    let is_ignored = expected["status"].is_null() && expected["event"].is_null();
    let report = match outcome {
        Outcome::Ignored(_) if is_ignored => return,
        Outcome::Report(report) if !is_ignored => report,
        _ => panic!("{case}: {outcome:?}"),
    };
    assert_report(case, report, expected);
}

fn assert_report(case: &str, report: &Report, expected: &Value) {
    let correlation = &report.correlation;
    let send_id = correlation.send_id.filter(|_| !correlation.several_recipients);
    assert_eq!(json!(send_id.map(|id| id.to_string())), expected["sendId"], "{case}");
    assert_eq!(json!(report.message_id), expected["providerMessageId"], "{case}");
    assert_eq!(json!(report.key), expected["eventKey"], "{case}");
    let at =
        DateTime::parse_from_rfc3339(expected["at"].as_str().expect("a time")).expect("a time");
    assert_eq!(report.at, at, "{case}");
    let status = report.status.map(|status| match status {
        Status::Sent => "SENT",
        Status::Delivered => "DELIVERED",
        Status::Bounced => "BOUNCED",
        Status::Failed => "FAILED",
    });
    assert_eq!(json!(status), expected["status"], "{case}");
    let event = report.event.as_ref().map(|event| match event {
        Event::Open => json!({ "type": "OPEN" }),
        Event::Click { url } => json!({ "type": "CLICK", "url": url }),
        Event::Bounce { hard: true } => json!({ "type": "BOUNCE", "bounceType": "HARD" }),
        Event::Bounce { hard: false } => json!({ "type": "BOUNCE", "bounceType": "SOFT" }),
        Event::Complaint => json!({ "type": "COMPLAINT" }),
        Event::Unsubscribe => json!({ "type": "UNSUBSCRIBE" }),
    });
    assert_eq!(json!(event), expected["event"], "{case}");
    assert_eq!(json!(report.error), expected["error"], "{case}");
    let class = report.bounce.as_ref().map(|bounce| bounce.class);
    if let Some(expected) = expected.get("bounceClass") {
        assert_eq!(json!(class.map(BounceClass::name)), *expected, "{case}");
    }
    if let Some(Event::Bounce { hard }) = report.event {
        assert_eq!(hard, class == Some(BounceClass::Hard), "{case}");
    }
    let machine: Vec<_> = expected.get("machine").into_iter().collect();
    assert_eq!(json!(report.machine_reasons), json!(machine), "{case}");
    if let Some(recipient) = expected["recipient"].as_str() {
        assert!(correlation.allows(Some(recipient)), "{case}");
        assert!(!correlation.allows(Some("ada@example.com")), "{case}");
    }
}

#[test]
fn every_fixture_becomes_what_is_expected() {
    let mut files = 0;
    for provider in Provider::ALL {
        for (name, expected) in expected(*provider) {
            let case = format!("{provider} {name}");
            let expected = expected.as_array().expect("a list");
            let outcomes: Vec<_> = events(*provider, &name)
                .iter()
                .flat_map(|event| post(*provider, &event.to_string(), DELIVERY).expect("accepted"))
                .collect();
            assert_eq!(outcomes.len(), expected.len(), "{case}: {outcomes:?}");
            for (outcome, expected) in outcomes.iter().zip(expected) {
                assert_outcome(&case, outcome, expected);
            }
            files += 1;
        }
    }
    assert!(files > 100, "{files}");
}

#[test]
fn every_file_has_an_expectation() {
    for provider in Provider::ALL {
        let names: Vec<String> = expected(*provider).into_iter().map(|(name, _)| name).collect();
        let files = std::fs::read_dir(directory(*provider)).expect("a directory");
        for file in files {
            let file = file.expect("a file").file_name().into_string().expect("a name");
            let Some(name) = file.strip_suffix(".json") else { continue };
            let is_event = !matches!(name, "expected" | "signatures");
            assert!(
                !is_event || names.iter().any(|expected| expected == name),
                "{provider} {name}"
            );
        }
    }
}

#[test]
fn an_event_of_ses_is_the_same_in_each_of_its_forms() {
    let records =
        std::fs::read_to_string(directory(Provider::Ses).join("firehose.ndjson")).expect("a file");
    let records: Vec<Value> =
        records.lines().map(|line| serde_json::from_str(line).expect("an event")).collect();
    assert_eq!(records.len(), 4);
    for record in records {
        let outcomes = post_events(Provider::Ses, from_ref(&record));
        assert!(matches!(outcomes[..], [Outcome::Report(_)]), "{outcomes:?}");
        let from_event_bridge = json!({
            "version": "0", "id": "5b1f", "source": "aws.ses", "account": "123456789012",
            "detail-type": "Email Something", "time": "2026-08-29T12:00:00Z", "detail": record,
        });
        assert_eq!(post_events(Provider::Ses, &[from_event_bridge]), outcomes);
    }
    // without its own type, the event has the one of the envelope
    for (name, detail_type) in [
        ("event-send", "Email Sent"),
        ("event-delivery", "Email Delivered"),
        ("event-bounce-undetermined", "Email Bounced"),
        ("event-complaint", "Email Complaint Received"),
        ("event-reject", "Email Rejected"),
        ("event-open", "Email Opened"),
        ("event-click", "Email Clicked"),
        ("event-subscription", "Email Subscribed"),
    ] {
        let event = events(Provider::Ses, name).remove(0);
        let mut detail = event.clone();
        detail.as_object_mut().expect("an object").remove("eventType");
        let from_event_bridge =
            json!({ "source": "aws.ses", "detail-type": detail_type, "detail": detail });
        assert_eq!(
            post_events(Provider::Ses, &[from_event_bridge]),
            post_events(Provider::Ses, &[event]),
            "{name}"
        );
    }
}

#[test]
fn a_text_of_sns_that_is_no_event_is_a_ping() {
    let text = "Successfully validated SNS topic for Amazon SES event publishing.";
    assert_eq!(post(Provider::Ses, text, "m"), Ok(Vec::new()));
}

#[test]
fn sendgrid_returns_the_ids_of_a_message_in_three_ways() {
    let event = events(Provider::Sendgrid, "without-send-id").remove(0);
    let outcomes = post_events(Provider::Sendgrid, from_ref(&event));
    let [Outcome::Report(report)] = &outcomes[..] else { panic!("{outcomes:?}") };
    let ids = &report.correlation.message_ids;
    let id = event["sg_message_id"].as_str().expect("a text");
    assert_eq!(*ids, [id, "v3ImAmDsLycZeIVJd6xGtA", "v3ImAmDsLycZeIVJd6xGtA@geopod-ismtpd-31"]);
    assert_eq!(report.correlation.by_address_within, None);

    // an asynchronous bounce has lost both
    let bounce = json!({ "event": "bounce", "type": "bounce", "email": "Ada@Example.com", "timestamp": 1_788_004_680, "smtp-id": "<a@b>" });
    let outcomes = post_events(Provider::Sendgrid, &[bounce]);
    let [Outcome::Report(report)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(report.correlation.message_ids, ["a@b"]);
    assert_eq!(report.correlation.by_address_within.map(|time| time.num_days()), Some(7));
    assert!(report.correlation.allows(Some("ada@example.com")));
    assert_eq!(report.key, "<a@b>|bounce|1788004680|ada@example.com");
}

#[test]
fn an_event_for_another_recipient_does_not_count_for_a_send() {
    let event = events(Provider::Postmark, "bounce-hard").remove(0);
    let outcomes = post_events(Provider::Postmark, &[event]);
    let [Outcome::Report(report)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(report.correlation.allows(Some("ADA@example.com")));
    assert!(report.correlation.allows(None));
    assert!(!report.correlation.allows(Some("bob@example.net")));

    // of a message to several, only a known address counts
    let outcomes =
        post_events(Provider::Ses, &events(Provider::Ses, "event-bounce-two-recipients"));
    let [Outcome::Report(bob), Outcome::Report(eve)] = &outcomes[..] else {
        panic!("{outcomes:?}")
    };
    assert!(
        bob.correlation.allows(Some("bob@example.net"))
            && eve.correlation.allows(Some("eve@example.org"))
    );
    assert!(!bob.correlation.allows(None) && !bob.correlation.allows(Some("ada@example.com")));
}

#[test]
fn kept_data_has_no_addresses() {
    let bounce = json!({ "RecordType": "Bounce", "Type": "HardBounce", "ID": 1, "MessageID": "m", "Email": "ada@example.com",
        "BouncedAt": "2026-08-29T11:58:00Z", "Details": "550 5.1.1 <ada@example.com> unknown to mx.example.com [203.0.113.9]" });
    let outcomes = post_events(Provider::Postmark, &[bounce]);
    let [Outcome::Report(report)] = &outcomes[..] else { panic!("{outcomes:?}") };
    let text = "550 5.1.1 <…> unknown to mx.example.com […]";
    assert_eq!(report.error.as_deref(), Some(text));
    assert_eq!(
        json!(report.metadata()),
        json!({ "provider": "POSTMARK", "messageId": "m", "bounce": { "class": "hard", "code": "5.1.1", "diagnostic": text } })
    );
    let open = json!({ "RecordType": "Open", "MessageID": "m", "Recipient": "ada@example.com", "ReceivedAt": "2026-08-29T11:58:00Z",
        "UserAgent": "Mozilla/5.0", "Geo": { "IP": "203.0.113.9" } });
    let outcomes = post_events(Provider::Postmark, &[open]);
    let [Outcome::Report(report)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert_eq!(
        json!(report.metadata()),
        json!({ "provider": "POSTMARK", "messageId": "m", "userAgent": "Mozilla/5.0", "machine": true, "machineReasons": ["apple-mpp"] })
    );
}

#[test]
fn the_headers_of_a_message_return_the_send() {
    let send = "0198f6a2-7c31-7b5e-9d02-5f1f0a6c4e11".parse().expect("a UUID");
    for provider in Provider::ALL {
        let headers = provider.headers(send);
        assert!(!headers.is_empty(), "{provider}");
        for (name, value) in headers {
            assert!(value.contains(&send.to_string()), "{provider} {name}: {value}");
            assert!(name.starts_with("X-") && value.is_ascii(), "{provider} {name}: {value}");
        }
    }
}
