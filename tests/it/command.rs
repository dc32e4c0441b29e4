//! The program `campaigns`, as a user starts it.

use std::path::Path;

use campaigns_tests::{
    Answer, Backend, Binary, Finished, Postgres, TestDatabase, node, serve_arguments, until,
};
use reqwest::Method;
use serde_json::{Value as Json, json};

use crate::documents;

const SECRET: &str = "a secret of thirty-two bytes or more";

async fn ask(address: &str, token: &str, query: &str) -> Json {
    let request = reqwest::Client::new()
        .request(Method::POST, format!("{address}/graphql"))
        .bearer_auth(token)
        .json(&json!({ "query": query }));
    Answer::of(request).await.body
}

fn mode(file: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn without_any_configuration_it_serves_demo_data_and_prints_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let mut service = Binary::start(directory.path(), &["--listen", "127.0.0.1:0"]).await;
    let address = service.address().await;
    let token = |role: &'static str| {
        move |line: &str| line.trim().strip_prefix(role).map(|token| token.trim().to_owned())
    };
    let admin = service.line(token("admin ")).await;
    let member = service.line(token("member ")).await;
    let link =
        service.line(|line| line.strip_prefix("GraphiQL").map(|link| link.trim().to_owned())).await;
    assert_eq!(link, format!("{address}/graphiql#token={admin}"));

    let who = "{ viewer { role user { fullName } organization { name } } }";
    for (token, role) in [(&admin, "ADMIN"), (&member, "MEMBER")] {
        let body = ask(&address, token, who).await;
        assert_eq!(body["data"]["viewer"]["role"], role);
        assert!(body["data"]["viewer"]["user"]["fullName"].is_string());
    }
    let query = "{ campaigns { totalCount nodes { status stats { openRate } } } }";
    let first = ask(&address, &member, query).await;
    assert_eq!(first["data"]["campaigns"]["totalCount"], 13);
    for status in ["DRAFT", "SCHEDULED", "SENDING", "SENT", "PAUSED", "CANCELED"] {
        let nodes = first["data"]["campaigns"]["nodes"].as_array().unwrap();
        assert!(nodes.iter().any(|node| node["status"] == status), "{status}");
    }
    // anyone who can read the file can read all data
    for name in [
        "campaigns.db",
        "campaigns.db-wal",
        "campaigns.db-shm",
        "campaigns.db.secret",
        "campaigns.db.encryption-key",
    ] {
        assert_eq!(mode(&directory.path().join(name)), 0o600, "{name}");
    }
    let key_file = directory.path().join("campaigns.db.encryption-key");
    let key = std::fs::read(&key_file).unwrap();
    let page = reqwest::get(format!("{address}/graphiql")).await.unwrap();
    assert!(page.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
    assert_eq!(service.terminate().await, 0);

    // a restart keeps the data and the tokens
    let mut service = Binary::start(directory.path(), &["serve", "--listen", "127.0.0.1:0"]).await;
    let address = service.address().await;
    assert_eq!(ask(&address, &admin, query).await, first);
    assert_eq!(std::fs::read(&key_file).unwrap(), key);
    let made = Binary::run(
        directory.path(),
        &["token", "--org", "0a11ce00-0000-4000-8000-000000000001", "--ttl", "1m"],
    )
    .await;
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(
        ask(&address, made.out.trim(), "{ viewer { subject } }").await["data"]["viewer"]["subject"],
        "campaigns-token"
    );
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn migrate_makes_a_file_for_its_owner_and_leaves_others_as_they_are() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("there.db"), "").unwrap();
    std::fs::set_permissions(here.join("there.db"), PermissionsExt::from_mode(0o664)).unwrap();
    for (url, name, expected) in [
        ("sqlite://new.db", "new.db", 0o600),
        ("sqlite:other.db?mode=rwc", "other.db", 0o600),
        ("sqlite://with%20space.db", "with space.db", 0o600),
        ("sqlite://there.db", "there.db", 0o664),
    ] {
        let run = Binary::run(here, &["migrate", "--database-url", url]).await;
        assert_eq!(run.code, 0, "{url} {}", run.err);
        assert_eq!(mode(&here.join(name)), expected, "{url}");
    }
    // `serve` creates no file, even if the URL asks for it
    let run = Binary::run(here, &serve_arguments("sqlite://none.db?mode=rwc")).await;
    assert_eq!(run.code, 1);
    assert!(run.err.contains("there is no file none.db"), "{}", run.err);
    let run = Binary::run(here, &["migrate", "--database-url", "sqlite::memory:"]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    let mut names: Vec<_> = std::fs::read_dir(here)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["new.db", "other.db", "there.db", "with space.db"]);
}

#[tokio::test]
async fn an_address_in_use_is_refused_before_anything_is_created() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["serve", "--listen", &address][..],
        &["serve", "--listen", "127.0.0.1:0", "--metrics-listen", &address],
    ] {
        let Finished { code, err, .. } = Binary::run(directory.path(), arguments).await;
        assert_eq!(code, 1, "{err}");
        assert!(err.contains(&address), "{err}");
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test]
async fn development_mode_listens_on_local_addresses_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        for flags in
            [&["--listen", address][..], &["--listen", "127.0.0.1:0", "--metrics-listen", address]]
        {
            let run = Binary::run(here, flags).await;
            assert_eq!(run.code, 2, "{flags:?} {}", run.err);
            assert!(run.err.contains("--expose-development-mode"), "{}", run.err);
            assert!(run.err.contains("--database-url"), "{}", run.err);
        }
    }
    assert_eq!(std::fs::read_dir(here).unwrap().count(), 0, "nothing is made");
    for flags in [
        &["--listen", "127.0.0.1:0"][..],
        &["--listen", "localhost:0"],
        &["--listen", "[::1]:0", "--metrics-listen", "127.0.0.1:0"],
        &["--listen", "0.0.0.0:0", "--expose-development-mode"],
    ] {
        // a machine without IPv6
        if flags.contains(&"[::1]:0") && std::net::TcpListener::bind("[::1]:0").is_err() {
            continue;
        }
        let mut service = Binary::start(here, flags).await;
        let address = service.address().await;
        let health = format!("{}/healthz", address.replace("0.0.0.0", "127.0.0.1"));
        assert_eq!(reqwest::get(health).await.unwrap().status(), 200, "{flags:?}");
        let log = service.ended_log().await;
        let is_exposed = flags.contains(&"--expose-development-mode");
        assert_eq!(log.contains("other machines can reach"), is_exposed, "{flags:?} {log}");
    }
    // production listens on any address
    let database = TestDatabase::new(Backend::Sqlite).await;
    let mut production = serve_arguments(&database.url);
    production[2] = "0.0.0.0:0";
    let mut service = Binary::start(here, &production).await;
    service.address().await;
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn running_out_of_descriptors_is_logged_once_and_accepting_resumes() {
    const SAID: &str = "connections are not accepted";
    let directory = tempfile::tempdir().unwrap();
    let database = TestDatabase::new(Backend::Sqlite).await;
    let arguments = serve_arguments(&database.url);
    let mut service = Binary::start_with_descriptors(directory.path(), &arguments, 64).await;
    let address = service.address().await;
    let host = address.trim_start_matches("http://").to_owned();
    let mut peers = Vec::new();
    for _ in 0..100 {
        peers.push(tokio::net::TcpStream::connect(&host).await.unwrap());
    }
    let patience = std::time::Duration::from_secs(30);
    let is_said = async || service.log().contains(SAID);
    until("it says that there are no descriptors", patience, is_said).await;
    // it retries without keeping a core busy
    let (before, window) = (service.processor_time(), std::time::Duration::from_secs(2));
    tokio::time::sleep(window).await;
    let used = service.processor_time().saturating_sub(before);
    assert!(used < window / 4, "{used:?} of {window:?}");
    drop(peers);
    until("it accepts connections again", patience, async || {
        let asked = reqwest::get(format!("{address}/healthz"));
        let asked = tokio::time::timeout(std::time::Duration::from_secs(2), asked).await;
        asked.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status() == 200))
    })
    .await;
    let log = service.ended_log().await;
    assert_eq!(log.matches(SAID).count(), 1, "{log}");
}

#[tokio::test]
async fn a_database_is_reached_by_its_local_socket_with_a_user_and_no_host() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let database = TestDatabase::new(Backend::Postgres).await;
    let name = database.url.rsplit('/').next().unwrap();
    let url = Postgres::get().await.address_by_socket(name);
    assert!(url.starts_with("postgres://postgres@/"), "{url}");
    for command in [&["migrate", "status"][..], &["migrate"], &["doctor"], &["demo"]] {
        let run = Binary::run(here, &[command, &["--database-url", &url]].concat()).await;
        assert_eq!(run.code, 0, "{command:?} {}", run.err);
    }
    let mut service = Binary::start(here, &serve_arguments(&url)).await;
    let address = service.address().await;
    assert_eq!(reqwest::get(format!("{address}/readyz")).await.unwrap().status(), 200);
    assert_eq!(service.terminate().await, 0);
}

#[tokio::test]
async fn one_kind_of_key_is_given_and_a_key_server_has_an_address() {
    let directory = tempfile::tempdir().unwrap();
    let url = "http://127.0.0.1:9/jwks.json";
    for wrong in [
        &["--jwks-url", url, "--jwt-secret", SECRET][..],
        &["--jwks-url", url, "--jwt-public-key", "key.pem"],
        &["--jwt-secret", SECRET, "--jwt-public-key", "key.pem"],
        &["--jwks-url", "file:///jwks.json"],
        &["--jwks-url", "jwks.json"],
    ] {
        let run = Binary::run(directory.path(), &[&["serve"], wrong].concat()).await;
        assert_eq!(run.code, 2, "{wrong:?} {}", run.err);
    }
}

async fn in_production(backend: Backend) {
    let directory = tempfile::tempdir().unwrap();
    let database = TestDatabase::empty(backend).await;
    let here = directory.path();
    let url = database.url.as_str();
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", url, "--jwt-secret", SECRET];

    let refused = Binary::run(here, &serve[..5]).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("--jwt-secret"), "{}", refused.err);
    let refused = Binary::run(here, &serve).await;
    assert_eq!(refused.code, 1);
    assert!(refused.err.contains("campaigns migrate"), "{}", refused.err);
    let migrate = async |more: &[&str]| {
        let mut arguments = vec!["migrate"];
        arguments.extend(more);
        arguments.extend(["--database-url", url]);
        let run = Binary::run(here, &arguments).await;
        assert_eq!(run.code, 0, "{}", run.err);
        run.out
    };
    assert!(migrate(&[]).await.contains("applied  m0001_neighbours"));
    assert!(migrate(&[]).await.contains("up to date"));
    let names = campaigns_migration::names();
    let [.., before, last] = names.as_slice() else { panic!("there are several") };
    assert!(migrate(&["down"]).await.contains(last));
    let status = migrate(&["status"]).await;
    let (applied, pending) = (format!("applied  {before}"), format!("pending  {last}"));
    assert!(status.contains(&applied) && status.contains(&pending), "{status}");
    let refused = Binary::run(here, &serve).await;
    assert_eq!(refused.code, 1, "a database that is not up to date");
    migrate(&["up"]).await;

    let demo = Binary::run(here, &["demo", "--database-url", url]).await;
    assert_eq!(demo.code, 0, "{}", demo.err);
    let again = Binary::run(here, &["demo", "--database-url", url]).await;
    assert_eq!(again.code, 1);
    assert!(again.err.contains("already has campaigns"), "{}", again.err);

    let mut service = Binary::start(here, &serve).await;
    let address = service.address().await;
    let org = demo.out.split_whitespace().next().unwrap();
    let token =
        Binary::run(here, &["token", "--org", org, "--role", "owner", "--jwt-secret", SECRET])
            .await;
    let body =
        ask(&address, token.out.trim(), "{ viewer { isAdmin } stats { sends openRate } }").await;
    assert_eq!(body["data"]["viewer"]["isAdmin"], true);
    assert!(body["data"]["stats"]["sends"].as_i64().unwrap() > 5_000, "{body}");
    assert_eq!(service.terminate().await, 0);
    assert!(
        !here.join("campaigns.db").exists() && !here.join("campaigns.db.secret").exists(),
        "nothing is made up"
    );
}

#[tokio::test]
async fn in_production_it_serves_a_migrated_database_on_sqlite() {
    in_production(Backend::Sqlite).await;
}

#[tokio::test]
async fn in_production_it_serves_a_migrated_database_on_postgres() {
    in_production(Backend::Postgres).await;
}

#[tokio::test]
async fn a_missing_database_is_named_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for command in [
        "migrate --plan",
        "migrate status",
        "migrate down",
        "migrate",
        "demo",
        "doctor",
        "stats check",
        "stats rebuild",
        "worker",
        "serve --jwt-secret 0123456789abcdef0123456789abcdef",
    ] {
        let error = async |url| {
            let mut arguments: Vec<&str> = command.split(' ').collect();
            arguments.extend(["--database-url", url]);
            let run = Binary::run(here, &arguments).await;
            assert_eq!(run.code, 1, "{command}: {}", run.err);
            assert!(run.out.is_empty(), "{command}: {}", run.out);
            run.err
        };
        if command != "migrate" {
            assert_eq!(
                error("sqlite://none.db").await,
                "campaigns: the database is not migrated; run `campaigns migrate` first: there is \
                 no file none.db\n",
                "{command}"
            );
        }
        // which serve waits for
        if !command.starts_with("serve") {
            assert_eq!(
                error("postgres://127.0.0.1:1/none").await,
                "campaigns: the database cannot be reached: Connection refused (os error 111)\n",
                "{command}"
            );
        }
    }
    assert!(std::fs::read_dir(here).unwrap().next().is_none(), "a file was made");
}

#[tokio::test]
async fn wrong_usage_is_reported_and_exits_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let key = here.join("key.pem");
    std::fs::write(&key, "no key").unwrap();
    let key = key.to_str().unwrap();
    let private = here.join("private.pem");
    std::fs::write(&private, rcgen::KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let private = private.to_str().unwrap();
    for (arguments, reported) in [
        (&["--nonsense"][..], "--nonsense"),
        (
            &["serve", "--database-url", "sqlite://x.db", "--jwt-public-key", private],
            "a private key",
        ),
        (&["serve", "--jwt-audience", ""], "--jwt-audience"),
        (&["serve", "--jwt-issuer", ""], "--jwt-issuer"),
        (&["dance"], "dance"),
        (&["serve", "--listen", "here"], "--listen"),
        (&["serve", "--database-url", "mysql://x"], "postgres://"),
        (&["serve", "--database-url", "sqlite://x.db", "--jwt-secret", "short"], "32"),
        (
            &[
                "serve",
                "--database-url",
                "sqlite://x.db",
                "--jwt-secret",
                SECRET,
                "--jwt-public-key",
                key,
            ],
            "give only one",
        ),
        (
            &["serve", "--database-url", "sqlite://x.db", "--jwt-public-key", key],
            "not a PEM public key",
        ),
        (&["serve", "--query-timeout", "soon"], "--query-timeout"),
        (&["serve", "--max-connections", "0"], "--max-connections"),
        (&["serve", "--cors-origin", "https://a.example/path"], "origin"),
        (&["migrate"], "--database-url"),
        (&["demo"], "--database-url"),
        (&["token", "--org", "acme"], "--org"),
        (
            &[
                "token",
                "--org",
                "0a11ce00-0000-4000-8000-000000000001",
                "--jwt-secret",
                SECRET,
                "--jwt-org-claim",
                "sub.org",
            ],
            "sub.org",
        ),
        (&["token", "--org", "0a11ce00-0000-4000-8000-000000000001"], "development secret"),
        (&["token", "--org", "0a11ce00-0000-4000-8000-000000000001", "--subject", ""], "--subject"),
        (&["token", "--org", "0a11ce00-0000-4000-8000-000000000001", "--ttl", "500ms"], "--ttl"),
        (&["migrate", "--database-url", "sqlite://x.db", "--schema", "crm"], "--schema"),
        (&["stats", "check", "--database-url", "sqlite://x.db", "--schema", "crm"], "--schema"),
        (&["serve", "--schema", "crm"], "--schema"),
    ] {
        let run = Binary::run(here, arguments).await;
        assert_eq!(run.code, 2, "{arguments:?}: {}", run.err);
        assert!(run.err.contains(reported), "{arguments:?}: {}", run.err);
        assert!(run.out.is_empty(), "{arguments:?}: {}", run.out);
    }
    let empty = Binary::command(here, &["serve"]).await.env("DATABASE_URL", "").output();
    let empty = empty.await.unwrap();
    assert_eq!(empty.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&empty.stderr).contains("DATABASE_URL is empty"));
    assert!(!here.join("campaigns.db").exists());
}

#[tokio::test]
async fn help_describes_every_flag_and_shows_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Binary::command(directory.path(), &["serve", "--help"]).await;
    let help = command.env("CAMPAIGNS_JWT_SECRET", SECRET).output().await.unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(!help.contains(SECRET));
    let tables = documents::printed("flags").await;
    let flags = documents::flags_of(&tables, |heading| !heading.starts_with("`campaigns "));
    assert!(flags.len() > 50, "{flags:?}");
    for flag in flags {
        let variable = format!("CAMPAIGNS_{}", flag.replace('-', "_").to_uppercase());
        assert!(help.contains(&format!("--{flag}")), "{flag}\n{help}");
        assert!(help.contains(&format!("[env: {variable}")), "{flag}\n{help}");
    }
}

#[tokio::test]
async fn every_bound_is_documented_with_tests_that_exist() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let source = |path: String| std::fs::read_to_string(format!("{folder}/{path}"));
    let security = source("SECURITY.md".to_owned()).unwrap();
    let tables = documents::printed("flags").await;
    let flags = documents::flags_of(&tables, |heading| heading == "Bounds");
    assert!(flags.len() > 25, "{flags:?}");
    let items: Vec<&str> = security.split("\n- **").skip(1).collect();
    for flag in flags {
        let flag = format!("`--{flag}`");
        assert!(items.iter().any(|item| item.contains(&flag)), "{flag}");
    }
    let mut tests = 0;
    for line in security.lines().filter_map(|line| line.strip_prefix("  - `")) {
        // `file::test`, or `test` in a file
        let (name, rest) = line.split_once('`').unwrap();
        let (files, test) = if let Some((file, test)) = name.rsplit_once("::") {
            let file = file.replace("::", "/");
            let folders = ["tests/it/bounds", "tests/it", "crates/providers/tests/it"];
            (folders.map(|folder| format!("{folder}/{file}.rs")).to_vec(), test)
        } else {
            let file = rest.strip_prefix(" in `").and_then(|rest| rest.strip_suffix('`'));
            (vec![file.unwrap_or_else(|| panic!("{line}")).to_owned()], name)
        };
        let test = format!("fn {test}(");
        let mut sources = files.into_iter().map(source);
        assert!(sources.any(|source| source.is_ok_and(|source| source.contains(&test))), "{name}");
        tests += 1;
    }
    assert!(tests > 150, "{tests}");
}

#[tokio::test]
async fn a_flag_wins_over_a_variable_and_the_variable_over_database_url() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let run = async |flag: &[&str], variable: Option<&str>| {
        let mut arguments = vec!["migrate"];
        arguments.extend(flag);
        let mut command = Binary::command(here, &arguments).await;
        command.env("DATABASE_URL", "sqlite://third.db");
        if let Some(variable) = variable {
            command.env("CAMPAIGNS_DATABASE_URL", variable);
        }
        assert!(command.output().await.unwrap().status.success());
    };
    run(&["--database-url", "sqlite://first.db"], Some("sqlite://second.db")).await;
    assert!(here.join("first.db").exists() && !here.join("second.db").exists());
    run(&[], Some("sqlite://second.db")).await;
    assert!(here.join("second.db").exists() && !here.join("third.db").exists());
    run(&[], None).await;
    assert!(here.join("third.db").exists());
}

#[tokio::test]
async fn the_committed_schema_is_the_printed_one() {
    let directory = tempfile::tempdir().unwrap();
    let printed = Binary::run(directory.path(), &["schema"]).await;
    let committed =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../schema.graphql")).unwrap();
    assert!(printed.out == committed, "run `just schema`");
}

#[tokio::test]
async fn a_breaking_change_of_the_schema_is_detected() {
    let directory = tempfile::tempdir().unwrap();
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/../schema.graphql");
    let text = std::fs::read_to_string(committed).unwrap();
    let changed = directory.path().join("changed.graphql");
    let changed = changed.to_str().unwrap();
    for (from, to, breaks) in [
        ("\tfullName: String\n", "\tfullName: String!\n", false),
        ("\tfullName: String\n", "\twholeName: String\n", true),
        ("\tcreateCampaign(", "\tcreateCampaign(to: ID!, ", true),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(changed, text.replace(from, to)).unwrap();
        let found = node("inspect.mjs", &[("BEFORE", committed), ("AFTER", changed)]).await;
        assert_eq!(found.err, "", "{to}");
        assert_eq!(found.code == 1, breaks, "{to} {}", found.out);
        assert_eq!(found.out.is_empty(), !breaks, "{to} {}", found.out);
    }
}

#[tokio::test]
async fn requests_in_progress_are_finished_on_shutdown() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let directory = tempfile::tempdir().unwrap();
    let mut service = Binary::start(directory.path(), &["--listen", "127.0.0.1:0"]).await;
    let address = service.address().await;
    let token = service
        .line(|line| line.trim().strip_prefix("admin ").map(|token| token.trim().to_owned()))
        .await;
    let host = address.strip_prefix("http://").unwrap();
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let body = json!({ "query": "{ viewer { subject } }" }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    // the service has received the header and waits for the body when it is terminated
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut asked = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    stream.read_exact(&mut asked).await.unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(&body.as_bytes()[..10]).await.unwrap();
    let ending = tokio::spawn(service.terminate());
    let is_ending = async || tokio::net::TcpStream::connect(host).await.is_err();
    until("no connection is accepted", std::time::Duration::from_mins(2), is_ending).await;
    stream.write_all(&body.as_bytes()[10..]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(ending.await.unwrap(), 0);
}
