//! A service of the test's own, on port 0.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use campaigns_scope::{ClaimRules, Database, Key, Options, Scope, Signer, Verifier};
use campaigns_server::{App, Clock, KeyServer, Pace, Settings};
use chrono::{TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult, Statement};
use tokio::sync::watch;
use uuid::Uuid;

use crate::{Backend, Client, Pooler, TestDatabase};

const SECRET: &[u8] = b"a secret of the tests, 32 bytes or more";

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
    /// A connection that goes round the service.
    pub sql: DatabaseConnection,
    /// Where it is.
    pub address: String,
    statements: Arc<Mutex<Vec<Sent>>>,
    clock_panics: Arc<AtomicBool>,
    panics: Arc<Mutex<Option<Panics>>>,
    http: reqwest::Client,
    /// Connections for what tests prepare, if those of the service are behind row security.
    behind: Option<Database>,
    _pooler: Option<Pooler>,
    _stop: watch::Sender<bool>,
}

/// An organization, and those who ask for it.
pub struct Organization {
    /// Its id.
    pub id: Uuid,
    /// An admin.
    pub admin: Client,
    /// A member.
    pub member: Client,
    /// An admin's scope.
    pub scope: Scope,
}

/// How long tests that are not about time wait for a response of the service, on a machine with
/// much else to do.
const PATIENCE: Duration = Duration::from_mins(2);

/// Options of a database whose operations do not fail because the machine is slow.
fn patient(url: &str) -> Options {
    Options {
        max_connections: 8,
        acquire_timeout: PATIENCE,
        max_wait: PATIENCE,
        ..Options::new(url)
    }
}

/// The same for settings, unless the test chose the time of an operation.
fn with_patience(settings: Settings) -> Settings {
    let query_timeout = if settings.query_timeout == Settings::default().query_timeout {
        PATIENCE
    } else {
        settings.query_timeout
    };
    Settings { query_timeout, ..settings }
}

impl TestApp {
    /// Starts one on an empty database.
    pub async fn start(backend: Backend) -> Self {
        Self::with_settings(backend, Settings::default()).await
    }

    /// Starts one on a database of PostgreSQL that another program made and the service adopted.
    pub async fn adopted() -> Self {
        Self::on(TestDatabase::adopted().await, Settings::default()).await
    }

    /// Starts one whose viewers are behind row security, by policies that were there when the
    /// service adopted the database. Its viewers are users with memberships.
    pub async fn behind_row_security() -> Self {
        let database = TestDatabase::adopted().await;
        let role = "authenticated";
        campaigns_migration::write_policies(&database.url, role).await.unwrap();
        let plain = Options { max_connections: 4, ..Options::new(&database.url) };
        let options =
            Options { row_security_role: Some(role.to_owned()), ..patient(&database.url) };
        let app = Self::with_options(database, Settings::default(), options).await;
        let behind = Database::connect(&plain, None).await.unwrap();
        Self { behind: Some(behind), ..app }
    }

    /// Starts one that reaches PostgreSQL through a pooler in transaction mode.
    pub async fn behind_a_pooler() -> Self {
        let database = TestDatabase::new(Backend::Postgres).await;
        let pooler = Pooler::start(&database).await;
        let options = patient(&pooler.url);
        let app = Self::with_options(database, Settings::default(), options).await;
        Self { _pooler: Some(pooler), ..app }
    }

    /// Starts one with settings.
    pub async fn with_settings(backend: Backend, settings: Settings) -> Self {
        Self::on(TestDatabase::new(backend).await, settings).await
    }

    /// Starts one on a database.
    pub async fn on(database: TestDatabase, settings: Settings) -> Self {
        let options = patient(&database.url);
        Self::with_options(database, settings, options).await
    }

    /// Starts one that connects to a database in a way of its own.
    pub async fn with_options(
        database: TestDatabase,
        settings: Settings,
        options: Options,
    ) -> Self {
        let app = async |service_database, clock| {
            App::new(service_database, verifier(), clock, with_patience(settings))
        };
        Self::assemble(database, options, None, app).await
    }

    /// Starts one in which senders of statements with this word panic from the start.
    pub async fn panicking(backend: Backend, settings: Settings, word: &'static str) -> Self {
        let database = TestDatabase::new(backend).await;
        let options = patient(&database.url);
        let app = async |service_database, clock| {
            App::new(service_database, verifier(), clock, with_patience(settings))
        };
        Self::assemble(database, options, Some(at(word)), app).await
    }

    /// Starts one that has its keys from a server.
    pub async fn with_key_server(backend: Backend, url: &str, pace: Pace) -> Self {
        let database = TestDatabase::new(backend).await;
        let options = patient(&database.url);
        Self::assemble(database, options, None, async |service_database, clock| {
            let verifier = Verifier::without_keys(ClaimRules::default());
            let server = KeyServer::start(url.parse().unwrap(), verifier, pace).await;
            App::new(service_database, server.unwrap(), clock, with_patience(Settings::default()))
        })
        .await
    }

    async fn assemble(
        database: TestDatabase,
        options: Options,
        panics: Option<Panics>,
        app: impl AsyncFnOnce(Database, Clock) -> App,
    ) -> Self {
        let statements: Arc<Mutex<Vec<Sent>>> = Arc::default();
        let log = Arc::clone(&statements);
        let panics = Arc::new(Mutex::new(panics));
        let panics_at = Arc::clone(&panics);
        let service_database = Database::connect(
            &options,
            Some(Box::new(move |statement: &Statement, plans, _| {
                let values = statement.values.iter().flat_map(|values| &values.0);
                let values = values.map(ToString::to_string).collect();
                let sent = Sent { sql: statement.sql.clone(), values, plans };
                let panics = panics_at.lock().unwrap().as_mut().is_some_and(|panics| panics(&sent));
                // not part of a request, and at any time
                let of_tasks = [
                    "campaign_counts_fold",
                    "waiting_changes",
                    "campaign_events_file_waiting",
                    "campaign_triggers",
                    "triggers.tgisinternal",
                    "WHERE type = 'trigger'",
                ];
                if !of_tasks.iter().any(|word| statement.sql.contains(word)) {
                    log.lock().unwrap().push(sent);
                }
                assert!(!panics, "as the test wants");
            })),
        )
        .await
        .unwrap();
        let sql = database.connect().await;
        let clock_panics = Arc::new(AtomicBool::new(false));
        let panics_now = Arc::clone(&clock_panics);
        let clock = Clock::new(move || {
            assert!(!panics_now.load(Ordering::SeqCst), "as the test wants");
            Utc::now()
        });
        let app = app(service_database.clone(), clock).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(async move { app.serve(listener, stopped).await });
        let http = reqwest::Client::new();
        Self {
            database,
            service_database,
            sql,
            address,
            statements,
            panics,
            clock_panics,
            http,
            behind: None,
            _pooler: None,
            _stop: stop,
        }
    }

    /// Founds an organization.
    pub async fn organization(&self, slug: &str) -> Organization {
        let id = Uuid::new_v4();
        let founded: Result<(), campaigns_scope::Error> = self
            .service_database
            .operator()
            .create_organization(id, slug, slug, Utc::now(), async |_| Ok(()))
            .await;
        founded.unwrap();
        self.existing_organization(id).await
    }

    /// The clients of an organization that exists already.
    pub async fn existing_organization(&self, id: Uuid) -> Organization {
        let mut subjects = ["an-admin".to_owned(), "a-member".to_owned()];
        if self.behind.is_some() {
            // policies know users
            subjects = [self.user(id, "admin").await, self.user(id, "member").await];
        }
        let admin = self.client(Some(Self::token(id, "admin", &subjects[0])));
        let member = self.client(Some(Self::token(id, "member", &subjects[1])));
        Organization { id, admin, member, scope: self.scope(id).await }
    }

    /// A new user with a membership; returns the subject that a token names.
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
        self.behind
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

    /// A token that the service takes.
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

    /// Signs any claims with the secret that the service takes.
    #[must_use]
    pub fn sign(claims: &serde_json::Value) -> String {
        let key = jsonwebtoken::EncodingKey::from_secret(SECRET);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), claims, &key).unwrap()
    }

    /// Forgets the statements that were sent so far.
    pub fn forget_statements(&self) {
        self.statements.lock().unwrap().clear();
    }

    /// The statements that were sent since.
    #[must_use]
    pub fn statements(&self) -> Vec<Sent> {
        self.statements.lock().unwrap().clone()
    }

    /// From now on, sending a statement with this word panics.
    pub fn panic_at(&self, word: Option<&'static str>) {
        *self.panics.lock().unwrap() = word.map(at);
    }

    /// Whether everything that asks for the time panics, from now on.
    pub fn panic_at_the_clock(&self, panics: bool) {
        self.clock_panics.store(panics, Ordering::SeqCst);
    }

    /// The next sender of a statement with this word panics. Returns whether that has happened.
    #[must_use]
    pub fn panic_once_at(&self, word: &'static str) -> Arc<AtomicBool> {
        let happened = Arc::new(AtomicBool::new(false));
        let once = Arc::clone(&happened);
        self.panic_where(move |sent| sent.sql.contains(word) && !once.swap(true, Ordering::SeqCst));
        happened
    }

    /// From now on, senders of the statements for which this is true panic.
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
    /// What the database says.
    pub async fn try_run(&self, sql: &str) -> Result<(), sea_orm::DbErr> {
        self.sql.execute_unprepared(sql).await.map(|_| ())
    }

    /// The rows of a query.
    pub async fn rows(&self, sql: &str) -> Vec<QueryResult> {
        let statement = Statement::from_string(self.sql.get_database_backend(), sql);
        self.sql.query_all_raw(statement).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// How many rows a table has.
    pub async fn count(&self, table: &str) -> i64 {
        let rows = self.rows(&format!("SELECT count(*) AS count FROM {table}")).await;
        rows[0].try_get("", "count").unwrap()
    }

    /// As long as the result lives, changes of counts wait to be added, on PostgreSQL.
    pub async fn hold_changes(&self) -> Option<DatabaseConnection> {
        if self.database.backend == Backend::Sqlite {
            return None;
        }
        let connection = self.database.connect_once().await;
        connection.execute_unprepared("SELECT pg_advisory_lock(71::bigint << 56)").await.unwrap();
        Some(connection)
    }

    /// An id as the database's SQL writes it.
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
