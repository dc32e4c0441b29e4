//! A running service for one test, on a port that the system chooses.

use std::{
    future::ready,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use campaigns_encryption::{EncryptionKey, Keyring};
use campaigns_scope::{ClaimRules, Database, Key, Observer, Options, Scope, Signer, Verifier};
use campaigns_server::{App, Clock, KeyServer, Pace, Settings};
use chrono::{TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Backend, Client, Pooler, TestDatabase, until};

const SECRET: &[u8] = b"a secret of the tests, 32 bytes or more";

/// The key that encrypts secrets, unless a test has other settings.
#[must_use]
pub fn keyring() -> Keyring {
    let key = EncryptionKey::new(b"a key of the tests with 32 bytes");
    [key.unwrap()].into_iter().collect()
}

/// A statement that the service sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Its text.
    pub sql: String,
    /// Its values, as they are written in SQL.
    pub values: Vec<String>,
    /// The SQL that set how its connection plans.
    pub plans: &'static str,
}

/// Whether the sender of a statement panics.
type Panics = Box<dyn FnMut(&Sent) -> bool + Send>;

fn at(word: &'static str) -> Panics {
    Box::new(move |sent| sent.sql.contains(word))
}

/// A running service.
pub struct TestApp {
    /// Its database.
    pub database: TestDatabase,
    /// The service's connections to it.
    pub service_database: Database,
    /// The service itself.
    pub service: App,
    /// A connection that bypasses the service.
    pub sql: DatabaseConnection,
    /// Its address, `http://…`.
    pub address: String,
    statements: Arc<Mutex<Vec<Sent>>>,
    clock_panics: Arc<AtomicBool>,
    /// The seconds by which the service's clock is ahead.
    clock_ahead: Arc<AtomicI64>,
    panics: Arc<Mutex<Option<Panics>>>,
    http: reqwest::Client,
    /// Connections for the rows that tests prepare, if those of the service are behind row
    /// security.
    unrestricted: Option<Database>,
    _pooler: Option<Pooler>,
    _stop: watch::Sender<bool>,
}

/// An organization and its clients.
pub struct Organization {
    /// Its ID.
    pub id: Uuid,
    /// An admin.
    pub admin: Client,
    /// A member.
    pub member: Client,
    /// An admin's scope.
    pub scope: Scope,
}

/// A builder of a test's application: its database and its settings.
///
/// By default, operations do not fail because the machine is slow.
pub struct TestAppBuilder {
    database: Pin<Box<dyn Future<Output = TestDatabase> + Send>>,
    settings: Settings,
    options: Box<dyn FnOnce(Options) -> Options + Send>,
    key_server: Option<(String, Pace)>,
    panics: Option<Panics>,
    pooled: bool,
    row_security: bool,
}

impl TestApp {
    /// An application on a new, empty database.
    #[must_use]
    pub fn on(backend: Backend) -> TestAppBuilder {
        TestAppBuilder::on(TestDatabase::new(backend))
    }

    /// An application on this database.
    #[must_use]
    pub fn on_database(database: TestDatabase) -> TestAppBuilder {
        TestAppBuilder::on(ready(database))
    }

    /// An application on a PostgreSQL database of another program that the service has adopted.
    #[must_use]
    pub fn adopted() -> TestAppBuilder {
        TestAppBuilder::on(TestDatabase::adopted())
    }
}

impl TestAppBuilder {
    /// How long tests wait for a response on a busy machine, unless they test times.
    const PATIENCE: Duration = Duration::from_mins(2);

    /// The role of viewers behind row security.
    const ROLE: &str = "authenticated";

    fn on(database: impl Future<Output = TestDatabase> + Send + 'static) -> Self {
        Self {
            database: Box::pin(database),
            settings: Settings { keyring: keyring(), ..Settings::default() },
            options: Box::new(|options| options),
            key_server: None,
            panics: None,
            pooled: false,
            row_security: false,
        }
    }

    /// Starts it with settings.
    #[must_use]
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings, ..self }
    }

    /// Connects to the database with other options, made from the default ones of tests.
    #[must_use]
    pub fn options(self, options: impl FnOnce(Options) -> Options + Send + 'static) -> Self {
        Self { options: Box::new(options), ..self }
    }

    /// Reads the keys that verify tokens from a key server.
    #[must_use]
    pub fn key_server(self, url: &str, pace: Pace) -> Self {
        Self { key_server: Some((url.to_owned(), pace)), ..self }
    }

    /// Makes senders of statements that contain this word panic, from startup on.
    #[must_use]
    pub fn panicking_at(self, word: &'static str) -> Self {
        Self { panics: Some(at(word)), ..self }
    }

    /// Reaches PostgreSQL through a pooler in transaction mode.
    #[must_use]
    pub fn pooled(self) -> Self {
        Self { pooled: true, ..self }
    }

    /// Applies the row security policies of `migrate --with-policies` to viewers, who are users
    /// with memberships.
    #[must_use]
    pub fn row_security(self) -> Self {
        Self { row_security: true, ..self }
    }

    /// Starts it.
    pub async fn start(self) -> TestApp {
        let database = self.database.await;
        let pooler = if self.pooled { Some(Pooler::start(&database).await) } else { None };
        let mut options = Options {
            max_connections: 8,
            acquire_timeout: Self::PATIENCE,
            max_wait: Self::PATIENCE,
            ..Options::new(pooler.as_ref().map_or(&database.url, |pooler| &pooler.url))
        };
        let mut unrestricted = None;
        if self.row_security {
            campaigns_migration::write_policies(&database.url, Self::ROLE).await.unwrap();
            options.row_security_role = Some(Self::ROLE.to_owned());
            let plain = Options { max_connections: 4, ..Options::new(&database.url) };
            unrestricted = Some(Database::connect(&plain, None).await.unwrap());
        }
        let statements: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let panics = Arc::new(Mutex::new(self.panics));
        let observer = observer(Arc::clone(&statements), Arc::clone(&panics));
        let options = (self.options)(options);
        let service_database = Database::connect(&options, Some(observer)).await.unwrap();
        let sql = database.connect().await;
        let clock_panics = Arc::new(AtomicBool::new(false));
        let clock_ahead = Arc::new(AtomicI64::new(0));
        let (panics_now, ahead) = (Arc::clone(&clock_panics), Arc::clone(&clock_ahead));
        let clock = Clock::new(move || {
            assert!(!panics_now.load(Ordering::SeqCst), "as the test wants");
            Utc::now() + TimeDelta::seconds(ahead.load(Ordering::SeqCst))
        });
        let mut settings = self.settings;
        if settings.query_timeout == Settings::default().query_timeout {
            settings.query_timeout = Self::PATIENCE;
        }
        let service = match self.key_server {
            Some((url, pace)) => {
                let without_keys = Verifier::without_keys(ClaimRules::default());
                let server = KeyServer::start(url.parse().unwrap(), without_keys, pace).await;
                App::new(service_database.clone(), server.unwrap(), clock, settings)
            }
            None => App::new(service_database.clone(), verifier(), clock, settings),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let serving = service.clone();
        tokio::spawn(async move { serving.serve(listener, stopped).await });
        TestApp {
            database,
            service_database,
            service,
            sql,
            address,
            statements,
            panics,
            clock_panics,
            clock_ahead,
            http: reqwest::Client::new(),
            unrestricted,
            _pooler: pooler,
            _stop: stop,
        }
    }
}

/// Records each statement that is part of a request, and panics at the statements that the test
/// selected.
fn observer(statements: Arc<Mutex<Vec<Sent>>>, panics: Arc<Mutex<Option<Panics>>>) -> Observer {
    // words of statements that tasks send, at any time
    const OF_TASKS: [&str; 10] = [
        "campaign_counts_fold",
        "waiting_changes",
        "campaign_events_file_waiting",
        "campaign_triggers",
        "triggers.tgisinternal",
        "WHERE type = 'trigger'",
        "campaign_unmatched_events",
        "campaign_provider_stats",
        "campaign_message_ids AS message",
        " AS swept ",
    ];
    Box::new(move |statement, plans, _| {
        let values = statement.values.iter().flat_map(|values| &values.0);
        let values = values.map(ToString::to_string).collect();
        let sent = Sent { sql: statement.sql.clone(), values, plans };
        let panics = panics.lock().unwrap().as_mut().is_some_and(|panics| panics(&sent));
        if !OF_TASKS.iter().any(|word| statement.sql.contains(word)) {
            statements.lock().unwrap().push(sent);
        }
        assert!(!panics, "as the test wants");
    })
}

impl TestApp {
    /// Creates an organization.
    pub async fn organization(&self, slug: &str) -> Organization {
        let id = Uuid::new_v4();
        let created: Result<(), campaigns_scope::Error> = self
            .service_database
            .operator()
            .create_organization(id, slug, slug, Utc::now(), async |_| Ok(()))
            .await;
        created.unwrap();
        self.existing_organization(id).await
    }

    /// An organization that the service has not looked up yet, and a member.
    pub async fn newcomer(&self) -> (Uuid, Client) {
        let id = Uuid::new_v4();
        let new = self.literal(id);
        self.run(&format!(
            "INSERT INTO organizations (id, name, slug) VALUES ({new}, 'x', '{id}')"
        ))
        .await;
        (id, self.client(Some(Self::token(id, "member", "x"))))
    }

    /// The campaign of a send.
    pub async fn campaign_of(&self, send: Uuid) -> Uuid {
        let send = self.literal(send);
        let select = format!("SELECT campaign_id FROM campaign_sends WHERE id = {send}");
        self.rows(&select).await[0].try_get("", "campaign_id").unwrap()
    }

    /// Clients of an organization that already exists.
    pub async fn existing_organization(&self, id: Uuid) -> Organization {
        let mut subjects = ["an-admin".to_owned(), "a-member".to_owned()];
        if self.unrestricted.is_some() {
            // the policies look users up
            subjects = [self.user(id, "admin").await, self.user(id, "member").await];
        }
        let admin = self.client(Some(Self::token(id, "admin", &subjects[0])));
        let member = self.client(Some(Self::token(id, "member", &subjects[1])));
        Organization { id, admin, member, scope: self.scope(id).await }
    }

    /// Creates a user with a membership, and returns the subject for a token.
    async fn user(&self, organization: Uuid, role: &str) -> String {
        let (id, subject) = (Uuid::new_v4(), Uuid::new_v4());
        self.run(&format!(
            "INSERT INTO users (id, org_id, auth_id, email) VALUES \
             ('{id}', '{organization}', '{subject}', '{id}@example.com'); \
             INSERT INTO memberships (org_id, user_id, role) VALUES \
             ('{organization}', '{id}', '{role}')"
        ))
        .await;
        subject.to_string()
    }

    /// The scope of an admin.
    pub async fn scope(&self, organization: Uuid) -> Scope {
        let viewer = self.verify(&Self::token(organization, "admin", "a-test"));
        self.unrestricted
            .as_ref()
            .unwrap_or(&self.service_database)
            .enter(&viewer)
            .await
            .unwrap()
            .unwrap()
    }

    /// A client with a token, or without.
    #[must_use]
    pub fn client(&self, token: Option<String>) -> Client {
        Client { http: self.http.clone(), address: self.address.clone(), token }
    }

    /// A token that the service accepts.
    #[must_use]
    pub fn token(organization: Uuid, role: &str, subject: &str) -> String {
        let now = Utc::now();
        let signer = Signer::new(SECRET, ClaimRules::default()).unwrap();
        signer.sign(organization, role, subject, now, now + TimeDelta::hours(1)).unwrap()
    }

    /// The viewer of a token.
    #[must_use]
    pub fn verify(&self, token: &str) -> campaigns_scope::Viewer {
        verifier().verify(token, Utc::now()).unwrap()
    }

    /// Signs any claims with the secret of the service.
    #[must_use]
    pub fn sign(claims: &serde_json::Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
    }

    /// Clears the list of statements.
    pub fn forget_statements(&self) {
        self.statements.lock().unwrap().clear();
    }

    /// The statements that the service has sent since its start, or since the list was cleared.
    #[must_use]
    pub fn statements(&self) -> Vec<Sent> {
        self.statements.lock().unwrap().clone()
    }

    /// From now on, sending a statement that contains this word panics.
    pub fn panic_at(&self, word: Option<&'static str>) {
        *self.panics.lock().unwrap() = word.map(at);
    }

    /// From now on, reading the clock panics, or no longer does.
    pub fn panic_at_the_clock(&self, panics: bool) {
        self.clock_panics.store(panics, Ordering::SeqCst);
    }

    /// From now on, the service's clock is ahead by this many seconds, or behind if there are fewer than none.
    pub fn set_clock_ahead(&self, seconds: i64) {
        self.clock_ahead.store(seconds, Ordering::SeqCst);
    }

    /// The next sender of a statement that contains this word panics. Returns whether it has.
    #[must_use]
    pub fn panic_once_at(&self, word: &'static str) -> Arc<AtomicBool> {
        let happened = Arc::new(AtomicBool::new(false));
        let once = Arc::clone(&happened);
        self.panic_where(move |sent| sent.sql.contains(word) && !once.swap(true, Ordering::SeqCst));
        happened
    }

    /// From now on, senders of statements for which this returns true panic.
    pub fn panic_where(&self, panics: impl FnMut(&Sent) -> bool + Send + 'static) {
        *self.panics.lock().unwrap() = Some(Box::new(panics));
    }

    /// Runs SQL as another program does.
    pub async fn run(&self, sql: &str) {
        self.try_run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs SQL that may fail.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn try_run(&self, sql: &str) -> Result<(), sea_orm::DbErr> {
        self.sql.execute_unprepared(sql).await.map(|_| ())
    }

    /// The rows of a query.
    pub async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let statement = Statement::from_string(self.sql.get_database_backend(), sql);
        self.sql.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The number of rows of a table.
    pub async fn count(&self, table: &str) -> i64 {
        let rows = self.rows(&format!("SELECT count(*) AS count FROM {table}")).await;
        rows[0].try_get("", "count").unwrap()
    }

    /// The numbers of rows that a deletion can remove or change.
    pub async fn deletable_rows(&self) -> Vec<i64> {
        let mut counts = Vec::new();
        for table in [
            "campaigns",
            "campaign_segments",
            "campaign_sends",
            "campaign_events",
            "campaign_lists",
            "campaign_lists WHERE segment_id IS NOT NULL",
        ] {
            counts.push(self.count(table).await);
        }
        counts
    }

    /// Keeps changes of counts from being added on PostgreSQL, as long as the result lives.
    pub async fn hold_changes(&self) -> Option<DatabaseConnection> {
        if self.database.backend == Backend::Sqlite {
            return None;
        }
        let connection = self.database.connect_once().await;
        connection.execute_unprepared("SELECT pg_advisory_lock(71::bigint << 56)").await.unwrap();
        Some(connection)
    }

    /// Waits until this number of operations are being executed, or wait for it.
    pub async fn until_executing(&self, operations: usize) {
        until("the operations have arrived", Duration::from_mins(2), async || {
            let occupancy = self.service_database.budgets().executing();
            occupancy.held + occupancy.waiting == operations
        })
        .await;
    }

    /// An ID as the database's SQL writes it.
    #[must_use]
    pub fn literal(&self, id: Uuid) -> String {
        match self.database.backend {
            Backend::Sqlite => format!("x'{}'", id.simple()),
            Backend::Postgres => format!("'{id}'"),
        }
    }
}

fn verifier() -> Verifier {
    Verifier::new(Key::secret(SECRET).unwrap(), ClaimRules::default())
}
