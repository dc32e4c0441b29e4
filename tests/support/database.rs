//! A database for each test, copied from a migrated template.
//!
//! Each test run starts its own PostgreSQL server from the installed programs. The server ends with
//! the run, even if that is killed: it runs under a shell that waits for the end of a pipe from
//! this process.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A kind of database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// SQLite, a file.
    Sqlite,
    /// PostgreSQL, a database of the run's server.
    Postgres,
}

/// An empty, migrated database.
pub struct TestDatabase {
    /// Its kind.
    pub backend: Backend,
    /// Its URL.
    pub url: String,
    pub(crate) _remains: Remains,
}

/// The files, or the database on the server, which are removed when this is dropped, since hundreds
/// of databases would fill a disk.
pub(crate) enum Remains {
    /// The files of SQLite.
    Directory { _directory: TempDir },
    /// A database on the run's server, by its URL.
    Database(String),
    /// Nothing, since the whole server is removed.
    Nothing,
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Self::Database(url) = self {
            Postgres::remove(std::mem::take(url));
        }
    }
}

impl TestDatabase {
    /// A new one, migrated.
    pub async fn new(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let file = directory.path().join("test.db");
                std::fs::copy(sqlite_template().await, &file).unwrap();
                let url = format!("sqlite://{}", file.display());
                Self { backend, url, _remains: Remains::Directory { _directory: directory } }
            }
            Backend::Postgres => {
                let postgres = Postgres::get().await;
                let url = postgres.create(Some("campaigns_template")).await;
                Self { _remains: Remains::Database(url.clone()), backend, url }
            }
        }
    }

    /// An existing one, which stays when this is dropped.
    #[must_use]
    pub fn at(backend: Backend, url: &str) -> Self {
        Self { backend, url: url.to_owned(), _remains: Remains::Nothing }
    }

    /// A new one without tables.
    pub async fn empty(backend: Backend) -> Self {
        match backend {
            Backend::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let file = directory.path().join("empty.db");
                let url = format!("sqlite://{}", file.display());
                Self { backend, url, _remains: Remains::Directory { _directory: directory } }
            }
            Backend::Postgres => {
                let url = Postgres::get().await.create(None).await;
                Self { _remains: Remains::Database(url.clone()), backend, url }
            }
        }
    }

    /// A copy, as a restored backup is.
    pub async fn copy(&self) -> Self {
        match self.backend {
            Backend::Sqlite => {
                let directory = tempfile::tempdir().unwrap();
                let file = directory.path().join("copy.db");
                let connection = self.connect().await;
                let vacuum = format!("VACUUM INTO '{}'", file.display());
                connection.execute_unprepared(&vacuum).await.unwrap();
                let url = format!("sqlite://{}", file.display());
                Self {
                    _remains: Remains::Directory { _directory: directory },
                    backend: self.backend,
                    url,
                }
            }
            Backend::Postgres => {
                let name = self.url.rsplit('/').next().unwrap();
                let url = Postgres::get().await.copy(name).await;
                Self { _remains: Remains::Database(url.clone()), backend: self.backend, url }
            }
        }
    }

    /// A connection that bypasses the service, as another program does.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.created(), 2).await
    }

    /// A single such connection, for the state of a session: locks, settings, prepared statements.
    pub async fn connect_once(&self) -> DatabaseConnection {
        connect(&self.created(), 1).await
    }

    fn created(&self) -> String {
        match self.backend {
            Backend::Sqlite => format!("{}?mode=rwc", self.url),
            Backend::Postgres => self.url.clone(),
        }
    }
}

pub(crate) async fn connect(url: &str, connections: u32) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(connections)
        .sqlx_logging(false)
        .acquire_timeout(Duration::from_mins(1));
    options.map_sqlx_sqlite_opts(|sqlite| sqlite.busy_timeout(Duration::from_secs(30)));
    sea_orm::Database::connect(options).await.unwrap()
}

async fn sqlite_template() -> &'static Path {
    static TEMPLATE: OnceCell<(TempDir, PathBuf)> = OnceCell::const_new();
    let (_, file) = TEMPLATE
        .get_or_init(async || {
            let directory = tempfile::tempdir().unwrap();
            let file = directory.path().join("template.db");
            let url = format!("sqlite://{}", file.display());
            campaigns_migration::up(&url).await.unwrap();
            (directory, file)
        })
        .await;
    file
}

/// A PostgreSQL server: the run's, or a test's own.
pub struct Postgres {
    port: u16,
    directory: PathBuf,
    _server: Child,
}

/// SQL that makes inserts into a table fail as on a full disk, until the trigger `a_no_space` is
/// dropped.
#[must_use]
pub fn no_space(table: &str) -> String {
    format!(
        "CREATE OR REPLACE FUNCTION no_space() RETURNS trigger LANGUAGE plpgsql AS \
         $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$; \
         CREATE OR REPLACE TRIGGER a_no_space BEFORE INSERT ON {table} FOR EACH ROW EXECUTE \
         FUNCTION no_space()"
    )
}

impl Postgres {
    /// The server, started on first use.
    pub async fn get() -> &'static Self {
        static SERVER: OnceCell<Postgres> = OnceCell::const_new();
        SERVER
            .get_or_init(async || {
                let postgres = Self::start("synchronous_commit=off");
                postgres.wait().await;
                let template = postgres.create_named("campaigns_template", None).await;
                campaigns_migration::up(&template).await.unwrap();
                postgres
            })
            .await
    }

    /// A server for one test, which keeps committed data when it crashes, and a migrated database
    /// on it.
    pub async fn own() -> (Self, TestDatabase) {
        let postgres = Self::own_with("synchronous_commit=on").await;
        let database = postgres.database("campaigns").await;
        (postgres, database)
    }

    /// A server for one test, with settings, separated by spaces.
    pub async fn own_with(settings: &str) -> Self {
        let postgres = Self::start(settings);
        postgres.wait().await;
        postgres
    }

    /// A new migrated database on it.
    pub async fn database(&self, name: &str) -> TestDatabase {
        let database = self.empty_database(name).await;
        campaigns_migration::up(&database.url).await.unwrap();
        database
    }

    /// A new database on it without any table.
    pub async fn empty_database(&self, name: &str) -> TestDatabase {
        let url = self.create_named(name, None).await;
        TestDatabase { backend: Backend::Postgres, url, _remains: Remains::Nothing }
    }

    /// Stops the server if it is running, and starts it; `immediate` is a crash.
    pub async fn restart(&self, mode: &str) {
        self.control(&format!("-m {mode} -l server.log restart")).await;
        self.wait().await;
    }

    /// Stops the server; `immediate` is a crash.
    pub async fn stop(&self, mode: &str) {
        self.control(&format!("-m {mode} stop")).await;
    }

    /// Promotes a standby, so that it accepts writes.
    pub async fn promote(&self) {
        self.control("promote").await;
    }

    async fn control(&self, what: &str) {
        let script = format!(
            "cd '{0}' && '{1}/pg_ctl' -D data -w {what} >control.log 2>&1",
            self.directory.display(),
            programs().display()
        );
        let status = tokio::process::Command::from(shell(&script)).status().await.unwrap();
        assert!(status.success(), "pg_ctl {what} failed in {}", self.directory.display());
    }

    /// A standby that follows this server.
    pub async fn standby(&self) -> Self {
        let copy = format!(
            "pg_basebackup' -h 127.0.0.1 -p {} -U postgres -D data -R -c fast --no-sync",
            self.port
        );
        let standby = Self::start_on(&copy, "synchronous_commit=on");
        standby.wait().await;
        standby
    }

    /// The URL of a database on the server among these that accepts writes.
    #[must_use]
    pub fn address_of_all(servers: &[&Self], database: &str) -> String {
        let hosts: Vec<String> =
            servers.iter().map(|server| format!("127.0.0.1:{}", server.port)).collect();
        format!("postgres://postgres@{}/{database}", hosts.join(","))
    }

    /// The URL of a database on this server by its local socket, as libpq accepts it: with a user
    /// and without a host.
    #[must_use]
    pub fn address_by_socket(&self, database: &str) -> String {
        format!(
            "postgres://postgres@/{database}?host={}&port={}",
            self.directory.display(),
            self.port
        )
    }

    fn start(settings: &str) -> Self {
        let init = "initdb' -D data -U postgres -A trust -E UTF8 --locale=C.UTF-8 --no-sync";
        Self::start_on(init, settings)
    }

    /// Starts a server on a directory that this script creates.
    fn start_on(made_by: &str, settings: &str) -> Self {
        let programs = programs();
        let settings: Vec<String> =
            settings.split(' ').map(|setting| format!("-c {setting}")).collect();
        let directory = tempfile::Builder::new().prefix("campaigns-pg-").tempdir().unwrap().keep();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        if let Some(user) = server_user() {
            let own = Command::new("chown").arg(user).arg(&directory).status().unwrap();
            assert!(own.success(), "chown {user} failed");
        }
        let script = format!(
            "cd '{directory}' && \
             '{programs}/{made_by} >init.log 2>&1 && \
             '{programs}/pg_ctl' -D data -w -l server.log -o '-p {port} -k {directory} -c \
             listen_addresses=127.0.0.1 -c fsync=off {settings} -c full_page_writes=off -c \
             max_connections=400 -c max_wal_size=256MB -c max_prepared_transactions=8' \
                start >start.log 2>&1 && cat >/dev/null || tail -n 20 *.log >&2; \
             '{programs}/pg_ctl' -D data -w -m immediate stop >stop.log 2>&1; rm -rf '{directory}'",
            directory = directory.display(),
            programs = programs.display(),
            settings = settings.join(" "),
        );
        let server = shell(&script)
            .stdin(Stdio::piped())
            // ended by the pipe, not by the Ctrl-C that ends the tests
            .process_group(0)
            .spawn()
            .unwrap();
        Self { port, directory, _server: server }
    }

    async fn wait(&self) {
        let start = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            assert!(start.elapsed() < Duration::from_mins(1), "PostgreSQL did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // it listens shortly before it accepts sessions
        let mut options = ConnectOptions::new(self.url("postgres"));
        options.sqlx_logging(false).max_connections(1);
        while sea_orm::Database::connect(options.clone()).await.is_err() {
            assert!(start.elapsed() < Duration::from_mins(1), "PostgreSQL did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) async fn create(&self, template: Option<&str>) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.create_named(&name, template).await
    }

    /// A copy of a database, whose open connections are closed.
    async fn copy(&self, name: &str) -> String {
        let admin = connect(&self.url("postgres"), 1).await;
        let alone = format!(
            "ALTER DATABASE {name} ALLOW_CONNECTIONS false; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        );
        admin.execute_unprepared(&alone).await.unwrap();
        let start = Instant::now();
        while admin
            .execute_unprepared(&format!("CREATE DATABASE {name}_copy TEMPLATE {name}"))
            .await
            .is_err()
        {
            assert!(start.elapsed() < Duration::from_secs(20), "{name} was not copied");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        for of in [name, &format!("{name}_copy")] {
            let again = format!("ALTER DATABASE {of} ALLOW_CONNECTIONS true");
            admin.execute_unprepared(&again).await.unwrap();
        }
        admin.close().await.unwrap();
        self.url(&format!("{name}_copy"))
    }

    /// Removes a database of the run's server on a separate thread, since the runtime of its test
    /// is about to end.
    fn remove(url: String) {
        static REMOVED: LazyLock<mpsc::Sender<String>> = LazyLock::new(|| {
            let (removed, to_remove) = mpsc::channel::<String>();
            std::thread::spawn(move || {
                let runtime =
                    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                for url in to_remove {
                    let (server, name) = url.rsplit_once('/').unwrap();
                    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                    runtime.block_on(async {
                        let admin = connect(&format!("{server}/postgres"), 1).await;
                        if let Err(error) = admin.execute_unprepared(&drop).await {
                            eprintln!("{drop}: {error}");
                        }
                        admin.close().await.unwrap();
                    });
                }
            });
            removed
        });
        REMOVED.send(url).unwrap();
    }

    pub(crate) async fn create_named(&self, name: &str, template: Option<&str>) -> String {
        // one copy of a template at a time
        static COPYING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _copying = COPYING.lock().await;
        let admin = connect(&self.url("postgres"), 1).await;
        let template = template.unwrap_or("template0");
        admin
            .execute_unprepared(&format!("CREATE DATABASE {name} TEMPLATE {template}"))
            .await
            .unwrap();
        admin.close().await.unwrap();
        self.url(name)
    }
}

/// The directory of `initdb` and `postgres`.
pub(crate) fn programs() -> PathBuf {
    let mut places: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    if let Ok(versions) = std::fs::read_dir("/usr/lib/postgresql") {
        let mut found: Vec<_> = versions.flatten().map(|entry| entry.path().join("bin")).collect();
        found.sort();
        places.extend(found.into_iter().rev());
    }
    // the target of a link, since the other programs are there
    let found = places.into_iter().find_map(|place| place.join("initdb").canonicalize().ok());
    found.and_then(|initdb| Some(initdb.parent()?.to_owned())).unwrap_or_else(|| {
        let mut err = std::io::stderr();
        writeln!(err, "install PostgreSQL 15 or later: the tests start a server of their own")
            .unwrap();
        panic!("PostgreSQL's server programs (initdb, postgres) are not installed")
    })
}

/// A client program of PostgreSQL, in the server's version if that is installed.
#[must_use]
pub fn postgres_program(name: &str) -> PathBuf {
    let beside = programs().join(name);
    if beside.exists() { beside } else { name.into() }
}

/// The user who runs the server if the current user is root, which its programs refuse.
pub(crate) fn server_user() -> Option<&'static str> {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    is_root.then(|| if user_exists("postgres") { "postgres" } else { "nobody" })
}

/// A shell that runs a script as the user of the server.
fn shell(script: &str) -> Command {
    let mut shell = match server_user() {
        Some(user) => {
            let mut shell = Command::new("runuser");
            shell.args(["-u", user, "--", "sh"]);
            shell
        }
        None => Command::new("sh"),
    };
    shell.args(["-c", script]);
    shell
}

fn user_exists(name: &str) -> bool {
    Command::new("id")
        .arg(name)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap()
        .success()
}
