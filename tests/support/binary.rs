//! The program itself, and those written in JavaScript.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::OnceCell,
};

/// `campaigns`, running in a directory.
pub struct Binary {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

/// How a run of `campaigns` ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Binary {
    /// The program, in a directory and with no environment that could mean something to it.
    pub async fn command(directory: &std::path::Path, arguments: &[&str]) -> Command {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let program = BUILT
            .get_or_init(async || {
                let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
                let built = Command::new(env!("CARGO"))
                    .args(["build", "--quiet", "--workspace", "--bin", "campaigns"])
                    .current_dir(root)
                    .status()
                    .await
                    .unwrap();
                assert!(built.success(), "the program does not build");
                // beside the folder of this test's own program
                let own = std::env::current_exe().unwrap();
                own.parent().unwrap().parent().unwrap().join("campaigns")
            })
            .await;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(directory)
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end.
    pub async fn run(directory: &std::path::Path, arguments: &[&str]) -> Finished {
        let mut command = Self::command(directory, arguments).await;
        let run = tokio::time::timeout(Duration::from_mins(2), command.output());
        run.await.expect("it ends").unwrap().into()
    }

    /// Starts it.
    pub async fn start(directory: &std::path::Path, arguments: &[&str]) -> Self {
        let mut command = Self::command(directory, arguments).await;
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The first line of its output that this makes something of.
    pub async fn line<T>(&mut self, find: impl Fn(&str) -> Option<T>) -> T {
        tokio::time::timeout(Duration::from_mins(2), async {
            loop {
                let line = self.lines.next_line().await.unwrap().expect("it goes on");
                if let Some(found) = find(&line) {
                    return found;
                }
            }
        })
        .await
        .expect("it writes that line")
    }

    /// The address that it listens on.
    pub async fn address(&mut self) -> String {
        self.line(|line| line.strip_prefix("listening on ").map(str::to_owned)).await
    }

    /// Sends it SIGTERM and waits for its exit code.
    pub async fn terminate(mut self) -> i32 {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(15), self.child.wait());
        ended.await.expect("it ends").unwrap().code().unwrap_or(-1)
    }
}

/// Runs a program of `tests/node` with its packages installed.
pub async fn node(program: &str, environment: &[(&str, &str)]) -> Finished {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/node");
    INSTALLED
        .get_or_init(async || {
            let installed = Command::new("npm")
                .args(["ci", "--silent", "--no-audit", "--no-fund"])
                .current_dir(directory)
                .status()
                .await
                .expect("Node and npm are installed");
            assert!(installed.success(), "npm ci failed in {directory}");
        })
        .await;
    let output = Command::new("node")
        .arg(program)
        .envs(environment.iter().copied())
        .current_dir(directory)
        .output()
        .await
        .expect("Node is installed");
    output.into()
}
