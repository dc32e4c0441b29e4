//! Row security for tables that have none: members select, insert and update the rows of their
//! organization, and admins delete them.
//!
//! **Invariants.** A table that already has row security, or a function that already exists, is
//! left as it is, unless an older version of the service created the function. The organization's members can read what the service keeps beside the five
//! tables, and only its triggers write there, except for what providers' webhooks need. Each table gets its policies in a separate
//! transaction, so a run can be repeated. What was created is remembered in `service_tables`, and
//! [`crate::down`] drops it.

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement},
};

use crate::{
    Error, Target, adopt,
    made::{self, exists},
    run::Run,
    steps,
};

/// The tables that the five depend on.
const NEIGHBOURS: [&str; 5] =
    ["users", "memberships", "contacts", "companies", "contact_companies"];

/// The tables that the service keeps beside them, for each organization.
const KEPT: [&str; 9] = [
    "campaign_counts",
    "campaign_send_counts",
    "campaign_contact_counts",
    "campaign_hour_counts",
    "campaign_link_counts",
    "campaign_send_link_counts",
    "campaign_send_changes",
    "campaign_event_changes",
    "campaign_provider_tokens",
];

/// The webhooks of providers, which admins configure.
const CONFIGURED: [&str; 2] = ["campaign_provider_webhooks", "campaign_provider_keys"];

/// The paths of webhooks, which only admins see.
const HIDDEN: &str = "campaign_provider_paths";

/// What transactions of members write beside sends and events.
const WRITTEN: [&str; 5] = [
    "campaign_message_ids",
    "campaign_provider_stats",
    "campaign_provider_reports",
    "campaign_unmatched_events",
    "campaign_awaited_messages",
];

/// The functions that policies call, as the neighbour with the users defines them.
const FUNCTIONS: &str = include_str!("policies/functions.sql");
/// Grants the privileges that the role lacks.
const GRANT: &str = include_str!("policies/grant.sql");
/// Revokes what was granted, and drops functions that no other program needs.
const TAKE_BACK: &str = include_str!("policies/take_back.sql");

/// The name under which the service's policies of a table are remembered.
fn remembered(table: &str) -> String {
    format!("policies of {table}")
}

/// Creates the policies for a role where there are none, and the role if it does not exist. Returns
/// the names of the tables that got policies.
///
/// # Errors
/// [`Error::NoRowSecurity`] in SQLite, and any error of the database.
pub async fn write_policies(target: impl Into<Target>, role: &str) -> Result<Vec<String>, Error> {
    let target = target.into();
    if !target.is_postgres() {
        return Err(Error::NoRowSecurity);
    }
    let run = Run::begin(&target, false).await?;
    let written = write(&SchemaManager::new(&run.db), role).await;
    run.end(written.map_err(Error::from)).await
}

async fn write(manager: &SchemaManager<'_>, role: &str) -> Result<Vec<String>, DbErr> {
    // as an identifier, and as a text
    let quote = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT quote_ident($1) AS name, quote_literal($1) AS text",
        [role.into()],
    );
    let quoted = manager.get_connection().query_one_raw(quote).await?;
    let quoted = quoted.ok_or_else(|| DbErr::RecordNotFound("a quoted name".to_owned()))?;
    let (name, text): (String, String) = (quoted.try_get("", "name")?, quoted.try_get("", "text")?);
    let functions = FUNCTIONS.replace("{role}", &name).replace("{role_text}", &text);
    steps::locking(manager, &functions).await?;

    let mut written = Vec::new();
    for (table, kind) in tables() {
        let is_on =
            format!("SELECT 1 FROM pg_class WHERE oid = to_regclass('{table}') AND relrowsecurity");
        if exists(manager, &is_on).await? {
            continue;
        }
        let remember =
            format!("INSERT INTO service_tables (name) VALUES ('{}');\n", remembered(table));
        let privileges = privileges(table, &kind, &text);
        let all = [policies(table, &kind, &name), privileges, remember].concat();
        steps::locking(manager, &all).await?;
        written.push(table.to_owned());
    }
    Ok(written)
}

/// Removes what [`write_policies`] created, except for the role, which belongs to the whole server.
pub(crate) async fn take_back(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    for (table, kind) in tables() {
        let remembered = remembered(table);
        if !made::by_service(manager, &remembered).await? {
            continue;
        }
        let mut sql = format!("ALTER TABLE {table} DISABLE ROW LEVEL SECURITY;\n");
        for (name, ..) in rules(&kind).0 {
            sql += &format!("DROP POLICY IF EXISTS {table}_{name} ON {table};\n");
        }
        sql += &format!("DELETE FROM service_tables WHERE name = '{remembered}';\n");
        steps::locking(manager, &sql).await?;
    }
    if exists(
        manager,
        "SELECT 1 FROM service_tables WHERE name LIKE 'granted %' OR name LIKE 'function %'",
    )
    .await?
    {
        steps::locking(manager, TAKE_BACK).await?;
    }
    Ok(())
}

fn tables() -> Vec<(&'static str, Kind)> {
    let own = adopt::tables().map(|table| (table.name, Kind::Own));
    let neighbours = NEIGHBOURS.map(|table| (table, Kind::Neighbour));
    let kept = KEPT.map(|table| (table, Kind::Kept));
    let configured = CONFIGURED.map(|table| (table, Kind::Configured));
    let written = WRITTEN.map(|table| (table, Kind::Written));
    own.into_iter()
        .chain(neighbours)
        .chain(kept)
        .chain(configured)
        .chain(written)
        .chain([(HIDDEN, Kind::Hidden)])
        .chain([("organizations", Kind::Organizations)])
        .collect()
}

/// What members can do with a table.
enum Kind {
    /// They read and write it, and admins delete.
    Own,
    /// They read it, and lock rows that they refer to.
    Neighbour,
    /// They read it.
    Kept,
    /// They read it, and admins write it.
    Configured,
    /// They read, write and delete, as their operations need.
    Written,
    /// Only admins read and write it.
    Hidden,
    /// They read their own organization.
    Organizations,
}

/// The name, command and rule of each policy, and the privileges that it needs.
fn rules(kind: &Kind) -> (Vec<(&'static str, &'static str, String)>, &'static [&'static str]) {
    // a subquery is evaluated once per statement, not once per row
    let column = if matches!(kind, Kind::Organizations) { "id" } else { "org_id" };
    let own = format!("{column} = (SELECT get_user_org_id())");
    let select = ("select", "SELECT", format!("USING ({own})"));
    let all: &[&str] = &["SELECT", "INSERT", "UPDATE", "DELETE"];
    let of_admins = format!("{own} AND (SELECT is_admin())");
    match kind {
        Kind::Own => {
            let insert = ("insert", "INSERT", format!("WITH CHECK ({own})"));
            let update = ("update", "UPDATE", format!("USING ({own}) WITH CHECK ({own})"));
            let delete = ("delete", "DELETE", format!("USING ({own} AND (SELECT is_admin()))"));
            (vec![select, insert, update, delete], all)
        }
        Kind::Neighbour => {
            // locking a row requires the right to update it; no row passes the check
            let lock = ("lock", "UPDATE", format!("USING ({own}) WITH CHECK (false)"));
            (vec![select, lock], &["SELECT", "UPDATE"])
        }
        Kind::Configured => {
            let insert = ("insert", "INSERT", format!("WITH CHECK ({of_admins})"));
            let update = ("update", "UPDATE", format!("USING ({of_admins})"));
            let delete = ("delete", "DELETE", format!("USING ({of_admins})"));
            (vec![select, insert, update, delete], all)
        }
        Kind::Written => (vec![("all", "ALL", format!("USING ({own})"))], all),
        Kind::Hidden => (vec![("all", "ALL", format!("USING ({of_admins})"))], all),
        Kind::Kept | Kind::Organizations => (vec![select], &["SELECT"]),
    }
}

fn policies(table: &str, kind: &Kind, role: &str) -> String {
    let mut sql = format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;\n");
    for (name, command, rule) in rules(kind).0 {
        sql +=
            &format!("CREATE POLICY {table}_{name} ON {table} FOR {command} TO {role} {rule};\n");
    }
    sql
}

fn privileges(table: &str, kind: &Kind, role: &str) -> String {
    let privileges: Vec<String> =
        rules(kind).1.iter().map(|privilege| format!("'{privilege}'")).collect();
    GRANT
        .replace("{role}", role)
        .replace("{privileges}", &privileges.join(", "))
        .replace("{table}", table)
}
