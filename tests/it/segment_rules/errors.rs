//! Invalid rules, and the path to the invalid value.

use campaigns_tests::{Backend, TestApp, node_passes, on_both_databases};
use serde_json::{Value as Json, json};
use uuid::Uuid;

const PREVIEW: &str = "query ($rules: JSON!) { previewSegment(rules: $rules) { count } }";

fn rule(field: &str, operator: &str, value: Json) -> Json {
    json!({ "field": field, "operator": operator, "value": value })
}

fn group(rules: Vec<Json>) -> Json {
    json!({ "combinator": "and", "rules": rules })
}

/// Nested groups, with a rule in the innermost.
fn levels(count: usize) -> Json {
    let innermost = group(vec![rule("city", "=", json!("x"))]);
    (1..count).fold(innermost, |inner, _| group(vec![inner]))
}

#[expect(clippy::too_many_lines, reason = "a case after the other")]
#[tokio::test]
async fn invalid_rules_are_refused_with_their_path() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let campaign = "01890a5d-ac96-774b-bcce-b302099a8057";
    let nested = |inner: Json| group(vec![rule("city", "null", json!("")), group(vec![inner])]);
    let long = "x".repeat(1_001);
    let first = |key: &str| format!("rules.rules.0.{key}");
    let single =
        |field: &str, operator: &str, value: Json| group(vec![rule(field, operator, value)]);
    let cases: Vec<(Json, String)> = vec![
        (json!([]), "rules".to_owned()),
        (json!("x"), "rules".to_owned()),
        (json!({ "planet": "Mars" }), "rules.planet".to_owned()),
        (json!({ "type": "friend" }), "rules.type".to_owned()),
        (json!({ "city": null }), "rules.city".to_owned()),
        (json!({ "city": ["a"] }), "rules.city".to_owned()),
        (json!({ "metadata": "a" }), "rules.metadata".to_owned()),
        (json!({ "metadata.a.b.c": "a" }), "rules.metadata.a.b.c".to_owned()),
        (json!({ "combinator": "xor", "rules": [] }), "rules.combinator".to_owned()),
        (json!({ "rules": [] }), "rules.combinator".to_owned()),
        (json!({ "combinator": "and", "rules": {} }), "rules.rules".to_owned()),
        (json!({ "combinator": "and", "not": "no", "rules": [] }), "rules.not".to_owned()),
        (group(vec![json!("and")]), "rules.rules.0".to_owned()),
        (group(vec![json!({})]), first("field")),
        (nested(rule("planet", "=", json!("x"))), "rules.rules.1.rules.0.field".to_owned()),
        (nested(rule("city", "~", json!("x"))), "rules.rules.1.rules.0.operator".to_owned()),
        (
            nested(json!({ "field": "city", "value": "x" })),
            "rules.rules.1.rules.0.operator".to_owned(),
        ),
        (
            nested(json!({ "combinator": "nor", "rules": [] })),
            "rules.rules.1.rules.0.combinator".to_owned(),
        ),
        (
            group(vec![json!({
                "field": "city", "operator": "=", "value": "state", "valueSource": "field",
            })]),
            first("valueSource"),
        ),
        (
            group(vec![json!({ "field": "city", "operator": "=", "value": "x", "muted": "yes" })]),
            first("muted"),
        ),
        (
            group(vec![json!({
                "field": "city", "operator": "=", "value": "X", "lhs": { "function": "upper" },
            })]),
            first("lhs"),
        ),
        (
            group(vec![json!({
                "field": "city", "operator": "=", "value": "x", "match": { "mode": "all" },
            })]),
            first("match"),
        ),
        (
            group(vec![json!({
                "field": "city", "operator": "=",
                "value": { "function": "lower", "args": ["X"] },
            })]),
            first("value"),
        ),
        (
            json!({
                "rules": [rule("city", "=", json!("x")), "and", rule("city", "=", json!("x"))],
            }),
            "rules.combinator".to_owned(),
        ),
        (
            json!({
                "combinator": "and",
                "rules": [rule("city", "=", json!("x")), "or", rule("city", "=", json!("x"))],
            }),
            "rules.rules.1".to_owned(),
        ),
        // a disabled rule applies, and has to be valid
        (
            group(vec![
                json!({ "field": "planet", "operator": "=", "value": "x", "disabled": true }),
            ]),
            first("field"),
        ),
        (single("opened", "in", json!([true])), first("operator")),
        (single("opened", "<", json!(true)), first("operator")),
        (single("opens", "contains", json!("1")), first("operator")),
        (single("created_at", "beginsWith", json!("2026")), first("operator")),
        (single("type", "<", json!("lead")), first("operator")),
        (single("id", "contains", json!("a")), first("operator")),
        (single("opened_campaign", "null", json!("")), first("operator")),
        (group(vec![json!({ "field": "city", "operator": "=" })]), first("value")),
        (single("city", "=", json!(5)), first("value")),
        (single("city", "contains", json!(long)), first("value")),
        (single("city", "between", json!("a")), first("value")),
        (single("city", "between", json!(["a", "b", "c"])), first("value")),
        (single("city", "between", json!(["a", 1])), first("value.1")),
        (single("city", "in", json!({})), first("value")),
        (single("city", "in", json!(["a", 5])), first("value.1")),
        (single("city", "in", json!(vec!["a"; 1_001])), first("value")),
        (single("city", "=", json!("a\0")), first("value")),
        (json!({ "combinator": "and", "rules": [], "id": "\0" }), "rules".to_owned()),
        (
            json!({ "combinator": "and", "rules": [], "id": "x".repeat(1 << 20) }),
            "rules".to_owned(),
        ),
        (single("opens", "=", json!("many")), first("value")),
        (single("opens", "=", json!("")), first("value")),
        (single("opens", "in", json!("1,x")), first("value")),
        (single("opens", ">", json!(true)), first("value")),
        (single("opened", "=", json!("true")), first("value")),
        (single("opened", "=", json!(1)), first("value")),
        (single("type", "=", json!("Lead")), first("value")),
        (single("type", "in", json!(["lead", "friend"])), first("value.1")),
        (single("id", "=", json!("x")), first("value")),
        (single("owner_id", "in", json!([campaign, "x"])), first("value.1")),
        (single("opened_campaign", "=", json!("01890a5dac96774bbcceb302099a8057")), first("value")),
        (single("created_at", "=", json!("yesterday")), first("value")),
        (single("created_at", "=", json!("2026-02-30")), first("value")),
        (single("created_at", "=", json!("2026-01-31T12:00:00")), first("value")),
        (single("created_at", ">", json!("-30m")), first("value")),
        (single("created_at", ">", json!("30d")), first("value")),
        (single("created_at", ">", json!("-d")), first("value")),
        (single("created_at", ">", json!(-30)), first("value")),
        (single("metadata.a", "=", json!(null)), first("value")),
        (single("metadata.a", "=", json!(["x"])), first("value")),
        (single("metadata.a", "<", json!(true)), first("value")),
        (single("metadata.a", "contains", json!(5)), first("value")),
        (single("metadata.a", "between", json!(["a", 5])), first("value")),
        (single("metadata.a", "in", json!(["a", true])), first("value.1")),
        (levels(11), format!("rules{}", ".rules.0".repeat(10))),
        (group(vec![rule("city", "null", json!("")); 501]), "rules.rules.500".to_owned()),
    ];
    for (rules, field) in cases {
        let answer = acme.member.ask(PREVIEW, json!({ "rules": rules })).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", field.as_str()), "{rules}");
    }
    // when rules are stored, the path starts at the input
    let wrong = nested(rule("city", "~", json!("x")));
    let create = "mutation ($rules: JSON!) { createSegment(input: { name: \"x\", filterRules: \
                  $rules }) { segment { id } } }";
    let answer = acme.member.ask(create, json!({ "rules": wrong })).await;
    assert_eq!(
        (answer.code(), answer.field()),
        ("BAD_USER_INPUT", "input.filterRules.rules.1.rules.0.operator")
    );
    let id =
        acme.member.data(create, json!({ "rules": {} })).await["createSegment"]["segment"]["id"]
            .clone();
    let update = "mutation ($id: ID!, $rules: JSON!) { updateSegment(input: { id: $id, \
                  filterRules: $rules }) { segment { id } } }";
    let answer = acme.member.ask(update, json!({ "id": id, "rules": { "planet": "Mars" } })).await;
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "input.filterRules.planet"));
    assert_eq!(app.count("campaign_segments").await, 1);
}

#[tokio::test]
async fn rules_up_to_every_bound_are_answered_by_both_databases() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend).start().await;
        let acme = app.organization("acme").await;
        let org = app.literal(acme.id);
        app.run(&format!(
            "INSERT INTO contacts (org_id, first_name, city) VALUES ({org}, 'x', 'x')"
        ))
        .await;
        let fields = ["opens", "sends", "clicks"];
        let number = |index: usize| rule(fields[index % 3], ">=", json!(0));
        let muted = json!({ "field": "planet", "muted": true });
        // as the editor exports them
        let exported = |index: usize| {
            let id = Uuid::from_u128(index as u128);
            json!({
                "id": id, "field": "city", "operator": "doesNotBeginWith", "valueSource": "value",
                "value": format!("{index:03}"), "path": [index],
            })
        };
        let ids: Vec<Uuid> = (0..1_000).map(Uuid::from_u128).collect();
        let mut cities: Vec<String> = (0..1_000).map(|index| index.to_string()).collect();
        cities[5] = "x".to_owned();
        let none = |field: &str| {
            let given = rule(field, "notNull", json!(""));
            json!({ "combinator": "or", "not": true, "rules": [given] })
        };
        let mut many = vec![muted; 600];
        many.extend(vec![rule("city", "contains", json!("x")); 500]);
        for rules in [
            levels(10),
            group(many),
            group((0..200).map(number).collect()),
            group((0..500).map(exported).collect()),
            group(vec![rule("id", "notIn", json!(ids)), rule("owner_id", "notIn", json!(ids))]),
            group(vec![none("industry"), none("company.name")]),
            group(vec![rule("city", "in", json!(cities))]),
            group(vec![group(vec![]), json!({ "combinator": "or", "rules": [] })]),
            json!({ "combinator": "and" }),
            rule("city", "=", json!("x")),
        ] {
            let data = acme.member.data(PREVIEW, json!({ "rules": rules })).await;
            assert_eq!(data["previewSegment"]["count"], 1, "{rules}");
        }
        // the complement of all contacts is empty
        for rules in
            [json!({ "combinator": "or", "not": true, "rules": [] }), rule("city", "in", json!([]))]
        {
            let data = acme.member.data(PREVIEW, json!({ "rules": rules })).await;
            assert_eq!(data["previewSegment"]["count"], 0, "{rules}");
        }
    }
}

#[tokio::test]
async fn exports_of_react_querybuilder_are_accepted() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let url = format!("{}/graphql", app.address);
    let token = acme.member.token.unwrap();
    node_passes("rules.mjs", &[("URL", &url), ("TOKEN", &token)]).await;
}

#[on_both_databases]
async fn rules_of_react_querybuilder_select_whom_its_own_condition_selects(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    let texts = ["a", "b", "B", "ä", "10", "2", "it''s", "x y"];
    let rows: Vec<String> = (0..120)
        .map(|at| {
            let text = |step: usize| texts[at / step % texts.len()];
            let source = if at % 3 == 0 { "NULL".to_owned() } else { format!("'{}'", text(5)) };
            format!("({org}, 'c{at}', '{}', '{}', '{}', {source})", text(1), text(7), text(3))
        })
        .collect();
    app.run(&format!(
        "INSERT INTO contacts (org_id, first_name, city, title, country, source) VALUES {}",
        rows.join(", ")
    ))
    .await;
    let run = node_passes("format-query.mjs", &[("COUNT", "150"), ("SEED", "25")]).await;
    let preview = "query ($rules: JSON!) { previewSegment(rules: $rules) { count \
                   contacts(first: 500) { firstName } } }";
    let mut some = 0;
    for line in run.out.lines() {
        let made: Json = serde_json::from_str(line).unwrap();
        let condition = made["sql"].as_str().unwrap();
        let expected = app
            .rows(&format!(
                "SELECT first_name FROM contacts WHERE org_id = {org} AND ({condition})"
            ))
            .await;
        let mut expected: Vec<String> =
            expected.iter().map(|row| row.try_get("", "first_name").unwrap()).collect();
        let data = acme.member.data(preview, json!({ "rules": made["rules"] })).await;
        let contacts = data["previewSegment"]["contacts"].as_array().unwrap();
        let mut selected: Vec<String> =
            contacts.iter().map(|of| of["firstName"].as_str().unwrap().to_owned()).collect();
        expected.sort();
        selected.sort();
        assert_eq!(selected, expected, "{line}");
        some += usize::from(!expected.is_empty() && expected.len() < 120);
    }
    assert!(some > 50, "{some}");
}

#[on_both_databases]
async fn muted_rules_are_ignored_and_disabled_rules_apply(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    app.run(&format!(
        "INSERT INTO contacts (org_id, first_name, title, source) VALUES \
         ({org}, 'boss', 'CEO', 'web'), ({org}, 'visitor', 'x', 'web')"
    ))
    .await;
    let with = |mut rule: Json, key: &str| {
        rule[key] = json!(true);
        rule
    };
    let web = rule("source", "=", json!("web"));
    let boss = rule("title", "=", json!("CEO"));
    let or = |rules: &[Json]| json!({ "combinator": "or", "rules": rules });
    for (rules, count) in [
        (or(&[with(web.clone(), "muted"), boss.clone()]), 1),
        (or(&[web.clone(), boss.clone()]), 2),
        (with(boss.clone(), "disabled"), 1),
        (group(vec![with(or(std::slice::from_ref(&boss)), "disabled"), web.clone()]), 1),
        (group(vec![with(group(vec![boss.clone()]), "muted"), web.clone()]), 2),
        (with(group(vec![boss.clone()]), "muted"), 2),
        (with(boss, "muted"), 2),
        (rule("sends", "<", json!("007")), 2),
        (rule("sends", ">", json!("-.5")), 2),
        (rule("sends", "in", json!("01, 2")), 0),
    ] {
        let data = acme.member.data(PREVIEW, json!({ "rules": rules })).await;
        assert_eq!(data["previewSegment"]["count"], count, "{rules}");
    }
}
