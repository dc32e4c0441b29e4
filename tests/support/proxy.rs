//! nginx and Caddy, in front of a test's service, with the files of `deploy/`.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// The service's address in the files.
const SERVICE: &str = "127.0.0.1:8080";

/// A free port that no other test gets: neither from this function, nor from the system, which uses
/// higher ports for connections and for listeners at port 0.
///
/// # Panics
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const PORTS: u16 = 12_000;
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    // processes start at different ports
    let start = u16::try_from(std::process::id() % u32::from(PORTS)).unwrap();
    (0..PORTS)
        .map(|_| FIRST + (start + TAKEN.fetch_add(1, Ordering::Relaxed)) % PORTS)
        .find(|&port| TcpListener::bind(("0.0.0.0", port)).is_ok())
        .expect("a free port")
}

/// A proxy, which runs as the current user.
pub struct Proxy {
    child: Child,
    _directory: TempDir,
}

impl Proxy {
    /// Starts the proxy of a file in `deploy/`, with these replacements in it, on a local port and
    /// for a service at this address (`http://…`).
    pub async fn start(
        file: &str,
        replacements: &[(&str, &str)],
        port: u16,
        service: &str,
    ) -> Self {
        let path = format!("{}/../deploy/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut text = std::fs::read_to_string(path).unwrap();
        let is_nginx = file.starts_with("nginx");
        let own = if is_nginx { format!("127.0.0.1:{port}") } else { format!("http://:{port}") };
        let listens = if is_nginx {
            ("listen 80;", format!("listen {own};"))
        } else if text.contains("\nexample.com {") {
            ("\nexample.com {", format!("\n{own} {{"))
        } else {
            ("\ncampaigns.example {", format!("\n{own} {{"))
        };
        let service = service.strip_prefix("http://").unwrap();
        let own = [(listens.0, listens.1.as_str()), (SERVICE, service)];
        // comments contain the service's address as well
        let comments = |line: &&str| line.trim_start().starts_with('#');
        text = text
            .lines()
            .filter(|line| !comments(line))
            .fold("\n".to_owned(), |text, line| text + line + "\n");
        for (from, to) in own.into_iter().chain(replacements.iter().copied()) {
            assert_eq!(text.matches(from).count(), 1, "{from} in {file}");
            text = text.replace(from, to);
        }
        let directory = tempfile::tempdir().unwrap();
        let mut command =
            if is_nginx { nginx(directory.path(), &text) } else { caddy(directory.path(), &text) };
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let started = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "the proxy of {file} ended");
            assert!(
                started.elapsed() < Duration::from_mins(1),
                "the proxy of {file} did not start"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self { child, _directory: directory }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn program(name: &str, paths: &[&'static str]) -> &'static str {
    let found = paths.iter().find(|path| Path::new(path).exists());
    found.unwrap_or_else(|| panic!("{name} is installed: apt-get install nginx-light caddy"))
}

/// nginx as one process of the current user, with all of its files in this directory.
fn nginx(directory: &Path, text: &str) -> Command {
    let site = directory.join("site.conf");
    std::fs::write(&site, text).unwrap();
    let folders = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(|kind| {
        let folder = directory.join(kind);
        format!("{kind}_temp_path {};", folder.display())
    });
    let main = directory.join("nginx.conf");
    let content = format!(
        "daemon off;\nmaster_process off;\npid {}/pid;\nerror_log stderr warn;\nevents {{}}\n\
         http {{ access_log off; {} include {}; }}\n",
        directory.display(),
        folders.join(" "),
        site.display()
    );
    std::fs::write(&main, content).unwrap();
    let mut command = Command::new(program(
        "nginx",
        &["/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/local/bin/nginx"],
    ));
    command.arg("-p").arg(directory).args(["-e", "stderr", "-c"]).arg(main);
    command
}

/// Caddy without its admin endpoint and without certificates.
fn caddy(directory: &Path, text: &str) -> Command {
    let file = directory.join("Caddyfile");
    std::fs::write(&file, format!("{{\n\tadmin off\n\tauto_https off\n}}\n{text}")).unwrap();
    let mut command = Command::new(program("Caddy", &["/usr/bin/caddy", "/usr/local/bin/caddy"]));
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(file)
        .env("HOME", directory)
        .env("XDG_DATA_HOME", directory)
        .env("XDG_CONFIG_HOME", directory)
        // it logs each start as JSON
        .stderr(Stdio::null());
    command
}
