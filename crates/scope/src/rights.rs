//! The privileges that the service's PostgreSQL role needs, and whether row security applies to a
//! role.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;

use crate::{Database, Error, owned};

/// Tables, and the privileges on them that `campaigns serve` needs. `deploy/grants.sql` grants the
/// same.
const TABLES: [(&[&str], &[&str]); 5] = [
    (
        &["organizations", "users", "memberships", "contacts", "companies", "contact_companies"],
        &["SELECT"],
    ),
    // to lock referenced rows
    (&["users", "contacts"], &["UPDATE"]),
    (
        &["campaigns", "campaign_segments", "campaign_lists", "campaign_sends", "campaign_events"],
        &["SELECT", "INSERT", "UPDATE", "DELETE"],
    ),
    (
        &[
            "campaign_provider_webhooks",
            "campaign_provider_paths",
            "campaign_provider_keys",
            "campaign_provider_stats",
            "campaign_provider_tokens",
            "campaign_provider_reports",
            "campaign_message_ids",
            "campaign_unmatched_events",
            "campaign_awaited_messages",
        ],
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

/// The missing privileges of the role.
const MISSING_PRIVILEGES: &str = "SELECT privilege || ' ON ' || name AS missing \
     FROM (SELECT name, privilege, \
         CASE WHEN privilege <> 'EXECUTE' THEN to_regclass(name) END AS of_table, \
         CASE WHEN privilege = 'EXECUTE' THEN to_regprocedure(name) END AS of_function \
       FROM jsonb_to_recordset($1) AS needed(name text, privilege text)) AS needed \
     WHERE NOT COALESCE(CASE privilege \
       WHEN 'EXECUTE' THEN has_function_privilege(of_function, 'EXECUTE') \
       WHEN 'DELETE' THEN has_table_privilege(of_table, 'DELETE') \
       ELSE has_any_column_privilege(of_table, privilege) END, false) \
     ORDER BY 1";

/// The problem of a role: policies do not apply to it, or the service cannot assume it.
const ROLE_PROBLEM: &str = "SELECT \
     CASE WHEN rolsuper OR rolbypassrls THEN 'policies do not apply to it' \
     WHEN NOT pg_has_role(oid, 'MEMBER') THEN 'the service is not a member of it: GRANT ' || \
       quote_ident(rolname) || ' TO ' || quote_ident(current_user) END AS problem \
     FROM pg_roles WHERE rolname = $1";

/// The problems of these tables, for a role.
const TABLE_PROBLEMS: &str = "SELECT name, \
     CASE WHEN relation IS NULL THEN 'it does not exist' \
     WHEN NOT relrowsecurity THEN 'row security is off' \
     WHEN NOT relforcerowsecurity AND pg_has_role(CAST($1 AS name), relowner, 'USAGE') \
       THEN 'the role owns it, and policies do not apply to owners' \
     WHEN NOT EXISTS (SELECT FROM pg_policy WHERE polrelid = relation AND polcmd IN ('r', '*')) \
       THEN 'it has no policy that allows reading' \
     WHEN NOT has_table_privilege(CAST($1 AS name), relation, 'SELECT') THEN 'the role has no right to read it' \
     END AS problem \
     FROM (SELECT name, to_regclass(name) AS relation \
       FROM jsonb_array_elements_text($2) AS name) AS names \
     LEFT JOIN pg_class ON pg_class.oid = relation";

impl Database {
    /// The privileges that the service's PostgreSQL role lacks, in the syntax of GRANT.
    ///
    /// # Errors
    /// Any error of the database.
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
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            MISSING_PRIVILEGES,
            [json!(needed).into()],
        );
        let rows = session.query_all_raw(statement).await?;
        Ok(rows
            .iter()
            .map(|row| row.try_get("", "missing"))
            .collect::<Result<_, sea_orm::DbErr>>()?)
    }

    /// The reasons why row security would not apply to a role. Empty if it applies. The table of
    /// organizations needs no policy, since its rows have no organization column.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn gaps_in_row_security(&self, role: &str) -> Result<Vec<String>, Error> {
        let operator = self.operator();
        let session = operator.session().reading();
        let values = [role.into()];
        let of_role = Statement::from_sql_and_values(DbBackend::Postgres, ROLE_PROBLEM, values);
        let Some(row) = session.query_one_raw(of_role).await? else {
            return Ok(vec![format!("the role {role} does not exist")]);
        };
        let mut gaps = Vec::new();
        if let Some(problem) = row.try_get::<Option<String>>("", "problem")? {
            gaps.push(format!("role {role}: {problem}"));
        }
        let names: Vec<&str> = owned::TABLES
            .iter()
            .map(|(name, ..)| *name)
            .filter(|name| *name != "organizations")
            .collect();
        let values = [role.into(), serde_json::json!(names).into()];
        let of_tables = Statement::from_sql_and_values(DbBackend::Postgres, TABLE_PROBLEMS, values);
        for row in session.query_all_raw(of_tables).await? {
            let name: String = row.try_get("", "name")?;
            let problem: Option<String> = row.try_get("", "problem")?;
            gaps.extend(problem.map(|problem| format!("table {name}: {problem}")));
        }
        Ok(gaps)
    }
}
