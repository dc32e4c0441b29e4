//! The service in release mode, as a separate process, with its own PostgreSQL server.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context;
use campaigns_scope::{ClaimRules, Signer};
use campaigns_tests::{Postgres, TestDatabase};
use chrono::{TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};
use uuid::Uuid;

use crate::data::{self, Data};

const SECRET: &str = "a secret of the benchmarks, 32 bytes or more";

/// A running service with two organizations that have the same rows.
pub(crate) struct Service {
    pub(crate) address: String,
    pub(crate) token: String,
    /// A token for the other organization.
    pub(crate) other: String,
    pub(crate) organization: Uuid,
    pub(crate) other_organization: Uuid,
    pub(crate) sends: Vec<Uuid>,
    pub(crate) sql: DatabaseConnection,
    /// The time from its start until it listened.
    pub(crate) started_in: Duration,
    process: Child,
    pub(crate) database: TestDatabase,
    pub(crate) postgres: Postgres,
}

impl Service {
    /// Starts a service on two organizations of 10,000 sends each, without events.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        Self::start_with(&[]).await
    }

    /// Like [`Self::start`], with more arguments for the service.
    pub(crate) async fn start_with(more: &[&str]) -> anyhow::Result<Self> {
        let (postgres, database) = Postgres::own().await;
        let sql = database.connect().await;
        let (organization, other) = (Uuid::new_v4(), Uuid::new_v4());
        for id in [organization, other] {
            let org = format!("'{id}'");
            for statement in [
                format!(
                    "INSERT INTO organizations (id, name, slug) VALUES ({org}, 'Bench', {org})"
                ),
                format!(
                    "INSERT INTO campaigns (org_id, name) SELECT {org}, 'c' || n FROM generate_series(1, 20) n"
                ),
                format!(
                    "INSERT INTO contacts (org_id, first_name) SELECT {org}, 'k' || n FROM generate_series(1, 500) n"
                ),
                format!(
                    "INSERT INTO campaign_sends (org_id, campaign_id, contact_id) \
                         SELECT {org}, campaigns.id, contacts.id FROM campaigns CROSS JOIN contacts \
                         WHERE campaigns.org_id = {org} AND contacts.org_id = {org}"
                ),
            ] {
                sql.execute_unprepared(&statement).await?;
            }
        }
        sql.execute_unprepared("ANALYZE").await?;
        Self::on(postgres, database, sql, organization, other, more).await
    }

    /// Starts a service on 20 organizations of a scale, with a token for the largest of them.
    pub(crate) async fn of_scale(scale: usize) -> anyhow::Result<Self> {
        Self::filled(Data::Organizations { scale }).await
    }

    /// Starts a service on an organization with 200,000 contacts.
    pub(crate) async fn with_audience() -> anyhow::Result<Self> {
        Self::filled(Data::Audience).await
    }

    async fn filled(data: Data) -> anyhow::Result<Self> {
        let (postgres, database) = Postgres::own().await;
        let sql = database.connect().await;
        data::fill(&sql, &database.url, data).await?;
        let organization = data::largest(&sql).await?;
        Self::on(postgres, database, sql, organization, organization, &[]).await
    }

    async fn on(
        postgres: Postgres,
        database: TestDatabase,
        sql: DatabaseConnection,
        organization: Uuid,
        other_organization: Uuid,
        more: &[&str],
    ) -> anyhow::Result<Self> {
        let sends =
            format!("SELECT id FROM campaign_sends WHERE org_id = '{organization}' LIMIT 10000");
        let select = Statement::from_string(sql.get_database_backend(), sends);
        let rows = sql.query_all_raw(select).await?;
        let sends = rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;

        let started = Instant::now();
        let (process, address) = serve(command(&database.url, "127.0.0.1:0")?, more, &[]).await?;
        let started_in = started.elapsed();
        let signer = Signer::new(SECRET.as_bytes(), ClaimRules::default())?;
        let now = Utc::now();
        let sign = |of| signer.sign(of, "admin", "bench", now, now + TimeDelta::days(1));
        let (token, other) = (sign(organization)?, sign(other_organization)?);
        Ok(Self {
            address,
            token,
            other,
            organization,
            other_organization,
            sends,
            sql,
            started_in,
            process,
            database,
            postgres,
        })
    }

    /// Starts a second service on the same database, with row security. Returns its process, its
    /// address, and the token of a user of the organization.
    pub(crate) async fn behind_row_security(&self) -> anyhow::Result<(Child, String, String)> {
        let migrate = ["migrate", "--with-policies", "--database-url", &self.database.url];
        let migrated =
            Command::new(program()?).args(migrate).stdout(Stdio::null()).status().await?;
        anyhow::ensure!(migrated.success(), "policies were not written");
        let (id, subject) = (Uuid::new_v4(), Uuid::new_v4());
        let organization = self.organization;
        let user = format!(
            "INSERT INTO users (id, org_id, auth_id, email) \
             VALUES ('{id}', '{organization}', '{subject}', 'x@example.com'); \
             INSERT INTO memberships (org_id, user_id, role) VALUES ('{organization}', '{id}', 'admin')"
        );
        self.sql.execute_unprepared(&user).await?;
        let (process, address) = self.beside(&["--row-level-security"], &[]).await?;
        let signer = Signer::new(SECRET.as_bytes(), ClaimRules::default())?;
        let (now, subject) = (Utc::now(), subject.to_string());
        let token = signer.sign(organization, "admin", &subject, now, now + TimeDelta::days(1))?;
        Ok((process, address, token))
    }

    /// Starts a second service on the same database. Returns its process and its address.
    pub(crate) async fn beside(
        &self,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> anyhow::Result<(Child, String)> {
        serve(command(&self.database.url, "127.0.0.1:0")?, more, environment).await
    }

    /// Starts the program of another version on the same database. Returns its process and its address.
    pub(crate) async fn beside_version(&self, program: &Path) -> anyhow::Result<(Child, String)> {
        serve(command_of(program, &self.database.url, "127.0.0.1:0"), &[], &[]).await
    }

    /// The ID of the service's process.
    pub(crate) fn process_id(&self) -> anyhow::Result<u32> {
        self.process.id().context("it runs")
    }

    /// Sends an operation over HTTP.
    ///
    /// # Errors
    ///
    /// Fails if the response has errors.
    pub(crate) async fn execute_as(
        &self,
        http: &reqwest::Client,
        token: &str,
        query: &str,
        variables: Json,
    ) -> anyhow::Result<Json> {
        let answer = http
            .post(format!("{}/graphql", self.address))
            .bearer_auth(token)
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        let mut body: Json = answer.json().await?;
        anyhow::ensure!(body.get("errors").is_none(), "{body}");
        Ok(body["data"].take())
    }

    /// Inserts opens of sends, one after the other from `first` on, in one statement, as another
    /// program would. Returns their IDs.
    pub(crate) async fn insert(&self, first: usize, count: usize) -> anyhow::Result<Vec<Uuid>> {
        let ids: Vec<Uuid> = (0..count).map(|_| Uuid::new_v4()).collect();
        let values: Vec<String> = ids
            .iter()
            .enumerate()
            .map(|(index, id)| {
                let send = self.sends[(first + index) % self.sends.len()];
                format!("('{id}', '{}', '{send}', 'open')", self.organization)
            })
            .collect();
        let insert = format!(
            "INSERT INTO campaign_events (id, org_id, send_id, event_type) VALUES {}",
            values.join(", ")
        );
        self.sql.execute_unprepared(&insert).await?;
        Ok(ids)
    }

    /// The number of rows of a table.
    pub(crate) async fn count(&self, table: &str) -> anyhow::Result<i64> {
        let select = format!("SELECT count(*) AS number FROM {table}");
        let select = Statement::from_string(self.sql.get_database_backend(), select);
        let row = self.sql.query_one_raw(select).await?;
        Ok(row.context("a number")?.try_get("", "number")?)
    }

    /// The number of transactions that the database has committed. Waits 1.5 s for the statistics.
    pub(crate) async fn statements(&self) -> anyhow::Result<i64> {
        // backends report their statistics once a second
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let name = self.database.url.rsplit('/').next().context("a name")?;
        let select =
            format!("SELECT xact_commit AS number FROM pg_stat_database WHERE datname = '{name}'");
        let select = Statement::from_string(self.sql.get_database_backend(), select);
        let row = self.sql.query_one_raw(select).await?;
        Ok(row.context("a number")?.try_get("", "number")?)
    }

    /// The size of its program in bytes.
    pub(crate) fn size() -> anyhow::Result<u64> {
        Ok(program()?.metadata()?.len())
    }

    /// The number of the service's open file descriptors.
    pub(crate) fn files(&self) -> anyhow::Result<usize> {
        let id = self.process.id().context("it runs")?;
        Ok(std::fs::read_dir(format!("/proc/{id}/fd"))?.count())
    }

    /// The service's resident memory in bytes.
    pub(crate) fn memory(&self) -> anyhow::Result<usize> {
        memory_of(&self.process)
    }
}

/// The service's program, in the same directory as this one.
pub(crate) fn program() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("campaigns"))
}

/// The command for a service on a database that listens at an address and accepts this program's tokens.
pub(crate) fn command(url: &str, listen: &str) -> anyhow::Result<Command> {
    Ok(command_of(&program()?, url, listen))
}

fn command_of(program: &Path, url: &str, listen: &str) -> Command {
    let mut command = Command::new(program);
    command
        .args(["serve", "--listen", listen, "--jwt-secret", SECRET, "--database-url", url])
        .kill_on_drop(true);
    command
}

/// Starts a service, and returns its process and address.
async fn serve(
    mut command: Command,
    more: &[&str],
    environment: &[(&str, &str)],
) -> anyhow::Result<(Child, String)> {
    let program = command.as_std().get_program().to_owned();
    let mut process = command
        .args(more)
        .envs(environment.iter().copied())
        .stdout(Stdio::piped())
        // the log has a line for each operation
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("{} is not built: just bench", program.display()))?;
    let mut lines = BufReader::new(process.stdout.take().context("it writes")?).lines();
    let line = lines.next_line().await?.context("it prints its address")?;
    let address = line.strip_prefix("listening on ").context("an address")?.to_owned();
    Ok((process, address))
}

/// The resident memory of a process in bytes.
pub(crate) fn memory_of(process: &Child) -> anyhow::Result<usize> {
    let id = process.id().context("it runs")?;
    let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = resident.context("a resident size")?.trim().trim_end_matches(" kB");
    Ok(kilobytes.parse::<usize>()? * 1_024)
}

/// Waits a second for running work to finish.
pub(crate) async fn rest() {
    tokio::time::sleep(Duration::from_secs(1)).await;
}
