//! Bounds on bytes: of input, rows and responses.

use campaigns_scope::{ByteLimits, Options};
use campaigns_server::Settings;
use campaigns_tests::{Backend, Client, Socket, TestApp, on_both_databases, until};
use serde_json::{Value as Json, json};

/// Sets every text column of the organization's rows.
async fn fill(app: &TestApp, table: &str, columns: &[&str], text: &str) {
    let set: Vec<String> = columns.iter().map(|column| format!("{column} = '{text}'")).collect();
    app.run(&format!("UPDATE {table} SET {}", set.join(", "))).await;
}

/// Every field of an object with text or JSON, from introspection.
async fn texts_of(client: &Client, object: &str) -> Vec<String> {
    let query = "query ($name: String!) { __type(name: $name) { fields { name args { name } \
                 type { name ofType { name ofType { name ofType { name } } } } } } }";
    let data = client.data(query, json!({ "name": object })).await;
    let shows_text = |field: &&Json| {
        let mut of = &field["type"];
        while of["name"].is_null() {
            of = &of["ofType"];
        }
        matches!(of["name"].as_str(), Some("String" | "JSON"))
    };
    let fields = data["__type"]["fields"].as_array().unwrap().iter().filter(shows_text);
    fields.map(|field| field["name"].as_str().unwrap().to_owned()).collect()
}

#[on_both_databases]
async fn text_is_drawn_from_the_budget_each_time_it_is_shown(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let text = "x".repeat(100_000);
    let json = format!("{{\"x\": \"{text}\"}}");
    for (table, columns) in [
        ("campaigns", &["name", "subject", "body", "channel"][..]),
        ("campaign_segments", &["name", "description"]),
        ("campaign_sends", &["error"]),
        ("campaign_events", &["url"]),
        ("companies", &["name", "domain", "industry", "size"]),
        (
            "contacts",
            &[
                "first_name",
                "last_name",
                "email",
                "phone",
                "title",
                "source",
                "city",
                "state",
                "country",
            ],
        ),
        ("organizations", &["name"]),
        ("users", &["email", "full_name"]),
    ] {
        fill(&app, table, columns, &text).await;
    }
    for table in [
        "campaigns",
        "campaign_segments",
        "campaign_sends",
        "campaign_events",
        "campaign_lists",
        "contacts",
    ] {
        fill(&app, table, &["metadata"], &json).await;
    }
    fill(&app, "campaign_segments", &["filter_rules"], &json).await;
    let reasons = json!({ "machine": true, "machineReasons": [text] });
    fill(&app, "campaign_events", &["metadata"], &reasons.to_string()).await;
    let (org, send) = (app.literal(acme.id), app.literal(made.sends[0]));
    app.run(&format!(
        "INSERT INTO campaign_message_ids (send_id, org_id, message_id, compared) VALUES ({send}, {org}, '{text}', 'x')"
    ))
    .await;
    let mut fields = 0;
    for (object, id) in [
        ("Campaign", made.campaigns[0]),
        ("Segment", made.segments[0]),
        ("Send", made.sends[0]),
        ("EngagementEvent", made.events[0]),
        ("Company", made.companies[0]),
        ("Contact", made.contacts[0]),
        ("ListEntry", made.entries[0]),
        ("Organization", acme.id),
        ("User", made.users[0]),
    ] {
        for field in texts_of(&acme.member, object).await {
            // always short
            if (object, field.as_str()) == ("Organization", "slug") {
                continue;
            }
            let query = format!(
                "query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {object} {{ {field} }} }} }}"
            );
            // one row, read once
            let once = acme.member.ask(&query, json!({ "ids": [id] })).await;
            assert!(
                once.body["data"]["nodes"][0][&field].to_string().len() > 100_000,
                "{object}.{field}"
            );
            let often = acme.member.ask(&query, json!({ "ids": vec![id; 500] })).await;
            let errors = often.body["errors"]
                .as_array()
                .unwrap_or_else(|| panic!("{object}.{field} is not drawn"));
            assert!(
                errors.iter().all(|error| error["extensions"]["code"] == "LIMIT_EXCEEDED"),
                "{object}.{field}"
            );
            assert!(often.body["data"].to_string().len() < 64 << 20);
            fields += 1;
        }
    }
    assert!(fields > 25, "{fields}");
    // cursors contain text as well
    let edges = "{ campaigns(first: 500, orderBy: [{ field: NAME }]) { edges { cursor } } }";
    assert!(
        acme.member.data(edges, json!({})).await["campaigns"]["edges"][0]["cursor"]
            .as_str()
            .unwrap()
            .len()
            > 100_000
    );
    assert_eq!(app.service_database.budgets().process().held(), 0);
}

#[on_both_databases]
async fn rows_are_drawn_from_the_budget_while_they_are_read(app: TestApp) {
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    let body = "x".repeat(1_000_000);
    for _ in 0..100 {
        app.run(&format!(
            "INSERT INTO campaigns (org_id, name, body) VALUES ({org}, 'x', '{body}')"
        ))
        .await;
    }
    // the column is not selected, but its row is read as a whole
    let answer =
        acme.member.ask("{ campaigns(first: 100) { nodes { id body } } }", json!({})).await;
    let codes = answer.codes();
    assert!(codes.iter().all(|code| *code == "LIMIT_EXCEEDED"), "{codes:?}");
    assert!(answer.body.to_string().len() < 70_000_000);
    // the connection can be used again
    for _ in 0..10 {
        let data = acme
            .member
            .data("{ campaigns(first: 10) { nodes { name } totalCount } }", json!({}))
            .await;
        assert_eq!(data["campaigns"]["totalCount"], 100);
    }
    assert_eq!(app.service_database.budgets().process().held(), 0);
}

#[on_both_databases]
async fn stored_text_has_a_maximum_length(app: TestApp) {
    let acme = app.organization("acme").await;
    let create = "mutation ($input: CreateCampaignInput!) { createCampaign(input: $input) { \
                  campaign { id } } }";
    let long = |bytes: usize| "é".repeat(bytes / 2);
    for (field, bytes) in [("subject", 16 * 1024), ("body", 1024 * 1024)] {
        acme.member.data(create, json!({ "input": { "name": "x", field: long(bytes) } })).await;
        let refused = acme
            .member
            .ask(create, json!({ "input": { "name": "x", field: long(bytes + 2) } }))
            .await;
        assert_eq!(
            (refused.code(), refused.field()),
            ("BAD_USER_INPUT", &*format!("input.{field}"))
        );
    }
    let metadata = |bytes: usize| json!({ "x": "y".repeat(bytes - 8) });
    acme.member
        .data(create, json!({ "input": { "name": "x", "metadata": metadata(64 * 1024) } }))
        .await;
    let refused = acme
        .member
        .ask(create, json!({ "input": { "name": "x", "metadata": metadata(64 * 1024 + 1) } }))
        .await;
    assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "input.metadata"));
    let made = acme.populated(3).await;
    let record =
        "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded } }";
    let url = format!("https://x.example/{}", "y".repeat(17_000));
    let refused = acme
        .member
        .ask(record, json!({ "input": [{ "sendId": made.sends[0], "type": "CLICK", "url": url }] }))
        .await;
    assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "input.0.url"));
}

#[on_both_databases]
async fn json_with_too_many_values_is_refused_before_it_is_parsed(app: TestApp) {
    let acme = app.organization("acme").await;
    let zeros = format!("[{}0]", "0,".repeat(3_900_000));
    let body = format!(
        "{{\"query\": \"query ($m: JSON) {{ campaigns(filter: {{ metadata: {{ contains: $m }} }}) \
         {{ totalCount }} }}\", \"variables\": {{\"m\": {zeros}}}}}"
    );
    assert!(body.len() < 8 << 20);
    let answer = acme.member.post_text(body.clone()).await;
    assert_eq!(answer.code(), "LIMIT_EXCEEDED");
    let mut socket = Socket::of(&acme.member).await;
    socket.say_text(format!("{{\"type\":\"subscribe\",\"id\":\"1\",\"payload\":{body}}}")).await;
    assert!(matches!(socket.closed().await, 4400 | 1013));
}

#[tokio::test]
async fn an_organization_that_holds_its_share_leaves_others_theirs() {
    // a response takes 60 MB until the client has read it
    let bytes = ByteLimits { process: 200 << 20, ..ByteLimits::default() };
    let app = TestApp::on(Backend::Postgres)
        .options(move |options| Options { bytes, max_connections: 16, ..options })
        .start()
        .await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let body = "x".repeat(1_000_000);
    for organization in [&acme, &other] {
        let org = app.literal(organization.id);
        for _ in 0..20 {
            let sql =
                format!("INSERT INTO campaigns (org_id, name, body) VALUES ({org}, 'x', '{body}')");
            app.run(&sql).await;
        }
    }
    let query = "{ campaigns { nodes { body } } }";
    // responses that no client reads
    let mut unread = Vec::new();
    let mut refused = 0;
    for _ in 0..12 {
        let request = acme.member.request(reqwest::Method::POST, "/graphql");
        let response = request.json(&json!({ "query": query })).send().await.unwrap();
        let length = response.content_length();
        if length.is_some_and(|length| length < 1_000) {
            let body: Json = response.json().await.unwrap();
            assert_eq!(body["errors"][0]["extensions"]["code"], "LIMIT_EXCEEDED", "{body}");
            refused += 1;
        } else {
            unread.push(response);
        }
    }
    assert!(refused > 0 && !unread.is_empty(), "{refused} refused, {} unread", unread.len());
    assert!(app.service_database.budgets().process().held() <= 100 << 20);
    other.member.data("{ campaigns(first: 10) { nodes { body } } }", json!({})).await;
    drop(unread);
    until("it is given back", std::time::Duration::from_secs(10), async || {
        app.service_database.budgets().process().held() == 0
    })
    .await;
    acme.member.data(query, json!({})).await;
}

#[tokio::test]
async fn cached_operations_are_bounded_in_bytes() {
    const MOST: usize = 256 * 1024;
    let mut settings = Settings::default();
    settings.limits.operation.kept = MOST;
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    // a different document each time, and one that is repeated
    for number in 0..500 {
        let query = format!("{{ viewer {{ role n{number}: role }} }}");
        let data = acme.member.data(&query, json!({})).await;
        assert_eq!(data["viewer"][format!("n{number}")], "MEMBER", "{data}");
        let again = acme.member.data("{ viewer { role } }", json!({})).await;
        assert_eq!(again["viewer"]["role"], "MEMBER", "{again}");
    }
    let metrics = acme.member.request(reqwest::Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let line =
        metrics.lines().find_map(|line| line.strip_prefix("campaigns_operation_cache_bytes "));
    let kept: usize = line.unwrap().parse().unwrap();
    assert!((MOST / 2..=MOST).contains(&kept), "{kept} bytes");
}
