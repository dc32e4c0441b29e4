//! Events with any field removed, of another type or huge: reading never panics, and the other events of the
//! request are read.

use campaigns_providers::{Outcome, Provider};
use proptest::{prelude::*, test_runner::Config};
use serde_json::Value;

use crate::senders::{all_events, is_batched, post, post_events};

/// What stands in the place of a value until it is JSON text.
const HERE: &str = "the damaged value";

/// Values, as JSON text: some are such that no type can hold them.
fn damage() -> Vec<String> {
    let deep = |open: &str, close: &str| open.repeat(20_000) + "1" + &close.repeat(20_000);
    let mut values: Vec<String> = [
        "null",
        "true",
        "false",
        "0",
        "-1",
        "1.5",
        "1e999999",
        "-1e-999999",
        "\"\"",
        "\" \"",
        "\"text\"",
        "\"2026-02-30T25:61:61Z\"",
        "\"half \\udc00\"",
        "\"\\u0000\"",
        "[]",
        "{}",
        "[null]",
        "[[]]",
        "{\"\":null}",
        "[{\"name\":1,\"value\":{}}]",
        "{\"send_id\":[]}",
        "\"{\\\"send_id\\\":\"",
        "\"@\"",
        "\"|||\"",
        "\"…\"",
    ]
    .map(str::to_owned)
    .to_vec();
    values.push("9".repeat(5_000));
    values.push(format!("\"{}\"", "ü".repeat(60_000)));
    values.push(format!("\"{}@example.com\"", "a.".repeat(10_000)));
    values.push(format!("[{}]", vec!["1"; 20_000].join(",")));
    values.push(format!(
        "{{{}}}",
        (0..5_000).map(|field| format!("\"{field}\":0")).collect::<Vec<_>>().join(",")
    ));
    values.push(deep("[", "]"));
    values.push(deep("{\"a\":", "}"));
    values
}

/// The paths to all values in a value.
fn paths(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(object) => object
            .iter()
            .map(|(name, value)| (name.replace('~', "~0").replace('/', "~1"), value))
            .collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = children.into_iter().flat_map(|(name, value)| {
        paths(value).into_iter().map(move |path| format!("/{name}{path}"))
    });
    std::iter::once(String::new()).chain(below).collect()
}

/// The event with the value at the path replaced, or removed.
fn damaged(event: &Value, path: &str, damage: Option<&str>) -> String {
    let mut event = event.clone();
    let Some((parent, name)) = path.rsplit_once('/') else {
        return damage.unwrap_or("null").to_owned();
    };
    let name = name.replace("~1", "/").replace("~0", "~");
    match (event.pointer_mut(parent).expect("a parent"), damage) {
        (Value::Object(parent), None) => {
            parent.remove(&name);
        }
        (Value::Object(parent), Some(_)) => {
            parent.insert(name, HERE.into());
        }
        (Value::Array(parent), None) => {
            parent.remove(name.parse::<usize>().expect("an index"));
        }
        (Value::Array(parent), Some(_)) => {
            parent[name.parse::<usize>().expect("an index")] = HERE.into();
        }
        _ => panic!("{path} has no parent"),
    }
    event.to_string().replace(&format!("\"{HERE}\""), damage.unwrap_or_default())
}

/// Posts the damaged event alone, or between two others if the provider sends batches.
fn assert_harmless(provider: Provider, healthy: &Value, expected: &[Outcome], damaged: &str) {
    if !is_batched(provider) {
        // anything may come of it, but a panic
        let _ = post(provider, damaged, "msg_damaged");
        return;
    }
    let body = format!("[{healthy},{damaged},{healthy}]");
    let outcomes = post(provider, &body, "msg_damaged").expect("the request is accepted");
    let start: String = damaged.chars().take(300).collect();
    assert!(outcomes.starts_with(expected) && outcomes.ends_with(expected), "{provider}: {start}");
    assert!(outcomes.len() <= 2 * expected.len() + 1_000, "{provider}: {start}");
    for outcome in outcomes {
        if let Outcome::Report(report) = outcome {
            let kept = serde_json::to_string(&report.metadata()).expect("JSON");
            assert!(kept.len() < 8 * 1024 && report.key.len() <= 1024, "{provider}: {start}");
        }
    }
}

#[test]
fn an_event_without_any_one_of_its_fields_is_harmless() {
    for provider in Provider::ALL {
        let events = all_events(*provider);
        let healthy = events.last().expect("an event");
        let expected = post_events(*provider, std::slice::from_ref(healthy));
        for event in &events {
            for path in paths(event) {
                assert_harmless(*provider, healthy, &expected, &damaged(event, &path, None));
            }
        }
    }
}

proptest! {
    #![proptest_config(Config { cases: 400, failure_persistence: None, ..Config::default() })]

    #[test]
    fn an_event_with_any_value_damaged_is_harmless(
        provider in prop::sample::select(Provider::ALL),
        event in any::<prop::sample::Index>(),
        path in any::<prop::sample::Index>(),
        value in prop::sample::select(damage()),
    ) {
        let events = all_events(provider);
        let healthy = events.last().expect("an event");
        let expected = post_events(provider, std::slice::from_ref(healthy));
        let event = event.get(&events);
        let paths = paths(event);
        assert_harmless(provider, healthy, &expected, &damaged(event, path.get::<String>(&paths), Some(&value)));
    }

    #[test]
    fn bytes_that_are_not_json_are_refused(provider in prop::sample::select(Provider::ALL), text in "[^\\[{]{1,40}") {
        let outcome = post(provider, &text, "msg_damaged");
        // SNS carries texts as well, and Mailgun's event stands in an object
        let is_carried = matches!(provider, Provider::Ses | Provider::Mailgun);
        prop_assert!(is_carried || outcome.is_err(), "{provider}: {outcome:?}");
    }
}
