//! Databases of different sizes, filled by set-based SQL. Triggers and indexes are disabled meanwhile,
//! since they would cost time for each row, and counts are rebuilt afterwards.

use anyhow::Context;
use campaigns_scope::{Database, Options};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

/// The rows of a database.
#[derive(Clone, Copy)]
pub(crate) enum Data {
    /// At scale 1, 20 organizations, 200 campaigns, 400,000 sends and 1.2 million events.
    Organizations {
        /// The factor by which contacts, sends and events are multiplied.
        scale: usize,
    },
    /// One organization with 200,000 contacts and a million events.
    Audience,
}

const TABLES: [&str; 3] = ["campaign_lists", "campaign_sends", "campaign_events"];

impl Data {
    fn sql(self) -> String {
        match self {
            Self::Organizations { scale } => {
                include_str!("data.sql").replace("{scale}", &scale.to_string())
            }
            Self::Audience => include_str!("audience.sql").to_owned(),
        }
    }
}

/// Fills a migrated database.
pub(crate) async fn fill(sql: &DatabaseConnection, url: &str, data: Data) -> anyhow::Result<()> {
    let names = TABLES.map(|table| format!("'{table}'")).join(", ");
    let own_indexes = format!(
        "SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE tablename IN ({names}) \
         AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    );
    let indexes = pairs(sql, &own_indexes).await?;
    let fires = format!(
        "SELECT tgname AS name, format('ALTER TABLE %s ENABLE %s TRIGGER %I', tgrelid::regclass, \
         CASE tgenabled WHEN 'A' THEN 'ALWAYS' ELSE 'REPLICA' END, tgname) AS sql FROM pg_trigger \
         WHERE tgenabled IN ('A', 'R') AND tgrelid::regclass::text IN ({names})"
    );
    let triggers = pairs(sql, &fires).await?;
    for (index, _) in &indexes {
        sql.execute_unprepared(&format!("DROP INDEX {index}")).await?;
    }
    for table in TABLES {
        sql.execute_unprepared(&format!("ALTER TABLE {table} DISABLE TRIGGER ALL")).await?;
    }
    sql.execute_unprepared(&data.sql()).await?;
    for table in TABLES {
        sql.execute_unprepared(&format!("ALTER TABLE {table} ENABLE TRIGGER ALL")).await?;
    }
    for (_, restore) in indexes.iter().chain(&triggers) {
        sql.execute_unprepared(restore).await?;
    }
    let database = Database::connect(&Options::new(url), None).await?;
    let counts = database.counts();
    for organization in counts.organizations().await? {
        counts.rebuild(organization).await?;
    }
    database.close().await?;
    sql.execute_unprepared("VACUUM ANALYZE").await?;
    Ok(())
}

/// The organization with more than fifty campaigns.
pub(crate) async fn largest(sql: &DatabaseConnection) -> anyhow::Result<Uuid> {
    Ok(sql
        .query_one_raw(Statement::from_string(
            sql.get_database_backend(),
            "SELECT id FROM organizations WHERE name = 'o1'",
        ))
        .await?
        .context("an organization")?
        .try_get("", "id")?)
}

async fn pairs(sql: &DatabaseConnection, select: &str) -> anyhow::Result<Vec<(String, String)>> {
    let rows = sql.query_all_raw(Statement::from_string(sql.get_database_backend(), select));
    let rows = rows.await?;
    rows.iter().map(|row| Ok((row.try_get("", "name")?, row.try_get("", "sql")?))).collect()
}
