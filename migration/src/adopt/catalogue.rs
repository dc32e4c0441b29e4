//! What PostgreSQL's catalog says about a table.

use std::collections::HashMap;

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement},
};

use crate::table::Lookup;

/// An existing table.
pub(super) struct Found {
    /// The kind of relation: `r` is an ordinary table.
    pub(super) kind: String,
    pub(super) owner: String,
    /// Whether the migrating role can alter it.
    pub(super) is_ours: bool,
    /// Whether its policies also apply to its owner.
    pub(super) is_forced: bool,
    pub(super) columns: HashMap<String, FoundColumn>,
    pub(super) references: Vec<FoundReference>,
    /// The columns of each unique key, sorted and joined by commas.
    pub(super) keys: Vec<String>,
}

/// An existing column.
pub(super) struct FoundColumn {
    /// The type, as written in SQL.
    pub(super) kind: String,
    /// The type's own name, or the name of the type under a domain.
    pub(super) base: String,
    pub(super) is_domain: bool,
    /// The values of an enum. Empty for any other type.
    pub(super) values: Vec<String>,
    pub(super) not_null: bool,
    /// Whether it is filled if a row does not set it.
    pub(super) is_filled: bool,
    /// The CHECKs of only this column.
    pub(super) checks: String,
}

/// An existing reference.
pub(super) struct FoundReference {
    pub(super) column: String,
    pub(super) target: String,
    /// `c` cascades, `n` sets null.
    pub(super) on_delete: String,
}

/// The type of a column of the service's tables, as SQL in another schema can write it. `text` for
/// every text type.
pub(super) fn enum_type(table: &str, column: &str) -> String {
    format!(
        "SELECT CASE WHEN types.typtype = 'e' \
         THEN quote_ident(schemas.nspname) || '.' || quote_ident(types.typname) ELSE 'text' END AS type \
         FROM pg_attribute columns JOIN pg_type types ON types.oid = columns.atttypid \
         JOIN pg_namespace schemas ON schemas.oid = types.typnamespace \
         WHERE columns.attrelid = {} AND columns.attname = '{column}'",
        Lookup::Schema.class(table)
    )
}

impl Found {
    /// The table with this name, or `None` if there is none.
    pub(super) async fn look_up(
        manager: &SchemaManager<'_>,
        table: &str,
        lookup: Lookup,
    ) -> Result<Option<Self>, DbErr> {
        let class = lookup.class(table);
        let of_table = format!(
            "SELECT CAST(relkind AS text) AS kind, CAST(relowner::regrole AS text) AS owner, \
             pg_has_role(relowner, 'USAGE') AS ours, \
             relforcerowsecurity AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user) \
             AS forced FROM pg_class WHERE oid = {class}"
        );
        let Some(row) = rows(manager, &of_table).await?.pop() else { return Ok(None) };
        Ok(Some(Self {
            kind: row.try_get("", "kind")?,
            owner: row.try_get("", "owner")?,
            is_ours: row.try_get("", "ours")?,
            is_forced: row.try_get("", "forced")?,
            columns: columns(manager, &class).await?,
            references: references(manager, &class).await?,
            keys: keys(manager, &class).await?,
        }))
    }
}

async fn columns(
    manager: &SchemaManager<'_>,
    class: &str,
) -> Result<HashMap<String, FoundColumn>, DbErr> {
    let sql = format!(
        "SELECT CAST(columns.attname AS text) AS name, format_type(columns.atttypid, columns.atttypmod) AS kind, \
         CAST(base.typname AS text) AS base, types.typtype = 'd' AS is_domain, columns.attnotnull AS not_null, \
         columns.atthasdef OR columns.attidentity <> '' OR types.typdefault IS NOT NULL AS is_filled, \
         (SELECT string_agg(enumlabel, chr(10)) FROM pg_enum WHERE enumtypid = base.oid) AS labels, \
         (SELECT string_agg(pg_get_constraintdef(oid), ' ') FROM pg_constraint \
            WHERE conrelid = columns.attrelid AND contype = 'c' AND conkey = ARRAY[columns.attnum]) AS checks \
         FROM pg_attribute columns JOIN pg_type types ON types.oid = columns.atttypid \
         JOIN pg_type base ON base.oid = CASE types.typtype WHEN 'd' THEN types.typbasetype ELSE types.oid END \
         WHERE columns.attrelid = {class} AND columns.attnum > 0 AND NOT columns.attisdropped"
    );
    let column = |row: &QueryResult| {
        let values: Option<String> = row.try_get("", "labels")?;
        let column = FoundColumn {
            kind: row.try_get("", "kind")?,
            base: row.try_get("", "base")?,
            is_domain: row.try_get("", "is_domain")?,
            values: values
                .map_or_else(Vec::new, |values| values.lines().map(str::to_owned).collect()),
            not_null: row.try_get("", "not_null")?,
            is_filled: row.try_get("", "is_filled")?,
            checks: row.try_get::<Option<String>>("", "checks")?.unwrap_or_default(),
        };
        Ok((row.try_get("", "name")?, column))
    };
    rows(manager, &sql).await?.iter().map(column).collect()
}

async fn references(
    manager: &SchemaManager<'_>,
    class: &str,
) -> Result<Vec<FoundReference>, DbErr> {
    let sql = format!(
        "SELECT CAST(columns.attname AS text) AS name, CAST(targets.relname AS text) AS target, \
         CAST(confdeltype AS text) AS on_delete FROM pg_constraint \
         JOIN pg_class targets ON targets.oid = confrelid \
         JOIN pg_attribute columns ON columns.attrelid = conrelid AND columns.attnum = ANY (conkey) \
         WHERE contype = 'f' AND conrelid = {class} AND confrelid = to_regclass(quote_ident(targets.relname))"
    );
    let reference = |row: &QueryResult| {
        Ok(FoundReference {
            column: row.try_get("", "name")?,
            target: row.try_get("", "target")?,
            on_delete: row.try_get("", "on_delete")?,
        })
    };
    rows(manager, &sql).await?.iter().map(reference).collect()
}

async fn keys(manager: &SchemaManager<'_>, class: &str) -> Result<Vec<String>, DbErr> {
    let sql = format!(
        "SELECT (SELECT string_agg(attname, ',' ORDER BY CAST(attname AS text) COLLATE \"C\") FROM pg_attribute \
            WHERE attrelid = indrelid AND attnum = ANY (indkey)) AS key \
         FROM pg_index WHERE indrelid = {class} AND indisunique AND indisvalid AND indpred IS NULL \
         AND indexprs IS NULL AND indnkeyatts = indnatts"
    );
    rows(manager, &sql).await?.iter().map(|row| row.try_get("", "key")).collect()
}

/// The rows of a query.
pub(super) async fn rows(
    manager: &SchemaManager<'_>,
    sql: &str,
) -> Result<Vec<QueryResult>, DbErr> {
    let statement = Statement::from_string(manager.get_database_backend(), sql);
    manager.get_connection().query_all_raw(statement).await
}
