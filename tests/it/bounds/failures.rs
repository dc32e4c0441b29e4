//! Failures of the database: the service reports them within seconds and recovers by itself.

use std::time::Duration;

use campaigns_scope::Options;
use campaigns_server::Settings;
use campaigns_tests::{
    Backend, Binary, Client, Postgres, Socket, TestApp, TestDatabase, no_space, on_both_databases,
    serve_arguments, until,
};
use reqwest::{Method, StatusCode};
use sea_orm::ConnectionTrait;
use serde_json::json;

use crate::watching::of_this_process;

const READ: &str = "{ campaigns { totalCount } }";
const CREATE: &str =
    "mutation { createCampaign(input: { name: \"x\", body: \"b\" }) { campaign { id } } }";
const PATIENCE: Duration = Duration::from_secs(30);

/// The status of an operation, and its code if it failed.
async fn ask(client: &Client, operation: &str) -> (StatusCode, String) {
    let answer = client.ask(operation, json!({})).await;
    let failed = answer.body.get("errors").is_some();
    (answer.status, if failed { answer.code().to_owned() } else { String::new() })
}

async fn is_ready(client: &Client) -> bool {
    let response = client.request(Method::GET, "/readyz").send().await.unwrap();
    response.status() == StatusCode::OK
}

async fn until_it_works(client: &Client) {
    until("it works again", PATIENCE, async || {
        is_ready(client).await && ask(client, CREATE).await.1.is_empty()
    })
    .await;
}

fn refused() -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE".to_owned())
}

#[tokio::test]
async fn without_its_database_the_service_is_unavailable_and_recovers() {
    let (postgres, database) = Postgres::own().await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    assert!(is_ready(&acme.member).await);
    postgres.stop("immediate").await;
    for operation in [READ, CREATE] {
        let asked = tokio::time::timeout(Duration::from_secs(8), ask(&acme.member, operation));
        let (status, code) = asked.await.expect("it says so within seconds");
        assert_eq!(code, "UNAVAILABLE", "{operation} {status}");
    }
    assert!(!is_ready(&acme.member).await);
    let alive = acme.member.request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    postgres.restart("fast").await;
    until_it_works(&acme.member).await;
}

#[tokio::test]
async fn it_starts_before_its_database_does() {
    let (postgres, database) = Postgres::own().await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    postgres.stop("fast").await;
    let directory = tempfile::tempdir().unwrap();
    let serve = serve_arguments(&app.database.url);
    let cors = [&serve[..], &["--cors-origin", "https://App.example:443"]].concat();
    let mut service = Binary::start(directory.path(), &cors).await;
    let mut client = acme.member.clone();
    client.address = service.address().await;
    assert!(!is_ready(&client).await);
    // pages of an allowed origin can read the error
    for (method, status) in
        [(Method::OPTIONS, StatusCode::OK), (Method::POST, StatusCode::SERVICE_UNAVAILABLE)]
    {
        let request = client.request(method, "/graphql").header("origin", "https://app.example");
        let request = request.header("access-control-request-method", "POST");
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!(response.headers()["access-control-allow-origin"], "https://app.example");
    }
    assert_eq!(ask(&client, READ).await, refused());
    let alive = client.request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    postgres.restart("fast").await;
    until_it_works(&client).await;
    assert_eq!(service.terminate().await, 0);

    // it can be terminated while it waits
    postgres.stop("fast").await;
    let mut service = Binary::start(directory.path(), &serve).await;
    service.address().await;
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn the_service_fails_over_to_the_host_that_accepts_writes() {
    let (first, database) = Postgres::own().await;
    let second = first.standby().await;
    // the standby is first in the URL, and is not used
    let url = Postgres::address_of_all(&[&second, &first], "campaigns");
    let address = url.clone();
    let app = TestApp::on_database(database)
        .options(|_| Options { max_connections: 8, ..Options::new(address) })
        .start()
        .await;
    let acme = app.organization("acme").await;
    acme.member.data(CREATE, json!({})).await;
    let of_second =
        TestDatabase::at(Backend::Postgres, &Postgres::address_of_all(&[&second], "campaigns"));
    let sql = of_second.connect().await;
    until("the standby has what was written", PATIENCE, async || {
        let select = sea_orm::Statement::from_string(
            sql.get_database_backend(),
            "SELECT 1 AS one FROM campaigns",
        );
        sql.query_one_raw(select).await.unwrap().is_some()
    })
    .await;
    first.stop("immediate").await;
    assert_eq!(ask(&acme.member, CREATE).await.1, "UNAVAILABLE");
    second.promote().await;
    until_it_works(&acme.member).await;
    let there = acme.member.data(READ, json!({})).await;
    assert!(there["campaigns"]["totalCount"].as_i64().unwrap() >= 2);
    // every command finds the host that accepts writes
    let directory = tempfile::tempdir().unwrap();
    let status = Binary::run(directory.path(), &["migrate", "--database-url", &url]).await;
    assert!(status.out.contains("up to date"), "{} {}", status.out, status.err);
}

#[tokio::test]
async fn a_read_only_database_serves_reads() {
    let (_postgres, database) = Postgres::own().await;
    let app = TestApp::on_database(database).start().await;
    let acme = app.organization("acme").await;
    app.run("ALTER DATABASE campaigns SET default_transaction_read_only = on").await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    app.run(others).await;
    acme.member.data(READ, json!({})).await;
    assert_eq!(ask(&acme.member, CREATE).await.1, "UNAVAILABLE");
    let refused = acme.member.ask(CREATE, json!({})).await;
    let message = "The database is read-only at the moment. Try again later.";
    assert_eq!(refused.error()["message"], message);
    let own = app.database.connect_once().await;
    for sql in [
        "SET default_transaction_read_only = off",
        "ALTER DATABASE campaigns RESET default_transaction_read_only",
        others,
    ] {
        own.execute_unprepared(sql).await.unwrap();
    }
    until_it_works(&acme.member).await;
}

#[tokio::test]
async fn what_the_database_lacks_is_in_the_log_and_not_internal() {
    let (_postgres, database) = Postgres::own().await;
    let own = TestDatabase::at(Backend::Postgres, &database.url);
    let sql = own.connect_once().await;
    let run = async |what: &str| {
        sql.execute_unprepared(what).await.unwrap();
    };
    run("CREATE ROLE service LOGIN SUPERUSER").await;
    let url = database.url.replacen("postgres@", "service@", 1);
    let app = TestApp::on_database(database)
        .options(|_| Options { max_connections: 8, ..Options::new(url) })
        .start()
        .await;
    let acme = app.organization("acme").await;
    acme.member.data(READ, json!({})).await;
    let again = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'";
    let follow = "subscription { engagementEvents { node { id } } }";
    let refused = async |operation: &str| {
        run(again).await;
        let mut answer = acme.member.ask(operation, json!({})).await;
        // of the connections that were just closed
        until("it answers", PATIENCE, async || {
            answer = acme.member.ask(operation, json!({})).await;
            answer.code() != "UNAVAILABLE"
        })
        .await;
        let (code, message) = (answer.code().to_owned(), answer.error()["message"].clone());
        assert_eq!(
            message,
            "The database lacks what the service needs. The log of the service names it."
        );
        code
    };
    for (break_it, mend_it, operation) in [
        (
            "ALTER ROLE service NOSUPERUSER; GRANT SELECT ON ALL TABLES IN SCHEMA public TO service",
            "ALTER ROLE service SUPERUSER",
            CREATE,
        ),
        ("ALTER TABLE campaigns RENAME TO gone", "ALTER TABLE gone RENAME TO campaigns", READ),
        (
            "ALTER TABLE campaigns RENAME COLUMN name TO called",
            "ALTER TABLE campaigns RENAME COLUMN called TO name",
            "{ campaigns { nodes { name } } }",
        ),
        (
            "ALTER FUNCTION campaign_feed_settled_for(uuid) RENAME TO gone",
            "ALTER FUNCTION gone(uuid) RENAME TO campaign_feed_settled_for",
            "{ feedCursor }",
        ),
        (
            "ALTER ROLE service SET search_path = nowhere",
            "ALTER ROLE service RESET search_path",
            "{ segments { totalCount } }",
        ),
    ] {
        run(break_it).await;
        assert_eq!(refused(operation).await, "MISCONFIGURED", "{break_it}");
        run(mend_it).await;
        run(again).await;
        until_it_works(&acme.member).await;
    }
    // a stream says so as well
    run("ALTER FUNCTION campaign_feed_settled_for(uuid) RENAME TO gone").await;
    run(again).await;
    let stream =
        acme.member.request(Method::POST, "/graphql").header("accept", "text/event-stream");
    let stream =
        stream.json(&json!({ "query": follow })).send().await.unwrap().text().await.unwrap();
    assert!(stream.contains("MISCONFIGURED") && stream.contains("event: complete"), "{stream}");
    assert!(!stream.contains("campaign_feed"), "{stream}");
}

#[tokio::test]
async fn without_a_free_connection_operations_are_unavailable() {
    let (_postgres, database) = Postgres::own().await;
    let own = TestDatabase::at(Backend::Postgres, &database.url);
    let sql = own.connect_once().await;
    let run = async |what: &str| {
        sql.execute_unprepared(what).await.unwrap();
    };
    run("CREATE ROLE service LOGIN SUPERUSER").await;
    let url = database.url.replacen("postgres@", "service@", 1);
    let app = TestApp::on_database(database)
        .options(|_| Options { max_connections: 8, ..Options::new(url) })
        .start()
        .await;
    let acme = app.organization("acme").await;
    acme.member.data(CREATE, json!({})).await;
    // the connection limit does not apply to superusers
    run("ALTER ROLE service NOSUPERUSER CONNECTION LIMIT 0; GRANT ALL ON ALL TABLES IN SCHEMA \
         public TO service; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'service'")
    .await;
    let asked = tokio::time::timeout(Duration::from_secs(12), ask(&acme.member, CREATE));
    assert_eq!(asked.await.expect("it says so within seconds").1, "UNAVAILABLE");
    run("ALTER ROLE service CONNECTION LIMIT -1").await;
    until_it_works(&acme.member).await;
}

#[tokio::test]
async fn on_a_full_disk_writes_fail_and_reads_continue() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let app = TestApp::on(backend).start().await;
        let acme = app.organization("acme").await;
        let full = match backend {
            Backend::Postgres => {
                app.run(&no_space("campaigns")).await;
                ask(&acme.member, CREATE).await
            }
            Backend::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let serve = serve_arguments(&app.database.url);
                // no file can grow, as on a full disk
                let mut service =
                    Binary::start_with_files_of(directory.path(), &serve, 2 * 1024).await;
                let mut client = acme.member.clone();
                client.address = service.address().await;
                let mut refused = (StatusCode::OK, String::new());
                let body = "x".repeat(100_000);
                let create = format!(
                    "mutation {{ createCampaign(input: {{ name: \"x\", body: \"{body}\" }}) {{ \
                     campaign {{ id }} }} }}"
                );
                for _ in 0..50 {
                    refused = ask(&client, &create).await;
                    if !refused.1.is_empty() {
                        break;
                    }
                }
                client.data(READ, json!({})).await;
                assert_eq!(service.terminate().await, 0);
                refused
            }
        };
        assert_eq!(full.1, "UNAVAILABLE", "{backend:?}");
        let before = app.count("campaigns").await;
        if backend == Backend::Postgres {
            app.run("DROP TRIGGER a_no_space ON campaigns").await;
        }
        acme.member.data(CREATE, json!({})).await;
        assert_eq!(app.count("campaigns").await, before + 1, "{backend:?}");
    }
}

#[tokio::test]
async fn while_another_process_locks_sqlite_reads_succeed_and_writes_fail() {
    let settings = Settings { query_timeout: Duration::from_secs(2), ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let other = app.database.connect_once().await;
    other.execute_unprepared("BEGIN IMMEDIATE").await.unwrap();
    acme.member.data(READ, json!({})).await;
    let (_, code) = ask(&acme.member, CREATE).await;
    assert!(["UNAVAILABLE", "TIMEOUT"].contains(&code.as_str()), "{code}");
    other.execute_unprepared("ROLLBACK").await.unwrap();
    until_it_works(&acme.member).await;
    // refused writes stored nothing
    assert_eq!(app.count("campaigns").await, 1);
}

#[on_both_databases]
async fn an_operation_that_panics_fails_alone(app: TestApp) {
    let acme = app.organization("acme").await;
    let made = acme.populated(4).await;
    let segments = "{ segments { totalCount } }";
    let of_cost: Vec<_> =
        (0..25).map(|n| format!("a{n}: segments(first: 500) {{ nodes {{ id }} }}")).collect();
    let expensive = format!("{{ {} }}", of_cost.join(" "));
    let mut socket = Socket::of(&acme.member).await;

    let panics = async || of_this_process(&app, "campaigns_panics_total").await;
    let panics_before = panics().await;
    app.panic_at(Some("\"campaign_segments\""));
    for operation in [segments, &expensive] {
        let answer = acme.member.ask(operation, json!({})).await;
        assert_eq!((answer.status, answer.code()), (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"));
        let message = answer.error()["message"].as_str().unwrap();
        assert!(
            message.starts_with("Something went wrong. The log has the details under "),
            "{message}"
        );
    }
    socket.subscribe("1", segments, json!({})).await;
    let refused = socket.message().await;
    assert_eq!((&refused["type"], &refused["id"]), (&json!("error"), &json!("1")));
    assert_eq!(refused["payload"][0]["extensions"]["code"], "INTERNAL");
    let stream =
        acme.member.request(Method::POST, "/graphql").header("accept", "text/event-stream");
    let stream =
        stream.json(&json!({ "query": segments })).send().await.unwrap().text().await.unwrap();
    assert!(stream.contains("INTERNAL") && stream.contains("event: complete"), "{stream}");
    app.panic_at(None);
    assert!(panics().await >= panics_before + 4.0);
    assert_eq!(ask(&acme.member, segments).await.0, StatusCode::OK);
    socket.subscribe("1", segments, json!({})).await;
    assert!(socket.next("1").await["segments"]["totalCount"].is_number());
    assert_eq!(socket.message().await["type"], "complete");

    // the event is delivered, and so are later ones
    let follow = "subscription ($after: String) { engagementEvents(after: $after) { \
                  node { id campaign { name } } } }";
    socket.subscribe("2", follow, json!({ "after": acme.member.feed_cursor().await })).await;
    let record = "mutation ($send: ID!) { recordEvents(input: [{ sendId: $send, type: OPEN }]) { \
                  events { id } } }";
    let record = async || {
        let recorded = acme.member.data(record, json!({ "send": made.sends[0] })).await;
        recorded["recordEvents"]["events"][0]["id"].clone()
    };
    acme.member.data(READ, json!({})).await;
    app.panic_at(Some("FROM \"campaigns\""));
    record().await;
    let failed = socket.message().await;
    assert_eq!(
        (&failed["type"], &failed["payload"]["errors"][0]["extensions"]["code"]),
        (&json!("next"), &json!("INTERNAL"))
    );
    app.panic_at(None);
    let event = record().await;
    assert_eq!(socket.next("2").await["engagementEvents"]["node"]["id"], event);
}
