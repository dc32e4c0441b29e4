//! Row security as the seed describes it, where tables have none: members select, insert and update
//! the rows of their organization, and admins delete them.
//!
//! **Invariants.** A table that has row security, or a function that is there, is left as it is. What the
//! service keeps beside the five tables can be read by the organization's members, and written by its
//! triggers alone. All of it is one transaction, and can be repeated.

use sea_orm_migration::sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, TransactionTrait};

use crate::{Error, LOCK, OWN_TABLES};

/// The tables that the five stand on.
const NEIGHBORS: [&str; 5] = ["users", "memberships", "contacts", "companies", "contact_companies"];

/// What the service keeps beside them, for each organization.
const KEPT: [&str; 8] = [
    "campaign_counts",
    "campaign_send_counts",
    "campaign_contact_counts",
    "campaign_hour_counts",
    "campaign_link_counts",
    "campaign_send_link_counts",
    "campaign_send_changes",
    "campaign_event_changes",
];

/// The functions that policies call, as the neighbour that knows users has them.
const FUNCTIONS: &str = include_str!("policies/functions.sql");

/// Writes the policies for a role where there are none, and makes the role where there is none.
/// Returns the names of the tables that have policies now and had none.
///
/// # Errors
/// [`Error::NoRowSecurity`] in SQLite; those of the database.
pub async fn write_policies(url: &str, role: &str) -> Result<Vec<String>, Error> {
    let db = crate::connect(url, false).await?;
    if db.get_database_backend() != DbBackend::Postgres {
        return Err(Error::NoRowSecurity);
    }
    let transaction = db.begin().await?;
    let run = async |sql: String| transaction.execute_unprepared(&sql).await.map(|_| ());
    run(format!("SELECT pg_advisory_xact_lock({LOCK}); SET LOCAL lock_timeout = '10s'")).await?;

    // as an identifier, and as a text
    let quote = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT quote_ident($1) AS name, quote_literal($1) AS text",
        [role.into()],
    );
    let quoted = transaction.query_one_raw(quote).await?;
    let quoted = quoted.ok_or_else(|| DbErr::RecordNotFound("a quoted name".to_owned()))?;
    let (name, text): (String, String) = (quoted.try_get("", "name")?, quoted.try_get("", "text")?);
    run(FUNCTIONS.replace("{role}", &name).replace("{role_text}", &text)).await?;

    let mut written = Vec::new();
    let tables = OWN_TABLES.iter().map(|table| (*table, Kind::Own));
    let tables = tables
        .chain(NEIGHBORS.iter().map(|table| (*table, Kind::Neighbor)))
        .chain(KEPT.iter().map(|table| (*table, Kind::Kept)))
        .chain([("organizations", Kind::Organizations)]);
    for (table, kind) in tables {
        let is_on = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT relrowsecurity AS is_on FROM pg_class WHERE oid = to_regclass($1)",
            [table.into()],
        );
        let row = transaction.query_one_raw(is_on).await?;
        if row.map_or(Ok(false), |row| row.try_get("", "is_on"))? {
            continue;
        }
        run(policies(table, &kind, &name)).await?;
        written.push(table.to_owned());
    }
    transaction.commit().await?;
    db.close().await?;
    Ok(written)
}

/// What members may do with a table.
enum Kind {
    /// Read and write it; admins delete.
    Own,
    /// Read it, and lock rows that they refer to.
    Neighbor,
    /// Read it.
    Kept,
    /// Read their own organization.
    Organizations,
}

fn policies(table: &str, kind: &Kind, role: &str) -> String {
    // a subquery is asked once a statement, and not once a row
    let column = if matches!(kind, Kind::Organizations) { "id" } else { "org_id" };
    let own = format!("{column} = (SELECT get_user_org_id())");
    let policy = |name: &str, command: &str, rule: String| {
        format!("CREATE POLICY {table}_{name} ON {table} FOR {command} TO {role} {rule};\n")
    };
    let mut sql = format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n");
    sql += &policy("select", "SELECT", format!("USING ({own})"));
    let granted = match kind {
        Kind::Own => {
            let delete = format!("USING ({own} AND (SELECT is_admin()))");
            sql += &policy("insert", "INSERT", format!("WITH CHECK ({own})"));
            sql += &policy("update", "UPDATE", format!("USING ({own}) WITH CHECK ({own})"));
            sql += &policy("delete", "DELETE", delete);
            "SELECT, INSERT, UPDATE, DELETE"
        }
        Kind::Neighbor => {
            // whoever locks a row needs the right to update it; nothing fulfils the check
            sql += &policy("lock", "UPDATE", format!("USING ({own}) WITH CHECK (false)"));
            "SELECT, UPDATE"
        }
        Kind::Kept | Kind::Organizations => "SELECT",
    };
    sql + &format!("GRANT {granted} ON {table} TO {role};\n")
}
