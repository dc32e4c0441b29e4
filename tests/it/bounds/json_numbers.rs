//! Numbers in JSON are measured by the length of PostgreSQL's output.

use campaigns_tests::{TestApp, on_both_databases};
use serde_json::{Value as Json, json};

/// JSON that repeats this number.
fn numbers(number: f64, count: usize) -> Json {
    json!({ "a": vec![number; count] })
}

#[on_both_databases]
async fn numbers_in_stored_json_are_measured_as_they_are_written(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(3).await;
    let create = "mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { \
                  campaign { id } } }";
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let segment = "mutation ($input: CreateSegmentInput!) { createSegment(input: $input) { \
                   segment { id } } }";
    for number in [1e308, -1e308, 1e-300, 1.234_567e200] {
        let metadata = numbers(number, 9_300 / 4);
        let refused = acme
            .member
            .ask(create, json!({ "input": { "name": "x", "metadata": metadata } }))
            .await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "input.metadata"));
        let event = json!({ "sendId": made.sends[0], "type": "OPEN", "metadata": metadata });
        let refused = acme.member.ask(record, json!({ "input": [event] })).await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "input.0.metadata"));
        // unknown members of rules are stored as well
        let rules = json!({ "combinator": "and", "rules": [], "notes": vec![number; 6_000] });
        let input = json!({ "name": "x", "filterRules": rules });
        let refused = acme.member.ask(segment, json!({ "input": input })).await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "input.filterRules"));
        // a few of them are allowed
        let metadata = numbers(number, 100);
        acme.member.data(create, json!({ "input": { "name": "x", "metadata": metadata } })).await;
    }
    // numbers that are stored as they are sent
    for number in [1.5, 1e15, -0.25] {
        let metadata = numbers(number, 3_000);
        acme.member.data(create, json!({ "input": { "name": "x", "metadata": metadata } })).await;
    }
}
