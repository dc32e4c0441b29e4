//! The work that a document causes besides its execution: validation, comparing selections, error
//! messages, introspection, reading input.

use std::time::{Duration, Instant};

use campaigns_scope::{ByteLimits, Options};
use campaigns_tests::{Backend, Client, Socket, TestApp};
use reqwest::StatusCode;
use serde_json::json;

/// An introspection query with nested lists.
fn nested(levels: usize) -> String {
    format!(
        "{{ __type(name: \"Node\") {{ {} name {} }} }}",
        "possibleTypes { interfaces { ".repeat(levels),
        "} } ".repeat(levels)
    )
}

/// Documents that take long to prepare, or would without bounds.
fn long_documents() -> Vec<(&'static str, String)> {
    let names = |count: usize, length: usize| {
        (0..count).map(|at| format!("{}{at}", "x".repeat(length))).collect::<Vec<_>>()
    };
    let fields = "id ".repeat(9_000);
    let spreads: Vec<String> =
        (0..400).map(|at| format!("fragment F{at} on Campaign {{ ...Large }}")).collect();
    let variables: Vec<String> = (0..2_000).map(|at| format!("$v{at}: Int")).collect();
    let uses: Vec<String> = (0..2_000).map(|at| format!("$v{at}")).collect();
    vec![
        ("one field many times", format!("{{ {} }}", "feedCursor ".repeat(19_900))),
        (
            "one field of the schema many times",
            format!("{{ {} }}", "__schema{types{name}} ".repeat(2_800)),
        ),
        ("unknown fields", format!("{{ viewer {{ {} }} }}", names(9_000, 200).join(" "))),
        (
            "unknown arguments",
            format!(
                "{{ viewer({}) {{ subject }} }}",
                names(6_000, 200)
                    .iter()
                    .map(|name| format!("{name}: 1"))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        ),
        (
            "unknown types",
            format!(
                "{{ feedCursor {} }}",
                names(4_000, 200)
                    .iter()
                    .map(|name| format!("... on {name} {{ id }}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            ),
        ),
        (
            "unused fragments that spread a large one",
            format!(
                "{{ feedCursor }} fragment Large on Campaign {{ {fields} }} {}",
                spreads.join(" ")
            ),
        ),
        (
            "operations that spread a large one",
            format!(
                "{} fragment Large on Query {{ {} }}",
                (0..400)
                    .map(|at| format!("query Q{at} {{ ...Large }}"))
                    .collect::<Vec<_>>()
                    .join(" "),
                "feedCursor ".repeat(9_000)
            ),
        ),
        (
            "inline fragments in inline fragments",
            format!(
                "{{ {} {} {} }}",
                "... { ".repeat(55),
                "feedCursor ".repeat(15_000),
                "}".repeat(55)
            ),
        ),
        (
            "many variables",
            format!(
                "query ({}) {{ nodes(ids: [{}]) {{ id }} }}",
                variables.join(" "),
                uses.join(" ")
            ),
        ),
    ]
}

/// The slowest response of `/healthz`, which is requested repeatedly during some work.
async fn slowest_health(app: &TestApp, done: impl Future<Output = ()>) -> Duration {
    let mut done = std::pin::pin!(done);
    let mut slowest = Duration::ZERO;
    loop {
        let started = Instant::now();
        let health = reqwest::get(format!("{}/healthz", app.address));
        assert_eq!(health.await.unwrap().status(), StatusCode::OK);
        slowest = slowest.max(started.elapsed());
        tokio::select! {
            () = &mut done => return slowest,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nested_introspection_is_refused_before_it_is_executed() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    for levels in 2..9 {
        let answer = acme.member.ask(&nested(levels), json!({})).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED"),
            "{levels}"
        );
    }
    // variants: other lists, fragments, variables, an additional mutation, a socket
    let lists = "fields { type { fields { type { fields { args { name } } } } } }";
    for query in [
        format!("{{ __schema {{ types {{ {lists} }} }} }}"),
        format!(
            "{{ ...A }} fragment A on Query {{ __schema {{ queryType {{ ...B }} }} }} fragment B \
             on __Type {{ {lists} }}"
        ),
        format!(
            "query ($yes: Boolean = true) {{ feedCursor __schema @include(if: $yes) {{ types {{ \
             {lists} }} }} }}"
        ),
        "{ __schema { types { interfaces { possibleTypes { fields { name } } } } } }".to_owned(),
    ] {
        let answer = acme.member.ask(&query, json!({})).await;
        assert_eq!(answer.code(), "LIMIT_EXCEEDED", "{query}");
        let mut socket = Socket::of(&acme.member).await;
        socket.subscribe("1", &query, json!({})).await;
        let message = socket.message().await;
        assert_eq!(message["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{message}");
    }
    let answer =
        acme.member.request(reqwest::Method::GET, "/graphql").query(&[("query", nested(6))]);
    assert_eq!(answer.send().await.unwrap().status(), StatusCode::OK);
    // the queries of tools are answered
    let tools = "{ __schema { types { kind name fields { name args { name type { kind name ofType \
                 { kind name } } } } possibleTypes { name } } } }";
    let data = acme.member.data(tools, json!({})).await;
    assert!(data["__schema"]["types"].as_array().unwrap().len() > 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn introspection_is_drawn_from_the_budget() {
    let bytes = ByteLimits { operation: 256 << 10, ..ByteLimits::default() };
    let app = TestApp::on(Backend::Sqlite)
        .options(move |options| Options { bytes, ..options })
        .start()
        .await;
    let acme = app.organization("acme").await;
    let all = "types { name description fields { name description args { name description } } }";
    let many: Vec<String> = (0..5).map(|at| format!("a{at}: __schema {{ {all} }}")).collect();
    acme.member.data("{ __schema { types { name } } }", json!({})).await;
    let answer = acme.member.ask(&format!("{{ {} }}", many.join(" ")), json!({})).await;
    let codes = answer.codes();
    assert!(codes.iter().all(|code| *code == "LIMIT_EXCEEDED"), "{codes:?}");
    assert_eq!(app.service_database.budgets().process().held(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_long_documents_are_prepared_others_are_answered() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    for (what, document) in long_documents() {
        let ask = async |client: Client| {
            let started = Instant::now();
            let answer = client.ask(&document, json!({})).await;
            assert!(
                answer.status != StatusCode::INTERNAL_SERVER_ERROR,
                "{what}: {:#}",
                answer.body
            );
            started.elapsed()
        };
        let four = async {
            let member = || acme.member.clone();
            let took = tokio::join!(ask(member()), ask(member()), ask(member()), ask(member()));
            eprintln!("{what}: {took:?}");
        };
        let slowest = slowest_health(&app, four).await;
        eprintln!("{what}: /healthz {slowest:?}");
        // if all threads were busy, it would take as long as the documents
        assert!(slowest < Duration::from_secs(2), "{what}: {slowest:?}");
    }
}

#[tokio::test]
async fn long_names_in_documents_do_not_make_responses_long() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let long = "x".repeat(1_000_000);
    let name = "y".repeat(256);
    let undefined: Vec<String> = (0..60).map(|at| format!("$v{at}: Int")).collect();
    let nodes = "campaigns(first: 500) { nodes { id } }";
    for query in [
        format!("query {long}({}) {{ viewer {{ subject }} }}", undefined.join(" ")),
        format!("{{ viewer {{ {long} }} }}"),
        format!("{{ viewer {{ {long}: subject }} }}"),
        format!("{{ ...{long} }}"),
        format!("{{ viewer @{long} {{ subject }} }}"),
        format!("query {name}({}) {{ viewer {{ subject }} }}", undefined.join(" ")),
        format!(
            "{{ {} }}",
            (0..60)
                .map(|at| format!("{name}{at}").chars().skip(3).collect::<String>())
                .collect::<Vec<_>>()
                .join(" ")
        ),
        format!("{{ campaigns(filter: \"{long}\") {{ nodes {{ id }} }} }}"),
        format!("{{ {nodes} # {long}\n ! }}"),
        format!("{{ nodes(ids: [\"{long}\"]) {{ id }} }}"),
        format!("{{ campaigns(after: \"{long}\") {{ nodes {{ id }} }} }}"),
    ] {
        let answer = acme.member.ask(&query, json!({})).await;
        let length = answer.body.to_string().len();
        let start: String = query.chars().take(40).collect();
        assert!(answer.body["errors"].is_array(), "{start}");
        assert!(length < 50_000, "{start}: {length} bytes");
    }
    let filter = json!({ long.clone(): 1 });
    let rules =
        json!({ "combinator": "and", "rules": [{ "field": long, "operator": long, "value": 1 }] });
    for (query, variables) in [
        (
            "query ($filter: CampaignFilter) { campaigns(filter: $filter) { nodes { id } } }",
            json!({ "filter": filter }),
        ),
        (
            "query ($rules: JSON!) { previewSegment(rules: $rules) { count } }",
            json!({ "rules": rules }),
        ),
        (
            "query ($rules: JSON!) { previewSegment(rules: $rules) { count } }",
            json!({ "rules": { long.clone(): 1 } }),
        ),
    ] {
        let answer = acme.member.ask(query, variables).await;
        let length = answer.body.to_string().len();
        assert_eq!(answer.code(), "BAD_USER_INPUT");
        assert!(length < 10_000, "{query}: {length} bytes");
    }
    let body =
        json!({ "query": "query A { feedCursor } query B { feedCursor }", "operationName": long });
    let answer = acme.member.post(&body).await;
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "operationName"));
    assert!(answer.body.to_string().len() < 1_000);
}

#[tokio::test]
async fn input_objects_are_drawn_from_the_budget_before_they_are_made() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let many = json!({ "and": vec![json!({}); 200_000] });
    let query = "query ($filter: ContactFilter) { contacts(filter: $filter) { nodes { id } } }";
    let answer = acme.member.ask(query, json!({ "filter": many })).await;
    assert_eq!(answer.code(), "LIMIT_EXCEEDED");
    let few = json!({ "and": vec![json!({}); 1_000] });
    acme.member.data(query, json!({ "filter": few })).await;
    assert_eq!(app.service_database.budgets().process().held(), 0);
}
