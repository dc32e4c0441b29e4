//! Popular GraphQL clients, with their own packages: the service answers their requests, and they
//! understand the responses.

use std::path::Path;

use campaigns_operation::Documents;
use campaigns_server::Settings;
use campaigns_tests::{
    Backend, Binary, Finished, NodeProgram, Organization, TestApp, TestDatabase, free_port, node,
    node_passes, on_both_databases, python, serve_arguments,
};
use uuid::Uuid;

/// Inserts campaigns: `Spring` with a send, and twelve drafts.
async fn fill(app: &TestApp, acme: &Organization) {
    let org = app.literal(acme.id);
    let id = app.literal(Uuid::new_v4());
    let columns = "(id, org_id, name, status, sent_at)";
    let spring = format!("({id}, {org}, 'Spring', 'sent', '2026-02-01T08:00:00+00:00')");
    app.run(&format!("INSERT INTO campaigns {columns} VALUES {spring}")).await;
    send(app, acme).await;
    let rows = (1..=12).map(|number| {
        let id = app.literal(Uuid::new_v4());
        format!("({id}, {org}, 'Draft {number:02}', 'draft')")
    });
    let rows = rows.collect::<Vec<_>>().join(", ");
    app.run(&format!("INSERT INTO campaigns (id, org_id, name, status) VALUES {rows}")).await;
}

/// Inserts a contact and a send of `Spring` to them.
async fn send(app: &TestApp, acme: &Organization) {
    let [org, send, contact] = [acme.id, Uuid::new_v4(), Uuid::new_v4()].map(|id| app.literal(id));
    app.run(&format!(
        "INSERT INTO contacts (id, org_id, first_name) VALUES ({contact}, {org}, 'Ada')"
    ))
    .await;
    app.run(&format!(
        "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id, status)
         SELECT {send}, {org}, id, {contact}, 'delivered' FROM campaigns WHERE name = 'Spring'"
    ))
    .await;
}

/// A service with these settings, and an organization with rows for the clients.
async fn filled(backend: Backend, settings: Settings) -> (TestApp, Organization) {
    let app = TestApp::on(backend).settings(settings).start().await;
    let acme = app.organization("acme").await;
    fill(&app, &acme).await;
    (app, acme)
}

/// Runs a client to its end.
async fn run(program: &str, app: &TestApp, acme: &Organization, more: &[(&str, &str)]) {
    let (admin, member) = (acme.admin.token.clone().unwrap(), acme.member.token.clone().unwrap());
    let environment = [("ADDRESS", app.address.as_str()), ("TOKEN", &admin), ("MEMBER", &member)];
    let environment = [&environment, more].concat();
    let Finished { code, out, err } = if Path::new(program).extension() == Some("py".as_ref()) {
        python(program, &environment).await
    } else {
        node(program, &environment).await
    };
    assert_eq!(code, 0, "{program} {out}{err}");
    assert!(out.contains("done"), "{program} {out}{err}");
}

/// The persisted documents of a client, as its build writes them.
async fn manifest(program: &str) -> Settings {
    let Finished { out, .. } = node_passes(program, &[("MANIFEST", "yes")]).await;
    let documents = Documents::new(serde_json::from_str(&out).unwrap(), false).unwrap();
    Settings { documents, ..Settings::default() }
}

#[on_both_databases]
async fn apollo_client_sends_hashes_first_and_normalizes_responses(app: TestApp) {
    let acme = app.organization("acme").await;
    fill(&app, &acme).await;
    run("apollo.mjs", &app, &acme, &[]).await;
}

#[on_both_databases]
async fn urql_sends_hashes_first_and_normalizes_responses(app: TestApp) {
    let acme = app.organization("acme").await;
    fill(&app, &acme).await;
    run("urql.mjs", &app, &acme, &[]).await;
}

#[on_both_databases]
async fn relays_runtime_loads_the_pages_of_refetchable_connections(app: TestApp) {
    let acme = app.organization("acme").await;
    fill(&app, &acme).await;
    let org = app.literal(acme.id);
    let campaigns = (1..=24).map(|day| {
        let id = app.literal(Uuid::new_v4());
        let sent_at = format!("2026-01-{day:02}T08:00:00+00:00");
        format!("({id}, {org}, 'Sent {day}', 'sent', '{sent_at}')")
    });
    let campaigns = campaigns.collect::<Vec<_>>().join(", ");
    let columns = "(id, org_id, name, status, sent_at)";
    app.run(&format!("INSERT INTO campaigns {columns} VALUES {campaigns}")).await;
    for _ in 1..25 {
        send(&app, &acme).await;
    }
    crate::http_protocol::compile_for_relay().await;
    run("relay.mjs", &app, &acme, &[]).await;
}

#[on_both_databases]
async fn pythons_gql_fetches_the_schema_validates_and_subscribes(app: TestApp) {
    let acme = app.organization("acme").await;
    fill(&app, &acme).await;
    run("client.py", &app, &acme, &[]).await;
}

#[tokio::test]
async fn a_client_with_known_documents_sends_only_hashes() {
    for (program, backend) in [("apollo.mjs", Backend::Postgres), ("urql.mjs", Backend::Sqlite)] {
        let (app, acme) = filled(backend, manifest(program).await).await;
        run(program, &app, &acme, &[("KNOWN", "yes")]).await;
    }
}

#[tokio::test]
async fn graphql_ws_retries_when_the_service_restarts_and_respects_close_codes() {
    for backend in [Backend::Sqlite, Backend::Postgres] {
        let database = TestDatabase::new(backend).await;
        let url = database.url.clone();
        let app = TestApp::on_database(database).start().await;
        let acme = app.organization("acme").await;
        fill(&app, &acme).await;
        let directory = tempfile::tempdir().unwrap();
        let listen = format!("127.0.0.1:{}", free_port());
        let mut arguments = serve_arguments(&url);
        arguments[2] = &listen;
        let mut service = Binary::start(directory.path(), &arguments).await;
        let address = service.address().await;
        let token = acme.admin.token.clone().unwrap();
        let environment = [("ADDRESS", address.as_str()), ("TOKEN", &token)];
        let mut client = NodeProgram::start("sockets.mjs", &environment).await;
        assert_eq!(client.line().await, "restart");
        assert_eq!(service.terminate().await, 0);
        let mut service = Binary::start(directory.path(), &arguments).await;
        assert_eq!(service.address().await, address);
        assert_eq!(client.line().await, "done");
        assert_eq!(service.terminate().await, 0);
    }
}
