//! GraphQL over Server-Sent Events: subscriptions without a socket.

use std::time::Duration;

use campaigns_server::{Settings, Timeouts};
use campaigns_tests::{Backend, Client, Organization, TestApp, node, on_both_databases, until};
use chrono::{TimeDelta, Utc};
use reqwest::{Method, Response, StatusCode, header};
use serde_json::{Value as Json, json};
use uuid::Uuid;

pub(crate) const FOLLOW: &str =
    "subscription ($after: String) { engagementEvents(after: $after) { cursor node { id url } } }";

/// A stream that is read event by event.
pub(crate) struct Stream {
    response: Response,
    text: String,
    /// The error, if it could not be read to its end.
    broken: Option<reqwest::Error>,
}

#[derive(Debug, Default, PartialEq)]
struct Event {
    kind: String,
    id: Option<String>,
    data: String,
    /// The number of comments before it.
    comments: usize,
}

impl Stream {
    pub(crate) async fn open(
        client: &Client,
        query: &str,
        variables: Json,
        last: Option<&str>,
    ) -> Self {
        let response = request(client, query, variables, last).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
        assert!(!response.headers().contains_key(header::CONTENT_ENCODING));
        Self::of(response)
    }

    fn of(response: Response) -> Self {
        Self { response, text: String::new(), broken: None }
    }

    /// The next event, parsed as browsers do. `None` at the end.
    async fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        loop {
            while let Some((line, rest)) = self.text.split_once('\n') {
                let (line, rest) = (line.to_owned(), rest.to_owned());
                self.text = rest;
                match line.split_once(':') {
                    None if line.is_empty() && event.kind.is_empty() => {}
                    None if line.is_empty() => return Some(event),
                    Some(("", _)) => event.comments += 1,
                    Some(("event", value)) => value.trim().clone_into(&mut event.kind),
                    Some(("id", value)) => event.id = Some(value.trim().to_owned()),
                    Some(("data", value)) => value.trim().clone_into(&mut event.data),
                    _ => panic!("no line of an event stream: {line}"),
                }
            }
            if !self.read().await {
                return None;
            }
        }
    }

    /// Waits for heartbeats, without any event between them.
    async fn heartbeats(&mut self, count: usize) {
        while self.text.lines().filter(|line| line.starts_with(':')).count() < count {
            assert!(self.read().await, "the stream has ended: {:?}", self.broken);
        }
    }

    /// Reads the next part of the response. Returns false at its end.
    async fn read(&mut self) -> bool {
        let chunk = tokio::time::timeout(Duration::from_secs(20), self.response.chunk()).await;
        match chunk.expect("a part arrives within 20 s") {
            Ok(Some(chunk)) => {
                self.text += std::str::from_utf8(&chunk).unwrap();
                true
            }
            Ok(None) => false,
            Err(error) => {
                self.broken = Some(error);
                false
            }
        }
    }

    /// The next event, which must be a result, and its ID.
    pub(crate) async fn result(&mut self) -> (Json, Option<String>) {
        let event = self.next().await;
        let event = event.unwrap_or_else(|| panic!("the stream has ended: {:?}", self.broken));
        assert_eq!(event.kind, "next");
        (serde_json::from_str(&event.data).unwrap(), event.id)
    }

    async fn complete(&mut self) {
        let event = self.next().await.expect("the stream says that it is complete");
        assert_eq!((event.kind.as_str(), event.data.as_str()), ("complete", ""));
        assert!(self.next().await.is_none());
    }
}

async fn request(client: &Client, query: &str, variables: Json, last: Option<&str>) -> Response {
    let body = json!({ "query": query, "variables": variables });
    let mut request = client
        .request(Method::POST, "/graphql")
        .header(header::ACCEPT, "text/event-stream")
        .header(header::ACCEPT_ENCODING, "gzip, br")
        .json(&body);
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    request.send().await.unwrap()
}

pub(crate) async fn click(app: &TestApp, acme: &Organization, send: Uuid, url: &str) {
    let (id, org, send) = (app.literal(Uuid::new_v4()), app.literal(acme.id), app.literal(send));
    app.run(&format!(
        "INSERT INTO campaign_events (id, org_id, send_id, event_type, url) VALUES \
         ({id}, {org}, {send}, 'click', '{url}')"
    ))
    .await;
}

pub(crate) fn url(result: &Json) -> &str {
    result["data"]["engagementEvents"]["node"]["url"].as_str().unwrap()
}

#[on_both_databases]
async fn events_arrive_as_they_happen_and_resume_after_the_last_one(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let cursor = acme.member.feed_cursor().await;
    let mut stream = Stream::open(&acme.member, FOLLOW, json!({ "after": cursor }), None).await;
    for url in ["https://a.example/", "https://b.example/"] {
        click(&app, &acme, made.sends[0], url).await;
    }
    assert_eq!(url(&stream.result().await.0), "https://a.example/");
    let (second, id) = stream.result().await;
    assert_eq!(url(&second), "https://b.example/");
    assert_eq!(second["data"]["engagementEvents"]["cursor"], json!(id));
    drop(stream);
    click(&app, &acme, made.sends[1], "https://c.example/").await;
    // the header takes precedence over the operation, because EventSource sends the same
    // request again
    let mut again =
        Stream::open(&acme.member, FOLLOW, json!({ "after": cursor }), id.as_deref()).await;
    assert_eq!(url(&again.result().await.0), "https://c.example/");
    let mut from_the_start =
        Stream::open(&acme.member, FOLLOW, json!({ "after": cursor }), None).await;
    assert_eq!(url(&from_the_start.result().await.0), "https://a.example/");

    let figures = "subscription ($id: ID!) { campaignStats(campaignId: $id) { clicks } }";
    let campaign = acme.member.data(
        "query ($id: ID!) { node(id: $id) { ... on Send { campaign { id stats { clicks } } } } }",
        json!({ "id": made.sends[0] }),
    ).await["node"]["campaign"].take();
    let mut figures =
        Stream::open(&acme.member, figures, json!({ "id": campaign["id"] }), None).await;
    let (first, id) = figures.result().await;
    assert_eq!(
        (&first["data"]["campaignStats"]["clicks"], id),
        (&campaign["stats"]["clicks"], None)
    );
    click(&app, &acme, made.sends[0], "https://d.example/").await;
    let clicks = campaign["stats"]["clicks"].as_i64().unwrap();
    assert_eq!(figures.result().await.0["data"]["campaignStats"]["clicks"], clicks + 1);
}

#[on_both_databases]
async fn refusals_are_in_the_stream_or_in_the_status(app: TestApp) {
    let acme = app.organization("acme").await;
    let mut query = Stream::open(&acme.member, "{ viewer { role } }", json!({}), None).await;
    assert_eq!(query.result().await.0, json!({ "data": { "viewer": { "role": "MEMBER" } } }));
    query.complete().await;
    for (document, variables, last, code) in [
        ("{ nothing }", json!({}), None, "GRAPHQL_VALIDATION_FAILED"),
        ("{ campaigns(", json!({}), None, "GRAPHQL_PARSE_FAILED"),
        (FOLLOW, json!({ "after": "x" }), None, "BAD_USER_INPUT"),
        (FOLLOW, json!({}), Some("x"), "BAD_USER_INPUT"),
        (
            "mutation { deleteCampaign(id: \"0a11ce00-0000-4000-8000-000000000001\") { id } }",
            json!({}),
            None,
            "FORBIDDEN",
        ),
    ] {
        let mut stream = Stream::open(&acme.member, document, variables, last).await;
        let (result, _) = stream.result().await;
        assert_eq!(result["errors"][0]["extensions"]["code"], code, "{document} {result}");
        stream.complete().await;
    }
    // an invalid cursor does not start the stream at its end
    let last = |value: &[u8]| header::HeaderValue::from_bytes(value).unwrap();
    let campaign = "subscription { \
                    campaignStats(campaignId: \"0a11ce00-0000-4000-8000-000000000001\") { clicks } \
                    }";
    for document in [FOLLOW, campaign, "{ viewer { role } }"] {
        for values in
            [vec![last(b"\xff")], vec![last(b"")], vec![last(b"x")], vec![last(b"a"), last(b"a")]]
        {
            let mut request =
                acme.member.request(Method::POST, "/graphql").json(&json!({ "query": document }));
            request = request.header(header::ACCEPT, "text/event-stream");
            for value in &values {
                request = request.header("last-event-id", value);
            }
            let mut stream = Stream::of(request.send().await.unwrap());
            let (result, _) = stream.result().await;
            let refused = &result["errors"][0]["extensions"];
            assert_eq!(refused["code"], "BAD_USER_INPUT", "{document} {values:?} {result}");
            assert_eq!(refused["field"], "Last-Event-ID", "{document} {values:?} {result}");
            stream.complete().await;
        }
    }
    let anonymous = app.client(None);
    assert_eq!(
        request(&anonymous, FOLLOW, json!({}), None).await.status(),
        StatusCode::UNAUTHORIZED
    );
    let get = acme.member.request(Method::GET, "/graphql?query=%7B__typename%7D");
    let get = get.header(header::ACCEPT, "text/event-stream").send().await.unwrap();
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    let answer = acme.member.ask(FOLLOW, json!({})).await;
    assert_eq!(answer.code(), "BAD_USER_INPUT");
}

#[tokio::test]
async fn a_stream_has_a_heartbeat_ends_with_its_token_and_is_counted() {
    let settings =
        Settings { socket_ping: Duration::from_millis(100), max_sockets: 2, ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut stream = Stream::open(&acme.member, FOLLOW, json!({}), None).await;
    stream.heartbeats(3).await;
    click(&app, &acme, made.sends[0], "https://a.example/").await;
    let event = stream.next().await.unwrap();
    assert!(event.comments >= 3, "{event:?}");

    // the leeway of thirty seconds is almost over
    let expires = Utc::now() - TimeDelta::seconds(28);
    let token = TestApp::sign(&json!({
        "sub": "alice", "org_id": acme.id, "role": "member", "exp": expires.timestamp(),
    }));
    let mut short = Stream::open(&app.client(Some(token)), FOLLOW, json!({}), None).await;
    let third = request(&acme.member, FOLLOW, json!({}), None).await;
    assert_eq!(third.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(short.next().await.is_none(), "it ends, and is not complete");
    drop(stream);
    until("an abandoned stream is no longer counted", Duration::from_secs(10), async || {
        request(&acme.member, FOLLOW, json!({}), None).await.status() == StatusCode::OK
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_is_not_read_ends() {
    let settings = Settings {
        max_socket_bytes: 64 * 1024,
        timeouts: Timeouts { write: Duration::from_secs(1), ..Timeouts::default() },
        ..Settings::default()
    };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let mut stream = Stream::open(&acme.member, FOLLOW, json!({}), None).await;
    let (org, send, url) = (app.literal(acme.id), app.literal(made.sends[0]), "x".repeat(10_000));
    let insert = format!(
        "INSERT INTO campaign_events (org_id, send_id, event_type, url) \
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
         SELECT {org}, {send}, 'click', '{url}' FROM n"
    );
    app.run(&insert).await;
    let held = || acme.scope.budget().held();
    until("it is given up", Duration::from_secs(30), async || held() == 0).await;
    let mut read = 0;
    while stream.next().await.is_some() {
        read += 1;
    }
    assert!(read < 3_000, "the whole feed was sent to a client that did not read");
}

#[tokio::test]
async fn graphql_sse_follows_and_resumes() {
    const EXPECT: usize = 1_000;
    let app = TestApp::on(Backend::Postgres).start().await;
    let acme = app.organization("acme").await;
    let made = acme.populated(6).await;
    let cursor = acme.member.feed_cursor().await;
    let environment = [
        ("URL", format!("{}/graphql", app.address)),
        ("TOKEN", acme.member.token.clone().unwrap()),
        ("AFTER", cursor.as_str().unwrap().to_owned()),
        ("EXPECT", EXPECT.to_string()),
    ];
    let environment = environment.each_ref().map(|(name, value)| (*name, value.as_str()));
    // while there is a follower
    let writer = async {
        for number in 0.. {
            let url = format!("https://a.example/{number}");
            click(&app, &acme, made.sends[number % made.sends.len()], &url).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let followed = tokio::select! {
        () = writer => unreachable!("it writes for ever"),
        followed = node("sse.mjs", &environment) => followed,
    };
    assert_eq!(followed.code, 0, "{}", followed.err);
    let followed: Json = serde_json::from_str(&followed.out).unwrap();
    let written: Vec<_> = (0..EXPECT).map(|number| format!("https://a.example/{number}")).collect();
    assert_eq!(followed["urls"], json!(written));
    assert!(followed["cuts"].as_u64().unwrap() > 3, "{followed}");
}
