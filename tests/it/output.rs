//! Commands whose output cannot be written.

use std::{
    fs::{File, OpenOptions},
    path::Path,
    process::Stdio,
};

use campaigns_tests::{Backend, Binary, Finished, TestDatabase};

const ORGANIZATION: &str = "0a11ce00-0000-4000-8000-000000000001";
const SECRET: &str = "a secret of thirty-two bytes or more";

/// A pipe without a reader.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// A full disk.
fn full_disk() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

/// Commands that write to standard output, on a migrated database at `DATABASE_URL`.
fn commands() -> Vec<Vec<&'static str>> {
    let mut commands: Vec<Vec<&str>> = [
        "schema",
        "stats check",
        "stats rebuild",
        "doctor",
        "demo",
        "migrate",
        "migrate status",
        "migrate down",
        "config",
        "completions bash",
        "completions powershell",
        "man",
        "man serve",
        "--help",
        "-h",
        "--version",
        "help",
        "help migrate",
        "serve --help",
        "worker",
        "serve --listen 127.0.0.1:0",
        "serve --listen 127.0.0.1:0 --check",
    ]
    .iter()
    .map(|command| command.split(' ').collect())
    .collect();
    commands.push(vec!["token", "--org", ORGANIZATION]);
    commands
}

async fn run(here: &Path, arguments: &[&str], out: Stdio, err: Stdio) -> Finished {
    let database = TestDatabase::new(Backend::Sqlite).await;
    let mut command = Binary::command(here, arguments).await;
    command.env("DATABASE_URL", &database.url).env("CAMPAIGNS_JWT_SECRET", SECRET);
    let child = command.stdout(out).stderr(err).spawn().unwrap();
    let ended = tokio::time::timeout(std::time::Duration::from_mins(1), child.wait_with_output());
    ended.await.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap().into()
}

/// The lines that are not part of the log. Log lines of `serve` and `worker` are JSON.
fn said(err: &str) -> Vec<&str> {
    err.lines().filter(|line| !line.starts_with('{')).collect()
}

#[tokio::test]
async fn a_closed_pipe_ends_each_command_as_sigpipe_would() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in commands() {
        let run = run(directory.path(), &arguments, closed_pipe(), Stdio::piped()).await;
        assert_eq!((run.code, said(&run.err)), (141, Vec::new()), "{arguments:?}");
    }
}

#[tokio::test]
async fn each_command_reports_a_full_disk_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let sentence =
        "campaigns: cannot write to standard output: No space left on device (os error 28)";
    for arguments in commands() {
        let run = run(directory.path(), &arguments, full_disk(), Stdio::piped()).await;
        assert_eq!((run.code, said(&run.err)), (1, vec![sentence]), "{arguments:?}");
    }
}

#[tokio::test]
async fn an_error_that_cannot_be_written_still_has_its_exit_code() {
    let directory = tempfile::tempdir().unwrap();
    for err in [closed_pipe, full_disk] {
        for (arguments, code) in [
            (&["--nonsense"][..], 2),
            (&["man", "dance"], 2),
            (&["migrate", "--database-url", "mysql://x"], 2),
            (&["doctor", "--database-url", "sqlite://missing.db"], 1),
            (&["schema"], 1),
        ] {
            let run = run(directory.path(), arguments, full_disk(), err()).await;
            assert_eq!(run.code, code, "{arguments:?}");
        }
    }
}

#[tokio::test]
async fn a_plan_that_cannot_be_written_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("empty.db");
    File::create(&file).unwrap();
    let url = format!("sqlite://{}", file.display());
    let plan = ["migrate", "--plan", "--database-url", &url];
    assert_eq!(run(directory.path(), &plan, closed_pipe(), Stdio::piped()).await.code, 141);
    assert_eq!(run(directory.path(), &plan, full_disk(), Stdio::piped()).await.code, 1);
    assert_eq!(std::fs::read(&file).unwrap(), b"");
}
