//! The service behind proxies, at the root of a host and below a path, with the files of `deploy/`.

use campaigns_server::{Pages, PublicUrl, Settings, SignIn};
use campaigns_tests::{
    Backend, Binary, Client, Proxy, Socket, TestApp, free_port, node_passes, serve_arguments,
};
use reqwest::{Method, StatusCode, header, redirect::Policy};
use serde_json::{Value as Json, json};
use tokio_tungstenite::tungstenite;

use crate::{
    deploy::manifest,
    event_stream::{FOLLOW, Stream, click, url},
    pages,
};

/// The default of `--max-body`.
const LARGEST: usize = 8 * 1024 * 1024;

/// A configuration of a proxy.
struct Setup {
    file: &'static str,
    replacements: &'static [(&'static str, &'static str)],
    prefix: &'static str,
}

const AT_THE_ROOT: [Setup; 2] = [
    Setup { file: "nginx.conf", replacements: &[], prefix: "" },
    Setup { file: "Caddyfile", replacements: &[], prefix: "" },
];

/// nginx's file passes the path on, as Traefik and load balancers do, and Caddy's removes it. The
/// comments of each file say how to do the opposite.
const BELOW_A_PATH: [Setup; 4] = [
    Setup { file: "nginx-prefix.conf", replacements: &[], prefix: "/mail" },
    Setup {
        file: "nginx-prefix.conf",
        replacements: &[("proxy_pass http://campaigns;", "proxy_pass http://campaigns/;")],
        prefix: "/mail",
    },
    Setup { file: "Caddyfile.prefix", replacements: &[], prefix: "/mail" },
    Setup {
        file: "Caddyfile.prefix",
        replacements: &[("handle_path /mail/*", "handle /mail/*")],
        prefix: "/mail",
    },
];

fn public_url(port: u16, prefix: &str) -> PublicUrl {
    format!("http://127.0.0.1:{port}{prefix}").parse().unwrap()
}

fn below(prefix: &str) -> Settings {
    let public_url = format!("https://mail.example{prefix}").parse().unwrap();
    Settings { public_url: Some(public_url), ..Settings::default() }
}

/// The links of a page.
fn named(page: &str) -> Vec<&str> {
    let parts: Vec<&str> = page.split('"').collect();
    let named =
        parts.windows(2).filter(|pair| pair[0].ends_with("href=") || pair[0].ends_with("src="));
    named.map(|pair| pair[1]).collect()
}

/// Checks that the pages and the files that they load are below this prefix.
async fn assert_pages(client: &Client, prefix: &str) {
    let origin = client.address.strip_suffix(prefix).unwrap();
    for path in ["/", "/graphiql", "/campaigns/0a11ce00-0000-4000-8000-000000000001", "/live"] {
        let page = client.request(Method::GET, path).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK, "{path}");
        assert_eq!(page.headers()["cache-control"], "no-store");
        let text = page.text().await.unwrap();
        let addresses = named(&text);
        assert!(addresses.len() > 2, "{text}");
        for address in addresses {
            assert!(address.starts_with(&format!("{prefix}/")), "{address}");
            let file = reqwest::get(format!("{origin}{address}")).await.unwrap();
            assert_eq!(file.status(), StatusCode::OK, "{address}");
            let kind = file.headers()["content-type"].to_str().unwrap().to_owned();
            let is_page = kind.starts_with("text/html");
            assert_eq!(is_page, !address.contains('.'), "{address} {kind}");
        }
    }
}

/// A request body of exactly this size.
fn body_of(size: usize) -> String {
    let query = json!({ "query": "{ __typename }" }).to_string();
    " ".repeat(size - query.len()) + &query
}

/// Checks everything that clients and pages need from a proxy.
async fn assert_forwards(Setup { file, replacements, prefix }: &Setup, backend: Backend) {
    let port = free_port();
    let settings = Settings { public_url: Some(public_url(port, prefix)), ..Settings::default() };
    let app = TestApp::on(backend).settings(settings).start().await;
    let _proxy = Proxy::start(file, replacements, port, &app.address).await;
    let acme = app.organization("acme").await;
    let made = acme.populated(3).await;
    let origin = format!("http://127.0.0.1:{port}");
    let member = acme.member.at(format!("{origin}{prefix}"));

    assert_pages(&member, prefix).await;
    let name = member.data("{ viewer { organization { name } } }", json!({})).await;
    assert_eq!(name, json!({ "viewer": { "organization": { "name": "acme" } } }));
    let answer = member.post_text(body_of(LARGEST)).await;
    assert_eq!(answer.body, json!({ "data": { "__typename": "Query" } }), "{file}");
    let answer = member.request(Method::POST, "/graphql").body(body_of(LARGEST + 1));
    let answer = answer.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE, "{file}");

    // a page of the service can open sockets, a page of another port cannot
    let open = async |origin: &str| {
        Socket::open(&member.address, Some("graphql-transport-ws"), Some(origin)).await
    };
    assert!(open(&origin).await.is_ok(), "{file}");
    match open(&format!("http://127.0.0.1:{}", port ^ 1)).await {
        Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 403),
        _ => panic!("{file}"),
    }
    let cursor = member.feed_cursor().await;
    let after = json!({ "after": cursor });
    let mut socket = Socket::of(&member).await;
    socket.subscribe("1", FOLLOW, after.clone()).await;
    let mut stream = Stream::open(&member, FOLLOW, after, None).await;
    // each event is recorded once the previous one has arrived
    for address in ["https://a.example/", "https://b.example/", "https://c.example/"] {
        click(&app, &acme, made.sends[0], address).await;
        assert_eq!(url(&stream.result().await.0), address, "{file}");
        let next = json!({ "data": socket.next("1").await });
        assert_eq!(url(&next), address, "{file}");
    }
}

#[tokio::test]
async fn proxies_at_the_root_forward_pages_sockets_streams_and_large_bodies() {
    for (setup, backend) in AT_THE_ROOT.iter().zip([Backend::Postgres, Backend::Sqlite]) {
        assert_forwards(setup, backend).await;
    }
}

#[tokio::test]
async fn proxies_below_a_path_pass_it_on_or_remove_it() {
    for (setup, backend) in BELOW_A_PATH.iter().zip([Backend::Sqlite, Backend::Postgres].repeat(2))
    {
        assert_forwards(setup, backend).await;
    }
}

#[tokio::test]
async fn without_a_public_url_nginx_keeps_pages_from_opening_sockets_and_the_error_names_the_flag()
{
    let app = TestApp::on(Backend::Sqlite).start().await;
    let port = free_port();
    let _proxy = Proxy::start("nginx.conf", &[], port, &app.address).await;
    let address = format!("http://127.0.0.1:{port}");
    match Socket::open(&address, Some("graphql-transport-ws"), Some(&address)).await {
        Err(tungstenite::Error::Http(response)) => {
            assert_eq!(response.status(), 403);
            let text = String::from_utf8(response.body().clone().unwrap()).unwrap();
            assert!(text.contains("--public-url"), "{text}");
        }
        _ => panic!("a socket"),
    }
}

#[tokio::test]
async fn a_path_without_its_slash_leads_to_the_dashboard_at_the_same_port() {
    let client = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    for Setup { file, prefix, .. } in [&BELOW_A_PATH[0], &BELOW_A_PATH[2]] {
        let port = free_port();
        let url = public_url(port, prefix);
        let settings = Settings { public_url: Some(url), ..Settings::default() };
        let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
        let _proxy = Proxy::start(file, &[], port, &app.address).await;
        let address = format!("http://127.0.0.1:{port}{prefix}");
        let answer = client.get(&address).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::PERMANENT_REDIRECT, "{file}");
        assert_eq!(answer.headers()[header::LOCATION], "/mail/", "{file}");
        // other paths of the host do not belong to the service
        let other = client.get(format!("http://127.0.0.1:{port}/mailing")).send().await.unwrap();
        assert!(!other.headers().contains_key("content-security-policy"), "{file}");
        // the same page without the proxy
        let page = client.get(format!("{}{prefix}", app.address)).send().await.unwrap();
        assert_eq!(page.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_service_below_a_path_answers_at_the_root_as_well() {
    for prefix in ["/mail", "/a/b.c", "/campaigns", "/live"] {
        let app = TestApp::on(Backend::Sqlite).settings(below(prefix)).start().await;
        let acme = app.organization("acme").await;
        for before in ["", prefix] {
            let client = acme.member.at(format!("{}{before}", app.address));
            client.data("{ feedCursor }", json!({})).await;
            drop(Socket::of(&client).await);
            let pages = ["/", "/graphiql", "/campaigns", "/campaigns/1", "/segments/new", "/live"];
            for path in pages {
                let page = client.request(Method::GET, path).send().await.unwrap();
                assert_eq!(page.status(), StatusCode::OK, "{before}{path}");
                let text = page.text().await.unwrap();
                assert!(text.contains(&format!("\"{prefix}/assets/")), "{before}{path} {text}");
            }
            for (path, status) in [
                ("/healthz", StatusCode::OK),
                ("/readyz", StatusCode::OK),
                ("/metrics", StatusCode::OK),
                ("/nothing", StatusCode::NOT_FOUND),
                ("/index.html", StatusCode::NOT_FOUND),
                ("/assets/../index.html", StatusCode::NOT_FOUND),
                ("/graphiql/x", StatusCode::NOT_FOUND),
            ] {
                // below these prefixes, the path is also that of a view
                let is_a_view = ["/campaigns", "/live"].contains(&before);
                let status = if is_a_view { StatusCode::OK } else { status };
                let answer = client.request(Method::GET, path).send().await.unwrap();
                assert_eq!(answer.status(), status, "{before}{path}");
            }
        }
        let beside = reqwest::get(format!("{}{prefix}ing/graphql", app.address)).await.unwrap();
        // /campaignsing is not below /campaigns, and not a page
        assert_eq!(beside.status(), StatusCode::NOT_FOUND, "{prefix}");
    }
}

#[tokio::test]
async fn an_invalid_public_url_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    // a possible secret is hidden, and so is the reason
    for (url, why) in [
        ("mail.example", "it must begin with https://"),
        ("https://mail.example/desk?x", "desk?***"),
        ("https://mail.example/desk#x", "desk"),
        ("https://mail.example/a/../desk", "its path has only letters"),
        ("https://mail.example/%2e%2e", "its path has only letters"),
        ("https://mail.example//desk", "its path has only letters"),
        ("https://mail.example/graphql/", "an address of the service itself"),
        ("https://mail.example?x", "mail.example?***"),
        ("https://a@mail.example/desk", "***@mail.example"),
    ] {
        let refused = Binary::run(directory.path(), &["serve", "--public-url", url]).await;
        assert_eq!(refused.code, 2, "{url} {}", refused.err);
        assert!(
            refused.err.contains("--public-url") && refused.err.contains(why),
            "{}",
            refused.err
        );
    }
}

#[tokio::test]
async fn a_service_that_waits_for_its_database_says_so_below_its_path_as_well() {
    let url = format!("postgres://postgres@127.0.0.1:{}/none", free_port());
    let arguments = [&serve_arguments(&url)[..], &["--public-url", "https://a.example/mail/"]];
    let directory = tempfile::tempdir().unwrap();
    let mut service = Binary::start(directory.path(), &arguments.concat()).await;
    let address = service.address().await;
    for (path, status) in [("healthz", 200), ("readyz", 503), ("graphql", 503), ("", 503)] {
        for before in ["", "/mail"] {
            let answer = reqwest::get(format!("{address}{before}/{path}")).await.unwrap();
            assert_eq!(answer.status(), status, "{before}/{path}");
        }
    }
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn a_person_uses_the_pages_below_a_path_behind_nginx() {
    let port = free_port();
    let url = public_url(port, "/mail").to_string();
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["--listen", "127.0.0.1:0", "--public-url", &format!("{url}/")];
    let mut service = Binary::start(directory.path(), &arguments).await;
    let address = service.address().await;
    let _proxy = Proxy::start("nginx-prefix.conf", &[], port, &address).await;
    let after = |label: &'static str| {
        move |line: &str| line.trim().strip_prefix(label).map(|rest| rest.trim().to_owned())
    };
    let dashboard = service.line(after("Dashboard")).await;
    let graphiql = service.line(after("GraphiQL")).await;
    assert!(dashboard.starts_with(&format!("{url}/#token=")), "{dashboard}");
    assert!(graphiql.starts_with(&format!("{url}/graphiql#token=")), "{graphiql}");
    if Pages::default() == Pages::Built {
        let environment =
            [("DASHBOARD", dashboard.as_str()), ("GRAPHIQL", &graphiql), ("SERVICE", &address)];
        node_passes("prefix.mjs", &environment).await;
    }
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn the_plain_page_does_the_same_below_a_path_that_caddy_removes() {
    let port = free_port();
    let sign_in = SignIn { takes_token_links: true, ..SignIn::default() };
    let public_url = public_url(port, "/mail");
    let address = public_url.to_string();
    let settings = Settings {
        pages: Pages::Plain,
        sign_in,
        public_url: Some(public_url),
        ..Settings::default()
    };
    let app = TestApp::on(Backend::Sqlite).settings(settings).start().await;
    let _proxy = Proxy::start("Caddyfile.prefix", &[], port, &app.address).await;
    let acme = app.organization("acme").await;
    pages::fill(&app, &acme).await;
    let token = acme.admin.token.unwrap();
    let environment = [("ADDRESS", address.as_str()), ("TOKEN", &token)];
    node_passes("plain.mjs", &environment).await;
}

#[tokio::test]
async fn a_person_signs_in_at_an_issuer_and_comes_back_below_the_path() {
    if Pages::default() == Pages::Plain {
        return;
    }
    let port = free_port();
    let url = public_url(port, "/mail").to_string();
    let flags = ["--public-url", &url, "--jwt-audience", "campaigns-pages"];
    let issuer = pages::issuer().await;
    let (_directory, mut service) = pages::start_with_an_issuer(&issuer, &flags).await;
    let address = service.address().await;
    let _proxy = Proxy::start("Caddyfile.prefix", &[], port, &address).await;
    pages::sign_in(&url, &issuer).await;
    assert_eq!(service.terminate().await, 0);
}

/// Whether `docs/proxies.md` shows this file in a code block.
fn shows(file: &str) -> bool {
    let read = |path: &str| {
        let path = format!("{}/../{path}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).unwrap()
    };
    read("docs/proxies.md").contains(&format!("\n{}```\n", read(&format!("deploy/{file}"))))
}

#[test]
fn the_documentation_shows_the_tested_files() {
    let files = AT_THE_ROOT.iter().chain(&BELOW_A_PATH).map(|setup| setup.file);
    for file in files.chain(["traefik.yaml", "alb.yaml"]) {
        assert!(shows(file), "docs/proxies.md has another text than deploy/{file}");
    }
}

/// Traefik and the load balancer pass the path on, as nginx does in the tests above.
#[test]
fn traefik_and_the_load_balancer_name_what_exists() {
    let read = |file: &str| -> Json {
        let path = format!("{}/../deploy/{file}", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        serde_saphyr::from_str(text.rsplit("---\n").next().unwrap()).unwrap()
    };
    let traefik = read("traefik.yaml");
    let http = &traefik["http"];
    let [root, path] = ["campaigns", "campaigns-below-a-path"].map(|name| &http["routers"][name]);
    for router in [root, path] {
        assert!(http["services"][router["service"].as_str().unwrap()].is_object());
    }
    let balancer = &http["services"]["campaigns"]["loadBalancer"];
    assert_eq!(balancer["servers"][0]["url"], "http://127.0.0.1:8080");
    assert_eq!(balancer["healthCheck"]["path"], "/readyz");
    let ingress = read("alb.yaml");
    let rule = &ingress["spec"]["rules"][0];
    let path = &rule["http"]["paths"][0];
    let service = manifest("Service");
    assert_eq!(path["backend"]["service"]["name"], service["metadata"]["name"]);
    assert_eq!(path["backend"]["service"]["port"]["name"], service["spec"]["ports"][0]["name"]);
    let annotation = |name: &str| {
        ingress["metadata"]["annotations"][format!("alb.ingress.kubernetes.io/{name}")].clone()
    };
    assert_eq!(annotation("healthcheck-path"), "/readyz");
    let url =
        format!("https://{}{}", rule["host"].as_str().unwrap(), path["path"].as_str().unwrap());
    assert_eq!(url.parse::<PublicUrl>().unwrap().to_string(), url);
}
