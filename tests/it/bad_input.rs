//! Invalid input of any kind gets an error with a code and a field, stores nothing, and does not
//! end the process.

use campaigns_tests::{Answer, Organization, Socket, TestApp, on_both_databases};
use reqwest::StatusCode;
use serde_json::{Value as Json, json};

const CREATE: &str =
    "mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { campaign { id } } }";
const LIST: &str = "query ($filter: CampaignFilter, $orderBy: [CampaignOrder!], $first: Int, \
    $after: String, $last: Int, $before: String) { campaigns(filter: $filter, orderBy: $orderBy, \
    first: $first, after: $after, last: $last, before: $before) { nodes { id } } }";
const FILTERED: &str =
    "query ($filter: CampaignFilter) { campaigns(filter: $filter) { totalCount } }";

async fn refused(
    client: &campaigns_tests::Client,
    query: &str,
    variables: Json,
    code: &str,
    field: &str,
) {
    let answer = client.ask(query, variables.clone()).await;
    assert_eq!(
        (answer.code(), answer.field()),
        (code, field),
        "{query} with {variables}\n{:#}",
        answer.body
    );
    assert!(answer.error()["message"].as_str().unwrap().len() > 10);
}

/// `{ not: { not: … } }`
fn nested(key: &str, depth: usize) -> String {
    format!("{}{}", format!("{{ {key}: ").repeat(depth), "{}") + &" }".repeat(depth)
}

fn nested_json(key: &str, depth: usize) -> String {
    format!("{}{{}}{}", format!("{{\"{key}\":").repeat(depth), "}".repeat(depth))
}

async fn still_alive(app: &TestApp, organization: &Organization) {
    assert_eq!(app.count("campaigns").await, 0);
    organization.member.data("{ campaigns { totalCount } }", json!({})).await;
}

#[on_both_databases]
async fn a_json_number_is_stored_exactly_or_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    let body = |query: &str, variables: String| {
        format!("{{ \"query\": {}, \"variables\": {variables} }}", json!(query))
    };
    let create = |number: &str| {
        body(
            CREATE,
            format!(
                "{{ \"input\": {{ \"name\": {0}, \"metadata\": {{ \"n\": {number} }} }} }}",
                json!(number)
            ),
        )
    };
    let having = |number: &str| {
        let query = "query ($filter: CampaignFilter) { campaigns(filter: $filter) { nodes { name \
                     metadata } } }";
        body(
            query,
            format!(
                "{{ \"filter\": {{ \"metadata\": {{ \"contains\": {{ \"n\": {number} }} }} }} }}"
            ),
        )
    };
    let kept = [
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "0.1",
        "0.30000000000000004",
        "9007199254740992",
        "-1.5e30",
        "100000000000000000000",
    ];
    for number in kept {
        let answer = acme.member.post_text(create(number)).await;
        assert!(answer.body["errors"].is_null(), "{number}: {:#}", answer.body);
    }
    for number in kept {
        let answer = acme.member.post_text(having(number)).await;
        let expected: Json = serde_json::from_str(number).unwrap();
        let nodes = &answer.body["data"]["campaigns"]["nodes"];
        assert_eq!(nodes.as_array().map(Vec::len), Some(1), "{number}: {:#}", answer.body);
        assert_eq!(nodes[0]["name"], number);
        assert_eq!(nodes[0]["metadata"]["n"].as_f64(), expected.as_f64(), "{number}");
        assert_eq!(
            nodes[0]["metadata"]["n"].as_i64().is_some(),
            expected.as_i64().is_some(),
            "{number}"
        );
    }
    let mut socket = Socket::of(&acme.member).await;
    for number in [
        "9223372036854775808",
        "18446744073709551615",
        "-9223372036854775809",
        "12345678901234567890123",
        "0.1234567890123456789",
        "-3.14159265358979323846",
    ] {
        let field = "input.metadata";
        let answer = acme.member.post_text(create(number)).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", field), "{number}");
        let answer = acme.member.post_text(having(number)).await;
        assert_eq!(
            (answer.code(), answer.field()),
            ("BAD_USER_INPUT", "filter.metadata.contains"),
            "{number}"
        );
        let literal = format!(
            "mutation {{ createCampaign(input: {{ name: \"x\", metadata: {{ n: [{number}] }} }}) \
             {{ campaign {{ id }} }} }}"
        );
        let answer = acme.member.ask(&literal, json!({})).await;
        assert_eq!(
            (answer.code(), answer.field()),
            ("GRAPHQL_VALIDATION_FAILED", field),
            "{number}"
        );
        socket
            .say_text(format!(
                "{{ \"id\": \"1\", \"type\": \"subscribe\", \"payload\": {} }}",
                create(number)
            ))
            .await;
        let refused = socket.message().await;
        assert_eq!(
            refused["payload"][0]["extensions"]["code"], "BAD_USER_INPUT",
            "{number}: {refused:#}"
        );
    }
    let campaigns = i64::try_from(kept.len()).unwrap();
    assert_eq!(app.count("campaigns").await, campaigns);
}

#[on_both_databases]
async fn invalid_input_is_refused_with_its_field(app: TestApp) {
    let acme = app.organization("acme").await;
    let member = &acme.member;
    for (input, field) in [
        (json!({ "name": "" }), "input.name"),
        (json!({ "name": " \n\t" }), "input.name"),
        (json!({ "name": "x".repeat(501) }), "input.name"),
        (json!({ "name": "a\0b" }), "input.name"),
        (json!({ "name": "x", "subject": "\0" }), "input.subject"),
        (json!({ "name": "x", "body": "\0" }), "input.body"),
        (json!({ "name": "x", "channel": "" }), "input.channel"),
        (json!({ "name": "x", "channel": "a\0" }), "input.channel"),
        (json!({ "name": "x", "metadata": [] }), "input.metadata"),
        (json!({ "name": "x", "metadata": 5 }), "input.metadata"),
        (json!({ "name": "x", "metadata": "{}" }), "input.metadata"),
        (json!({ "name": "x", "metadata": { "a": ["\0"] } }), "input.metadata"),
        (json!({ "name": "x", "metadata": { "\0": 1 } }), "input.metadata"),
        (json!({ "name": "x", "scheduledAt": "tomorrow" }), "input.scheduledAt"),
        (json!({ "name": "x", "scheduledAt": "2199-01-01" }), "input.scheduledAt"),
        (json!({ "name": "x", "scheduledAt": "2199-01-01T00:00:00" }), "input.scheduledAt"),
        (json!({ "name": "x", "scheduledAt": "2199-01-01 00:00:00Z" }), "input.scheduledAt"),
        (json!({ "name": "x", "scheduledAt": "2199-02-30T00:00:00Z" }), "input.scheduledAt"),
        (json!({ "name": "x", "scheduledAt": "9999-12-31T23:59:59-01:00" }), "input.scheduledAt"),
        (json!({ "name": "x", "scheduledAt": 5 }), "input.scheduledAt"),
        (json!({ "name": 5 }), "input.name"),
        (json!({ "name": null }), "input.name"),
        (json!({}), "input.name"),
        (json!({ "name": "x", "nmae": "x" }), "input.nmae"),
        (json!([{ "name": "x" }]), "input"),
        (json!("x"), "input"),
        (json!(null), "input"),
    ] {
        refused(member, CREATE, json!({ "input": input }), "BAD_USER_INPUT", field).await;
    }
    still_alive(&app, &acme).await;
    member.data(CREATE, json!({ "input": { "name": "é".repeat(500) } })).await;
}

#[on_both_databases]
async fn invalid_arguments_of_lists_are_refused_with_their_field(app: TestApp) {
    let acme = app.organization("acme").await;
    for (variables, field) in [
        (json!({ "first": -1 }), "first"),
        (json!({ "first": 501 }), "first"),
        (json!({ "last": -1 }), "last"),
        (json!({ "last": 501 }), "last"),
        (json!({ "first": 1, "last": 1 }), "last"),
        (json!({ "first": 1, "before": "x" }), "before"),
        (json!({ "after": "x", "before": "x" }), "before"),
        (json!({ "last": 1, "after": "x" }), "after"),
        (json!({ "after": "x" }), "after"),
        (json!({ "after": "" }), "after"),
        (json!({ "last": 1, "before": "WyJ4Il0" }), "before"),
        (json!({ "first": 3_000_000_000_u64 }), "first"),
        (json!({ "first": 1.5 }), "first"),
        (json!({ "first": "5" }), "first"),
        (json!({ "first": true }), "first"),
        (json!({ "orderBy": [{ "field": "SIZE" }] }), "orderBy.0.field"),
        (json!({ "orderBy": [{ "direction": "ASC" }] }), "orderBy.0.field"),
        (json!({ "orderBy": [{ "field": "NAME", "direction": "UP" }] }), "orderBy.0.direction"),
        (json!({ "filter": { "id": { "eq": "nope" } } }), "filter.id.eq"),
        (json!({ "filter": { "id": { "in": [acme.id, acme.id, 7] } } }), "filter.id.in.2"),
        (
            json!({ "filter": { "or": [{}, { "segmentId": { "notIn": ["x"] } }] } }),
            "filter.or.1.segmentId.notIn.0",
        ),
        (json!({ "filter": { "sentAt": { "gt": "yesterday" } } }), "filter.sentAt.gt"),
        (json!({ "filter": { "status": { "eq": "sent" } } }), "filter.status.eq"),
        (json!({ "filter": { "name": { "contains": "\0" } } }), "filter.name.contains"),
        (json!({ "filter": { "name": { "in": ["a", "\0"] } } }), "filter.name.in.1"),
        (
            json!({ "filter": { "name": { "startsWith": "x".repeat(1_001) } } }),
            "filter.name.startsWith",
        ),
        (
            json!({ "filter": { "metadata": { "contains": { "a": "\0" } } } }),
            "filter.metadata.contains",
        ),
        (json!({ "filter": { "metadata": { "hasKey": "\0" } } }), "filter.metadata.hasKey"),
        (json!({ "filter": 5 }), "filter"),
        (json!({ "filter": { "name": "x" } }), "filter.name"),
        (json!({ "filter": { "nothing": {} } }), "filter.nothing"),
    ] {
        refused(&acme.member, LIST, variables, "BAD_USER_INPUT", field).await;
    }
    acme.member.data(LIST, json!({ "first": 0 })).await;
    acme.member.data(LIST, json!({ "last": 500 })).await;
    acme.member.data(LIST, json!({ "orderBy": { "field": "NAME" } })).await;
}

#[on_both_databases]
async fn ids_are_uuids(app: TestApp) {
    let acme = app.organization("acme").await;
    for id in [
        json!("nope"),
        json!(""),
        json!(7),
        json!("00000000-0000-0000-0000-00000000000"),
        json!(acme.id.simple()),
    ] {
        for field in ["campaign", "send", "node"] {
            let query = format!("query ($id: ID!) {{ {field}(id: $id) {{ id }} }}");
            refused(&acme.member, &query, json!({ "id": id }), "BAD_USER_INPUT", "id").await;
        }
        let delete = "mutation ($id: ID!) { deleteCampaign(id: $id) { id } }";
        refused(&acme.admin, delete, json!({ "id": id }), "BAD_USER_INPUT", "id").await;
        let update =
            "mutation ($id: ID!) { updateCampaign(input: { id: $id }) { campaign { id } } }";
        refused(&acme.admin, update, json!({ "id": id }), "BAD_USER_INPUT", "input.id").await;
    }
}

#[on_both_databases]
async fn literals_are_validated_against_the_schema(app: TestApp) {
    let acme = app.organization("acme").await;
    for (query, field) in [
        ("{ campaigns(first: 3000000000) { totalCount } }", "first"),
        ("{ campaigns(first: \"5\") { totalCount } }", "first"),
        ("{ campaigns(filter: 5) { totalCount } }", "filter"),
        ("{ campaigns(filter: { status: { eq: \"SENT\" } }) { totalCount } }", "filter.status.eq"),
        ("{ campaigns(filter: { sentAt: { gt: 5 } }) { totalCount } }", "filter.sentAt.gt"),
        ("{ campaigns(orderBy: [{ field: SIZE }]) { totalCount } }", "orderBy.0.field"),
        ("mutation { createCampaign(input: { name: null }) { campaign { id } } }", "input.name"),
        ("mutation { createCampaign(input: { }) { campaign { id } } }", "input.name"),
    ] {
        refused(&acme.member, query, json!({}), "GRAPHQL_VALIDATION_FAILED", field).await;
    }
    for query in [
        "{ nothing }",
        "{ campaigns { nodes { nothing } } }",
        "{ campaign { id } }",
        "{ campaigns }",
        "query ($a: Int) { __typename }",
        "{ ...A }",
        "query A { __typename } query A { __typename }",
    ] {
        let answer = acme.member.ask(query, json!({})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let code = answer.body["errors"][0]["extensions"]["code"].as_str().unwrap();
        assert!(
            ["GRAPHQL_VALIDATION_FAILED", "GRAPHQL_PARSE_FAILED"].contains(&code),
            "{query} {code}"
        );
        assert!(answer.body.get("data").is_none());
    }
    for query in [
        "",
        "{",
        "query {",
        "{ campaigns(first: 1e999) { totalCount } }",
        "{ a(b: \"\\u\") }",
        "\u{0}",
        "{ a # }",
    ] {
        let answer = acme.member.ask(query, json!({})).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, "GRAPHQL_PARSE_FAILED"),
            "{query}"
        );
    }
    still_alive(&app, &acme).await;
}

#[on_both_databases]
async fn a_missing_required_variable_is_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    // before any field is executed
    let query = "mutation ($id: ID!) { createCampaign(input: { name: \"x\" }) { campaign { id } } \
                 deleteCampaign(id: $id) { id } }";
    refused(&acme.admin, query, json!({}), "GRAPHQL_VALIDATION_FAILED", "id").await;
    refused(&acme.admin, CREATE, json!({}), "GRAPHQL_VALIDATION_FAILED", "input").await;
    refused(&acme.admin, CREATE, json!({ "inptu": {} }), "GRAPHQL_VALIDATION_FAILED", "input")
        .await;
    still_alive(&app, &acme).await;
    let answer =
        acme.member.ask(LIST, json!({ "first": null, "filter": null, "orderBy": null })).await;
    assert_eq!(answer.status, StatusCode::OK);
    let data = acme
        .member
        .data("query ($n: Int = 3) { campaigns(first: $n) { totalCount } }", json!({}))
        .await;
    assert_eq!(data["campaigns"]["totalCount"], 0);
}

#[on_both_databases]
async fn a_body_that_is_not_json_or_too_large_is_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "5",
        "\"x\"",
        "{\"query\": 5}",
        "{\"query\": null}",
        "{}",
        "[{\"query\": \"{ __typename }\"}]",
        "{\"query\": \"{ __typename }\", \"variables\": []}",
        "{\"query\": \"{ __typename }\", \"variables\": \"{}\"}",
        "{\"query\": \"{ __typename }\", \"operationName\": 5}",
        "{\"query\": \"{ __typename }\", \"extensions\": 5}",
        "{\"query\": \"{ __typename }\", \"variables\": {\"a\": 1e999}}",
        "{\"query\": \"\\ud800\"}",
    ] {
        let answer = acme.member.post_text(body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"),
            "{body}"
        );
    }
    let answer = acme.member.post_text(vec![0xff, 0xfe, b'{']).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let huge = json!({
        "query": CREATE, "variables": { "input": { "name": "x", "body": "x".repeat(10_000_000) } },
    });
    let answer = acme.member.post(&huge).await;
    assert_eq!(
        (answer.status, answer.code(), answer.field()),
        (StatusCode::PAYLOAD_TOO_LARGE, "LIMIT_EXCEEDED", "body")
    );
    still_alive(&app, &acme).await;
}

#[on_both_databases]
async fn at_most_50_validation_errors_are_reported(app: TestApp) {
    let acme = app.organization("acme").await;
    let fields = (0..9_000).map(|n| format!("x{n}")).collect::<Vec<_>>().join(" ");
    let variables = (0..4_000).map(|n| format!("$v{n}: Int")).collect::<Vec<_>>().join(" ");
    for document in [
        format!("{{ {fields} }}"),
        format!("{{ viewer {} {{ subject }} }}", "@unknown".repeat(9_000)),
        format!("query ({variables}) {{ viewer {{ subject }} }}"),
    ] {
        let answer = acme.member.ask(&document, json!({})).await;
        let faults = answer.body["errors"].as_array().unwrap();
        assert_eq!(faults.len(), 50);
        assert!(
            faults.iter().all(|fault| fault["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED")
        );
    }
}

#[on_both_databases]
async fn deep_nesting_is_refused_in_documents_and_variables(app: TestApp) {
    let acme = app.organization("acme").await;
    let deep =
        |inner: &str, depth: usize| format!("{}{}", "[".repeat(depth), inner) + &"]".repeat(depth);
    for document in [
        format!("{{ nodes(ids: {}) {{ id }} }}", deep("", 1_500)),
        format!("{{ nodes(ids: {}) {{ id }} }}", deep("", 20_000)),
        format!("{{ campaigns(filter: {}) {{ totalCount }} }}", nested("not", 700)),
        format!("{{ campaigns(filter: {}) {{ totalCount }} }}", nested("and", 3_000)),
        format!("{{ {} id {} }}", "viewer { ".repeat(2_000), "} ".repeat(2_000)),
        format!("query ($a: {}Int{}) {{ __typename }}", "[".repeat(5_000), "]".repeat(5_000)),
        "[".repeat(100_000),
        "{ a ".repeat(30_000),
        "{ __typename }".to_owned() + &" fragment F on Query { __typename }".repeat(5_000),
    ] {
        let answer = acme.member.ask(&document, json!({})).await;
        assert_eq!(answer.code(), "LIMIT_EXCEEDED", "{}", &document[..60]);
        assert_eq!(answer.field(), "query");
    }
    for depth in [100, 700, 5_000, 200_000] {
        let body = format!(
            "{{\"query\": {}, \"variables\": {{\"filter\": {}}}}}",
            json!(LIST),
            nested_json("not", depth)
        );
        let answer = acme.member.post_text(body).await;
        assert_eq!(
            (answer.status, answer.code(), answer.field()),
            (StatusCode::BAD_REQUEST, "LIMIT_EXCEEDED", "variables")
        );
    }
    still_alive(&app, &acme).await;
}

#[on_both_databases]
async fn filters_nest_ten_levels_and_have_500_conditions(app: TestApp) {
    let acme = app.organization("acme").await;
    let deep =
        |levels: usize| -> Json { serde_json::from_str(&nested_json("not", levels - 1)).unwrap() };
    acme.member.data(LIST, json!({ "filter": deep(10) })).await;
    let path = format!("filter{}", ".not".repeat(10));
    refused(&acme.member, LIST, json!({ "filter": deep(11) }), "LIMIT_EXCEEDED", &path).await;
    refused(&acme.member, LIST, json!({ "filter": deep(60) }), "LIMIT_EXCEEDED", &path).await;

    acme.member.data(CREATE, json!({ "input": { "name": "x" } })).await;
    let conditions =
        |count: usize| json!({ "filter": { "or": vec![json!({ "name": { "eq": "x" } }); count] } });
    acme.member.data(LIST, conditions(500)).await;
    refused(&acme.member, LIST, conditions(501), "LIMIT_EXCEEDED", "filter.or.500.name.eq").await;
    // with any combination of `and`, `or` and `not`
    let name = json!({ "name": { "eq": "x" } });
    let not = json!({ "not": name });
    let inside = |mut filter: Json, levels: usize| {
        for _ in 0..levels {
            filter = json!({ "and": [filter, {}], "or": [name] });
        }
        filter
    };
    for (filter, total) in [
        (json!({ "and": vec![name.clone(); 500] }), 1),
        (json!({ "or": vec![not.clone(); 500] }), 0),
        (json!({ "and": vec![json!({ "or": [name] }); 500] }), 1),
        (inside(json!({ "and": vec![name.clone(); 490] }), 8), 1),
        (json!({ "and": vec![json!({}); 4_000] }), 1),
        (json!({ "or": vec![json!({}); 4_000] }), 1),
        (json!({ "or": [{}, not] }), 1),
        (json!({ "and": [{ "or": [] }] }), 0),
        (json!({ "not": { "and": [{}] } }), 0),
    ] {
        let data = acme.member.data(FILTERED, json!({ "filter": filter })).await;
        assert_eq!(data["campaigns"]["totalCount"], total, "{filter}");
    }
    refused(
        &acme.member,
        LIST,
        json!({ "filter": { "and": vec![json!({}); 6_000] } }),
        "LIMIT_EXCEEDED",
        "filter.and.4999",
    )
    .await;

    let values = |count: usize| json!({ "filter": { "name": { "in": vec!["x"; count] } } });
    acme.member.data(LIST, values(1_000)).await;
    refused(&acme.member, LIST, values(1_001), "LIMIT_EXCEEDED", "filter.name.in").await;

    let part: Vec<u32> = (0..600).collect();
    let contains = json!({ "filter": { "metadata": { "contains": { "a": part } } } });
    refused(&acme.member, LIST, contains, "LIMIT_EXCEEDED", "filter.metadata.contains").await;
}

#[on_both_databases]
async fn fragments_that_double_are_refused_at_once(app: TestApp) {
    let acme = app.organization("acme").await;
    for levels in [18, 40, 400] {
        let fragments: Vec<String> = (0..levels)
            .map(|level| format!("fragment f{level} on Query {{ ...f{0} ...f{0} }}", level + 1))
            .collect();
        let fragments = fragments.join(" ");
        let document = format!(
            "{{ ...f0 }} {fragments} fragment f{levels} on Query {{ viewer {{ subject }} }}"
        );
        let answer = acme.member.ask(&document, json!({})).await;
        assert_eq!((answer.code(), answer.field()), ("LIMIT_EXCEEDED", "query"));
    }
    let circle = "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }";
    assert_eq!(acme.member.ask(circle, json!({})).await.code(), "GRAPHQL_VALIDATION_FAILED");
    still_alive(&app, &acme).await;
}

#[on_both_databases]
async fn an_operation_that_costs_too_much_is_refused_before_it_runs(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.member.data("{ campaigns { totalCount } }", json!({})).await;
    app.forget_statements();
    let aliases: Vec<String> =
        (0..1_000).map(|at| format!("a{at}: campaigns {{ totalCount }}")).collect();
    let dump = "query ($n: Int!) { campaigns(first: $n) { nodes { sends(first: $n) { nodes { \
                contact { sends(first: $n) { nodes { id } } } } } } } }";
    let events = "{ campaigns(first: 500) { nodes { sends(first: 500) { nodes { \
                  events(first: 500) { nodes { id } } } } } } }";
    let minutes = "{ campaigns(first: 500) { nodes { timeline(interval: MINUTE, \
                   from: \"2026-01-01T00:00:00Z\", to: \"2026-01-01T16:00:00Z\") { opens } } } }";
    let (open, close) = ("campaign { sends { nodes { ".repeat(7), "} } } ".repeat(7));
    let deep = format!("{{ sends {{ nodes {{ {open} id {close} }} }} }}");
    for (query, variables) in [
        (format!("{{ {} }}", aliases.join(" ")), json!({})),
        (dump.to_owned(), json!({ "n": 500 })),
        (events.to_owned(), json!({})),
        (minutes.to_owned(), json!({})),
        (deep, json!({})),
    ] {
        let answer = acme.member.ask(&query, variables).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!((answer.code(), answer.field()), ("LIMIT_EXCEEDED", "query"));
    }
    assert!(app.statements().is_empty());
    acme.member.data(dump, json!({ "n": 10 })).await;
}

#[on_both_databases]
async fn the_queries_of_a_dashboard_page_are_allowed(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(50).await;
    let figures = "sends queued sent delivered bounced failed opens clicks unsubscribes complaints \
                   bounces uniqueOpens uniqueClicks uniqueUnsubscribes uniqueComplaints \
                   machineOpens machineClicks uniqueHumanOpens uniqueHumanClicks deliveryRate \
                   openRate clickRate clickToOpenRate bounceRate unsubscribeRate complaintRate \
                   humanOpenRate humanClickRate firstEventAt lastEventAt";
    let page = format!(
        "{{ campaigns(first: 50) {{ totalCount pageInfo {{ hasNextPage endCursor }} \
      nodes {{
        id name subject channel status scheduledAt sentAt creator {{ fullName }} stats {{ \
        {figures} }}
        sends(first: 20) {{ totalCount pageInfo {{ hasNextPage endCursor }} nodes {{
          id status sentAt deliveredAt error
          contact {{ id firstName lastName email companies {{ id name domain industry }} }}
          events(first: 5) {{ totalCount nodes {{ id type url bounceType occurredAt }} }}
        }} }}
      }} }} }}"
    );
    let data = acme.member.data(&page, json!({})).await;
    assert_eq!(data["campaigns"]["nodes"].as_array().unwrap().len(), 50);
}

#[on_both_databases]
async fn all_lists_of_a_filter_together_are_bounded(app: TestApp) {
    let acme = app.organization("acme").await;
    let ids: Vec<uuid::Uuid> = (0..1_000).map(|_| uuid::Uuid::new_v4()).collect();
    let lists =
        |count: usize| json!({ "filter": { "or": vec![json!({ "id": { "in": ids } }); count] } });
    acme.member.data(LIST, lists(30)).await;
    refused(&acme.member, LIST, lists(31), "LIMIT_EXCEEDED", "filter.or.30.id.in").await;
    let contains = |part: Json| json!({ "filter": { "metadata": { "contains": part } } });
    acme.member.data(LIST, contains(json!({ "a": (0..490).collect::<Vec<_>>() }))).await;
    let deep: Json = serde_json::from_str(&nested_json("a", 9)).unwrap();
    acme.member.data(LIST, contains(deep)).await;
    let deeper: Json = serde_json::from_str(&nested_json("a", 20)).unwrap();
    refused(&acme.member, LIST, contains(deeper), "LIMIT_EXCEEDED", "filter.metadata.contains")
        .await;
}

#[on_both_databases]
async fn a_forged_cursor_is_rejected(app: TestApp) {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let acme = app.organization("acme").await;
    app.run(&format!(
        "INSERT INTO campaigns (org_id, name) VALUES ({}, 'x')",
        app.literal(acme.id)
    ))
    .await;
    let query = "query ($after: String) { campaigns(after: $after, orderBy: [{ field: CREATED_AT \
                 }]) { edges { cursor } } }";
    let cursor =
        acme.member.data(query, json!({})).await["campaigns"]["edges"][0]["cursor"].clone();
    let parts: Vec<Json> =
        serde_json::from_slice(&BASE64.decode(cursor.as_str().unwrap()).unwrap()).unwrap();
    for time in [
        json!("-200000-01-01T00:00:00Z"),
        json!("+262142-01-01T00:00:00Z"),
        json!(5),
        json!(null),
        json!("2026-06-30T23:59:60Z"),
    ] {
        let forged = BASE64.encode(json!([parts[0], time, parts[2]]).to_string());
        let answer = acme.member.ask(query, json!({ "after": forged })).await;
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "after"), "{time}");
    }
    acme.member.data(query, json!({ "after": cursor })).await;
}

#[on_both_databases]
async fn a_repeated_order_field_has_no_effect(app: TestApp) {
    let acme = app.organization("acme").await;
    let query = "query ($after: String, $orderBy: [CampaignOrder!]) { \
                 campaigns(first: 1, after: $after, orderBy: $orderBy) { nodes { name } pageInfo { \
                 endCursor } } }";
    for name in ["a", "b"] {
        app.run(&format!(
            "INSERT INTO campaigns (org_id, name) VALUES ({}, '{name}')",
            app.literal(acme.id)
        ))
        .await;
    }
    let three = [
        json!({ "field": "OPEN_RATE" }),
        json!({ "field": "NAME" }),
        json!({ "field": "OPEN_RATE", "direction": "DESC" }),
    ];
    let order: Vec<Json> = three.iter().cycle().take(18).cloned().collect();
    let first = acme.member.data(query, json!({ "orderBy": order })).await;
    let variables =
        json!({ "orderBy": order, "after": first["campaigns"]["pageInfo"]["endCursor"] });
    let second = acme.member.data(query, variables).await;
    assert_eq!(
        (&first["campaigns"]["nodes"][0]["name"], &second["campaigns"]["nodes"][0]["name"]),
        (&json!("a"), &json!("b"))
    );
    refused(
        &acme.member,
        query,
        json!({ "orderBy": vec![json!({ "field": "NAME" }); 21] }),
        "BAD_USER_INPUT",
        "orderBy",
    )
    .await;
}

#[on_both_databases]
async fn sql_in_text_is_only_text(app: TestApp) {
    let acme = app.organization("acme").await;
    for name in [
        "'; DROP TABLE campaigns; --",
        "<",
        ">",
        "<i>",
        "\"",
        "\\",
        "%",
        "?",
        "$1",
        "{{}}",
        "😀",
        "\u{202e}",
        "\r\n",
    ] {
        let padded = format!("x{name}x");
        acme.member
            .data(CREATE, json!({ "input": { "name": padded, "metadata": { name: name } } }))
            .await;
        for filter in [
            json!({ "name": { "eq": padded } }),
            json!({ "name": { "in": [padded] } }),
            json!({ "name": { "contains": name } }),
            json!({ "name": { "endsWith": format!("{name}X") } }),
            json!({ "metadata": { "contains": { name: name } } }),
            json!({ "metadata": { "hasKey": name } }),
        ] {
            let data = acme.member.data(LIST, json!({ "filter": filter })).await;
            assert_eq!(data["campaigns"]["nodes"].as_array().unwrap().len(), 1, "{filter}");
        }
    }
}

#[on_both_databases]
async fn an_error_of_the_database_shows_no_details(app: TestApp) {
    let acme = app.organization("acme").await;
    app.run("ALTER TABLE campaigns RENAME TO gone").await;
    let answer = acme.member.ask("{ campaigns { totalCount } }", json!({})).await;
    assert_eq!(answer.code(), "MISCONFIGURED");
    let shown = answer.body.to_string();
    assert!(!shown.contains("gone") && !shown.contains("campaigns\\\""), "{shown}");
    assert!(!shown.to_lowercase().contains("sql") && !shown.contains("relation"), "{shown}");
}

#[tokio::test]
async fn an_unknown_method_is_refused() {
    let app = TestApp::on(campaigns_tests::Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let request = acme.member.request(reqwest::Method::PUT, "/graphql");
    assert_eq!(Answer::of(request).await.status, StatusCode::METHOD_NOT_ALLOWED);
}
