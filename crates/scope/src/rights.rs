//! What the service's role in PostgreSQL has to be allowed.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;

use crate::{Database, Error};

/// Tables, and what `campaigns serve` does with them. `deploy/grants.sql` gives as much.
const TABLES: [(&[&str], &[&str]); 4] = [
    (
        &["organizations", "users", "memberships", "contacts", "companies", "contact_companies"],
        &["SELECT"],
    ),
    // rows that others refer to are locked
    (&["users", "contacts"], &["UPDATE"]),
    (
        &["campaigns", "campaign_segments", "campaign_lists", "campaign_sends", "campaign_events"],
        &["SELECT", "INSERT", "UPDATE", "DELETE"],
    ),
    (
        &[
            "campaign_counts",
            "campaign_send_counts",
            "campaign_contact_counts",
            "campaign_hour_counts",
            "campaign_link_counts",
            "campaign_send_link_counts",
            "campaign_send_changes",
            "campaign_event_changes",
            "campaign_cursor_key",
            "campaign_triggers",
            "seaql_migrations",
        ],
        &["SELECT"],
    ),
];

const FUNCTIONS: [&str; 8] = [
    "campaign_feed_horizon(bigint)",
    "campaign_feed_settled_for(uuid)",
    "campaign_feed_oldest()",
    "campaign_feed_incarnation()",
    "campaign_feed_draw_for(uuid, integer)",
    "campaign_counts_fold(integer)",
    "campaign_counts_lock()",
    "campaign_events_file_waiting(uuid, integer)",
];

/// Those that the role does not have.
const MISSING: &str = "SELECT privilege || ' ON ' || name AS missing \
     FROM (SELECT name, privilege, \
         CASE WHEN privilege <> 'EXECUTE' THEN to_regclass(name) END AS of_table, \
         CASE WHEN privilege = 'EXECUTE' THEN to_regprocedure(name) END AS of_function \
       FROM jsonb_to_recordset($1) AS needed(name text, privilege text)) AS needed \
     WHERE NOT COALESCE(CASE privilege \
       WHEN 'EXECUTE' THEN has_function_privilege(of_function, 'EXECUTE') \
       WHEN 'DELETE' THEN has_table_privilege(of_table, 'DELETE') \
       ELSE has_any_column_privilege(of_table, privilege) END, false) \
     ORDER BY 1";

impl Database {
    /// The rights that the service needs and its role in PostgreSQL lacks, as they are granted.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn missing_rights(&self) -> Result<Vec<String>, Error> {
        let operator = self.operator();
        let session = operator.session().reading();
        if session.get_database_backend() != DbBackend::Postgres {
            return Ok(Vec::new());
        }
        let of_tables = TABLES.iter().flat_map(|(tables, privileges)| {
            let pairs =
                tables.iter().flat_map(|table| privileges.iter().map(move |one| (table, one)));
            pairs.map(|(table, privilege)| json!({ "name": table, "privilege": privilege }))
        });
        let of_functions =
            FUNCTIONS.iter().map(|name| json!({ "name": name, "privilege": "EXECUTE" }));
        let needed: Vec<_> = of_tables.chain(of_functions).collect();
        let statement =
            Statement::from_sql_and_values(DbBackend::Postgres, MISSING, [json!(needed).into()]);
        let rows = session.query_all_raw(statement).await?;
        Ok(rows
            .iter()
            .map(|row| row.try_get("", "missing"))
            .collect::<Result<_, sea_orm::DbErr>>()?)
    }
}
