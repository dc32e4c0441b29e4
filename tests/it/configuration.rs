//! Settings and what is said about them: files, `config`, `serve --check`, completions and manual pages.

use std::path::Path;

use campaigns_tests::{Backend, Binary, Finished, TestDatabase};

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
         cors-origin = ['https://a.example', 'https://b.example']\nquery-timeout = \"3s\"\nworker = true\n",
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
    // what is printed can be used as a file, and means the same
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
    let url = "postgres://somebody:hunter2@db.example:5433/campaigns?password=hunter3";
    let shown =
        with(here, &["config", "--config", "campaigns.toml"], &[("DATABASE_URL", url)]).await;
    assert!(shown.out.contains("# jwt-secret: hidden (file)\n"), "{}", shown.out);
    let line = "database-url = \"postgres://db.example:5433/campaigns\"  # environment\n";
    assert!(shown.out.contains(line), "{}", shown.out);
    for secret in [SECRET, "hunter2", "hunter3", "somebody"] {
        assert!(!shown.out.contains(secret), "{}", shown.out);
    }
    // nor in what is said of a file that cannot be read
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
async fn a_file_that_cannot_be_meant_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    for (text, told) in [
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
            assert!(run.err.contains(told), "{text}: {}", run.err);
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
    // each thing that is wrong is named at once
    assert!(without_keys.out.contains("failed  keys"), "{}", without_keys.out);
    assert!(without_keys.out.contains("ok      migrations"), "{}", without_keys.out);
    let weak = check(here, &[&url[..], &["--jwt-secret", "short"]].concat()).await;
    assert_eq!(weak.code, 1, "{}", weak.err);
    let fine = check(here, &[url, keys].concat()).await;
    assert_eq!(fine.code, 0, "{}{}", fine.out, fine.err);
    assert!(fine.out.ends_with("the service would start\n"), "{}", fine.out);
    let elsewhere = match backend {
        Backend::Sqlite => "sqlite://missing.db",
        Backend::Postgres => "postgres://nobody@127.0.0.1:1/nothing",
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
async fn serve_check_makes_nothing_up_in_development_mode() {
    let directory = tempfile::tempdir().unwrap();
    let found = check(directory.path(), &[]).await;
    assert_eq!(found.code, 0, "{}{}", found.out, found.err);
    assert!(found.out.contains("development mode"), "{}", found.out);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
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
