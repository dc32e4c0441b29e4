//! Tables in PostgreSQL that another program created: they are recognized, checked against the
//! documentation, used as they are, and left as they were found.
//!
//! The service adds what it needs beyond the documented columns in the same ways as for its own
//! tables: three columns of `campaign_events` and their triggers ([`crate::m0007_feed`]), tables of
//! its own ([`crate::m0008_counts`]), and indexes ([`crate::m0006b_adopted`]). An adopted table
//! differs from one that the service created in four ways:
//!
//! - **Types.** An enum can have another name and more values, or be text with a CHECK. The
//!   service's own tables and functions use the type of the column ([`column_type`]), so that
//!   triggers and indexes compare without a cast. The service looks up the types when it connects,
//!   and casts to them.
//! - **References** have one column. There is no key of organization and ID to refer to, so the
//!   service itself checks the organization of the rows that it refers to.
//! - **`updated_at`** is maintained by the existing trigger. When the service writes its own
//!   columns, that does not count as an update: a trigger that fires last keeps the time as it was.
//! - **Privileges.** Privileges on the service's own tables and functions that others get by
//!   default are revoked ([`private`]), because a table of counts has no policies.
//!   `deploy/grants.sql` grants what the service's role needs.
//!
//! **Invariants.** Nothing is changed while a table differs in a way that matters
//! ([`check::differences`]). No column, constraint, policy, function, trigger or grant of another
//! program is altered or dropped, up or down. Anything that is not in `service_tables` does not
//! belong to the service, and stays.

mod catalogue;
pub(crate) mod check;
mod privileges;

pub(crate) use privileges::{private, revoked};

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbErr, Statement},
};

use crate::{
    m0001_neighbours, m0002_campaigns, m0003_segments, m0004_lists, m0005_sends, m0006_events,
    made::{self, is_postgres},
    table::{Lookup, Table},
};

/// The tables of the neighbours, as documented.
pub(crate) fn neighbours() -> Vec<Table> {
    m0001_neighbours::tables()
}

/// The tables of the service, as documented.
pub(crate) fn tables() -> [Table; 5] {
    [
        m0002_campaigns::table(),
        m0003_segments::table(),
        m0004_lists::table(),
        m0005_sends::table(),
        m0006_events::table(),
    ]
}

/// The tables of the service that exist but were not created by it.
pub(crate) async fn adopted(manager: &SchemaManager<'_>) -> Result<Vec<Table>, DbErr> {
    let mut adopted = Vec::new();
    for table in tables() {
        if is_adopted(manager, table.name).await? {
            adopted.push(table);
        }
    }
    Ok(adopted)
}

/// The sizes of the service's existing tables, for people: `about 200000 rows, 41 MB`.
pub(crate) async fn sizes(manager: &SchemaManager<'_>) -> Result<Vec<(String, String)>, DbErr> {
    if !is_postgres(manager) {
        return Ok(Vec::new());
    }
    let mut sizes = Vec::new();
    for table in tables() {
        let sql = format!(
            "SELECT 'about ' || greatest(CAST(reltuples AS bigint), 0) || ' rows, ' || \
             pg_size_pretty(pg_table_size(oid)) AS size FROM pg_class WHERE oid = {}",
            Lookup::Schema.class(table.name)
        );
        let statement = Statement::from_string(manager.get_database_backend(), sql);
        if let Some(row) = manager.get_connection().query_one_raw(statement).await? {
            sizes.push((table.name.to_owned(), row.try_get("", "size")?));
        }
    }
    Ok(sizes)
}

/// Whether one of the service's tables was created by another program. SQLite has no such tables.
pub(crate) async fn is_adopted(manager: &SchemaManager<'_>, table: &str) -> Result<bool, DbErr> {
    Ok(is_postgres(manager) && !made::by_service(manager, table).await?)
}

/// The type of a column that is documented as an enum, for the service's own tables: the enum's
/// name if the service created the table, and otherwise the type of the column.
pub(crate) async fn column_type(
    manager: &SchemaManager<'_>,
    table: &str,
    column: &str,
    documented: &str,
) -> Result<String, DbErr> {
    if !is_adopted(manager, table).await? {
        return Ok(documented.to_owned());
    }
    let sql = catalogue::enum_type(table, column);
    let statement = Statement::from_string(manager.get_database_backend(), sql);
    let row = manager.get_connection().query_one_raw(statement).await?;
    row.map_or_else(|| Ok(documented.to_owned()), |row| row.try_get("", "type"))
}
