//! The order of events, and how they are spread over requests, does not matter.

use std::collections::BTreeSet;

use campaigns_providers::{Outcome, Provider};
use proptest::{prelude::*, test_runner::Config};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::senders::{all_events, events, post_events, reports};

/// What a table of reports would hold: for each report its ID and its content.
fn stored(outcomes: &[Outcome]) -> BTreeSet<(Uuid, String)> {
    let webhook = Uuid::from_u128(7);
    reports(outcomes)
        .into_iter()
        .map(|report| (report.id(webhook), format!("{report:?}")))
        .collect()
}

proptest! {
    #![proptest_config(Config { cases: 20, failure_persistence: None, ..Config::default() })]

    #[test]
    fn order_and_requests_do_not_matter(seed in any::<u64>(), provider in prop::sample::select(Provider::ALL)) {
        let events = all_events(provider);
        let whole = stored(&post_events(provider, &events));
        prop_assert!(!whole.is_empty());
        let reversed: Vec<Value> = events.iter().rev().cloned().collect();
        prop_assert_eq!(&stored(&post_events(provider, &reversed)), &whole);
        let twice = [reversed, events.clone()].concat();
        prop_assert_eq!(&stored(&post_events(provider, &twice)), &whole);
        // each event in one of two requests, or in both
        let of = |request: u64| -> Vec<Value> {
            let is_in = |index: usize| seed.rotate_left(u32::try_from(index).expect("few")) % 3 != request;
            events.iter().enumerate().filter(|(index, _)| is_in(*index)).map(|(_, event)| event.clone()).collect()
        };
        let split = [post_events(provider, &of(0)), post_events(provider, &of(1))].concat();
        prop_assert_eq!(&stored(&split), &whole);
    }
}

#[test]
fn an_event_is_the_same_however_its_values_are_written() {
    for (provider, name, path, value) in [
        (Provider::Postmark, "bounce-hard", "/ID", json!("4611686018427387905")),
        (Provider::Sendgrid, "click", "/timestamp", json!("1788005040")),
        (Provider::Sendgrid, "click", "/url_offset/index", json!("0")),
        (Provider::Sendgrid, "click", "/email", json!("Ada@Example.com")),
        (Provider::Sendgrid, "click", "/sg_event_id", json!("another one")),
        (Provider::Sendgrid, "click", "/category", json!("newsletter")),
        (Provider::Mailgun, "clicked", "/timestamp", json!("1788005041.75")),
        (Provider::Brevo, "click", "/ts_epoch", json!("1788004682000")),
        (Provider::Brevo, "click", "/tags", json!("august")),
        (Provider::Sparkpost, "click", "/msys/track_event/timestamp", json!(1_788_004_682)),
        (Provider::Mailjet, "open", "/MessageID", json!("31415926535897932")),
        (Provider::Mandrill, "open", "/ts", json!("1788004682")),
        (Provider::Postal, "MessageLoaded", "/payload/message/id", json!("12345")),
    ] {
        let event = events(provider, name).remove(0);
        let mut other = event.clone();
        *other.pointer_mut(path).unwrap_or_else(|| panic!("{provider} {name} {path}")) = value;
        assert_ne!(event, other, "{provider} {name} {path}");
        let key = |event: Value| reports(&post_events(provider, &[event]))[0].key.clone();
        assert_eq!(key(event), key(other), "{provider} {name} {path}");
    }
}

#[test]
fn different_events_have_different_keys() {
    for (provider, name, path, value) in [
        (Provider::Ses, "event-click", "/click/link", json!("https://shop.example/shoes")),
        (Provider::Ses, "event-click", "/click/timestamp", json!("2026-08-29T12:06:25.571Z")),
        (Provider::Ses, "event-open", "/open/ipAddress", json!("198.51.100.8")),
        (Provider::Ses, "event-open", "/mail/messageId", json!("another")),
        (Provider::Ses, "event-bounce-undetermined", "/bounce/feedbackId", json!("another")),
        (Provider::Ses, "event-delivery", "/delivery/recipients/0", json!("bob@example.net")),
        (Provider::Sendgrid, "click", "/url", json!("https://shop.example/shoes")),
        (Provider::Sendgrid, "click", "/url_offset/index", json!(1)),
        (Provider::Sendgrid, "click", "/timestamp", json!(1_788_005_041)),
        (Provider::Sendgrid, "click", "/useragent", json!("another")),
        (Provider::Sendgrid, "delivered", "/event", json!("processed")),
        (Provider::Postmark, "bounce-hard", "/ID", json!(4_611_686_018_427_387_906_u64)),
        (Provider::Postmark, "open", "/ReceivedAt", json!("2026-08-29T12:05:19.2493689Z")),
        (Provider::Postmark, "click", "/OriginalLink", json!("https://shop.example/shoes")),
        (Provider::Mailgun, "opened", "/id", json!("another")),
        (Provider::Mailgun, "opened", "/timestamp", json!(1_788_091_381.75)),
        (Provider::Resend, "email.opened", "/created_at", json!("2026-08-29T12:05:20.990Z")),
        (Provider::Brevo, "opened", "/ts_epoch", json!(1_788_004_682_001_u64)),
        (Provider::Brevo, "opened", "/email", json!("bob@example.net")),
        (Provider::Sparkpost, "open", "/msys/track_event/event_id", json!("71840263950172649")),
        (Provider::Mailjet, "open", "/ip", json!("198.51.100.8")),
        (Provider::Mailjet, "open", "/MessageID", json!(31_415_926_535_897_933_u64)),
        (Provider::Mandrill, "open", "/_id", json!("another")),
        (Provider::Mandrill, "open", "/ts", json!(1_788_004_683)),
        (Provider::Postal, "MessageLoaded", "/uuid", json!("another")),
    ] {
        let event = events(provider, name).remove(0);
        let mut other = event.clone();
        *other.pointer_mut(path).unwrap_or_else(|| panic!("{provider} {name} {path}")) = value;
        let outcomes = [event, other].map(|event| post_events(provider, &[event]));
        let [one, other] = outcomes.each_ref().map(|outcomes| reports(outcomes)[0]);
        assert_ne!(one.key, other.key, "{provider} {name} {path}");
        assert_ne!(one.id(Uuid::nil()), other.id(Uuid::nil()), "{provider} {name} {path}");
        assert_ne!(one.id(Uuid::nil()), one.id(Uuid::max()), "{provider} {name} {path}");
    }
}

#[test]
fn the_id_of_an_event_is_a_uuid_of_version_5() {
    // the example of RFC 9562, A.4, as the key of a webhook whose ID is the namespace of DNS
    let outcomes = post_events(Provider::Postmark, &events(Provider::Postmark, "open"));
    let mut report = reports(&outcomes)[0].clone();
    report.key = "www.example.com".to_owned();
    let id = report.id(Uuid::NAMESPACE_DNS);
    assert_eq!(id.to_string(), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    assert_eq!(id.get_version_num(), 5);
}
