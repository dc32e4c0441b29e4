//! The triggers of the service in tables that other programs write to: which there are, and whether
//! each fires when it has to. The migration `m0014_upkeep` explains what follows where one does not.

use std::fmt;

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};
use serde_json::json;

use crate::{COUNT_TABLES, Counts, Error, connections::Session};

/// When a trigger of PostgreSQL has to fire.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fires {
    /// In all sessions.
    Always,
    /// In all sessions except those of replication. In these, it does nothing.
    Usually,
    /// In sessions of replication. In all others, it does nothing.
    InReplication,
    /// The same, if it is there: in tables of another program.
    IfThere,
}

use Fires::{Always, IfThere, InReplication, Usually};

const EVENTS: &str = "campaign_events";
const SENDS: &str = "campaign_sends";

/// The triggers of PostgreSQL in the tables of events and sends.
const OF_POSTGRES: [(&str, &str, Fires); 18] = [
    (EVENTS, "campaign_feed_blank", Always),
    (EVENTS, "campaign_feed_enter", Always),
    (EVENTS, "campaign_feed_wait", Always),
    (EVENTS, "campaign_feed_change", Always),
    (EVENTS, "campaign_feed_file", Always),
    (EVENTS, "campaign_counts_insert", Usually),
    (EVENTS, "campaign_counts_update", Usually),
    (EVENTS, "campaign_counts_delete", Usually),
    (EVENTS, "campaign_counts_row", InReplication),
    (EVENTS, "campaign_counts_truncate", Always),
    (EVENTS, "zz_campaign_feed_keep", IfThere),
    (SENDS, "campaign_feed_moves", Always),
    (SENDS, "campaign_feed_moved", Always),
    (SENDS, "campaign_counts_insert", Usually),
    (SENDS, "campaign_counts_update", Usually),
    (SENDS, "campaign_counts_delete", Usually),
    (SENDS, "campaign_counts_row", InReplication),
    (SENDS, "campaign_counts_truncate", Always),
];
/// The triggers of PostgreSQL in each table of counts and of changes.
const GUARDS: [(&str, Fires); 2] =
    [("campaign_counts_guard", Always), ("campaign_counts_keep", InReplication)];
const CHANGES: [&str; 2] = ["campaign_send_changes", "campaign_event_changes"];

/// The triggers of SQLite, where one can be dropped but not turned off.
const OF_SQLITE: [&str; 24] = [
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

/// The table of each trigger of PostgreSQL, its name, and when it has to fire.
fn of_postgres() -> impl Iterator<Item = (&'static str, &'static str, Fires)> {
    let tables = COUNT_TABLES.iter().map(|table| table.name).chain(CHANGES);
    let guards = tables.flat_map(|table| GUARDS.map(|(trigger, fires)| (table, trigger, fires)));
    OF_POSTGRES.into_iter().chain(guards)
}

/// The names of all triggers of the service, in PostgreSQL or `SQLite`, with their tables where it
/// matters.
#[must_use]
pub fn triggers(is_postgres: bool) -> Vec<String> {
    if is_postgres {
        of_postgres().map(|(table, trigger, _)| format!("{trigger} on {table}")).collect()
    } else {
        OF_SQLITE.map(str::to_owned).to_vec()
    }
}

/// A trigger that does not fire when it has to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenTrigger {
    /// Its name and its table.
    pub trigger: String,
    /// What is wrong with it.
    pub wrong: &'static str,
}

impl fmt::Display for BrokenTrigger {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.trigger, self.wrong)
    }
}

/// How the triggers of the service are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Triggers {
    /// Each that does not fire when it has to: what is written now is not counted.
    pub broken: Vec<BrokenTrigger>,
    /// Each that was turned off or created since counts were last compared with a recount: what was
    /// written meanwhile may not be counted.
    pub switched: Vec<String>,
    /// The version of each, as the database has it in PostgreSQL.
    versions: Vec<Version>,
}

impl Triggers {
    /// What is wrong with those that are broken, separated by `by`.
    #[must_use]
    pub fn wrong(&self, by: &str) -> String {
        self.broken.iter().map(ToString::to_string).collect::<Vec<_>>().join(by)
    }
}

/// A table, its trigger, and the version of that.
type Version = (&'static str, &'static str, String);

/// The state of these triggers, and the versions that are remembered of them. A dump of the data that
/// was loaded has added other versions.
const LOOK: &str = "SELECT CAST(wanted.place AS bigint) AS place, CAST(triggers.tgenabled AS text) AS state, \
       CAST(triggers.xmin AS text) AS version, \
       ARRAY[CAST(triggers.xmin AS text)] IS DISTINCT FROM \
         (SELECT array_agg(version) FROM campaign_triggers AS seen \
          WHERE seen.table_name = wanted.of_table AND seen.trigger_name = wanted.of_trigger) AS switched \
     FROM jsonb_to_recordset($1) AS wanted(place integer, of_table text, of_trigger text) \
     LEFT JOIN pg_trigger AS triggers \
     ON triggers.tgrelid = to_regclass(wanted.of_table) AND triggers.tgname = wanted.of_trigger \
     ORDER BY 1";

/// The tables with references whose triggers are turned off, so that events lose their sends.
const REFERENCES_OFF: &str = "SELECT DISTINCT CAST(relations.relname AS text) AS of_table FROM pg_trigger AS triggers \
     JOIN pg_class AS relations ON relations.oid = triggers.tgrelid \
     WHERE triggers.tgisinternal AND triggers.tgenabled IN ('D', 'R') \
     AND triggers.tgrelid IN (to_regclass('campaign_events'), to_regclass('campaign_sends')) ORDER BY 1";

impl Counts {
    /// The state of the triggers that fill columns and count.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn triggers(&self) -> Result<Triggers, Error> {
        look(&self.session).await
    }

    /// Remembers that all counts were right, or were counted again, while triggers were like this.
    /// Belongs to the owner of the tables.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn confirm(&self, triggers: &Triggers) -> Result<(), Error> {
        confirm(&self.session, triggers).await
    }
}

pub(crate) async fn look(session: &Session) -> Result<Triggers, Error> {
    let session = &session.reading();
    if session.get_database_backend() != DbBackend::Postgres {
        return look_in_sqlite(session).await;
    }
    let all: Vec<_> = of_postgres().collect();
    let wanted: serde_json::Value = all
        .iter()
        .enumerate()
        .map(|(place, (table, trigger, _))| {
            json!({ "place": place, "of_table": table, "of_trigger": trigger })
        })
        .collect();
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, LOOK, [wanted.into()]);
    let rows = session.query_all_raw(statement).await?;
    let mut found = Triggers::default();
    for (row, (table, trigger, fires)) in rows.iter().zip(all) {
        let (state, version): (Option<String>, Option<String>) =
            (row.try_get("", "state")?, row.try_get("", "version")?);
        let wrong = match (state.as_deref(), fires) {
            (None, IfThere) => continue,
            (None, _) => Some("is missing"),
            (Some("A"), _) | (Some("O"), Usually | IfThere) | (Some("R"), InReplication) => None,
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
    let references = Statement::from_string(DbBackend::Postgres, REFERENCES_OFF);
    for row in session.query_all_raw(references).await? {
        let table: String = row.try_get("", "of_table")?;
        let trigger = format!("references of {table}");
        found.broken.push(BrokenTrigger { trigger, wrong: "are turned off" });
    }
    Ok(found)
}

async fn look_in_sqlite(session: &Session) -> Result<Triggers, Error> {
    let sql = "SELECT name FROM sqlite_master WHERE type = 'trigger'";
    let statement = Statement::from_string(DbBackend::Sqlite, sql);
    let rows = session.query_all_raw(statement).await?;
    let there: Vec<String> =
        rows.iter().map(|row| row.try_get("", "name")).collect::<Result<_, DbErr>>()?;
    let missing = OF_SQLITE.iter().filter(|name| !there.iter().any(|of| of == *name));
    let broken = |name: &&str| BrokenTrigger { trigger: (*name).to_owned(), wrong: "is missing" };
    Ok(Triggers { broken: missing.map(broken).collect(), ..Triggers::default() })
}

/// Remembers the versions of triggers that have fired since before a recount.
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
