//! Privileges on what the service keeps beside adopted tables.

use sea_orm_migration::{SchemaManager, sea_orm::DbErr};

use super::tables;
use crate::made;

/// SQL that revokes all privileges on these tables, sequences and functions from everyone except
/// their owner, in the transaction that creates them. Empty if the service created all of its
/// tables.
pub(crate) async fn private(
    manager: &SchemaManager<'_>,
    relations: &[&str],
    functions: &[&str],
) -> Result<String, DbErr> {
    let mut adopts = false;
    for table in tables() {
        adopts |= !made::by_service(manager, table.name).await?;
    }
    if !adopts {
        return Ok(String::new());
    }
    Ok(revoked(relations, functions))
}

/// The same SQL, also if the service created all of its tables.
pub(crate) fn revoked(relations: &[&str], functions: &[&str]) -> String {
    let list = |names: &[&str]| {
        let quoted: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
        quoted.join(", ")
    };
    include_str!("private.sql")
        .replace("{relations}", &list(relations))
        .replace("{functions}", &list(functions))
}
