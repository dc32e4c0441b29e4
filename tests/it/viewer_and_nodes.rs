//! The viewer, and look-ups of any object by ID.

use campaigns_tests::{TestApp, on_both_databases};
use serde_json::{Value as Json, json};
use uuid::Uuid;

#[on_both_databases]
async fn the_viewer_is_who_the_token_says(app: TestApp) {
    let acme = app.organization("acme").await;
    let other = app.organization("other").await;
    let subject = Uuid::new_v4();
    app.run(&format!(
        "INSERT INTO users (org_id, auth_id, email, full_name) VALUES \
         ({}, {}, 'ann@example.com', 'Ann Example')",
        app.literal(acme.id),
        app.literal(subject)
    ))
    .await;
    let query =
        "{ viewer { subject role isAdmin organization { id name slug } user { email fullName } } }";
    let as_of = async |organization: Uuid, role: &str| {
        let client = app.client(Some(TestApp::token(organization, role, &subject.to_string())));
        client.data(query, json!({})).await["viewer"].clone()
    };
    assert_eq!(
        as_of(acme.id, "owner").await,
        json!({
            "subject": subject, "role": "ADMIN", "isAdmin": true,
            "organization": { "id": acme.id, "name": "acme", "slug": "acme" },
            "user": { "email": "ann@example.com", "fullName": "Ann Example" },
        })
    );
    // the same person is not a user of another organization
    assert_eq!(
        as_of(other.id, "guest").await,
        json!({
            "subject": subject, "role": "MEMBER", "isAdmin": false,
            "organization": { "id": other.id, "name": "other", "slug": "other" },
            "user": null,
        })
    );
}

#[on_both_databases]
async fn the_viewer_sees_when_the_token_expires(app: TestApp) {
    let acme = app.organization("acme").await;
    let token = TestApp::sign(&json!({ "sub": "x", "org_id": acme.id, "exp": 1_999_999_999 }));
    let data = app.client(Some(token)).data("{ viewer { expiresAt } }", json!({})).await;
    assert_eq!(data["viewer"]["expiresAt"], "2033-05-18T03:33:19Z");
}

#[on_both_databases]
async fn nodes_have_the_order_of_their_ids_and_are_null_if_missing(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let ids = [
        made.sends[1],
        acme.id,
        Uuid::new_v4(),
        made.users[0],
        made.campaigns[0],
        made.contacts[2],
        made.sends[1],
    ];
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Campaign { name } \
                 ... on Send { status } } }";
    let data = acme.member.data(query, json!({ "ids": ids })).await;
    let nodes = data["nodes"].as_array().unwrap();
    let shown: Vec<(Json, Json)> =
        nodes.iter().map(|node| (node["__typename"].clone(), node["id"].clone())).collect();
    let kinds = ["Send", "Organization", "", "User", "Campaign", "Contact", "Send"];
    for (index, kind) in kinds.into_iter().enumerate() {
        if kind.is_empty() {
            assert_eq!(nodes[index], Json::Null);
        } else {
            assert_eq!(shown[index], (json!(kind), json!(ids[index])));
        }
    }
    let one = "query ($id: ID!) { node(id: $id) { id } }";
    for id in ids {
        let data = acme.member.data(one, json!({ "id": id })).await;
        assert_eq!(data["node"].is_null(), id == ids[2]);
    }
}

#[on_both_databases]
async fn too_many_nodes_are_refused(app: TestApp) {
    let acme = app.organization("acme").await;
    let query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }";
    let ids: Vec<Uuid> = (0..501).map(|_| Uuid::new_v4()).collect();
    let answer = acme.member.ask(query, json!({ "ids": ids })).await;
    assert_eq!((answer.code(), answer.field()), ("LIMIT_EXCEEDED", "ids"));
    acme.member.data(query, json!({ "ids": ids[1..] })).await;
    let answer = acme.member.ask(query, json!({ "ids": [acme.id, "nope"] })).await;
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "ids.1"));
}
