//! GraphQL over HTTP.

use campaigns_tests::{Answer, Backend, TestApp, node};
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn the_audits_of_graphql_over_http_pass_without_an_error_or_a_warning() {
    let app = TestApp::start(Backend::Sqlite).await;
    let acme = app.organization("acme").await;
    let url = format!("{}/graphql", app.address);
    let token = acme.member.token.unwrap();
    let run = node("audit.mjs", &[("URL", &url), ("TOKEN", &token)]).await;
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
}

#[tokio::test]
async fn a_mutation_by_get_is_refused_and_changes_nothing() {
    let app = TestApp::start(Backend::Sqlite).await;
    let acme = app.organization("acme").await;
    let mutation = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
    let request = acme.member.request(Method::GET, "/graphql").query(&[("query", mutation)]);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(response.headers()["allow"], "GET, POST");
    assert_eq!(app.count("campaigns").await, 0);
}

#[tokio::test]
async fn a_query_by_get_takes_variables_and_an_operation_name() {
    let app = TestApp::start(Backend::Sqlite).await;
    let acme = app.organization("acme").await;
    let request = acme.member.request(Method::GET, "/graphql").query(&[
        (
            "query",
            "query A($n: Int) { campaigns(first: $n) { totalCount } } query B { __typename }",
        ),
        ("operationName", "A"),
        ("variables", "{\"n\": 3}"),
    ]);
    let answer = Answer::of(request).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.body, json!({ "data": { "campaigns": { "totalCount": 0 } } }));
}

#[tokio::test]
async fn nothing_that_a_page_sends_without_a_preflight_is_executed() {
    let app = TestApp::start(Backend::Sqlite).await;
    let acme = app.organization("acme").await;
    let body = json!({ "query": "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }" });
    for content_type in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let request = acme
            .member
            .request(Method::POST, "/graphql")
            .header("content-type", content_type)
            .body(body.to_string());
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
    let request = acme.member.request(Method::POST, "/graphql").body(body.to_string());
    assert_eq!(Answer::of(request).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(app.count("campaigns").await, 0);
}

#[tokio::test]
async fn fields_of_an_answer_come_in_the_order_of_the_document() {
    let app = TestApp::start(Backend::Sqlite).await;
    let acme = app.organization("acme").await;
    let request = acme
        .member
        .request(Method::POST, "/graphql")
        .header("content-type", "application/json")
        .body(json!({ "query": "{ viewer { subject role b: isAdmin a: isAdmin } }" }).to_string());
    let text = request.send().await.unwrap().text().await.unwrap();
    insta::assert_snapshot!(
        text,
        @r#"{"data":{"viewer":{"subject":"a-member","role":"MEMBER","b":false,"a":false}}}"#
    );
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_ask_and_another_may_not() {
    let settings = campaigns_server::Settings {
        cors_origins: vec!["https://app.example.com".parse().unwrap()],
        ..Default::default()
    };
    let app = TestApp::with_settings(Backend::Sqlite, settings).await;
    let preflight = async |origin: &str| {
        let response = app
            .client(None)
            .request(Method::OPTIONS, "/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .send()
            .await
            .unwrap();
        response
            .headers()
            .get("access-control-allow-origin")
            .map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(
        preflight("https://app.example.com").await.as_deref(),
        Some("https://app.example.com")
    );
    assert_eq!(preflight("https://evil.example.com").await, None);
}

#[tokio::test]
async fn answers_are_compressed_where_the_client_takes_it() {
    let app = TestApp::start(Backend::Sqlite).await;
    let acme = app.organization("acme").await;
    let response = acme
        .member
        .request(Method::POST, "/graphql")
        .header("content-type", "application/json")
        .header("accept-encoding", "gzip")
        .body(json!({ "query": "{ __schema { types { name description } } }" }).to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
}

#[tokio::test]
async fn introspection_can_be_turned_off() {
    let settings = campaigns_server::Settings { introspection: false, ..Default::default() };
    let app = TestApp::with_settings(Backend::Sqlite, settings).await;
    let acme = app.organization("acme").await;
    let answer = acme.member.ask("{ __schema { types { name } } }", json!({})).await;
    assert!(!answer.body.to_string().contains("CampaignStats"), "{:#}", answer.body);
    let data = acme.member.data("{ __typename campaigns { totalCount } }", json!({})).await;
    assert_eq!(data, json!({ "__typename": "Query", "campaigns": { "totalCount": 0 } }));
}

#[tokio::test]
async fn liveness_and_readiness_need_no_token() {
    let app = TestApp::start(Backend::Sqlite).await;
    let anybody = app.client(None);
    let status = async |path: &str| Answer::of(anybody.request(Method::GET, path)).await.status;
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/readyz").await, StatusCode::OK);
    app.run("DELETE FROM seaql_migrations WHERE version = 'm0006_events'").await;
    assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status("/healthz").await, StatusCode::OK);
}
