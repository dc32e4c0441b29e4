//! The program, and test programs in JavaScript.

use std::{
    path::PathBuf,
    process::{Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdout, Command},
    sync::OnceCell,
};

/// `campaigns`, running in a directory.
pub struct Binary {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    log: Arc<Mutex<String>>,
    /// Reads the log to its end.
    logged: tokio::task::JoinHandle<()>,
}

/// The arguments of a service on a database that accepts the tests' tokens.
#[must_use]
pub fn serve_arguments(url: &str) -> [&str; 7] {
    let secret = "a secret of the tests, 32 bytes or more";
    ["serve", "--listen", "127.0.0.1:0", "--database-url", url, "--jwt-secret", secret]
}

/// The outcome of a run of `campaigns`.
#[derive(Debug)]
pub struct Finished {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
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

/// Whether cargo sets this variable to describe the package that it runs.
fn is_of_package(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.starts_with(start))
}

impl Binary {
    /// The command of the program, in a directory and without variables that it would read.
    pub async fn command(directory: &std::path::Path, arguments: &[&str]) -> Command {
        static BUILT: OnceCell<PathBuf> = OnceCell::const_new();
        let program = BUILT
            .get_or_init(async || {
                let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
                let mut cargo = Command::new(env!("CARGO"));
                cargo
                    .args(["build", "--quiet", "--workspace", "--bin", "campaigns"])
                    .current_dir(root);
                // otherwise build scripts of dependencies that read these variables would run again
                let variables = std::env::vars().map(|(name, _)| name);
                for name in variables.filter(|name| is_of_package(name)) {
                    cargo.env_remove(name);
                }
                let built = cargo.status().await.unwrap();
                assert!(built.success(), "the program does not build");
                // next to the folder of this test program
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
        Self::start_in(directory, arguments, &[]).await
    }

    /// Starts it with variables in its environment.
    pub async fn start_in(
        directory: &std::path::Path,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Self::command(directory, arguments).await;
        command.envs(environment.iter().copied());
        Self::spawn(command)
    }

    /// Starts it with a limit on the size of files, as on a full disk.
    pub async fn start_with_files_of(
        directory: &std::path::Path,
        arguments: &[&str],
        kilobytes: usize,
    ) -> Self {
        // the unit is 512 bytes; a write beyond the limit fails instead of killing the process
        let limit = format!("trap '' XFSZ; ulimit -f {}", kilobytes * 2);
        Self::start_within(directory, arguments, &limit).await
    }

    /// Starts it with a limit on open files and connections.
    pub async fn start_with_descriptors(
        directory: &std::path::Path,
        arguments: &[&str],
        number: usize,
    ) -> Self {
        Self::start_within(directory, arguments, &format!("ulimit -n {number}")).await
    }

    /// Starts it from a shell that has run these commands.
    async fn start_within(directory: &std::path::Path, arguments: &[&str], limit: &str) -> Self {
        let command = Self::command(directory, arguments).await;
        let script = format!("{limit}; exec \"$@\"");
        let mut limited = Command::new("/bin/sh");
        limited
            .args(["-c", &script, "sh"])
            .arg(command.as_std().get_program())
            .args(command.as_std().get_args())
            .current_dir(directory)
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true);
        Self::spawn(limited)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut errors = BufReader::new(child.stderr.take().unwrap()).lines();
        let log: Arc<Mutex<String>> = Arc::default();
        let written = Arc::clone(&log);
        let logged = tokio::spawn(async move {
            while let Ok(Some(line)) = errors.next_line().await {
                eprintln!("{line}");
                let mut written = written.lock().unwrap();
                written.push_str(&line);
                written.push('\n');
            }
        });
        Self { child, lines, log, logged }
    }

    /// Its standard error so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// The processor time that it has used so far.
    #[must_use]
    pub fn processor_time(&self) -> Duration {
        let id = self.child.id().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        // after the name, which is in parentheses
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |field: usize| fields[field].parse::<u64>().unwrap();
        // hundredths of a second on every Linux
        Duration::from_millis((ticks(11) + ticks(12)) * 10)
    }

    /// The bytes of its memory.
    #[must_use]
    pub fn memory(&self) -> usize {
        let id = self.child.id().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1_024
    }

    /// The first result that this function returns for a line of its output.
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

    /// Ends it with SIGKILL.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends it SIGTERM, and returns what it has written to standard error by its end.
    pub async fn ended_log(mut self) -> String {
        assert_eq!(self.end().await, 0);
        let read = tokio::time::timeout(Duration::from_secs(15), &mut self.logged);
        read.await.expect("its standard error ends").unwrap();
        self.log()
    }

    /// Sends it SIGTERM and waits for its exit code.
    pub async fn terminate(mut self) -> i32 {
        self.end().await
    }

    async fn end(&mut self) -> i32 {
        let id = self.child.id().unwrap().to_string();
        assert!(Command::new("kill").arg(id).status().await.unwrap().success());
        let ended = tokio::time::timeout(Duration::from_secs(15), self.child.wait());
        ended.await.expect("it ends").unwrap().code().unwrap_or(-1)
    }
}

/// An issuer of OpenID Connect: `tests/node/issuer.mjs`.
pub struct Issuer {
    _child: Child,
    /// Its address.
    pub address: String,
}

impl Issuer {
    /// Starts an issuer for users of an organization, with tokens of this lifetime.
    pub async fn start(organization: uuid::Uuid, lifetime: Duration) -> Self {
        let mut child = node_command("issuer.mjs")
            .await
            .env("ORG", organization.to_string())
            .env("TTL", lifetime.as_secs().to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Node is installed");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line());
        let address = line.await.expect("it starts").unwrap().expect("it says where it is");
        Self { _child: child, address }
    }
}

/// Followers of the feed that are disconnected repeatedly: `tests/node/feed.mjs`.
pub struct Followers {
    program: NodeProgram,
    input: tokio::process::ChildStdin,
}

/// The events that a follower received.
#[derive(Debug, serde::Deserialize)]
pub struct FollowerReport {
    /// Which client it uses.
    pub kind: String,
    /// The IDs of the events, in the order of their arrival.
    pub ids: Vec<uuid::Uuid>,
    /// How often it connected.
    pub connections: usize,
}

impl Followers {
    /// Starts them at services with these addresses (`http://…`), and waits until all are
    /// subscribed.
    pub async fn start(addresses: &[&str], token: &str, environment: &[(&str, &str)]) -> Self {
        let urls: Vec<String> = addresses
            .iter()
            .map(|address| format!("{}/graphql", address.replacen("http", "ws", 1)))
            .collect();
        let urls = urls.join(",");
        let environment = [&[("URLS", urls.as_str()), ("TOKEN", token)], environment].concat();
        let mut program = NodeProgram::spawn("feed.mjs", &environment, Stdio::piped()).await;
        let input = program.child.stdin.take().unwrap();
        assert_eq!(program.line().await, "ready");
        Self { program, input }
    }

    /// Waits until each of them has this number of events or no more events arrive, and returns the
    /// received events.
    pub async fn expect(mut self, events: usize) -> Vec<FollowerReport> {
        #[derive(serde::Deserialize)]
        struct Answer {
            clients: Vec<FollowerReport>,
        }
        self.input.write_all(format!("expect {events}\n").as_bytes()).await.unwrap();
        let line = loop {
            let line = self.program.line().await;
            if line != "going on" {
                break line;
            }
        };
        let answer: Answer = serde_json::from_str(&line).unwrap();
        assert!(self.program.child.wait().await.unwrap().success());
        answer.clients
    }
}

/// A running program of `tests/node` that writes lines.
pub struct NodeProgram {
    child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
}

impl NodeProgram {
    /// Starts it.
    pub async fn start(program: &str, environment: &[(&str, &str)]) -> Self {
        Self::spawn(program, environment, Stdio::null()).await
    }

    async fn spawn(program: &str, environment: &[(&str, &str)], input: Stdio) -> Self {
        let mut child = node_command(program)
            .await
            .envs(environment.iter().copied())
            .stdin(input)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node is installed");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line of its output.
    pub async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_mins(2), self.lines.next_line());
        line.await.expect("it says something").unwrap().expect("it goes on")
    }
}

/// A running program of `examples`.
pub struct Example {
    _child: Child,
    lines: tokio::io::Lines<BufReader<ChildStdout>>,
    errors: tokio::io::Lines<BufReader<tokio::process::ChildStderr>>,
}

impl Example {
    /// Starts it, for a service at this address.
    pub async fn start(program: &str, token: &str, address: &str) -> Self {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
        INSTALLED.get_or_init(|| install(directory)).await;
        let mut child = Command::new("node")
            .args([program, token, &format!("{address}/graphql")])
            .env("RATE", "50")
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("Node is installed");
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let errors = BufReader::new(child.stderr.take().unwrap()).lines();
        Self { _child: child, lines, errors }
    }

    /// The next line of its output.
    pub async fn line(&mut self) -> String {
        let line = tokio::time::timeout(Duration::from_secs(30), self.lines.next_line());
        line.await.expect("it says something").unwrap().expect("it goes on")
    }

    /// Waits for a line on standard error that satisfies a condition.
    pub async fn error_line(&mut self, is: impl Fn(&str) -> bool) {
        let found =
            async { while !is(&self.errors.next_line().await.unwrap().expect("it goes on")) {} };
        tokio::time::timeout(Duration::from_secs(30), found).await.expect("it says that");
    }
}

async fn install(directory: &str) {
    let installed = Command::new("npm")
        .args(["ci", "--ignore-scripts", "--silent", "--no-audit", "--no-fund"])
        .current_dir(directory)
        .status()
        .await
        .expect("Node and npm are installed");
    assert!(installed.success(), "npm ci failed in {directory}");
}

/// Runs a program of `tests/node` with its packages installed.
pub async fn node(program: &str, environment: &[(&str, &str)]) -> Finished {
    let mut command = node_command(program).await;
    let output = command.envs(environment.iter().copied()).output();
    output.await.expect("Node is installed").into()
}

/// Runs a program of `tests/node` that is itself a test.
///
/// # Panics
/// If it fails, with its output.
pub async fn node_passes(program: &str, environment: &[(&str, &str)]) -> Finished {
    let finished = node(program, environment).await;
    let Finished { code, out, err } = &finished;
    assert_eq!(*code, 0, "{program} {out}{err}");
    finished
}

async fn node_command(program: &str) -> Command {
    static INSTALLED: OnceCell<()> = OnceCell::const_new();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/node");
    INSTALLED.get_or_init(|| install(directory)).await;
    let mut command = Command::new("node");
    command.arg(program).current_dir(directory);
    command
}
