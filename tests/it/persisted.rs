//! Persisted documents, and batches.

use std::collections::HashMap;

use campaigns_operation::Documents;
use campaigns_server::Settings;
use campaigns_tests::{Backend, Binary, Received, Socket, TestApp};
use reqwest::{Method, StatusCode};
use serde_json::{Value as Json, json};

const ROLE: &str = "query Role { viewer { role } }";
/// Computed with `sha256sum`.
const HASH: &str = "54441517f1190d23371f841f02ae0bebc8d9eba9252f8b86cf318e041aa0b849";

fn settings(alone: bool) -> Settings {
    let documents = HashMap::from([(format!("sha256:{HASH}"), ROLE.to_owned())]);
    Settings { documents: Documents::new(documents, alone).unwrap(), ..Settings::default() }
}

#[tokio::test]
async fn a_document_is_executed_by_its_id() {
    let app = TestApp::on(Backend::Sqlite).settings(settings(false)).start().await;
    let acme = app.organization("acme").await;
    let expected = json!({ "data": { "viewer": { "role": "MEMBER" } } });
    for id in [HASH.to_owned(), format!("sha256:{HASH}")] {
        let answer = acme.member.post(&json!({ "documentId": id })).await;
        assert_eq!(answer.body, expected, "{id}");
    }
    let get = acme.member.request(Method::GET, &format!("/graphql?documentId={HASH}"));
    assert_eq!(get.send().await.unwrap().json::<Json>().await.unwrap(), expected);
    let mut socket = Socket::of(&acme.member).await;
    socket.say(json!({ "id": "1", "type": "subscribe", "payload": { "documentId": HASH } })).await;
    let expected = json!({ "id": "1", "type": "next", "payload": expected });
    assert_eq!(socket.receive().await, Received::Message(expected));
    let unknown = acme.member.post(&json!({ "documentId": "0" })).await;
    assert_eq!((unknown.code(), unknown.field()), ("BAD_USER_INPUT", "documentId"));
    acme.member.data("{ feedCursor }", json!({})).await;
}

#[tokio::test]
async fn with_persisted_documents_only_no_other_document_is_executed() {
    let app = TestApp::on(Backend::Sqlite).settings(settings(true)).start().await;
    let acme = app.organization("acme").await;
    for query in
        ["{ feedCursor }", "{ __schema { types { name } } }", "query Role { viewer { role }  }"]
    {
        let refused = acme.member.ask(query, json!({})).await;
        assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "query"), "{query}");
    }
    // the text of a known document is accepted as well
    acme.member.data(ROLE, json!({})).await;
    let mut socket = Socket::of(&acme.member).await;
    socket.subscribe("1", "subscription { engagementEvents { cursor } }", json!({})).await;
    assert_eq!(socket.message().await["type"], "error");
}

#[tokio::test]
async fn without_any_document_an_id_is_refused_and_so_is_a_batch() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let refused = acme.member.post(&json!({ "documentId": HASH })).await;
    assert_eq!((refused.code(), refused.field()), ("BAD_USER_INPUT", "documentId"));
    let batch = acme.member.post(&json!([{ "query": ROLE }])).await;
    assert_eq!((batch.status, batch.code()), (StatusCode::BAD_REQUEST, "BAD_USER_INPUT"));
}

#[tokio::test]
async fn a_file_of_documents_is_checked_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--persisted-documents", "documents.json"];
    let file = directory.path().join("documents.json");
    for wrong in ["[]", "{\"0123\": \"{ feedCursor }\"}"] {
        std::fs::write(&file, wrong).unwrap();
        let refused = Binary::run(directory.path(), &serve).await;
        assert_eq!(refused.code, 2, "{wrong} {}", refused.err);
        assert!(refused.err.contains("documents.json"), "{}", refused.err);
    }
    std::fs::write(&file, json!({ HASH: ROLE }).to_string()).unwrap();
    let mut service = Binary::start(directory.path(), &serve).await;
    service.address().await;
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn operations_of_a_batch_are_executed_one_after_the_other() {
    let app = TestApp::on(Backend::Sqlite)
        .settings(Settings { max_batch: 3, ..Settings::default() })
        .start()
        .await;
    let acme = app.organization("acme").await;
    let create = "mutation { createCampaign(input: { name: \"x\" }) { campaign { name } } }";
    let count = "{ campaigns { totalCount } }";
    let answer = acme
        .member
        .post(&json!([{ "query": create }, { "query": "{ nothing }" }, { "query": count }]))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body[0]["data"]["createCampaign"]["campaign"]["name"], "x");
    assert_eq!(answer.body[1]["errors"][0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(answer.body[2]["data"]["campaigns"]["totalCount"], 1);
    let many = acme.member.post(&json!(vec![json!({ "query": count }); 4])).await;
    assert_eq!((many.code(), many.field()), ("LIMIT_EXCEEDED", "body"));
}
