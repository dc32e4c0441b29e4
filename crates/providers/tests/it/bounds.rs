//! What is kept is bounded.

use campaigns_providers::{
    Outcome, Provider, Situation,
    bounds::{
        MAX_DIAGNOSTIC, MAX_EVENT_KEY, MAX_EVENTS, MAX_MESSAGE_ID, MAX_RECIPIENTS, MAX_URL,
        MAX_USER_AGENT,
    },
};
use serde_json::{Value, json};

use crate::senders::{events, is_batched, now, post, post_events, reports};

#[test]
fn a_request_has_at_most_ten_thousand_events() {
    assert_eq!(MAX_EVENTS, 10_000);
    for provider in Provider::ALL.iter().filter(|provider| is_batched(**provider)) {
        let list = |length: usize| format!("[{}]", vec![r#"{"event":"new"}"#; length].join(","));
        let outcomes = post(*provider, &list(MAX_EVENTS), "m").expect("accepted");
        assert_eq!(outcomes.len(), MAX_EVENTS, "{provider}");
        let refusal = post(*provider, &list(MAX_EVENTS + 1), "m").expect_err("refused");
        assert_eq!(refusal.situation(), Situation::TooLarge, "{provider}");
        assert_eq!(refusal.status(), 413, "{provider}");
    }
}

#[test]
fn the_recipients_of_an_event_are_read_up_to_a_bound() {
    let mut event = events(Provider::Ses, "event-delivery").remove(0);
    let recipients: Vec<String> =
        (0..5_000).map(|number| format!("{number}@example.com")).collect();
    event["delivery"]["recipients"] = json!(recipients);
    assert_eq!(post_events(Provider::Ses, &[event]).len(), MAX_RECIPIENTS);
}

#[test]
fn a_list_where_a_provider_sends_one_event_is_refused() {
    for provider in Provider::ALL.iter().filter(|provider| !is_batched(**provider)) {
        if matches!(provider, Provider::Ses | Provider::Mailgun) {
            continue;
        }
        let refusal = post(*provider, "[{}]", "m").expect_err("refused");
        assert_eq!(refusal.situation(), Situation::Unreadable, "{provider}");
    }
}

fn click(fields: Value) -> Value {
    let mut event = events(Provider::Sendgrid, "click").remove(0);
    event
        .as_object_mut()
        .expect("an object")
        .extend(fields.as_object().expect("an object").clone());
    event
}

#[test]
fn long_texts_are_cut() {
    let event = click(json!({ "useragent": "ü".repeat(10_000) }));
    let outcomes = post_events(Provider::Sendgrid, &[event]);
    let report = reports(&outcomes)[0];
    let agent = report.user_agent.as_deref().expect("a user agent");
    assert!(
        agent.len() <= MAX_USER_AGENT && agent.len() > MAX_USER_AGENT - 4 && agent.ends_with("ü…")
    );
    assert!(report.key.len() <= MAX_EVENT_KEY);

    let event = click(json!({ "event": "bounce", "reason": "é".repeat(10_000) }));
    let outcomes = post_events(Provider::Sendgrid, &[event]);
    let report = reports(&outcomes)[0];
    assert!(report.error.as_ref().is_some_and(|error| error.len() <= MAX_DIAGNOSTIC));
    let diagnostic = report.bounce.as_ref().and_then(|bounce| bounce.diagnostic.as_ref());
    assert!(diagnostic.is_some_and(|text| text.len() <= MAX_DIAGNOSTIC));
}

#[test]
fn a_link_or_an_id_that_is_too_long_is_not_cut() {
    let event = click(json!({ "url": format!("https://shop.example/{}", "a".repeat(MAX_URL)) }));
    let outcomes = post_events(Provider::Sendgrid, &[event]);
    assert!(matches!(outcomes[..], [Outcome::Unreadable(_)]), "{outcomes:?}");

    let event = click(json!({ "sg_message_id": "a".repeat(MAX_MESSAGE_ID + 1), "smtp-id": "<b>" }));
    let outcomes = post_events(Provider::Sendgrid, &[event]);
    let report = reports(&outcomes)[0];
    assert_eq!(report.correlation.message_ids, ["b"]);
    assert_eq!(report.message_id.as_deref(), Some("<b>"));
}

#[test]
fn an_event_is_never_later_than_its_request() {
    let outcomes =
        post_events(Provider::Sendgrid, &[click(json!({ "timestamp": 4_000_000_000_u64 }))]);
    assert_eq!(reports(&outcomes)[0].at, now());
}

#[test]
fn an_event_without_what_it_needs_is_unreadable() {
    for fields in
        [json!({ "timestamp": null }), json!({ "timestamp": "soon" }), json!({ "url": null })]
    {
        let outcomes = post_events(Provider::Sendgrid, &[click(fields), click(json!({}))]);
        assert!(
            matches!(outcomes[..], [Outcome::Unreadable(_), Outcome::Report(_)]),
            "{outcomes:?}"
        );
    }
    for provider in Provider::ALL {
        for event in [json!({}), json!({ "timestamp": 1_788_004_680, "event": null })] {
            let outcomes = post_events(*provider, std::slice::from_ref(&event));
            assert!(
                matches!(outcomes[..], [Outcome::Unreadable(_)]),
                "{provider} {event}: {outcomes:?}"
            );
        }
    }
    let outcomes = post(Provider::Sendgrid, "[3, null, []]", "m").expect("accepted");
    assert_eq!(outcomes, vec![Outcome::Unreadable("not an object"); 3]);
}
