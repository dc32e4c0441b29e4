//! Passwords and other secrets are never shown: not in errors, help, settings or the log.

use std::path::Path;

use async_graphql::futures_util::{StreamExt, stream};
use campaigns_tests::{Backend, Binary, Finished, TestDatabase, until};

/// Secrets that must never be shown. A password can have spaces, and a slash that is invalid in a
/// URL.
const SECRETS: [&str; 2] = ["hunter2", "swordfish"];

/// Values with secrets, each of which can be passed to a wrong argument by mistake.
const VALUES: [&str; 5] = [
    "mysql://me:hunter2@127.0.0.1:1/db",
    "postgres://me:hunter2 swordfish@127.0.0.1:1/db?password=hunter2",
    "postgres://me:12/swordfish@127.0.0.1:1/db",
    "http://me:hunter2@127.0.0.1:1/keys?key=swordfish",
    "me:hunter2@localhost",
];

/// An argument of a command, as its help describes it.
#[derive(Clone, Debug)]
struct Argument {
    command: String,
    /// With its dashes. `None` for a positional argument.
    flag: Option<String>,
    /// The name of its value.
    value: Option<String>,
    variable: Option<String>,
}

async fn with(here: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Finished {
    let mut command = Binary::command(here, arguments).await;
    command.envs(environment.iter().copied());
    let run = tokio::time::timeout(std::time::Duration::from_mins(1), command.output());
    run.await.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap().into()
}

/// Every argument of every command.
async fn arguments(here: &Path) -> Vec<Argument> {
    let program = with(here, &["--help"], &[]).await.out;
    let commands = program.split("Commands:\n").nth(1).unwrap().lines();
    let commands = commands.take_while(|line| !line.is_empty());
    let commands: Vec<String> = commands
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(str::to_owned))
        .filter(|name| !name.is_empty() && name != "help")
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    let mut found = Vec::new();
    for command in commands {
        let help = with(here, &[&command, "--help"], &[]).await.out;
        for line in help.lines().map(str::trim) {
            let flag = line.split([' ', '=', '[']).find(|word| word.starts_with("--"));
            if let Some(flag) = flag.filter(|_| line.starts_with('-')) {
                let value = line.split(['<', '>']).nth(1).filter(|_| line.contains('<'));
                found.push(Argument {
                    command: command.clone(),
                    flag: Some(flag.to_owned()),
                    value: value.map(str::to_owned),
                    variable: None,
                });
            } else if is_place(line.split(' ').next().unwrap_or_default()) {
                let value = Some(line.split(['<', '>', '[', ']']).nth(1).unwrap().to_owned());
                found.push(Argument {
                    command: command.clone(),
                    flag: None,
                    value,
                    variable: None,
                });
            }
            if let Some((_, variable)) = line.split_once("[env: ") {
                let variable = variable.split(['=', ']']).next().map(str::to_owned);
                found.last_mut().unwrap().variable = variable;
            }
        }
    }
    found
}

/// Whether a word of the help is a positional argument, such as `<SHELL>` or `[ACTION]`.
fn is_place(word: &str) -> bool {
    let name = word.strip_prefix(['<', '[']).and_then(|word| word.strip_suffix(['>', ']']));
    name.is_some_and(|name| !name.is_empty() && name.chars().all(|of| of.is_ascii_uppercase()))
}

fn assert_hidden(run: &Finished, given: &str) {
    for secret in SECRETS {
        assert!(!run.out.contains(secret), "{given}\n{}", run.out);
        assert!(!run.err.contains(secret), "{given}\n{}", run.err);
    }
    assert!(!run.err.contains("panicked"), "{given}\n{}", run.err);
}

/// Runs a command, and asserts that its output contains no secret.
async fn assert_hides(here: &Path, arguments: &[&str], environment: &[(&str, &str)]) {
    let run = with(here, arguments, environment).await;
    assert_hidden(&run, &format!("{arguments:?} {environment:?}"));
}

#[tokio::test]
async fn no_argument_of_any_command_shows_a_secret_by_flag_by_variable_or_by_file() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let arguments = arguments(here).await;
    let of = |command: &str| arguments.iter().filter(|one| one.command == command).count();
    assert!(of("serve") > 50 && of("config") == of("serve"), "{}", of("serve"));
    assert!(of("token") > 8 && of("migrate") > 8 && of("man") > 0);
    let given = arguments.into_iter().filter(|argument| argument.value.is_some()).enumerate();
    let try_one = async |(number, argument): (usize, Argument)| {
        let Argument { command, flag, variable, .. } = &argument;
        let command: Vec<&str> = match command.as_str() {
            // `serve` only checks
            "serve" => vec!["serve", "--check", "--listen", "127.0.0.1:0"],
            "stats" => vec!["stats", "check"],
            "secrets" => vec!["secrets", "rotate"],
            command => vec![command],
        };
        let Some(flag) = flag else {
            for value in VALUES {
                assert_hides(here, &[&command[..1], &[value]].concat(), &[]).await;
            }
            return;
        };
        // all of these are parsed in the same way, so one value covers the other ways
        let one = VALUES[number % VALUES.len()];
        // both parse the same settings, and starting takes longer
        let by_flag = if command[0] == "serve" { &[one][..] } else { &VALUES };
        for value in by_flag {
            let joined = format!("{flag}={value}");
            assert_hides(here, &[&command[..], &[&joined]].concat(), &[]).await;
        }
        if let Some(variable) = variable {
            assert_hides(here, &command, &[(variable.as_str(), one)]).await;
        }
        if command[0] == "config" {
            let file = here.join(format!("{number}.toml"));
            let setting = format!("{} = '{one}'\n", flag.trim_start_matches('-'));
            std::fs::write(&file, setting).unwrap();
            assert_hides(here, &["config", "--config", file.to_str().unwrap()], &[]).await;
        }
    };
    stream::iter(given).for_each_concurrent(4, try_one).await;
}

#[tokio::test]
async fn an_invalid_secret_is_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let arguments = arguments(here).await;
    let secrets = arguments.iter().filter(|one| one.value.as_deref() == Some("SECRET"));
    let secrets: Vec<&Argument> = secrets.collect();
    assert!(secrets.len() >= 3, "{secrets:?}");
    for Argument { command, flag, variable, .. } in secrets {
        let (flag, variable) = (flag.as_deref().unwrap(), variable.as_deref().unwrap());
        let command = match command.as_str() {
            "serve" => "serve --check",
            "secrets" => "secrets rotate",
            command => command,
        };
        let command: &[&str] = &command.split(' ').collect::<Vec<_>>();
        for words in [
            &[flag, "hunter2"][..],
            // without quotation marks, or starting like a flag
            &[flag, "correct", "hunter2", "swordfish"],
            &[flag, "--hunter2"],
            &[flag, "-hunter2"],
            &[&format!("{flag}x=hunter2")],
        ] {
            assert_hides(here, &[command, words].concat(), &[]).await;
        }
        assert_hides(here, command, &[(variable, "hunter2")]).await;
        let setting = flag.trim_start_matches('-');
        for text in [
            format!("{setting} = 'hunter2'"),
            format!("{setting} = 'hunter2"),
            format!("{setting} = hunter2"),
            format!("{setting} = ['hunter2', 'hunter2']"),
            format!("{setting} = 'a'\n{setting} = 'hunter2'"),
        ] {
            std::fs::write(here.join("campaigns.toml"), &text).unwrap();
            let file = ["--config", "campaigns.toml"];
            assert_hides(here, &[command, &file].concat(), &[]).await;
        }
    }
    // a URL as a command, or after one
    for words in [&["postgres://me:hunter2@h/db"][..], &["serve", "postgres://me:hunter2@h/db"]] {
        assert_hides(here, words, &[]).await;
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_read_is_not_repeated_by_any_command() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let addresses = [
        "mysql://me:hunter2@h/db",
        "postgres:me:hunter2@h/db",
        "postgres://me:hunter2",
        "postgres://me:hunter2@127.0.0.1:port/db",
        "postgres://me:hunter2/swordfish@127.0.0.1:1/db",
        "postgres://me:hunter2 swordfish@127.0.0.1:1/db",
        "postgres://me:hunter2@[::1/db",
        "postgres://me:%FFhunter2@127.0.0.1:1/db",
        "postgres://me:hunter2@127.0.0.1:1/db?sslmode=require&hostaddr=hunter2",
        "postgres://127.0.0.1:1/db?sslpassword=hunter2&passwd=swordfish",
        "sqlite://x.db?key=hunter2",
    ];
    for command in [
        "migrate",
        "migrate --plan",
        "migrate status",
        "demo",
        "doctor",
        "stats check",
        "worker",
        "config",
        "serve --check --jwt-secret 0123456789abcdef0123456789abcdef",
    ] {
        let command: Vec<&str> = command.split(' ').collect();
        for address in addresses {
            for variable in ["DATABASE_URL", "CAMPAIGNS_DATABASE_URL"] {
                assert_hides(here, &command, &[(variable, address)]).await;
            }
            let flag = [&command[..], &["--database-url", address]].concat();
            assert_hides(here, &flag, &[]).await;
        }
    }
}

#[tokio::test]
async fn help_and_manual_pages_show_nothing_of_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let address = "postgres://me:hunter2@h/db";
    let mut environment = vec![("DATABASE_URL".to_owned(), address)];
    for variable in arguments(here).await.into_iter().filter_map(|argument| argument.variable) {
        environment.push((variable, address));
    }
    assert!(environment.len() > 100);
    let environment: Vec<(&str, &str)> =
        environment.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for command in ["--help", "-h", "help serve", "serve --help", "config -h", "migrate -h"] {
        let command: Vec<&str> = command.split(' ').collect();
        let help = with(here, &command, &environment).await;
        assert_hidden(&help, "help");
        assert_eq!(help.code, 0, "{command:?} {}", help.err);
        assert!(help.out.contains("--database-url"), "{command:?} {}", help.out);
        assert!(!help.out.contains("//h/db"), "{command:?} {}", help.out);
    }
    // arguments that accept any text
    let environment: Vec<_> =
        environment.into_iter().filter(|(name, _)| name.contains("_JWT_")).collect();
    for command in ["man serve", "completions zsh", "completions bash"] {
        let command: Vec<&str> = command.split(' ').collect();
        let written = with(here, &command, &environment).await;
        assert_hidden(&written, "a page");
        assert!(written.code == 0 || written.err.contains("***"), "{}", written.err);
    }
}

#[tokio::test]
async fn a_collector_of_traces_is_named_without_its_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let database = TestDatabase::new(Backend::Sqlite).await;
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--database-url",
        &database.url,
        "--jwt-secret",
        "0123456789abcdef0123456789abcdef",
    ];
    for variable in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        for address in [
            "http://me:hunter2 @127.0.0.1:1",
            "me:hunter2@127.0.0.1",
            "http://me:hunter2@[::1",
            "grpc://me:hunter2@127.0.0.1:1",
            "http://me:hunter2@127.0.0.1:1/\u{7f}swordfish",
        ] {
            for check in [&["--check"][..], &[]] {
                let run = with(here, &[&serve[..], check].concat(), &[(variable, address)]).await;
                assert_eq!(run.code, 1, "{address} {}{}", run.out, run.err);
                assert!((run.out + &run.err).contains("traces"), "{address}");
                assert_hides(here, &[&serve[..], check].concat(), &[(variable, address)]).await;
            }
        }
    }
}

#[tokio::test]
async fn the_log_shows_no_secret_of_an_address_at_any_level() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let database = TestDatabase::new(Backend::Postgres).await;
    let address = format!("{}?sslpassword=hunter2&passfile=swordfish", database.url);
    let address = address.replace("postgres@", "postgres:hunter2@");
    let serve = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--worker",
        "--jwks-url",
        "http://me:hunter2@127.0.0.1:1/keys?key=swordfish",
    ];
    let environment = [
        ("DATABASE_URL", address.as_str()),
        ("RUST_LOG", "debug"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=swordfish,authorization=Basic hunter2,broken"),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    let mut service = Binary::start_in(here, &serve, &environment).await;
    let address = service.address().await;
    assert_eq!(reqwest::get(format!("{address}/readyz")).await.unwrap().status(), 503);
    until(
        "the fetch of keys and the unknown parameter are logged",
        std::time::Duration::from_secs(30),
        async || {
            let log = service.log();
            log.contains("could not be fetched") && log.contains("sslpassword")
        },
    )
    .await;
    let log = service.ended_log().await;
    for secret in SECRETS {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "{line:?}");
    }
}
