//! Checks whether tables from another program can be adopted, column by column.

use std::fmt;

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{DbErr, QueryResult},
};

use super::{
    catalogue::{Found, FoundColumn, rows},
    neighbours, tables,
};
use crate::{
    column::{Column, Enum, Kind, OnDelete},
    m0007_feed, m0008_counts, m0009_delivery, m0012_horizons, m0013_event_ids, m0014_upkeep,
    m0016_webhooks,
    table::{Lookup, Table},
};

/// A property of a table that the service cannot work with, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What differs.
    pub what: String,
    /// What to do, usually as SQL.
    pub remedy: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}\n    {}", self.what, self.remedy)
    }
}

/// The remedy for tables that cannot be changed into the service's.
const ELSEWHERE: &str = "Give the service tables in another schema, by --schema";

fn difference(what: impl Into<String>, remedy: impl Into<String>) -> Difference {
    Difference { what: what.into(), remedy: remedy.into() }
}

/// The differences between the existing tables and the documented ones that matter. Additional
/// columns and enum values, other type names and other defaults do not matter.
pub(crate) async fn differences(manager: &SchemaManager<'_>) -> Result<Vec<Difference>, DbErr> {
    let mut differences = Vec::new();
    let mut adopts = false;
    for table in tables() {
        if let Some(found) = Found::look_up(manager, table.name, Lookup::Schema).await? {
            adopts = true;
            compare_own_table(&table, &found, &mut differences);
            differences.extend(relatives(manager, table.name).await?);
        }
    }
    for table in neighbours() {
        if let Some(found) = Found::look_up(manager, table.name, Lookup::SearchPath).await? {
            if matches!(found.kind.as_str(), "v" | "m" | "f") {
                differences.push(not_ordinary(table.name));
                continue;
            }
            compare_columns(&table, &found, false, &mut differences);
        }
    }
    if adopts {
        differences.extend(taken_names(manager).await?);
    }
    Ok(differences)
}

/// Tables that inherit from a table or that it inherits from, and the column of links if different texts
/// can be equal in it.
async fn relatives(manager: &SchemaManager<'_>, name: &str) -> Result<Vec<Difference>, DbErr> {
    let class = Lookup::Schema.class(name);
    let sql = format!(
        "SELECT CAST(inhrelid::regclass AS text) AS child, CAST(inhparent::regclass AS text) AS parent \
         FROM pg_inherits WHERE {class} IN (inhparent, inhrelid) ORDER BY 1"
    );
    let mut found = Vec::new();
    for row in rows(manager, &sql).await? {
        let (child, parent): (String, String) =
            (row.try_get("", "child")?, row.try_get("", "parent")?);
        found.push(difference(
            format!(
                "{child} inherits from {parent}, so that triggers do not see all rows of {name}"
            ),
            format!("Move its rows, and run ALTER TABLE {child} NO INHERIT {parent}"),
        ));
    }
    let sql = format!(
        "SELECT CAST(columns.attname AS text) AS name FROM pg_attribute AS columns \
         JOIN pg_collation AS collations ON collations.oid = columns.attcollation \
         WHERE columns.attrelid = {class} AND NOT columns.attisdropped AND columns.attname = 'url' \
         AND NOT collations.collisdeterministic"
    );
    for row in rows(manager, &sql).await? {
        let column: String = row.try_get("", "name")?;
        found.push(difference(
            format!("{name}.{column} has a collation that is not deterministic, so different links can count as one"),
            format!("ALTER TABLE {name} ALTER COLUMN {column} TYPE text COLLATE \"default\""),
        ));
    }
    Ok(found)
}

fn not_ordinary(name: &str) -> Difference {
    difference(
        format!("{name} is not an ordinary table"),
        format!("A view, a foreign table and a partitioned table are not supported. {ELSEWHERE}"),
    )
}

/// Compares a table of the service.
fn compare_own_table(table: &Table, found: &Found, differences: &mut Vec<Difference>) {
    let name = table.name;
    if found.kind != "r" {
        differences.push(not_ordinary(name));
        return;
    }
    if !found.is_ours {
        differences.push(difference(
            format!("{name} belongs to {}", found.owner),
            format!("Run migrate as {} or a member of that role", found.owner),
        ));
    }
    if found.is_forced {
        differences.push(difference(
            format!("the policies of {name} also apply to its owner"),
            format!("ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY, or run migrate as a role with BYPASSRLS"),
        ));
    }
    compare_columns(table, found, true, differences);
    let documented = table.all_columns();
    for (extra, column) in &found.columns {
        let is_documented = documented.iter().any(|column| column.name == extra);
        if !is_documented && column.not_null && !column.is_filled {
            differences.push(difference(
                format!("{name}.{extra} cannot be null and has no default"),
                format!("ALTER TABLE {name} ALTER COLUMN {extra} SET DEFAULT …, as the service does not know this column"),
            ));
        }
    }
    for column in &documented {
        let Some((target, on_delete)) = column.references else { continue };
        let (code, action) = match on_delete {
            OnDelete::Cascade => ("c", "CASCADE"),
            OnDelete::SetNull => ("n", "SET NULL"),
        };
        let is_there = found.references.iter().any(|reference| {
            reference.column == column.name
                && reference.target == target
                && reference.on_delete == code
        });
        if !is_there {
            let column = column.name;
            differences.push(difference(
                format!("{name}.{column} does not refer to {target} with ON DELETE {action}"),
                format!(
                    "ALTER TABLE {name} ADD FOREIGN KEY ({column}) REFERENCES {target} (id) ON DELETE {action}, \
                     in place of any other reference of this column"
                ),
            ));
        }
    }
    for unique in table.unique.iter().copied().chain([["id"].as_slice()]) {
        let mut sorted = unique.to_vec();
        sorted.sort_unstable();
        if !found.keys.contains(&sorted.join(",")) {
            let columns = unique.join(", ");
            differences.push(difference(
                format!("({columns}) is not unique in {name}"),
                format!("CREATE UNIQUE INDEX CONCURRENTLY ON {name} ({columns})"),
            ));
        }
    }
}

/// Compares the columns. With `strictly`, also compares whether they can be null and whether they have
/// defaults.
fn compare_columns(
    table: &Table,
    found: &Found,
    strictly: bool,
    differences: &mut Vec<Difference>,
) {
    let name = table.name;
    for column in table.all_columns() {
        let key = column.name;
        let Some(is) = found.columns.get(key) else {
            differences.push(difference(
                format!("{name} has no column {key}"),
                format!("ALTER TABLE {name} ADD COLUMN {}", column.definition()),
            ));
            continue;
        };
        differences.extend(compare_type(name, &column, is));
        if !strictly {
            continue;
        }
        if column.not_null && !is.not_null {
            differences.push(difference(
                format!("{name}.{key} can be null"),
                format!("ALTER TABLE {name} ALTER COLUMN {key} SET NOT NULL"),
            ));
        }
        if let (Some(default), true, false) =
            (column.default_sql(), is.not_null || column.not_null, is.is_filled)
        {
            differences.push(difference(
                format!("{name}.{key} has no default"),
                format!("ALTER TABLE {name} ALTER COLUMN {key} SET DEFAULT {default}"),
            ));
        }
    }
}

/// Compares the type of a column.
fn compare_type(table: &str, column: &Column, is: &FoundColumn) -> Vec<Difference> {
    let name = column.name;
    let is_text = matches!(is.base.as_str(), "text" | "varchar");
    let wanted = match &column.kind {
        Kind::Id => "uuid",
        Kind::Text => "text",
        Kind::Time => "timestamptz",
        Kind::Date => "date",
        Kind::Json => "jsonb",
        Kind::Integer => "integer",
        Kind::Numeric => "numeric",
        Kind::Boolean => "boolean",
        Kind::Enum(of) if is_text => return missing_in_check(table, name, of, is),
        Kind::Enum(of) if !is.values.is_empty() && !is.is_domain => {
            return missing_values(of, is);
        }
        Kind::Enum(of) => of.name,
    };
    let base = match is.base.as_str() {
        "int4" => "integer",
        "bool" => "boolean",
        "varchar" => "text",
        other => other,
    };
    if base == wanted {
        return Vec::new();
    }
    let what = format!("{table}.{name} is {} instead of {wanted}", is.kind);
    if wanted == "uuid" && matches!(base, "int2" | "integer" | "int8" | "numeric") {
        return vec![difference(
            what,
            format!("IDs that are numbers are not supported. {ELSEWHERE}"),
        )];
    }
    let using = match (wanted, base) {
        ("timestamptz", "timestamp") => format!(" USING {name} AT TIME ZONE 'UTC'"),
        _ => format!(" USING {name}::text::{wanted}"),
    };
    vec![difference(what, format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {wanted}{using}"))]
}

/// The documented values that an enum lacks.
fn missing_values(of: &Enum, is: &FoundColumn) -> Vec<Difference> {
    let lacks = of.values.iter().filter(|value| !is.values.iter().any(|has| has == *value));
    lacks
        .map(|value| {
            difference(
                format!("the type {} has no value {value}", is.kind),
                format!("ALTER TYPE {} ADD VALUE '{value}'", is.kind),
            )
        })
        .collect()
}

/// The documented values that a CHECK of a text column does not name, if it names others of them.
fn missing_in_check(table: &str, column: &str, of: &Enum, is: &FoundColumn) -> Vec<Difference> {
    let names = |value: &str| is.checks.contains(&format!("'{value}'"));
    if !of.values.iter().any(|value| names(value)) {
        return Vec::new();
    }
    let lacks = of.values.iter().filter(|value| !names(value));
    lacks
        .map(|value| {
            difference(
                format!("a CHECK of {table}.{column} does not allow '{value}'"),
                format!("Replace it with one that does: {}", is.checks),
            )
        })
        .collect()
}

/// The names in use of objects that the service would create.
async fn taken_names(manager: &SchemaManager<'_>) -> Result<Vec<Difference>, DbErr> {
    let list = |names: &mut dyn Iterator<Item = &str>| {
        names.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ")
    };
    let relations = m0007_feed::RELATIONS
        .iter()
        .chain(&m0008_counts::RELATIONS)
        .chain(&m0008_counts::VIEWS)
        .chain(&m0009_delivery::RELATIONS)
        .chain(&m0012_horizons::RELATIONS)
        .chain(&m0013_event_ids::RELATIONS)
        .chain(&m0014_upkeep::RELATIONS)
        .copied()
        .chain(m0016_webhooks::relations());
    let functions = m0007_feed::FUNCTIONS
        .iter()
        .chain(&m0008_counts::FUNCTIONS)
        .chain(&m0012_horizons::FUNCTIONS)
        .chain(&m0016_webhooks::FUNCTIONS)
        .copied()
        .chain(m0014_upkeep::functions());
    let triggers = m0007_feed::TRIGGERS.iter().chain(&m0008_counts::TRIGGERS);
    let triggers = triggers.chain(&m0014_upkeep::TRIGGERS).copied();
    let columns = m0007_feed::COLUMNS.iter().chain(&m0013_event_ids::COLUMNS);
    let columns: Vec<String> = columns.map(|(table, column)| format!("{table}.{column}")).collect();
    let sql = format!(
        "SELECT 'relation' AS kind, CAST(relname AS text) AS name FROM pg_class \
         WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) AND relname IN ({}) \
         UNION ALL SELECT 'function', proname FROM pg_proc \
         WHERE pronamespace = to_regnamespace(quote_ident(current_schema())) AND proname IN ({}) \
         UNION ALL SELECT 'trigger', tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid \
         WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) \
         AND relname IN ('campaign_sends', 'campaign_events') AND tgname IN ({}) \
         UNION ALL SELECT 'column', concat(relname, '.', attname) FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid \
         WHERE relnamespace = to_regnamespace(quote_ident(current_schema())) \
         AND NOT attisdropped AND concat(relname, '.', attname) IN ({})",
        list(&mut relations.into_iter()),
        list(&mut functions.into_iter()),
        list(&mut triggers.into_iter()),
        list(&mut columns.iter().map(String::as_str)),
    );
    let taken = |row: &QueryResult| {
        let (kind, name): (String, String) = (row.try_get("", "kind")?, row.try_get("", "name")?);
        Ok(difference(
            format!("there is a {kind} {name}, a name that the service uses"),
            "Give it another name",
        ))
    };
    rows(manager, &sql).await?.iter().map(taken).collect()
}
