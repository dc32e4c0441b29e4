//! The cost of rules, stored and sent.

use std::num::NonZeroU32;

use campaigns_graphql::Rate;
use campaigns_server::Settings;
use campaigns_tests::{TestApp, on_both_databases};
use serde_json::{Value as Json, json};

fn settings() -> Settings {
    let mut settings = Settings::default();
    let number = |number| NonZeroU32::new(number).unwrap();
    settings.limits.rate = Some(Rate { per_second: number(1), burst: number(4_000) });
    settings
}

/// A segment whose rules cost more than the assumed price.
async fn segment(app: &TestApp, organization: &campaigns_tests::Organization) -> String {
    let rules: Vec<Json> = (0..30)
        .map(|at| json!({ "field": "title", "operator": "contains", "value": format!("{at}") }))
        .collect();
    let rules = json!({ "combinator": "or", "rules": rules });
    let id = uuid::Uuid::new_v4();
    app.run(&format!(
        "INSERT INTO campaign_segments (id, org_id, name, filter_rules) \
         VALUES ({}, {}, 'x', '{rules}')",
        app.literal(id),
        app.literal(organization.id)
    ))
    .await;
    id.to_string()
}

#[on_both_databases(settings = settings())]
async fn stored_rules_are_drawn_from_the_rate_when_they_are_read(app: TestApp) {
    for query in [
        "mutation ($id: ID!) { refreshSegment(id: $id) { segment { id } } }",
        "query ($id: ID!) { segment(id: $id) { contacts(first: 1) { nodes { id } } } }",
    ] {
        let organization = app.organization(&uuid::Uuid::new_v4().to_string()).await;
        let id = segment(&app, &organization).await;
        let mut passed = 0;
        let refused = loop {
            let answer = organization.member.ask(query, json!({ "id": id })).await;
            if answer.body["errors"].is_array() {
                break answer;
            }
            passed += 1;
            assert!(passed < 5, "{query}");
        };
        // by the assumed price alone, seven would pass
        assert_eq!(passed, 1, "{query}");
        assert_eq!(refused.code(), "LIMIT_EXCEEDED", "{query}");
        assert_eq!(refused.error()["extensions"]["retryable"], true, "{query}");
    }
}

#[on_both_databases]
async fn rules_on_the_same_number_are_one_set_of_a_statement(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(6).await;
    let preview = "query ($r: JSON!) { previewSegment(rules: $r) { count } }";
    let sets = async |rules: Vec<Json>| {
        app.forget_statements();
        let rules = json!({ "combinator": "or", "rules": rules });
        let data = acme.member.data(preview, json!({ "r": rules })).await;
        let statements = app.statements();
        let read = statements.iter().map(|sent| {
            sent.sql.matches("FROM campaign_contact_counts WHERE").count()
                + sent.sql.matches("companies WHERE").count()
        });
        (read.sum::<usize>(), data["previewSegment"]["count"].as_u64().unwrap())
    };
    let opened = || json!({ "field": "opened", "operator": "=", "value": false });
    let one = sets(vec![opened()]).await;
    assert!(one.0 > 0);
    assert_eq!(sets(vec![opened(); 200]).await, one);
    let opens = |at: usize| json!({ "field": "opens", "operator": "=", "value": at });
    let all: Vec<Json> = (0..150).map(opens).chain([opened()]).collect();
    assert_eq!(sets(all).await.0, one.0);
    let company = || json!({ "field": "company.name", "operator": "contains", "value": "a" });
    let one = sets(vec![company()]).await;
    assert!(one.0 > 0);
    assert_eq!(sets(vec![company(); 200]).await, one);
}
