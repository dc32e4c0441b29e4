//! PgBouncer, in front of a test's database.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, Statement};
use tempfile::TempDir;

use crate::{TestDatabase, database::server_user};

/// A pooler that serves each transaction on any of its connections.
pub struct Pooler {
    /// The URL of the database through it.
    pub url: String,
    child: Child,
    _directory: TempDir,
}

impl Pooler {
    /// Starts one for a PostgreSQL database.
    pub async fn start(database: &TestDatabase) -> Self {
        Self::start_as(database, "postgres").await
    }

    /// Starts one that connects as this role for every client.
    pub async fn start_as(database: &TestDatabase, role: &str) -> Self {
        Self::start_with(database, role, 4).await
    }

    /// Starts one with this number of connections to the database.
    pub async fn of_size(database: &TestDatabase, size: u32) -> Self {
        Self::start_with(database, "postgres", size).await
    }

    async fn start_with(database: &TestDatabase, role: &str, size: u32) -> Self {
        let address = database.url.trim_start_matches("postgres://postgres@127.0.0.1:");
        let (port, name) = address.split_once('/').unwrap();
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pgbouncer.ini");
        std::fs::write(
            &file,
            format!(
                "[databases]\n{name} = host=127.0.0.1 port={port} dbname={name} user={role}\n\
                 [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {own}\nunix_socket_dir =\n\
                 auth_type = any\npool_mode = transaction\ndefault_pool_size = \
                 {size}\nmax_client_conn = 200\n"
            ),
        )
        .unwrap();
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"]
            .into_iter()
            .find(|program| std::path::Path::new(program).exists())
            .expect("PgBouncer is installed: apt-get install pgbouncer");
        // it refuses root, as PostgreSQL does
        let mut command = match server_user() {
            Some(user) => {
                let own = Command::new("chown").args(["-R", user]).arg(directory.path()).status();
                assert!(own.unwrap().success(), "chown {user} failed");
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", program]);
                command
            }
            None => Command::new(program),
        };
        let child = command
            .arg(&file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let started = Instant::now();
        while tokio::net::TcpStream::connect(("127.0.0.1", own)).await.is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "PgBouncer did not start");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let url = format!("postgres://postgres@127.0.0.1:{own}/{name}");
        Self { url, child, _directory: directory }
    }

    /// A connection through it, as of another program. It supports only unprepared statements.
    pub async fn connect(&self) -> DatabaseConnection {
        let mut options = ConnectOptions::new(&self.url);
        options.max_connections(1).sqlx_logging(false).acquire_timeout(Duration::from_mins(1));
        // otherwise it is pinged before each statement, which needs a server connection
        options.test_before_acquire(false);
        options.map_sqlx_postgres_opts(|options| options.extra_float_digits(None));
        sea_orm::Database::connect(options).await.unwrap()
    }

    /// The value of a setting on a connection of the pooler.
    pub async fn show(&self, setting: &str) -> String {
        let connection = self.connect().await;
        let sql = format!("SELECT current_setting('{setting}') AS value");
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        // in a transaction, so that both statements use the same connection
        let transaction = sea_orm::TransactionTrait::begin(&connection).await.unwrap();
        let row = transaction.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "value").unwrap()
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        // the process group of runuser and the pooler
        let group = format!("-{}", self.child.id());
        Command::new("kill").args(["-TERM", "--", &group]).status().ok();
        self.child.wait().ok();
    }
}
