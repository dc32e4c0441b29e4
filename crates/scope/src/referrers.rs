//! Rows of other programs that refer to rows of a deletion.
//!
//! A deletion in steps must not stop halfway because of another program's foreign key. So each key
//! that forbids deletion is checked for referring rows before the first step. Rows that appear later,
//! rows that the service has no right to read, and triggers fail the step itself.

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::{Dependent, Dialect, Error, OrganizationOwned, connections::Session};

/// The foreign keys of PostgreSQL that forbid deletion: the name, the referring table, the referred
/// table, the condition that a row `own` refers to a row `other`, and whether both tables are the
/// same. `$1` is the referred tables, `$2` the tables whose rows are deleted or cleared first.
const POSTGRES_FOREIGN_KEYS: &str = "SELECT CAST(keys.conname AS text) AS name, \
       quote_ident(schemas.nspname) || '.' || quote_ident(own.relname) AS of_table, \
       CAST(other.relname AS text) AS referred, \
       (SELECT string_agg('own.' || quote_ident(here.attname) || ' = other.' || quote_ident(there.attname), ' AND ') \
        FROM unnest(keys.conkey, keys.confkey) AS pairs (here, there) \
        JOIN pg_attribute AS here ON here.attrelid = keys.conrelid AND here.attnum = pairs.here \
        JOIN pg_attribute AS there ON there.attrelid = keys.confrelid AND there.attnum = pairs.there) AS joined, \
       keys.conrelid = keys.confrelid AS is_own \
     FROM jsonb_array_elements_text($1) AS wanted (name) \
     JOIN pg_constraint AS keys ON keys.confrelid = to_regclass(wanted.name) \
     JOIN pg_class AS other ON other.oid = keys.confrelid \
     JOIN pg_class AS own ON own.oid = keys.conrelid \
     JOIN pg_namespace AS schemas ON schemas.oid = own.relnamespace \
     WHERE keys.contype = 'f' AND keys.confdeltype IN ('a', 'r') AND keys.conparentid = 0 \
     AND NOT EXISTS (SELECT 1 FROM jsonb_array_elements_text($2) AS first (name) \
         WHERE to_regclass(first.name) = keys.conrelid) \
     AND has_schema_privilege(schemas.oid, 'USAGE') AND has_table_privilege(own.oid, 'SELECT') \
     ORDER BY 1";

/// The same for SQLite, where the table's name replaces the key's, which has none.
const SQLITE_FOREIGN_KEYS: &str = "SELECT own.name AS name, '\"' || replace(own.name, '\"', '\"\"') || '\"' AS of_table, \
       wanted.value AS referred, \
       group_concat('own.\"' || replace(pairs.\"from\", '\"', '\"\"') || '\" = other.\"' || \
         replace(coalesce(pairs.\"to\", 'id'), '\"', '\"\"') || '\"', ' AND ') AS joined, \
       lower(own.name) = wanted.value AS is_own \
     FROM json_each($1) AS wanted JOIN sqlite_master AS own JOIN pragma_foreign_key_list(own.name) AS pairs \
     WHERE own.type = 'table' AND lower(pairs.\"table\") = wanted.value \
     AND pairs.on_delete IN ('NO ACTION', 'RESTRICT') \
     AND NOT EXISTS (SELECT 1 FROM json_each($2) AS first WHERE first.value = lower(own.name)) \
     GROUP BY own.name, pairs.id ORDER BY 1";

/// Fails if another program's row refers to a row, or to a row that is deleted with it.
///
/// # Errors
/// [`Error::Refused`] with the foreign key, or any error of the database.
pub(crate) async fn require_none<E: OrganizationOwned>(
    session: &Session,
    dialect: Dialect,
    organization: Uuid,
    id: Uuid,
) -> Result<(), Error> {
    let root = E::default().table_name().to_owned();
    let deleted: Vec<_> = E::DEPENDENTS
        .iter()
        .filter_map(|dependent| match dependent {
            Dependent::Deleted(referencing) => Some(referencing),
            Dependent::Cleared(_) => None,
        })
        .collect();
    let first = E::DEPENDENTS.iter().map(|dependent| match dependent {
        Dependent::Deleted(referencing) | Dependent::Cleared(referencing) => {
            json!(referencing.table)
        }
    });
    let first: Json = first.collect();
    let wanted: Json = deleted.iter().map(|of| of.table).chain([&*root]).map(Json::from).collect();
    let session = session.reading();
    let backend = session.get_database_backend();
    let sql = match dialect {
        Dialect::Postgres => POSTGRES_FOREIGN_KEYS,
        Dialect::Sqlite => SQLITE_FOREIGN_KEYS,
    };
    let rows = session
        .query_all_raw(Statement::from_sql_and_values(backend, sql, [wanted.into(), first.into()]))
        .await?;
    for row in rows {
        let get = |column| row.try_get::<String>("", column);
        let (name, table, referred, joined) =
            (get("name")?, get("of_table")?, get("referred")?, get("joined")?);
        let referencing = deleted.iter().find(|referencing| referencing.table == referred);
        let column = referencing.map_or("id", |referencing| referencing.column);
        // a row that refers to itself does not prevent its own deletion
        let another = if row.try_get("", "is_own")? { " AND own.id <> other.id" } else { "" };
        let sql = format!(
            "SELECT 1 FROM {table} AS own JOIN {referred} AS other ON {joined} \
             WHERE other.org_id = $1 AND other.{column} = $2{another} LIMIT 1"
        );
        let values = [organization.into(), id.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        if session.query_one_raw(statement).await?.is_some() {
            return Err(Error::Refused { by: Some(name) });
        }
    }
    Ok(())
}
