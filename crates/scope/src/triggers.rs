//! The service's triggers on tables that other programs write to, and whether each fires when it has
//! to. The migration `m0014_upkeep` explains the consequences if one does not.

use std::fmt;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde_json::json;

use crate::{COUNT_TABLES, Counts, Error, connections::Session};

/// When a trigger of PostgreSQL has to fire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum FiringMode {
    /// In all sessions.
    Always,
    /// In all sessions except those of replication, where it has no effect.
    OutsideReplication,
    /// In sessions of replication. In all others, it has no effect.
    InReplication,
    /// Like [`FiringMode::OutsideReplication`], if it exists.
    IfPresent,
}

use FiringMode::{Always, IfPresent, InReplication, OutsideReplication};

const EVENTS: &str = "campaign_events";
const SENDS: &str = "campaign_sends";

/// The triggers on the tables of events and sends in PostgreSQL.
const POSTGRES_TRIGGERS: [(&str, &str, FiringMode); 18] = [
    (EVENTS, "campaign_feed_blank", Always),
    (EVENTS, "campaign_feed_enter", Always),
    (EVENTS, "campaign_feed_wait", Always),
    (EVENTS, "campaign_feed_change", Always),
    (EVENTS, "campaign_feed_file", Always),
    (EVENTS, "campaign_counts_insert", OutsideReplication),
    (EVENTS, "campaign_counts_update", OutsideReplication),
    (EVENTS, "campaign_counts_delete", OutsideReplication),
    (EVENTS, "campaign_counts_row", InReplication),
    (EVENTS, "campaign_counts_truncate", Always),
    (EVENTS, "zz_campaign_feed_keep", IfPresent),
    (SENDS, "campaign_feed_moves", Always),
    (SENDS, "campaign_feed_moved", Always),
    (SENDS, "campaign_counts_insert", OutsideReplication),
    (SENDS, "campaign_counts_update", OutsideReplication),
    (SENDS, "campaign_counts_delete", OutsideReplication),
    (SENDS, "campaign_counts_row", InReplication),
    (SENDS, "campaign_counts_truncate", Always),
];
/// The triggers on each table of counts and of changes in PostgreSQL.
const GUARDS: [(&str, FiringMode); 2] =
    [("campaign_counts_guard", Always), ("campaign_counts_keep", InReplication)];
const CHANGES: [&str; 2] = ["campaign_send_changes", "campaign_event_changes"];

/// The triggers in SQLite, which can be dropped but not turned off.
const SQLITE_TRIGGERS: [&str; 24] = [
    "campaign_events_enter_feed",
    "campaign_events_blank",
    "campaign_events_change",
    "campaign_events_filed",
    "campaign_events_came",
    "campaign_events_shown_id",
    "campaign_events_shown_id_changes",
    "campaign_sends_arrived",
    "campaign_sends_moved",
    "campaign_sends_gone",
    "campaign_counts_send_replace",
    "campaign_counts_send_rekey",
    "campaign_counts_send_replaced",
    "campaign_counts_send_rekeyed",
    "campaign_counts_event_replace",
    "campaign_counts_event_rekey",
    "campaign_counts_event_replaced",
    "campaign_counts_event_rekeyed",
    "campaign_counts_send_insert",
    "campaign_counts_send_delete",
    "campaign_counts_send_update",
    "campaign_counts_event_insert",
    "campaign_counts_event_delete",
    "campaign_counts_event_update",
];

/// Each trigger in PostgreSQL: its table, its name, and when it has to fire.
fn of_postgres() -> impl Iterator<Item = (&'static str, &'static str, FiringMode)> {
    let tables = COUNT_TABLES.iter().map(|table| table.name).chain(CHANGES);
    let guards = tables.flat_map(|table| GUARDS.map(|(trigger, fires)| (table, trigger, fires)));
    POSTGRES_TRIGGERS.into_iter().chain(guards)
}

/// The names of all triggers of the service in PostgreSQL or `SQLite`. In PostgreSQL, each with its
/// table.
#[must_use]
pub fn triggers(is_postgres: bool) -> Vec<String> {
    if is_postgres {
        of_postgres().map(|(table, trigger, _)| format!("{trigger} on {table}")).collect()
    } else {
        SQLITE_TRIGGERS.map(str::to_owned).to_vec()
    }
}

/// Whether the service created the trigger with this name.
pub(crate) fn is_of_service(name: &str) -> bool {
    SQLITE_TRIGGERS.contains(&name) || of_postgres().any(|(_, trigger, _)| trigger == name)
}

/// A trigger that does not fire when it has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenTrigger {
    /// Its name and its table.
    pub trigger: String,
    /// The problem.
    pub wrong: &'static str,
}

impl fmt::Display for BrokenTrigger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.trigger, self.wrong)
    }
}

/// The state of the service's triggers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    /// The triggers that do not fire when they have to. Rows that are written now are not counted.
    pub broken: Vec<BrokenTrigger>,
    /// The triggers that were turned off or created since counts were last compared with a recount.
    /// Rows that were written meanwhile may not be counted.
    pub switched: Vec<String>,
    /// The version of each trigger in PostgreSQL.
    versions: Vec<Version>,
}

impl Triggers {
    /// The problems of the broken triggers, separated by `by`.
    #[must_use]
    pub fn wrong(&self, by: &str) -> String {
        self.broken.iter().map(ToString::to_string).collect::<Vec<_>>().join(by)
    }
}

/// A table, its trigger, and the trigger's version.
type Version = (&'static str, &'static str, String);

/// The state of these triggers, and whether each has its recorded version. Loading a dump can have
/// added other versions.
const TRIGGER_STATES: &str = "SELECT CAST(wanted.place AS bigint) AS place, CAST(triggers.tgenabled AS text) AS state, \
       CAST(triggers.xmin AS text) AS version, \
       ARRAY[CAST(triggers.xmin AS text)] IS DISTINCT FROM \
         (SELECT array_agg(version) FROM campaign_triggers AS seen \
          WHERE seen.table_name = wanted.of_table AND seen.trigger_name = wanted.of_trigger) AS switched \
     FROM jsonb_to_recordset($1) AS wanted(place integer, of_table text, of_trigger text) \
     LEFT JOIN pg_trigger AS triggers \
     ON triggers.tgrelid = to_regclass(wanted.of_table) AND triggers.tgname = wanted.of_trigger \
     ORDER BY 1";

/// The tables whose foreign keys are not enforced, because their internal triggers are turned off.
const DISABLED_FOREIGN_KEYS: &str = "SELECT DISTINCT CAST(relations.relname AS text) AS of_table FROM pg_trigger AS triggers \
     JOIN pg_class AS relations ON relations.oid = triggers.tgrelid \
     WHERE triggers.tgisinternal AND triggers.tgenabled IN ('D', 'R') \
     AND triggers.tgrelid IN (to_regclass('campaign_events'), to_regclass('campaign_sends')) ORDER BY 1";

impl Counts {
    /// The state of the triggers that fill columns and update counts.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn triggers(&self) -> Result<Triggers, Error> {
        inspect(&self.session).await
    }

    /// Records that all counts were right, or were recounted, in this state of the triggers. Only the
    /// owner of the tables has the right to do this.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn confirm(&self, triggers: &Triggers) -> Result<(), Error> {
        confirm(&self.session, triggers).await
    }
}

pub(crate) async fn inspect(session: &Session) -> Result<Triggers, Error> {
    let session = &session.reading();
    if session.get_database_backend() != DbBackend::Postgres {
        return inspect_sqlite(session).await;
    }
    let all: Vec<_> = of_postgres().collect();
    let wanted: serde_json::Value = all
        .iter()
        .enumerate()
        .map(|(place, (table, trigger, _))| {
            json!({ "place": place, "of_table": table, "of_trigger": trigger })
        })
        .collect();
    let statement =
        Statement::from_sql_and_values(DbBackend::Postgres, TRIGGER_STATES, [wanted.into()]);
    let rows = session.query_all_raw(statement).await?;
    let mut found = Triggers::default();
    for (row, (table, trigger, fires)) in rows.iter().zip(all) {
        let (state, version): (Option<String>, Option<String>) =
            (row.try_get("", "state")?, row.try_get("", "version")?);
        let wrong = match (state.as_deref(), fires) {
            (None, IfPresent) => continue,
            (None, _) => Some("is missing"),
            (Some("A"), _)
            | (Some("O"), OutsideReplication | IfPresent)
            | (Some("R"), InReplication) => None,
            (Some("O"), _) => Some("does not fire in sessions of replication"),
            (Some("R"), _) => Some("fires in sessions of replication alone"),
            (Some(_), _) => Some("is turned off"),
        };
        if let Some(wrong) = wrong {
            found.broken.push(BrokenTrigger { trigger: format!("{trigger} on {table}"), wrong });
        }
        if let Some(version) = version {
            if row.try_get("", "switched")? {
                found.switched.push(format!("{trigger} on {table}"));
            }
            found.versions.push((table, trigger, version));
        }
    }
    let references = Statement::from_string(DbBackend::Postgres, DISABLED_FOREIGN_KEYS);
    for row in session.query_all_raw(references).await? {
        let table: String = row.try_get("", "of_table")?;
        let trigger = format!("references of {table}");
        found.broken.push(BrokenTrigger { trigger, wrong: "are turned off" });
    }
    Ok(found)
}

async fn inspect_sqlite(session: &Session) -> Result<Triggers, Error> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = session.query_all_raw(statement).await?;
    let there: Vec<String> =
        rows.iter().map(|row| row.try_get("", "name")).collect::<Result<_, DbErr>>()?;
    let missing = SQLITE_TRIGGERS.iter().filter(|name| !there.iter().any(|of| of == *name));
    let broken = |name: &&str| BrokenTrigger { trigger: (*name).to_owned(), wrong: "is missing" };
    Ok(Triggers { broken: missing.map(broken).collect(), ..Triggers::default() })
}

/// Records the versions of the triggers, which have fired since before a recount.
async fn confirm(session: &Session, triggers: &Triggers) -> Result<(), Error> {
    if session.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let versions: serde_json::Value = triggers
        .versions
        .iter()
        .map(|(table, trigger, version)| {
            json!({ "table_name": table, "trigger_name": trigger, "version": version })
        })
        .collect();
    let sql = "WITH forgotten AS (DELETE FROM campaign_triggers) \
         INSERT INTO campaign_triggers SELECT table_name, trigger_name, version \
         FROM jsonb_to_recordset($1) AS seen(table_name text, trigger_name text, version text)";
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [versions.into()]);
    session.execute_raw(statement).await?;
    Ok(())
}
