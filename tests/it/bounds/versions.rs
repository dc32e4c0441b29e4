//! Two versions of the service on one database: the older one may not know values that the newer
//! one stores.

use campaigns_tests::{
    Backend, Binary, Client, Postgres, Received, Socket, TestApp, on_both_databases,
    serve_arguments,
};
use serde_json::{Value as Json, json};

const FOLLOW: &str =
    "subscription ($after: String) { engagementEvents(after: $after) { node { id type } } }";

/// Changes that a newer version's migration could make.
const NEWER: [&str; 4] = [
    "ALTER TYPE campaign_event_type ADD VALUE 'forward'",
    "ALTER TYPE send_status ADD VALUE 'deferred'",
    "ALTER TYPE campaign_status ADD VALUE 'archived'",
    "ALTER TABLE campaign_events ADD COLUMN device text",
];

#[tokio::test]
async fn an_unreadable_event_stops_no_feed() {
    let app = TestApp::on(Backend::Postgres).start().await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let made = acme.populated(4).await;
    let theirs = other.populated(4).await;
    for sql in NEWER {
        app.run(sql).await;
    }
    let start = acme.member.feed_cursor().await;
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", FOLLOW, json!({ "after": start })).await;
    let mut beside = Socket::of(&other.member).await;
    beside.subscribe("1", FOLLOW, json!({ "after": other.member.feed_cursor().await })).await;
    let insert = |org, send, kind: &str| {
        format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type) VALUES ({}, {}, '{kind}')",
            app.literal(org),
            app.literal(send)
        )
    };
    app.run(&insert(acme.id, made.sends[0], "forward")).await;
    // more of them than are read at once
    app.run(&format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type) SELECT {}, {}, \
         'forward' FROM generate_series(1, 1500)",
        app.literal(acme.id),
        app.literal(made.sends[0])
    ))
    .await;
    app.run(&insert(acme.id, made.sends[1], "click")).await;
    app.run(&insert(other.id, theirs.sends[0], "open")).await;
    assert_eq!(socket.next("1").await["engagementEvents"]["node"]["type"], "CLICK");
    assert_eq!(beside.next("1").await["engagementEvents"]["node"]["type"], "OPEN");
    // from the table, too
    let mut later = Socket::of(&acme.member).await;
    later.subscribe("1", FOLLOW, json!({ "after": start })).await;
    assert_eq!(later.next("1").await["engagementEvents"]["node"]["type"], "CLICK");
    // it is counted
    let metrics = app
        .client(None)
        .request(reqwest::Method::GET, "/metrics")
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line = metrics.lines().find(|line| {
        line.starts_with("campaigns_unreadable_rows_total{table=\"campaign_events\"}")
    });
    let count: f64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(count >= 1_501.0, "{metrics}");
    // lists omit it and continue after it
    let listed = acme
        .member
        .data("{ events(last: 3) { nodes { type } pageInfo { hasPreviousPage } } }", json!({}))
        .await;
    assert_eq!(listed["events"]["nodes"], json!([{ "type": "CLICK" }]));
    assert_eq!(listed["events"]["pageInfo"]["hasPreviousPage"], true);
    app.run(&format!(
        "UPDATE campaigns SET status = 'archived' WHERE id = {}",
        app.literal(made.campaigns[0])
    ))
    .await;
    app.run(&format!(
        "UPDATE campaign_sends SET status = 'deferred' WHERE id = {}",
        app.literal(made.sends[0])
    ))
    .await;
    let listed = acme
        .member
        .data(
            "{ campaigns { totalCount nodes { id status } } sends { \
             totalCount nodes { status } } }",
            json!({}),
        )
        .await;
    let shown = |what: &str| listed[what]["nodes"].as_array().unwrap().len() as u64;
    assert_eq!(listed["campaigns"]["totalCount"].as_u64().unwrap(), shown("campaigns") + 1);
    assert_eq!(listed["sends"]["totalCount"].as_u64().unwrap(), shown("sends") + 1);
    // a report about such a send has no effect
    let update = "mutation ($input: [UpdateSendInput!]!) { updateSends(input: $input) { updated \
                  unchanged } }";
    let data = acme
        .member
        .data(update, json!({ "input": [{ "id": made.sends[0], "status": "DELIVERED" }] }))
        .await;
    assert_eq!(data["updateSends"], json!({ "updated": 0, "unchanged": 1 }));
}

/// Follows a list from page to page in one direction until it ends, and returns the IDs.
async fn followed(
    client: &Client,
    query: &str,
    list: &str,
    [more, cursor]: [&str; 2],
) -> Vec<Json> {
    let (mut ids, mut after) = (Vec::new(), Json::Null);
    for _ in 0..1_000 {
        let data = client.data(query, json!({ "cursor": after })).await;
        let page = data.pointer(list).unwrap();
        ids.extend(page["nodes"].as_array().unwrap().iter().map(|node| node["id"].clone()));
        if page["pageInfo"][more] == false {
            return ids;
        }
        after = page["pageInfo"][cursor].clone();
        assert!(after.is_string(), "the list continues without a cursor: {page:#}");
    }
    panic!("the list does not end");
}

#[on_both_databases]
async fn a_list_is_followed_through_pages_that_have_only_unreadable_rows(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(10).await;
    let allowing = match app.database.backend {
        Backend::Postgres => {
            app.run(NEWER[1]).await;
            ""
        }
        Backend::Sqlite => "PRAGMA ignore_check_constraints = ON;",
    };
    let all = acme.member.data("{ sends(first: 500) { nodes { id } } }", json!({})).await;
    let mut readable: Vec<Json> =
        all["sends"]["nodes"].as_array().unwrap().iter().map(|send| send["id"].clone()).collect();
    // at the start, in the middle, and at the end
    let count = readable.len();
    for index in [count - 1, count - 2, count / 2 + 2, count / 2 + 1, count / 2, 2, 1, 0] {
        let id = readable.remove(index);
        app.run(&format!(
            "{allowing} UPDATE campaign_sends SET status = 'deferred' WHERE id = {}",
            app.literal(id.as_str().unwrap().parse().unwrap())
        ))
        .await;
    }
    let (forward, back) = (["hasNextPage", "endCursor"], ["hasPreviousPage", "startCursor"]);
    let part =
        "{ nodes { id status } pageInfo { hasNextPage endCursor hasPreviousPage startCursor } }";
    for size in [1, 2] {
        for order in ["", ", orderBy: [{ field: STATUS }]", ", orderBy: [{ field: CREATED_AT }]"] {
            let list = |arguments: &str| {
                format!("query ($cursor: String) {{ sends({arguments}{order}) {part} }}")
            };
            let query = list(&format!("first: {size}, after: $cursor"));
            let mut ids = followed(&acme.member, &query, "/sends", forward).await;
            let query = list(&format!("last: {size}, before: $cursor"));
            let mut from_end = followed(&acme.member, &query, "/sends", back).await;
            if order.is_empty() {
                assert_eq!(ids, readable);
            }
            ids.sort_by_key(Json::to_string);
            from_end.sort_by_key(Json::to_string);
            let mut expected = readable.clone();
            expected.sort_by_key(Json::to_string);
            assert_eq!((&ids, &from_end), (&expected, &expected), "{order}");
        }
        // the lists of campaigns
        let mut ids = Vec::new();
        for campaign in &made.campaigns {
            let query = format!(
                "query ($cursor: String) {{ campaign(id: \"{campaign}\") {{ sends(first: {size}, \
                 after: $cursor) {part} }} }}"
            );
            ids.extend(followed(&acme.member, &query, "/campaign/sends", forward).await);
        }
        ids.sort_by_key(Json::to_string);
        let mut expected = readable.clone();
        expected.sort_by_key(Json::to_string);
        assert_eq!(ids, expected);
    }
}

#[tokio::test]
async fn an_older_version_works_beside_a_newer_one() {
    let (_postgres, database) = Postgres::own().await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let directory = tempfile::tempdir().unwrap();
    let arguments = serve_arguments(&app.database.url);
    let mut older = Binary::start(directory.path(), &arguments).await;
    let mut old = acme.member.clone();
    old.address = older.address().await;
    let mut socket = Socket::of(&old).await;
    socket.subscribe("1", FOLLOW, json!({ "after": old.feed_cursor().await })).await;
    // the newer version migrates, and both serve from then on
    for sql in NEWER {
        app.run(sql).await;
    }
    app.run("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_newer', 0)").await;
    let record = "mutation ($input: [RecordEventInput!]!) { recordEvents(input: $input) { recorded \
                  events { id } } }";
    let open = json!({ "input": [{ "sendId": made.sends[0], "type": "OPEN" }] });
    for number in 0..20 {
        let writer = if number % 2 == 0 { &old } else { &acme.member };
        let data = writer.data(record, open.clone()).await;
        let id = &data["recordEvents"]["events"][0]["id"];
        app.run(&format!(
            "INSERT INTO campaign_events (org_id, send_id, event_type, device) VALUES \
             ('{}', '{}', 'forward', 'phone')",
            acme.id, made.sends[0]
        ))
        .await;
        assert_eq!(&socket.next("1").await["engagementEvents"]["node"]["id"], id);
        old.data("{ campaigns { nodes { name stats { opens } } } }", json!({})).await;
    }
    let ready = old.request(reqwest::Method::GET, "/readyz").send().await.unwrap();
    assert_eq!(ready.status(), 200);
    assert_eq!(older.terminate().await, 0);
    assert!(matches!(socket.receive().await, Received::Closed(1001, _)));
}
