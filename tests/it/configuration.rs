//! Settings: files, `config`, `serve --check`, completions and manual pages.

use std::{path::Path, process::Stdio, time::Duration};

use campaigns_tests::{Backend, Binary, Finished, TestDatabase};
use tokio::io::{AsyncBufReadExt, BufReader};

const SECRET: &str = "a secret of thirty-two bytes or more";

async fn with(here: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
    let mut command = Binary::command(here, arguments).await;
    command.envs(environment.iter().copied()).output().await.unwrap().into()
}

#[tokio::test]
async fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(
        here.join("campaigns.toml"),
        "listen = '127.0.0.1:1'\nmax-depth = 11\nmax-aliases = 12\nmemberships = true\n\
         cors-origin = ['https://a.example', 'https://b.example']\nquery-timeout = \"3s\"\nworker \
         = true\n",
    )
    .unwrap();
    let shown = with(
        here,
        &["config", "--max-depth", "31", "--config", "campaigns.toml"],
        &[("CAMPAIGNS_MAX_DEPTH", "21"), ("CAMPAIGNS_MAX_ALIASES", "22")],
    )
    .await;
    assert_eq!(shown.code, 0, "{}", shown.err);
    let lines: Vec<&str> = shown.out.lines().collect();
    for line in [
        "listen = \"127.0.0.1:1\"  # file",
        "max-depth = 31  # flag",
        "max-aliases = 22  # environment",
        "memberships = true  # file",
        "worker = true  # file",
        "query-timeout = \"3s\"  # file",
        "cors-origin = [\"https://a.example\", \"https://b.example\"]  # file",
        "max-body = \"8MiB\"  # default",
        "no-introspection = false  # default",
        "# jwt-issuer: not set",
    ] {
        assert!(lines.contains(&line), "{line}\n{}", shown.out);
    }
    // the output can be used as a file, with the same meaning
    std::fs::write(here.join("printed.toml"), &shown.out).unwrap();
    let again = with(here, &["config"], &[("CAMPAIGNS_CONFIG", "printed.toml")]).await;
    let without_sources = |out: &str| {
        let lines = out.lines().map(|line| line.split("  #").next().unwrap().to_owned());
        lines.collect::<Vec<_>>()
    };
    assert_eq!(without_sources(&again.out), without_sources(&shown.out));
}

#[tokio::test]
async fn a_file_names_the_database_unless_the_environment_does() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    std::fs::write(here.join("campaigns.toml"), "database-url = 'sqlite://file.db'\n").unwrap();
    let migrate = ["migrate", "--config", "campaigns.toml"];
    let run = with(here, &migrate, &[("DATABASE_URL", "sqlite://environment.db")]).await;
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(here.join("environment.db").exists() && !here.join("file.db").exists());
    assert_eq!(with(here, &migrate, &[]).await.code, 0);
    assert!(here.join("file.db").exists());
}

#[tokio::test]
async fn secrets_are_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let file = format!("jwt-secret = '{SECRET}'\n");
    std::fs::write(here.join("campaigns.toml"), &file).unwrap();
    let url = "postgres://alice:hunter2@db.example:5433/campaigns?password=hunter3";
    let shown =
        with(here, &["config", "--config", "campaigns.toml"], &[("DATABASE_URL", url)]).await;
    assert!(shown.out.contains("# jwt-secret: hidden (file)\n"), "{}", shown.out);
    let line = "database-url = \"postgres://db.example:5433/campaigns\"  # environment\n";
    assert!(shown.out.contains(line), "{}", shown.out);
    for secret in [SECRET, "hunter2", "hunter3", "alice"] {
        assert!(!shown.out.contains(secret), "{}", shown.out);
    }
    // nor in the error for a file that cannot be parsed
    std::fs::write(here.join("campaigns.toml"), format!("listen = 'x'\njwt-secret = '{SECRET}\n"))
        .unwrap();
    let refused = with(here, &["config", "--config", "campaigns.toml"], &[]).await;
    assert_eq!(refused.code, 2);
    assert!(
        refused.err.contains("campaigns.toml: line 2") && !refused.err.contains("thirty"),
        "{}",
        refused.err
    );
}

#[tokio::test]
async fn an_invalid_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for (text, reported) in [
        ("max-dept = 3", "max-dept"),
        ("check = true", "check"),
        ("max-depth = 1.5", "max-depth"),
        ("max-depth = 'deep'", "--max-depth"),
        ("[serve]\nmax-depth = 1", "serve"),
        ("query-timeout = 'soon'", "--query-timeout"),
    ] {
        std::fs::write(here.join("campaigns.toml"), text).unwrap();
        for command in ["config", "serve"] {
            let run = with(here, &[command, "--config", "campaigns.toml"], &[]).await;
            assert_eq!(run.code, 2, "{text}: {}", run.err);
            assert!(run.err.contains(reported), "{text}: {}", run.err);
        }
    }
    let missing = with(here, &["serve"], &[("CAMPAIGNS_CONFIG", "missing.toml")]).await;
    assert_eq!(missing.code, 2);
    assert!(missing.err.contains("missing.toml"), "{}", missing.err);
    assert!(!here.join("campaigns.db").exists());
}

async fn check(here: &Path, more: &[&str]) -> Finished {
    let check = ["serve", "--check", "--listen", "127.0.0.1:0"];
    with(here, &[&check[..], more].concat(), &[]).await
}

async fn says_whether_it_would_start(backend: Backend) {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let database = TestDatabase::empty(backend).await;
    let url = ["--database-url", database.url.as_str()];
    let keys = ["--jwt-secret", SECRET];
    if backend == Backend::Postgres {
        let early = check(here, &[url, keys].concat()).await;
        assert_eq!(early.code, 1);
        assert!(early.out.contains("failed  migrations"), "{}", early.out);
    }
    let migrated = with(here, &["migrate", "--database-url", url[1]], &[]).await;
    assert_eq!(migrated.code, 0, "{}", migrated.err);
    let without_keys = check(here, &url).await;
    assert_eq!(without_keys.code, 1);
    // every problem is named at once
    assert!(without_keys.out.contains("failed  keys"), "{}", without_keys.out);
    assert!(without_keys.out.contains("ok      migrations"), "{}", without_keys.out);
    let weak = check(here, &[&url[..], &["--jwt-secret", "short"]].concat()).await;
    assert_eq!(weak.code, 1, "{}", weak.err);
    let fine = check(here, &[url, keys].concat()).await;
    assert_eq!(fine.code, 0, "{}{}", fine.out, fine.err);
    assert!(fine.out.ends_with("the service would start\n"), "{}", fine.out);
    let elsewhere = match backend {
        Backend::Sqlite => "sqlite://missing.db",
        Backend::Postgres => "postgres://alice@127.0.0.1:1/nothing",
    };
    let away = check(here, &[&["--database-url", elsewhere][..], &keys].concat()).await;
    assert_eq!(away.code, 1);
    assert!(away.out.contains("failed  database"), "{}", away.out);
    assert_eq!(std::fs::read_dir(here).unwrap().count(), 0, "nothing is made");
}

#[tokio::test]
async fn serve_check_says_whether_it_would_start_on_sqlite() {
    says_whether_it_would_start(Backend::Sqlite).await;
}

#[tokio::test]
async fn serve_check_says_whether_it_would_start_on_postgres() {
    says_whether_it_would_start(Backend::Postgres).await;
}

#[tokio::test]
async fn serve_check_creates_nothing_in_development_mode() {
    let directory = tempfile::tempdir().unwrap();
    let found = check(directory.path(), &[]).await;
    assert_eq!(found.code, 0, "{}{}", found.out, found.err);
    assert!(found.out.contains("development mode"), "{}", found.out);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

/// Arguments, variables, and a word of the error, if there is one.
type Case<'a> = (Vec<&'a str>, &'a [(&'a str, &'a str)], Option<&'a str>);

/// A file with its content, arguments, and a word of the error, if there is one.
type DevelopmentCase<'a> = (&'a str, &'a [u8], &'a [&'a str], Option<&'a str>);

/// Starts `serve` with these arguments. Returns the error if it does not start.
async fn starts(
    here: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<(), String> {
    let mut command = Binary::command(here, arguments).await;
    command.envs(environment.iter().copied());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(Duration::from_mins(1), lines.next_line());
    if let Some(line) = first.await.expect("it starts or ends").unwrap() {
        assert!(line.starts_with("listening on "), "{line}");
        child.kill().await.unwrap();
        return Ok(());
    }
    let run: Finished = child.wait_with_output().await.unwrap().into();
    assert_ne!(run.code, 0, "{}", run.err);
    Err(run.err)
}

#[tokio::test]
async fn serve_check_fails_where_serve_fails() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let write = |name: &str, text: &str| std::fs::write(here.join(name), text).unwrap();
    write("good.json", "{}");
    write("bad.json", "no documents");
    write("bad.pem", "no key");
    let database = TestDatabase::new(Backend::Sqlite).await;
    let production = ["--database-url", &database.url];
    let keys = ["--jwt-secret", SECRET];
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let none = &[][..];
    let cases: Vec<Case> = vec![
        (keys.to_vec(), none, None),
        ([&keys[..], &["--persisted-documents", "good.json"]].concat(), none, None),
        ([&keys[..], &["--persisted-documents", "bad.json"]].concat(), none, Some("documents")),
        ([&keys[..], &["--persisted-documents", "none.json"]].concat(), none, Some("documents")),
        (vec![], none, Some("keys")),
        (vec!["--jwt-secret", "short"], none, Some("keys")),
        (vec!["--jwt-public-key", "none.pem"], none, Some("keys")),
        (vec!["--jwt-public-key", "bad.pem"], none, Some("keys")),
        (vec!["--jwks-url", "http://127.0.0.1:1/keys"], none, None),
        ([&keys[..], &["--jwks-url", "http://127.0.0.1:1/keys"]].concat(), none, Some("keys")),
        ([&keys[..], &["--schema", "crm"]].concat(), none, Some("settings")),
        ([&keys[..], &["--row-level-security"]].concat(), none, Some("settings")),
        ([&keys[..], &["--listen", "192.0.2.1:0"]].concat(), none, Some("192.0.2.1:0")),
        ([&keys[..], &["--listen", "no-such-host.invalid:0"]].concat(), none, Some("no-such-host")),
        ([&keys[..], &["--metrics-listen", "192.0.2.1:0"]].concat(), none, Some("192.0.2.1:0")),
        ([&keys[..], &["--metrics-listen", &taken]].concat(), none, Some("in use")),
        (keys.to_vec(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", "nowhere")], Some("traces")),
        (keys.to_vec(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")], None),
        (keys.to_vec(), &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "nowhere")], Some("traces")),
    ];
    for (more, environment, wrong) in cases {
        let mut arguments = vec!["serve"];
        if !more.contains(&"--listen") {
            arguments.extend(["--listen", "127.0.0.1:0"]);
        }
        arguments.extend(production.iter().chain(&more));
        let checked = with(here, &[&arguments[..], &["--check"]].concat(), environment).await;
        let started = starts(here, &arguments, environment).await;
        match wrong {
            None => {
                assert_eq!(checked.code, 0, "{more:?} {}{}", checked.out, checked.err);
                assert_eq!(started, Ok(()), "{more:?}");
            }
            // which can be the running service itself
            Some("in use") => {
                assert!(checked.out.contains("is in use"), "{}", checked.out);
                assert!(started.unwrap_err().contains("in use"));
            }
            Some(wrong) => {
                let line = checked.out.lines().find(|line| line.starts_with("failed"));
                assert!(line.is_some_and(|line| line.contains(wrong)), "{more:?} {}", checked.out);
                assert_eq!(checked.code, 1, "{more:?}");
                // both report the same error
                let why = line.unwrap().split_once(": ").unwrap().1;
                let error = started.unwrap_err();
                assert!(error.contains(why), "{more:?}\n{why}\n{error}");
            }
        }
    }
}

#[tokio::test]
async fn serve_check_fails_where_development_mode_fails() {
    let cases: [DevelopmentCase; 6] = [
        ("unrelated", b"", &[], None),
        ("campaigns.db.secret", b"short", &[], Some("keys")),
        ("campaigns.db.secret", &[b'x'; 64], &[], None),
        ("campaigns.db.secret", &[b'x'; 64], &["--jwt-org-claim", "sub.org"], Some("keys")),
        ("campaigns.db", b"this is not a database, but something else", &[], Some("database")),
        ("unrelated", b"", &["--listen", "0.0.0.0:0"], Some("--expose-development-mode")),
    ];
    for (file, content, more, wrong) in cases {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path();
        std::fs::write(here.join(file), content).unwrap();
        let listen =
            if more.contains(&"--listen") { &[][..] } else { &["--listen", "127.0.0.1:0"] };
        let arguments = [&["serve"][..], listen, more].concat();
        let checked = with(here, &[&arguments[..], &["--check"]].concat(), &[]).await;
        assert_eq!(std::fs::read_dir(here).unwrap().count(), 1, "nothing is made");
        assert_eq!(std::fs::read(here.join(file)).unwrap(), content, "nothing is changed");
        let started = starts(here, &arguments, &[]).await;
        match wrong {
            None => {
                assert_eq!(checked.code, 0, "{more:?} {}{}", checked.out, checked.err);
                assert_eq!(started, Ok(()), "{more:?}");
            }
            Some(wrong) => {
                let line = checked.out.lines().find(|line| line.starts_with("failed"));
                assert!(line.is_some_and(|line| line.contains(wrong)), "{more:?} {}", checked.out);
                assert_eq!(checked.code, 1, "{more:?}");
                assert!(started.is_err(), "{more:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_issuer_without_an_audience_is_warned_about() {
    const WARNING: &str = "without --jwt-audience";
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let database = TestDatabase::new(Backend::Sqlite).await;
    let serve = ["serve", "--listen", "127.0.0.1:0", "--database-url", &database.url];
    let server = ["--jwks-url", "http://127.0.0.1:1/keys"];
    let secret = ["--jwt-secret", SECRET];
    let issuer = ["--oidc-issuer", "https://issuer.example", "--oidc-client-id", "pages"];
    let audience = ["--jwt-audience", "campaigns"];
    for (more, is_warned) in [
        (server.to_vec(), true),
        ([&server[..], &audience].concat(), false),
        ([&secret[..], &issuer].concat(), true),
        ([&secret[..], &issuer, &audience].concat(), false),
        (secret.to_vec(), false),
    ] {
        let arguments = [&serve[..], &more].concat();
        let checked = with(here, &[&arguments[..], &["--check"]].concat(), &[]).await;
        assert_eq!(checked.code, 0, "{}", checked.out);
        assert_eq!(checked.out.contains(WARNING), is_warned, "{more:?} {}", checked.out);
        let mut service = Binary::start(here, &arguments).await;
        service.address().await;
        let log = service.ended_log().await;
        assert_eq!(log.contains(WARNING), is_warned, "{more:?} {log}");
    }
}

#[tokio::test]
async fn serve_check_changes_nothing_in_a_database_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("other.db");
    std::fs::write(&file, "").unwrap();
    let url = ["--database-url", "sqlite://other.db", "--jwt-secret", SECRET];
    assert_eq!(check(directory.path(), &url).await.code, 1);
    assert_eq!(std::fs::read(&file).unwrap(), b"");
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command_and_flag() {
    let here = Path::new("/");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = Binary::run(here, &["completions", shell]).await;
        assert_eq!(script.code, 0, "{}", script.err);
        for word in ["migrate", "metrics-listen", "completions"] {
            assert!(script.out.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(Binary::run(here, &["completions", "sh"]).await.code, 2);
    let page = Binary::run(here, &["man"]).await;
    assert!(page.out.contains(".TH campaigns 1"), "{}", page.out);
    let page = Binary::run(here, &["man", "migrate"]).await;
    assert!(page.out.contains("with\\-policies"), "{}", page.out);
    assert_eq!(Binary::run(here, &["man", "dance"]).await.code, 2);
}
