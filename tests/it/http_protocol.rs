//! GraphQL over HTTP.

use campaigns_tests::{Answer, Backend, Socket, TestApp, node_passes};
use reqwest::{
    Method, RequestBuilder, StatusCode,
    header::{HeaderMap, HeaderValue},
};
use serde_json::{Value as Json, json};

#[tokio::test]
async fn the_audits_of_graphql_over_http_pass_without_an_error_or_a_warning() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let url = format!("{}/graphql", app.address);
    let token = acme.member.token.unwrap();
    node_passes("audit.mjs", &[("URL", &url), ("TOKEN", &token)]).await;
}

#[tokio::test]
async fn full_introspection_is_allowed_and_describes_every_type_and_field() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let url = format!("{}/graphql", app.address);
    let token = acme.member.token.unwrap();
    node_passes("introspect.mjs", &[("URL", &url), ("TOKEN", &token)]).await;
}

/// Compiles `tests/node/relay` with Relay's compiler.
pub(crate) async fn compile_for_relay() {
    // `relay.config.json` next to it names the files to compile
    let run = node_passes("node_modules/relay-compiler/cli.js", &[("NO_COLOR", "1")]).await;
    let said = format!("{}{}", run.out, run.err);
    assert!(said.contains("Compilation completed"), "{said}");
    assert!(!said.contains("ERROR") && !said.contains("WARN"), "{said}");
}

#[tokio::test]
async fn relays_compiler_takes_the_schema_for_refetchable_paginated_fragments() {
    compile_for_relay().await;
}

#[tokio::test]
async fn a_mutation_by_get_is_refused_and_changes_nothing() {
    let app = TestApp::on(Backend::Sqlite).start().await;
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
    let app = TestApp::on(Backend::Sqlite).start().await;
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
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let body = json!({ "query": "mutation { createCampaign(input: { name: \"x\" }) { campaign { id \
                                 } } }" });
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

/// A value that HTTP allows, but that is not text.
fn odd() -> HeaderValue {
    HeaderValue::from_bytes(b"\xff").unwrap()
}

#[tokio::test]
async fn a_header_that_cannot_be_read_is_refused_and_never_counts_as_absent() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let bearer = HeaderValue::from_str(&format!("Bearer {}", acme.member.token.unwrap())).unwrap();
    let json_type = HeaderValue::from_static("application/json");
    let uuid = HeaderValue::from_str(&acme.id.to_string()).unwrap();
    let ask = async |name: &'static str, values: &[&HeaderValue]| {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", bearer.clone());
        headers.insert("content-type", json_type.clone());
        headers.remove(name);
        for value in values {
            headers.append(name, (*value).clone());
        }
        let request = app.client(None).request(Method::POST, "/graphql");
        let body = json!({ "query": "{ viewer { subject } }" }).to_string();
        Answer::of(request.headers(headers).body(body)).await
    };
    let bad = (StatusCode::BAD_REQUEST, "BAD_USER_INPUT");
    for (name, values, (status, code), field) in [
        // also with a token that names an organization
        ("X-Organization-Id", vec![odd()], bad, "X-Organization-Id"),
        ("X-Organization-Id", vec![uuid.clone(), uuid.clone()], bad, "X-Organization-Id"),
        ("Accept", vec![odd()], bad, "Accept"),
        ("Accept", vec![json_type.clone(), odd()], bad, "Accept"),
        ("Authorization", vec![odd()], (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"), "no field"),
        (
            "Authorization",
            vec![bearer.clone(), bearer.clone()],
            (StatusCode::UNAUTHORIZED, "UNAUTHENTICATED"),
            "no field",
        ),
        (
            "Content-Type",
            vec![json_type.clone(), HeaderValue::from_static("text/plain")],
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "BAD_USER_INPUT"),
            "body",
        ),
    ] {
        let answer = ask(name, &values.iter().collect::<Vec<_>>()).await;
        let found = (answer.status, answer.code(), answer.field());
        assert_eq!(found, (status, code, field), "{name} {values:?}");
    }
    // a list can be split into several headers
    let several = ["text/html", "application/json"].map(HeaderValue::from_static);
    assert_eq!(ask("Accept", &several.iter().collect::<Vec<_>>()).await.status, StatusCode::OK);
    assert_eq!(ask("X-Organization-Id", &[&uuid]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_repeated_query_parameter_is_refused() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    for name in ["query", "variables", "operationName"] {
        let parameters = [("query", "{ __typename }"), (name, "{}"), (name, "{}")];
        let request = acme.member.request(Method::GET, "/graphql").query(&parameters);
        let answer = Answer::of(request).await;
        assert_eq!((answer.status, answer.field()), (StatusCode::BAD_REQUEST, name));
    }
}

/// The status of the handshake of a socket with these headers.
async fn handshake(app: &TestApp, headers: &[(&str, &str)]) -> StatusCode {
    let mut request = app.client(None).request(Method::GET, "/graphql");
    let of_sockets = [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "graphql-transport-ws"),
    ];
    for (name, value) in of_sockets.iter().chain(headers) {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap().status()
}

#[tokio::test]
async fn a_socket_with_two_origins_is_refused() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let own = ("origin", app.address.as_str());
    assert_eq!(handshake(&app, &[own]).await, StatusCode::SWITCHING_PROTOCOLS);
    for other in [("origin", "https://evil.example"), own] {
        assert_eq!(handshake(&app, &[own, other]).await, StatusCode::FORBIDDEN);
    }
}

#[tokio::test]
async fn fields_of_a_response_come_in_the_order_of_the_document() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let request = acme
        .member
        .request(Method::POST, "/graphql")
        .header("content-type", "application/json")
        .body(
            json!({ "query": "{ campaigns { totalCount nodes { id } } viewer { subject role b: \
                              isAdmin organization { slug } a: isAdmin } }" })
            .to_string(),
        );
    let text = request.send().await.unwrap().text().await.unwrap();
    let expected = concat!(
        r#"{"data":{"campaigns":{"totalCount":0,"nodes":[]},"viewer":{"subject":"a-member","#,
        r#""role":"MEMBER","b":false,"organization":{"slug":"acme"},"a":false}}}"#,
    );
    assert_eq!(text, expected);
}

#[tokio::test]
async fn an_error_makes_its_field_or_the_nearest_nullable_parent_null() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    app.run(&format!(
        "INSERT INTO campaigns (org_id, name) VALUES ({}, 'x')",
        app.literal(acme.id)
    ))
    .await;
    for (query, data) in [
        // campaign and node can be null, a connection cannot
        ("{ a: __typename campaigns(first: -1) { totalCount } }", json!(null)),
        ("{ campaigns { nodes { name sends(first: -1) { totalCount } id } } }", json!(null)),
        ("{ campaigns { edges { node { sends(first: -1) { totalCount } } } } }", json!(null)),
        (
            "{ b: __typename node(id: \"x\") { id } a: __typename }",
            json!({ "b": "Query", "node": null, "a": "Query" }),
        ),
        (
            "{ viewer { user { email } subject @skip(if: true) } }",
            json!({ "viewer": { "user": null } }),
        ),
        ("{ viewer { subject @skip(if: true) } }", json!({ "viewer": {} })),
    ] {
        let answer = acme.member.ask(query, json!({})).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body["data"], data, "{query}");
    }
    let id: uuid::Uuid = app.rows("SELECT id FROM campaigns").await[0].try_get("", "id").unwrap();
    let query = "query ($id: ID!) { campaign(id: $id) { name ...S } other: campaign(id: $id) { id \
                 name } } fragment S on Campaign { sends(first: 501) { nodes { id } } }";
    let answer = acme.member.ask(query, json!({ "id": id })).await;
    assert_eq!(
        answer.body["data"],
        json!({ "campaign": null, "other": { "id": id, "name": "x" } })
    );
    assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "first"));
    assert_eq!(answer.error()["path"], json!(["campaign", "sends"]));
}

#[tokio::test]
async fn an_operation_that_takes_too_long_is_canceled() {
    use sea_orm::TransactionTrait;
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let settings = campaigns_server::Settings {
            query_timeout: std::time::Duration::from_secs(1),
            ..Default::default()
        };
        let app = TestApp::on(backend).settings(settings).start().await;
        let acme = app.organization("acme").await;
        let mutation = "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }";
        // another transaction writes and stays open
        let other = app.sql.begin().await.unwrap();
        let lock = match backend {
            Backend::Sqlite => "UPDATE organizations SET name = name",
            Backend::Postgres => "LOCK TABLE campaigns",
        };
        sea_orm::ConnectionTrait::execute_unprepared(&other, lock).await.unwrap();
        assert_eq!(acme.member.ask(mutation, json!({})).await.code(), "TIMEOUT");
        other.rollback().await.unwrap();
        assert_eq!(app.count("campaigns").await, 0);
        acme.member.data(mutation, json!({})).await;
    }
}

/// All combinations of three contacts.
const MANY: campaigns_scope::Sql = campaigns_scope::Sql::new(
    "SELECT count(*) AS n FROM contacts a CROSS JOIN contacts b CROSS JOIN contacts c \
     WHERE a.id < b.id AND b.id < c.id",
);

#[tokio::test]
async fn a_statement_that_takes_too_long_ends_in_the_database() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend).start().await;
        let acme = app.organization("acme").await;
        app.run(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
             INSERT INTO contacts (org_id, first_name) SELECT {}, 'x' FROM n",
            app.literal(acme.id)
        ))
        .await;
        let scope = &acme.scope;
        let started = std::time::Instant::now();
        for _ in 0..10 {
            let deadline = std::time::Instant::now() + std::time::Duration::from_millis(200);
            let late = scope.operation(deadline, None);
            let contacts = late.find::<campaigns_entity::contact::Entity>();
            let error = late.rows(MANY, contacts).await.unwrap_err();
            assert!(matches!(error, campaigns_scope::Error::Timeout(_)), "{error:?}");
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
        // the connections can be used again
        for _ in 0..10 {
            let contacts = scope.find::<campaigns_entity::contact::Entity>();
            assert_eq!(scope.count(contacts).await.unwrap(), 3000);
        }
    }
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_unavailable() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend).start().await;
        let acme = app.organization("acme").await;
        acme.member.data("{ campaigns { totalCount } }", json!({})).await;
        app.service_database.clone().close().await.unwrap();
        let answer = acme.member.ask("{ campaigns { totalCount } }", json!({})).await;
        assert_eq!(answer.code(), "UNAVAILABLE");
        let nobody_knows = app.client(Some(TestApp::token(uuid::Uuid::new_v4(), "member", "x")));
        let answer = nobody_knows.ask("{ __typename }", json!({})).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE")
        );
        let ready = Answer::of(app.client(None).request(Method::GET, "/readyz")).await;
        assert_eq!(ready.status, StatusCode::SERVICE_UNAVAILABLE);
    }
}

#[tokio::test]
async fn cross_origin_requests_are_limited_to_allowed_origins() {
    let settings = campaigns_server::Settings {
        cors_origins: vec!["https://app.example.com".parse().unwrap()],
        ..Default::default()
    };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
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
    // as browsers do for headers that tracing and client libraries add
    let response = app
        .client(None)
        .request(Method::OPTIONS, "/graphql")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "apollographql-client-name,apollographql-client-version,baggage,traceparent,\
             tracestate,x-any",
        )
        .send()
        .await
        .unwrap();
    let allowed = response.headers()["access-control-allow-headers"].to_str().unwrap();
    for header in ["traceparent", "tracestate", "baggage", "apollographql-client-name", "x-any"] {
        assert!(allowed.contains(header), "{allowed}");
    }
    // pages can read a refusal and its `Retry-After`
    let refused = app
        .client(None)
        .request(Method::POST, "/graphql")
        .header("origin", "https://app.example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers()["access-control-allow-origin"], "https://app.example.com");
    assert_eq!(refused.headers()["access-control-expose-headers"], "retry-after");
}

#[tokio::test]
async fn a_panic_is_an_answer_that_allowed_pages_can_read() {
    let settings = campaigns_server::Settings {
        cors_origins: vec!["https://app.example.com".parse().unwrap()],
        ..Default::default()
    };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let ask = async || {
        let request = acme.member.request(Method::POST, "/graphql");
        let request = request.header("origin", "https://app.example.com");
        request.json(&json!({ "query": "{ feedCursor }" })).send().await.unwrap()
    };
    app.panic_at_the_clock(true);
    let response = ask().await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example.com");
    let body: Json = response.json().await.unwrap();
    assert_eq!(body["errors"][0]["extensions"]["code"], "INTERNAL", "{body:#}");
    app.panic_at_the_clock(false);
    assert_eq!(ask().await.status(), StatusCode::OK);
}

#[tokio::test]
async fn caches_are_told_which_headers_an_answer_depends_on() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let vary = async |request: RequestBuilder| {
        let response = request.send().await.unwrap();
        let values = response.headers().get_all("vary").iter();
        let values = values.flat_map(|value| value.to_str().unwrap().split(','));
        let mut names: Vec<_> = values.map(|name| name.trim().to_lowercase()).collect();
        names.sort();
        names.join(" ")
    };
    let of_origins = "access-control-request-headers origin";
    let large = json!({ "query": "{ __schema { types { name description } } }" });
    let post = || acme.member.request(Method::POST, "/graphql");
    assert_eq!(vary(post().json(&large)).await, format!("accept-encoding {of_origins}"));
    assert_eq!(vary(post().json(&json!({ "query": "{ feedCursor }" }))).await, of_origins);
    assert_eq!(vary(app.client(None).request(Method::GET, "/healthz")).await, of_origins);
}

#[tokio::test]
async fn methods_other_than_get_and_post_are_refused_without_reading_a_body() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    for method in [Method::HEAD, Method::PUT, Method::DELETE, Method::PATCH] {
        let request = acme.member.request(method.clone(), "/graphql");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(response.headers()["allow"], "GET, POST", "{method}");
        let length = response.headers()["content-length"].to_str().unwrap();
        let length: usize = length.parse().unwrap();
        assert!(length > 0, "{method}");
        // a response to HEAD has the length of the one to another method, and no body
        let expected = if method == Method::HEAD { 0 } else { length };
        assert_eq!(response.bytes().await.unwrap().len(), expected, "{method}");
        let unknown = app.client(None).request(method.clone(), "/graphql").send().await.unwrap();
        assert_eq!(unknown.status(), StatusCode::UNAUTHORIZED, "{method}");
    }
    let path = acme.member.request(Method::POST, "/graphql/");
    assert_eq!(path.send().await.unwrap().status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_body_with_an_encoding_is_refused_by_its_name() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let query = json!({ "query": "{ feedCursor }" });
    for (encoding, named) in [
        ("gzip", "gzip"),
        ("Br", "Br"),
        ("identity, zstd", "zstd"),
        (&"x".repeat(5_000), &*"x".repeat(100)),
    ] {
        let request = acme.member.request(Method::POST, "/graphql").json(&query);
        let answer = Answer::of(request.header("content-encoding", encoding)).await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{encoding}");
        assert_eq!((answer.code(), answer.field()), ("BAD_USER_INPUT", "Content-Encoding"));
        let message = answer.error()["message"].as_str().unwrap();
        assert!(message.ends_with(&format!(": {named}.")), "{message}");
    }
    for encoding in ["identity", "Identity", ""] {
        let request = acme.member.request(Method::POST, "/graphql").json(&query);
        let answer = Answer::of(request.header("content-encoding", encoding)).await;
        assert_eq!(answer.status, StatusCode::OK, "{encoding}");
    }
}

#[tokio::test]
async fn responses_are_compressed_if_the_client_accepts_it() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let ask = async |query: &str, accepted: &str| {
        let request =
            acme.member.request(Method::POST, "/graphql").json(&json!({ "query": query }));
        let response = request.header("accept-encoding", accepted).send().await.unwrap();
        let encoding = response.headers().get("content-encoding").cloned();
        let bytes = response.bytes().await.unwrap().len();
        (encoding.map(|encoding| encoding.to_str().unwrap().to_owned()), bytes)
    };
    let large = "{ __schema { types { name description } } }";
    let (none, plain) = ask(large, "identity").await;
    assert_eq!(none, None);
    for encoding in ["gzip", "br", "zstd"] {
        let (used, bytes) = ask(large, encoding).await;
        assert_eq!(used.as_deref(), Some(encoding));
        assert!(bytes * 2 < plain, "{encoding}: {bytes} of {plain}");
        // a response that fits into a packet is not compressed
        assert_eq!(ask("{ __typename }", encoding).await.0, None);
    }
}

#[tokio::test]
async fn encodings_are_negotiated_before_anything_is_executed() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let create = json!({ "query": "mutation { createCampaign(input: { name: \"x\" }) { campaign { id } } }" });
    let large = json!({ "query": "{ __schema { types { name description } } }" });
    let long = format!("identity, {}", "x;q=0.5, ".repeat(500));
    let mut created = 0;
    for (accepted, status, of_small, of_large) in [
        (&[][..], 200, None, None),
        (&[""], 200, None, None),
        (&["*"], 200, None, Some("zstd")),
        (&["*;q=0"], 406, None, None),
        (&["identity;q=0"], 406, None, None),
        (&["identity;q=0, deflate"], 406, None, None),
        (&["identity;q=0, gzip"], 200, Some("gzip"), Some("gzip")),
        (&["identity;q=0", "br;q=0.001"], 200, Some("br"), Some("br")),
        (&["*;q=0, identity"], 200, None, None),
        (&["gzip;q=0"], 200, None, None),
        (&["gzip;q=0, *;q=0.5, identity;q=0.1"], 200, None, Some("zstd")),
        (&["gzip;q=1.0, identity; q=0.5, *;q=0"], 200, None, Some("gzip")),
        (&["GZIP"], 200, None, Some("gzip")),
        (&[";;;,,q=, =;, gzip;q=maybe"], 200, None, None),
        (&["\u{e9}"], 200, None, None),
        (&[&*long], 200, None, None),
    ] {
        let send = async |body: &serde_json::Value, accept: &str| {
            let mut request = acme.member.request(Method::POST, "/graphql").json(body);
            request = request.header("accept", accept);
            for value in accepted {
                request = request
                    .header("accept-encoding", HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            request.send().await.unwrap()
        };
        let encoding = |response: &reqwest::Response| {
            let encoding = response.headers().get("content-encoding");
            encoding.map(|encoding| encoding.to_str().unwrap().to_owned())
        };
        let small = send(&create, "application/json").await;
        assert_eq!(small.status(), status, "{accepted:?}");
        assert_eq!(encoding(&small).as_deref(), of_small, "{accepted:?}");
        created += i64::from(status == 200);
        assert_eq!(app.count("campaigns").await, created, "{accepted:?}");
        if status == 406 {
            let refused: serde_json::Value = small.json().await.unwrap();
            assert_eq!(refused["errors"][0]["extensions"]["field"], "Accept-Encoding");
        }
        let all = send(&large, "application/json").await;
        assert_eq!(
            (all.status().as_u16(), encoding(&all).as_deref()),
            (status, of_large),
            "{accepted:?}"
        );
        // a stream is never encoded, and its client has to accept that
        let stream = send(&json!({ "query": "{ feedCursor }" }), "text/event-stream").await;
        let is_accepted = status == 200 && of_small.is_none();
        assert_eq!(stream.status(), if is_accepted { 200 } else { 406 }, "{accepted:?}");
        assert_eq!(encoding(&stream), None, "{accepted:?}");
        // pages and their files
        for path in ["/", "/graphiql", "/healthz", "/nowhere"] {
            let mut request = acme.member.request(Method::GET, path);
            for value in accepted {
                request = request
                    .header("accept-encoding", HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let page = request.send().await.unwrap();
            let expected = if path == "/nowhere" { [404, 406] } else { [200, 406] };
            assert_eq!(page.status(), expected[usize::from(status == 406)], "{path} {accepted:?}");
            assert!(of_small.is_none() || encoding(&page).is_some(), "{path} {accepted:?}");
        }
    }
    // a handshake has no content
    for accepted in ["*;q=0", "identity;q=0", "gzip;q=0"] {
        let headers = [("accept-encoding", accepted)];
        assert_eq!(handshake(&app, &headers).await, 101, "{accepted}");
    }
}

#[tokio::test]
async fn introspection_can_be_turned_off() {
    let settings = campaigns_server::Settings { introspection: false, ..Default::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    for query in [
        "{ __schema { types { name } } }",
        "{ ...asked } fragment asked on Query { __type(name: \"CampaignStats\") { name } }",
        "query ($yes: Boolean = true) { __schema @include(if: $yes) { types { name } } }",
    ] {
        let answer = acme.member.ask(query, json!({})).await;
        assert_eq!(answer.code(), "GRAPHQL_VALIDATION_FAILED");
        assert!(answer.body.get("data").is_none(), "{:#}", answer.body);
    }
    let data = acme.member.data("{ __typename campaigns { totalCount } }", json!({})).await;
    assert_eq!(data, json!({ "__typename": "Query", "campaigns": { "totalCount": 0 } }));
    // suggestions reveal no names either
    for guess in ["{ campaignz { totalCount } }", "{ campaigns(firs: 1) { totalCount } }"] {
        let message = acme.member.ask(guess, json!({})).await.error()["message"].to_string();
        assert!(message.contains("Unknown") && !message.contains("Did you mean"), "{message}");
    }
}

#[tokio::test]
async fn liveness_and_readiness_need_no_token() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let anonymous = app.client(None);
    let status = async |path: &str| Answer::of(anonymous.request(Method::GET, path)).await.status;
    assert_eq!(status("/healthz").await, StatusCode::OK);
    assert_eq!(status("/readyz").await, StatusCode::OK);
    app.run("DELETE FROM seaql_migrations WHERE version = 'm0006_events'").await;
    assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(status("/healthz").await, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_documents_are_validated_as_by_the_reference_implementation() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    acme.populated(6).await;
    let url = format!("{}/graphql", app.address);
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema.graphql");
    let token = acme.member.token.clone().unwrap();
    let environment =
        [("URL", &*url), ("TOKEN", &*token), ("SCHEMA", schema), ("SEED", "25"), ("COUNT", "800")];
    node_passes("validity.mjs", &environment).await;
}

#[tokio::test]
async fn a_variable_fits_the_places_where_it_is_used() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let invalid = "GRAPHQL_VALIDATION_FAILED";
    for (query, variables, code) in [
        (
            "query ($f: SegmentFilter) { contacts(filter: $f) { totalCount } }",
            json!({ "f": { "description": { "eq": "x" } } }),
            invalid,
        ),
        (
            "mutation ($i: JSON!) { recordEvents(input: $i) { recorded } }",
            json!({ "i": [{ "sendid": "x" }] }),
            invalid,
        ),
        ("query ($id: ID) { campaign(id: $id) { id } }", json!({ "id": null }), invalid),
        ("query ($n: [Int!]) { contacts(first: $n) { totalCount } }", json!({ "n": [1] }), invalid),
        (
            "query ($d: OrderDirection) { contacts(orderBy: [{ field: EMAIL, direction: $d }]) { \
             totalCount } }",
            json!({ "d": null }),
            "BAD_USER_INPUT",
        ),
        ("query ($id: ID! = null) { campaign(id: $id) { id } }", json!({}), invalid),
        (
            "query ($n: Int = 5) { previewSegment(rules: {}) { contacts(first: $n) { id } } }",
            json!({ "n": null }),
            "BAD_USER_INPUT",
        ),
    ] {
        let answer = acme.member.ask(query, variables).await;
        assert_eq!(answer.code(), code, "{query}: {:#}", answer.body);
        if code == "BAD_USER_INPUT" {
            assert_ne!(answer.field(), "no field", "{query}");
        }
    }
    // by a default of the variable, or by the default of the argument
    for (query, variables) in [
        (
            "query ($d: OrderDirection) { contacts(orderBy: [{ field: EMAIL, direction: $d }]) { \
             totalCount } }",
            json!({}),
        ),
        (
            "query ($n: Int = 5) { previewSegment(rules: {}) { contacts(first: $n) { id } } }",
            json!({}),
        ),
        (
            "query ($n: Int) { previewSegment(rules: {}) { contacts(first: $n) { id } } }",
            json!({ "n": 3 }),
        ),
        ("query ($n: Int) { contacts(first: $n) { totalCount } }", json!({ "n": null })),
    ] {
        acme.member.data(query, variables).await;
    }
}

#[tokio::test]
async fn string_literals_mean_what_the_specification_says() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let name = async |document: &str| {
        let data = acme.member.data(document, json!({})).await;
        data["createCampaign"]["campaign"]["name"].as_str().unwrap().to_owned()
    };
    for (literal, value) in [
        (r#""\ud83d\ude80""#.to_owned(), "🚀"),
        (r#""\u{1F680}""#.to_owned(), "🚀"),
        ("\"\"\"x \\\"\"\" y\"\"\"".to_owned(), "x \"\"\" y"),
    ] {
        let created = "{ campaign { name } }";
        let argument =
            format!("mutation {{ createCampaign(input: {{ name: {literal} }}) {created} }}");
        assert_eq!(name(&argument).await, value, "{literal}");
        let default = format!(
            "mutation ($name: String! = {literal}) {{ createCampaign(input: {{ name: $name }}) \
             {created} }}"
        );
        assert_eq!(name(&default).await, value, "{literal}");
    }
}

#[tokio::test]
async fn a_syntax_error_is_one_line_with_its_position() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let answer = acme.member.ask("{\n  viewer {{ subject }\n}", json!({})).await;
    assert_eq!(answer.code(), "GRAPHQL_PARSE_FAILED");
    assert!(!answer.error()["message"].as_str().unwrap().contains('\n'));
    assert_eq!(answer.error()["locations"], json!([{ "line": 2, "column": 11 }]));
}

#[tokio::test]
async fn a_hash_without_a_document_is_refused_in_the_words_of_automatic_persisted_queries() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let acme = app.organization("acme").await;
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": "0".repeat(64) } });
    let hash = json!({ "operationName": "Q", "variables": {}, "extensions": extensions });
    let answer = acme.member.post(&hash).await;
    assert_eq!(answer.code(), "PERSISTED_QUERY_NOT_SUPPORTED");
    assert_eq!(answer.error()["message"], "PersistedQueryNotSupported");
    let by_get = acme.member.request(Method::GET, "/graphql");
    let answer = Answer::of(by_get.query(&[("extensions", extensions.to_string())])).await;
    assert_eq!(answer.code(), "PERSISTED_QUERY_NOT_SUPPORTED");
    let mut socket = Socket::of(&acme.member).await;
    socket.say(json!({ "id": "1", "type": "subscribe", "payload": hash })).await;
    let message = socket.message().await;
    assert_eq!(message["payload"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_SUPPORTED");
    // if the document is sent, its hash does not matter
    let mut whole = hash;
    whole["query"] = json!("query Q { feedCursor }");
    assert!(acme.member.post(&whole).await.body["data"]["feedCursor"].is_string());
}

#[tokio::test]
async fn tools_can_introspect_the_schema_with_any_maximum_depth() {
    let mut settings = campaigns_server::Settings::default();
    settings.limits.operation.depth = 4;
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let url = format!("{}/graphql", app.address);
    let token = acme.member.token.clone().unwrap();
    node_passes("introspect.mjs", &[("URL", &url), ("TOKEN", &token)]).await;
    let deep =
        acme.member.ask("{ campaigns { nodes { sends { nodes { id } } } } }", json!({})).await;
    assert_eq!(deep.code(), "LIMIT_EXCEEDED");
}
