//! The dashboard and GraphiQL in a browser, and their files.

use std::time::Duration;

use campaigns_server::{Pages, Settings, SignIn, demo};
use campaigns_tests::{
    Backend, Binary, Finished, Issuer, Organization, TestApp, TestDatabase, keyring, node_passes,
    on_both_databases, serve_arguments,
};
use chrono::Utc;
use reqwest::{Method, Response, StatusCode};
use serde_json::{Map, Value as Json, json};
use tempfile::TempDir;

/// Visits the built pages, on all devices if `everywhere` is set. A program with the plain page has
/// none.
async fn visit(dashboard: &str, graphiql: &str, member: &str, everywhere: &str) {
    if Pages::default() == Pages::Plain {
        eprintln!("not visited: these tests were built with CAMPAIGNS_WEB=plain, or without Node");
        return;
    }
    let environment = [
        ("DASHBOARD", dashboard),
        ("GRAPHIQL", graphiql),
        ("MEMBER", member),
        ("EVERYWHERE", everywhere),
    ];
    node_passes("pages.mjs", &environment).await;
}

#[tokio::test]
async fn a_person_follows_the_printed_links_and_does_everything_that_the_pages_offer() {
    let directory = tempfile::tempdir().unwrap();
    let mut service = Binary::start(directory.path(), &["--listen", "127.0.0.1:0"]).await;
    let after = |label: &'static str| {
        move |line: &str| line.trim().strip_prefix(label).map(|rest| rest.trim().to_owned())
    };
    let member = service.line(after("member ")).await;
    let dashboard = service.line(after("Dashboard")).await;
    let graphiql = service.line(after("GraphiQL")).await;
    visit(&dashboard, &graphiql, &member, "yes").await;
    assert_eq!(service.terminate().await, 0);
}

/// Sign-in by links, as in development mode.
fn by_links() -> SignIn {
    SignIn { takes_token_links: true, ..SignIn::default() }
}

/// Follows links with tokens to the pages of a service, which accepts them or not.
async fn follow_links(pages: Pages, takes_token_links: bool) {
    let sign_in = SignIn { takes_token_links, ..SignIn::default() };
    let settings = Settings { pages, sign_in, ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    let theirs = TestApp::token(other.id, "admin", "a-stranger");
    let ended = TestApp::sign(&json!({ "sub": "an-admin", "org_id": acme.id, "exp": 1 }));
    let (mine, pages) = (acme.admin.token.unwrap(), format!("{pages:?}"));
    let environment = [
        ("ADDRESS", app.address.as_str()),
        ("MINE", &mine),
        ("THEIRS", &theirs),
        ("ENDED", &ended),
        ("LINKS", if takes_token_links { "yes" } else { "" }),
        ("PAGES", &pages),
    ];
    node_passes("links.mjs", &environment).await;
}

#[tokio::test]
async fn a_link_replaces_no_session_without_consent() {
    follow_links(Pages::default(), true).await;
}

#[tokio::test]
async fn a_link_replaces_no_session_of_the_plain_page_without_consent() {
    follow_links(Pages::Plain, true).await;
}

#[tokio::test]
async fn a_link_signs_no_one_in_without_the_flag() {
    follow_links(Pages::default(), false).await;
    follow_links(Pages::Plain, false).await;
}

#[tokio::test]
async fn tokens_in_links_are_accepted_in_development_mode_and_with_the_flag() {
    let directory = tempfile::tempdir().unwrap();
    let database = TestDatabase::new(Backend::Sqlite).await;
    let production = serve_arguments(&database.url);
    for (arguments, said) in [
        (vec!["--listen", "127.0.0.1:0"], "on"),
        (production.to_vec(), "off"),
        ([&production[..], &["--token-links"]].concat(), "on"),
    ] {
        let mut service = Binary::start(directory.path(), &arguments).await;
        let address = service.address().await;
        for path in ["/", "/graphiql"] {
            let page = reqwest::get(format!("{address}{path}")).await.unwrap();
            let page = page.text().await.unwrap();
            let element = format!("<meta name=\"token-links\" content=\"{said}\" />");
            assert!(page.contains(&element), "{arguments:?} {page}");
        }
        assert_eq!(service.terminate().await, 0);
    }
}

/// An issuer whose tokens end soon.
pub(crate) async fn issuer() -> Issuer {
    Issuer::start(demo::ORGANIZATIONS[0].id, Duration::from_secs(12)).await
}

/// Starts a service with the demo data, sign-in at the issuer, and these additional flags.
pub(crate) async fn start_with_an_issuer(issuer: &Issuer, flags: &[&str]) -> (TempDir, Binary) {
    let keys = format!("{}/jwks", issuer.address);
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = vec![
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--jwks-url",
        &keys,
        "--oidc-issuer",
        &issuer.address,
        "--oidc-client-id",
        "campaigns-pages",
    ];
    arguments.extend(flags);
    let service = Binary::start(directory.path(), &arguments).await;
    (directory, service)
}

/// Signs in to the pages at this address in a browser.
pub(crate) async fn sign_in(address: &str, issuer: &Issuer) {
    let environment = [("ADDRESS", address), ("ISSUER", &issuer.address)];
    node_passes("sign-in.mjs", &environment).await;
}

async fn sign_in_at_an_issuer(flags: &[&str]) {
    if Pages::default() == Pages::Plain {
        return;
    }
    let issuer = issuer().await;
    let (_directory, mut service) = start_with_an_issuer(&issuer, flags).await;
    let address = service.address().await;
    sign_in(&address, &issuer).await;
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn a_person_signs_in_at_an_issuer_and_the_service_gets_the_access_token() {
    let flags = ["--oidc-resource", "https://api.example", "--jwt-audience", "https://api.example"];
    sign_in_at_an_issuer(&flags).await;
}

#[tokio::test]
async fn an_issuer_with_opaque_access_tokens_has_its_id_token_sent() {
    sign_in_at_an_issuer(&["--jwt-audience", "campaigns-pages"]).await;
}

#[tokio::test]
async fn an_issuer_and_a_client_id_are_given_together() {
    let directory = tempfile::tempdir().unwrap();
    for flags in [
        ["serve", "--oidc-issuer", "https://issuer.example"],
        ["serve", "--oidc-client-id", "campaigns-pages"],
        ["serve", "--oidc-issuer", "issuer.example"],
    ] {
        let Finished { code, err, .. } = Binary::run(directory.path(), &flags).await;
        assert_eq!(code, 2, "{err}");
        assert!(err.contains("--oidc-"), "{err}");
    }
}

#[tokio::test]
async fn the_pages_do_the_same_on_postgres() {
    let settings = Settings { sign_in: by_links(), keyring: keyring(), ..Settings::default() };
    let app = TestApp::on(Backend::Postgres).settings(settings).start().await;
    demo::load(&app.service_database, Utc::now()).await.unwrap();
    let organization = app.existing_organization(demo::ORGANIZATIONS[0].id).await;
    let admin = organization.admin.token.unwrap();
    let link = |path: &str| format!("{}{path}#token={admin}", app.address);
    visit(&link("/"), &link("/graphiql"), &organization.member.token.unwrap(), "").await;
}

/// A newsletter of two days ago whose rates are below the limits but round up to them, an older
/// one, and more campaigns than a page of the API, in all statuses.
async fn populate(app: &TestApp, org: &str) {
    let numbers = |last: u32| {
        format!(
            "WITH RECURSIVE numbers (number) AS
             (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < {last})"
        )
    };
    let ago = |days: u32| format!("strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '-{days} days')");
    let campaigns = [
        ("Newsletter", "sent", ago(10)),
        ("Catalogue", "sent", ago(80)),
        ("Underway", "sending", "NULL".to_owned()),
        ("Drafted", "draft", "NULL".to_owned()),
        (&"x".repeat(180), "draft", "NULL".to_owned()),
    ];
    app.run(&format!(
        "{} INSERT INTO contacts (id, org_id, first_name, last_name, email)
         SELECT randomblob(16), {org}, 'Contact', printf('%04d', number),
         printf('contact-%04d@example.com', number) FROM numbers",
        numbers(2_100)
    ))
    .await;
    app.run(&format!(
        "{} INSERT INTO campaigns (id, org_id, name, created_at)
         SELECT randomblob(16), {org}, printf('Bulk %04d', number), {} FROM numbers",
        numbers(600),
        ago(20)
    ))
    .await;
    for (name, status, sent_at) in campaigns {
        app.run(&format!(
            "INSERT INTO campaigns (id, org_id, name, status, sent_at)
             VALUES (randomblob(16), {org}, '{name}', '{status}', {sent_at})"
        ))
        .await;
    }
    let sends = async |campaign: &str, status: &str, first: u32, last: u32| {
        app.run(&format!(
            "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id, status)
             SELECT randomblob(16), {org}, campaigns.id, contacts.id, '{status}' FROM campaigns, \
             contacts
             WHERE campaigns.org_id = {org} AND campaigns.name = '{campaign}'
             AND CAST(contacts.last_name AS integer) BETWEEN {first} AND {last}"
        ))
        .await;
    };
    let events = async |kind: &str, days: u32, count: u32| {
        app.run(&format!(
            "INSERT INTO campaign_events (id, org_id, send_id, event_type, occurred_at)
             SELECT randomblob(16), {org}, campaign_sends.id, '{kind}', {} FROM campaign_sends
             JOIN campaigns ON campaigns.id = campaign_sends.campaign_id
             WHERE campaigns.org_id = {org} AND campaigns.name = 'Newsletter'
             AND campaign_sends.status = 'delivered' LIMIT {count}",
            ago(days)
        ))
        .await;
    };
    // 41 of 2,100 bounced, 6 of 2,059 complained
    sends("Newsletter", "bounced", 1, 41).await;
    sends("Newsletter", "delivered", 42, 2_100).await;
    sends("Catalogue", "delivered", 1, 600).await;
    sends("Underway", "queued", 1, 100).await;
    sends("Underway", "delivered", 101, 148).await;
    sends("Underway", "bounced", 149, 150).await;
    events("complaint", 9, 6).await;
    events("open", 9, 2).await;
    events("open", 10, 1).await;
}

#[tokio::test]
async fn the_pages_stay_current_and_lose_nothing_while_data_changes() {
    if Pages::default() == Pages::Plain {
        return;
    }
    let settings = Settings { sign_in: by_links(), ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let (acme, other) = (app.organization("acme").await, app.organization("other").await);
    populate(&app, &app.literal(acme.id)).await;
    let (token, theirs) = (acme.admin.token.unwrap(), other.admin.token.unwrap());
    let environment = [("ADDRESS", app.address.as_str()), ("TOKEN", &token), ("OTHER", &theirs)];
    node_passes("steady.mjs", &environment).await;
}

#[tokio::test]
async fn a_hundred_thousand_rows_are_scrolled_with_only_those_in_view_on_the_page() {
    if Pages::default() == Pages::Plain {
        return;
    }
    let settings = Settings { sign_in: by_links(), ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    let org = app.literal(acme.id);
    app.run(&format!(
        "WITH RECURSIVE numbers (number) AS
             (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < 100000)
         INSERT INTO contacts (id, org_id, first_name, last_name)
         SELECT randomblob(16), {org}, 'Contact', printf('%06d', number) FROM numbers"
    ))
    .await;
    let token = acme.admin.token.unwrap();
    let environment = [("ADDRESS", app.address.as_str()), ("TOKEN", &token), ("ROWS", "100000")];
    node_passes("rows.mjs", &environment).await;
}

/// Gives an organization a campaign with a send.
pub(crate) async fn fill(app: &TestApp, acme: &Organization) {
    let org = app.literal(acme.id);
    let id = app.literal(uuid::Uuid::new_v4());
    for insert in [
        format!(
            "INSERT INTO campaigns (id, org_id, name, status) VALUES \
             ({id}, {org}, 'Spring', 'sent')"
        ),
        format!("INSERT INTO contacts (id, org_id, first_name) VALUES ({id}, {org}, 'Ada')"),
        format!(
            "INSERT INTO campaign_sends (id, org_id, campaign_id, contact_id, status)
             VALUES ({id}, {org}, {id}, {id}, 'delivered')"
        ),
    ] {
        app.run(&insert).await;
    }
}

#[tokio::test]
async fn the_plain_page_sends_operations_without_a_build() {
    let settings = Settings { pages: Pages::Plain, sign_in: by_links(), ..Settings::default() };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let acme = app.organization("acme").await;
    fill(&app, &acme).await;
    let environment = [("ADDRESS", app.address.as_str()), ("TOKEN", &acme.admin.token.unwrap())];
    node_passes("plain.mjs", &environment).await;
}

async fn get(app: &TestApp, path: &str, encodings: &str) -> Response {
    let request = app.client(None).request(Method::GET, path);
    request.header("accept-encoding", encodings).send().await.unwrap()
}

/// The files that a page loads at once.
fn loaded(page: &str) -> Vec<String> {
    let addresses = page.split(['"', '\'']).filter(|text| text.starts_with("/assets/"));
    addresses.map(str::to_owned).collect()
}

#[on_both_databases]
async fn a_page_allows_only_its_own_files_and_no_inline_script(app: TestApp) {
    let views: Map<String, Json> =
        serde_json::from_str(include_str!("../../web/views.json")).unwrap();
    let views = views.keys().flat_map(|view| [format!("/{view}"), format!("/{view}/anything")]);
    for path in ["/", "/graphiql"].map(str::to_owned).into_iter().chain(views) {
        let page = get(&app, &path, "").await;
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
        for part in policy.split("; ").filter(|part| !part.starts_with("style-src-attr ")) {
            assert!(!part.contains("unsafe") && !part.contains("http"), "{part}");
        }
        assert_eq!(page.headers()["cache-control"], "no-store");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        assert_eq!(page.headers()["referrer-policy"], "no-referrer");
        let text = page.text().await.unwrap();
        assert!(!text.contains("http://") && !text.contains("https://"), "{text}");
        assert!(!text.contains("<script>") && !text.contains("<style"), "{text}");
        assert!(!loaded(&text).is_empty());
    }
    let nonces = [get(&app, "/", "").await, get(&app, "/", "").await];
    assert_ne!(
        nonces[0].headers()["content-security-policy"],
        nonces[1].headers()["content-security-policy"]
    );
}

#[tokio::test]
async fn files_of_a_page_are_cached_forever_and_compressed() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    let page = get(&app, "/", "gzip").await;
    assert_eq!(page.status(), StatusCode::OK);
    let text = get(&app, "/", "").await.text().await.unwrap();
    for path in loaded(&text) {
        let plain = get(&app, &path, "").await;
        assert_eq!(plain.status(), StatusCode::OK, "{path}");
        assert!(!plain.headers().contains_key("content-encoding"));
        let content = plain.bytes().await.unwrap();
        for encoding in ["br", "gzip"] {
            let file = get(&app, &path, encoding).await;
            assert_eq!(file.headers()["vary"].to_str().unwrap().to_lowercase(), "accept-encoding");
            if Pages::default() == Pages::Plain {
                assert_eq!(file.headers()["cache-control"], "no-cache");
                continue;
            }
            assert_eq!(file.headers()["cache-control"], "public, max-age=31536000, immutable");
            if content.len() >= 1_024 {
                assert_eq!(file.headers()["content-encoding"], encoding, "{path}");
                assert!(file.bytes().await.unwrap().len() < content.len());
            }
        }
    }
}

#[tokio::test]
async fn an_address_without_a_page_is_not_found_and_a_page_is_only_read() {
    let app = TestApp::on(Backend::Sqlite).start().await;
    for path in
        ["/nothing", "/index.html", "/assets/none.js", "/assets/../index.html", "/graphiql/x"]
    {
        assert_eq!(get(&app, path, "").await.status(), StatusCode::NOT_FOUND, "{path}");
    }
    // a browser gets a page for a missing path; a program, or a request for a file, gets no content
    let open = async |path: &str| {
        let request = app.client(None).request(Method::GET, path);
        request.header("accept", "text/html,*/*;q=0.8").send().await.unwrap()
    };
    for path in ["/nope", "/graphiql/x", "/campaign/x"] {
        let missing = open(path).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(missing.headers()["cache-control"], "no-store");
        assert!(missing.headers().contains_key("content-security-policy"));
        assert!(missing.text().await.unwrap().contains("<html"), "{path}");
    }
    assert_eq!(open("/assets/none.js").await.text().await.unwrap(), "");
    assert_eq!(get(&app, "/nope", "").await.text().await.unwrap(), "");
    let icon = get(&app, "/favicon.ico", "").await;
    assert_eq!(
        (icon.status(), &icon.headers()["content-type"]),
        (StatusCode::OK, &"image/svg+xml".parse().unwrap())
    );
    let posted = app.client(None).request(Method::POST, "/").json(&json!({})).send().await.unwrap();
    assert_eq!(posted.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(posted.headers()["allow"], "GET, HEAD");
    let head = app.client(None).request(Method::HEAD, "/").send().await.unwrap();
    assert_eq!(head.status(), StatusCode::OK);
    assert!(head.headers().contains_key("content-security-policy"));
}
