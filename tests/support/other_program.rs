//! PostgreSQL databases of another program, for the service to adopt.

use std::process::Command;

use sea_orm::ConnectionTrait;

use tokio::sync::OnceCell;

use crate::{
    Backend, Postgres, TestDatabase,
    database::{Remains, connect, postgres_program},
};

/// How such a database defines a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statuses {
    /// By the documented enums.
    Documented,
    /// By enums with other names, in another schema, with more values in another order.
    OtherEnums,
    /// By text with a CHECK.
    Text,
}

const NEIGHBOURS: &str =
    "CREATE TYPE membership_role AS ENUM ('owner', 'admin', 'member', 'guest');
    CREATE TYPE membership_status AS ENUM ('active', 'invited', 'suspended');";

impl TestDatabase {
    /// A new database with the tables, policies, functions and triggers of another program.
    pub async fn of_other_program(statuses: Statuses) -> Self {
        let database = Self::empty(Backend::Postgres).await;
        let connection = database.connect().await;
        connection.execute_unprepared(&tables_of_other_program(statuses)).await.unwrap();
        connection.close().await.unwrap();
        database
    }

    /// A new database that the service has adopted.
    pub async fn adopted() -> Self {
        static TEMPLATE: OnceCell<()> = OnceCell::const_new();
        let postgres = Postgres::get().await;
        TEMPLATE
            .get_or_init(async || {
                let url = postgres.create_named("adopted_template", None).await;
                let connection = connect(&url, 1).await;
                let sql = tables_of_other_program(Statuses::Documented);
                connection.execute_unprepared(&sql).await.unwrap();
                connection.close().await.unwrap();
                campaigns_migration::up(&url).await.unwrap();
            })
            .await;
        let url = postgres.create(Some("adopted_template")).await;
        Self { _remains: Remains::Database(url.clone()), backend: Backend::Postgres, url }
    }

    /// Its schema, by `pg_dump -s`.
    #[must_use]
    pub fn schema(&self) -> String {
        let dump =
            Command::new(postgres_program("pg_dump")).args(["-s", &self.url]).output().unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let dump = String::from_utf8(dump.stdout).unwrap();
        // a random token that is different in each dump
        let own =
            |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
        dump.lines().filter(own).collect::<Vec<_>>().join("\n")
    }
}

fn tables_of_other_program(statuses: Statuses) -> String {
    const VALUES: [(&str, &str, &[&str]); 4] = [
        (
            "{campaign_status}",
            "campaign_status",
            &["draft", "scheduled", "sending", "sent", "paused", "canceled"],
        ),
        ("{send_status}", "send_status", &["queued", "sent", "delivered", "bounced", "failed"]),
        (
            "{event_type}",
            "campaign_event_type",
            &["open", "click", "unsubscribe", "complaint", "bounce"],
        ),
        ("{contact_type}", "contact_type", &["lead", "prospect", "customer", "partner", "other"]),
    ];
    let mut types = NEIGHBOURS.to_owned();
    if statuses == Statuses::OtherEnums {
        types += "CREATE SCHEMA kinds; GRANT USAGE ON SCHEMA kinds TO PUBLIC;";
    }
    let mut sql = include_str!("other_program.sql").to_owned();
    for (placeholder, documented, values) in VALUES {
        let quoted: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
        let list = quoted.join(", ");
        let kind = match statuses {
            Statuses::Documented => {
                types += &format!("CREATE TYPE {documented} AS ENUM ({list});");
                documented.to_owned()
            }
            Statuses::OtherEnums => {
                let name = format!("kinds.\"Of {documented}\"");
                let reversed: Vec<String> = quoted.iter().rev().cloned().collect();
                let list = reversed.join(", ");
                types += &format!("CREATE TYPE {name} AS ENUM ({list}, 'unheard of');");
                name
            }
            // the column's name is before it
            Statuses::Text => {
                let column = match documented {
                    "contact_type" => "type",
                    "campaign_event_type" => "event_type",
                    _ => "status",
                };
                format!("varchar(40) CHECK ({column} IN ({list}))")
            }
        };
        sql = sql.replace(placeholder, &kind);
    }
    sql.replace("{types}", &types)
}

/// Asserts that two dumps of a schema are equal. Otherwise, shows the lines that only one of them
/// has.
///
/// # Panics
/// If they differ.
#[track_caller]
pub fn assert_same_schema(before: &str, after: &str) {
    let only = |of: &str, other: &str| {
        let other: Vec<&str> = other.lines().collect();
        let lines: Vec<&str> = of.lines().filter(|line| !other.contains(line)).collect();
        lines.join("\n")
    };
    assert!(before == after, "gone:\n{}\ncame:\n{}", only(before, after), only(after, before));
}
