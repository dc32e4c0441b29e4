//! The selection of an object determines which columns of its row are read.

use campaigns_tests::{TestApp, on_both_databases};
use serde_json::{Value as Json, json};

/// The selection of each field of an object, from introspection.
async fn fields_of(client: &campaigns_tests::Client, object: &str) -> Vec<String> {
    let query = "query ($name: String!) { __type(name: $name) { fields { name args { name type { \
                 kind } } type { kind name ofType { kind name ofType { kind name ofType { kind \
                 name } } } } } } }";
    let data = client.data(query, json!({ "name": object })).await;
    let fields = data["__type"]["fields"].as_array().unwrap().iter().map(|field| {
        let mut of = &field["type"];
        while of["name"].is_null() {
            of = &of["ofType"];
        }
        let (name, kind) = (of["name"].as_str().unwrap_or_default(), of["kind"].as_str());
        let arguments = if field["name"] == "timeline" { "(interval: DAY)" } else { "" };
        let inner = match kind {
            _ if name.ends_with("Connection") => " { nodes { __typename } edges { cursor } }",
            Some("SCALAR" | "ENUM") => "",
            _ => " { __typename }",
        };
        format!("{}{arguments}{inner}", field["name"].as_str().unwrap())
    });
    fields.collect()
}

/// The first part of a JSON value that is neither a list nor an object with one field.
fn innermost(value: &Json) -> &Json {
    match value {
        Json::Array(values) if !values.is_empty() => innermost(&values[0]),
        Json::Object(fields) if fields.len() == 1 => innermost(fields.values().next().unwrap()),
        value => value,
    }
}

#[on_both_databases]
async fn each_field_of_each_object_can_be_selected_alone_in_each_place(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let mut asked = 0;
    for (object, places) in [
        (
            "Campaign",
            &[
                "campaign(id: $campaign) { # }",
                "campaigns(first: 1) { nodes { # } }",
                "campaigns(first: 1) { edges { node { # } } }",
                "sends(first: 1) { nodes { campaign { # } } }",
            ][..],
        ),
        (
            "Send",
            &[
                "send(id: $send) { # }",
                "sends(first: 1) { nodes { # } }",
                "campaign(id: $campaign) { sends { nodes { # } } }",
                "events(first: 1) { nodes { send { # } } }",
            ],
        ),
        (
            "Contact",
            &[
                "contact(id: $contact) { # }",
                "contacts(first: 1) { edges { node { # } } }",
                "sends(first: 1) { nodes { contact { # } } }",
            ],
        ),
        (
            "EngagementEvent",
            &[
                "events(first: 1) { nodes { # } }",
                "events(first: 1) { edges { node { # } } }",
                "send(id: $send) { events { nodes { # } } }",
            ],
        ),
        (
            "Segment",
            &[
                "segment(id: $segment) { # }",
                "segments(first: 1) { nodes { # } }",
                "campaigns { nodes { list(first: 5) { nodes { segment { # } } } } }",
            ],
        ),
        ("ListEntry", &["campaigns { nodes { list { nodes { # } } } }"]),
        ("Company", &["contacts { nodes { companies { # } } }"]),
        ("User", &["campaigns { nodes { creator { # } } }", "viewer { user { # } }"]),
        ("Organization", &["viewer { organization { # } }"]),
    ] {
        for field in fields_of(&acme.admin, object).await {
            let node = format!("node(id: $any) {{ ... on {object} {{ # }} }}");
            for place in places.iter().copied().chain([node.as_str()]) {
                let text = place.replace('#', &field);
                let ids = [
                    ("campaign", made.campaigns[0]),
                    ("send", made.sends[0]),
                    ("contact", made.contacts[0]),
                    ("segment", made.segments[0]),
                    ("any", made.campaigns[0]),
                ];
                let used: Vec<_> =
                    ids.iter().filter(|(name, _)| text.contains(&format!("${name}"))).collect();
                let definitions: Vec<_> =
                    used.iter().map(|(name, _)| format!("${name}: ID!")).collect();
                let head = if used.is_empty() {
                    String::new()
                } else {
                    format!("query ({}) ", definitions.join(", "))
                };
                let variables: serde_json::Map<String, Json> =
                    used.iter().map(|(name, id)| ((*name).to_owned(), json!(id))).collect();
                // also with the ID, which must be that of the same row
                let answer =
                    acme.admin.ask(&format!("{head}{{ {text} }}"), Json::Object(variables)).await;
                assert_eq!(answer.body["errors"], Json::Null, "{text}: {}", answer.body);
                asked += usize::from(!innermost(&answer.body["data"]).is_null());
            }
        }
    }
    assert!(asked > 150, "{asked}");
}

#[on_both_databases]
async fn a_row_has_the_same_values_with_any_selection(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let all = "id name subject body channel status scheduledAt sentAt createdAt updatedAt metadata \
               creator { email }";
    let whole = acme
        .member
        .data(
            &format!("query ($id: ID!) {{ campaign(id: $id) {{ {all} }} }}"),
            json!({ "id": made.campaigns[1] }),
        )
        .await;
    for field in all.replace("creator { email }", "creator").split(' ') {
        let selection = if field == "creator" { "creator { email }" } else { field };
        let query = format!(
            "query ($id: ID!) {{ a: campaign(id: $id) {{ {selection} }} b: nodes(ids: [$id]) {{ \
             ... on Campaign {{ {selection} }} }} }}"
        );
        let data = acme.member.data(&query, json!({ "id": made.campaigns[1] })).await;
        assert_eq!(data["a"][field], whole["campaign"][field], "{field}");
        assert_eq!(data["b"][0][field], whole["campaign"][field], "{field}");
    }
    // the same list twice, with different fields
    let query = "query ($id: ID!) { campaign(id: $id) { a: sends(first: 3) { nodes { id status } } \
                 b: sends(first: 3) { nodes { id contact { email } createdAt } } } }";
    let data = acme.member.data(query, json!({ "id": made.campaigns[1] })).await;
    let ids = |list: &str| -> Vec<Json> {
        data["campaign"][list]["nodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|node| node["id"].clone())
            .collect()
    };
    assert_eq!(ids("a"), ids("b"));
}

#[on_both_databases]
async fn columns_that_were_not_requested_are_not_read(app: TestApp) {
    let acme = app.organization("acme").await;
    acme.populated(4).await;
    acme.member.data("{ viewer { role } }", json!({})).await;
    app.forget_statements();
    acme.member
        .data(
            "{ campaigns { nodes { name sends(first: 2) { nodes { status contact { email \
             } } } } } }",
            json!({}),
        )
        .await;
    let sent = app.statements();
    assert_eq!(sent.len(), 3, "{sent:?}");
    for statement in sent {
        for wide in ["body", "metadata", "error", "updated_at"] {
            assert!(!statement.sql.contains(&format!("\"{wide}\"")), "{wide} in {}", statement.sql);
        }
    }
}
