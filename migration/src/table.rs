//! One description of a table, from which both dialects are written.
//!
//! SQLite has no types for IDs, times, JSON and enums, so its tables are STRICT, and CHECKs
//! restrict each value to one form: an ID is a 16-byte blob, and a time is RFC 3339 text in UTC. A
//! time that is written with other decimals than needed (`.500000`, `.000`) is the same time in a
//! different text, and would sort and compare wrongly. Triggers bring it to the normal form, with
//! 0, 3 or 6 decimals.

use sea_orm_migration::{
    SchemaManager,
    sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement},
};

use crate::{
    made::{self, execute, exists, is_postgres},
    sqlite::{self, clear_on_delete, time_check},
    steps::LOCK_TIMEOUT,
};

/// An enum: a native type in PostgreSQL, a CHECK in SQLite.
pub(crate) struct Enum {
    pub name: &'static str,
    pub values: &'static [&'static str],
}

#[derive(Clone)]
pub(crate) enum Kind {
    Id,
    Text,
    Time,
    Date,
    Json,
    Integer,
    Numeric,
    Boolean,
    Enum(&'static Enum),
}

#[derive(Clone, Copy)]
pub(crate) enum OnDelete {
    Cascade,
    SetNull,
}

#[derive(Clone)]
enum Default {
    /// A new random UUID.
    RandomId,
    /// The time of the transaction (PostgreSQL) or statement (SQLite).
    Now,
    /// A literal as both dialects write it.
    Literal(&'static str),
}

#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) not_null: bool,
    unique: bool,
    default: Option<Default>,
    pub(crate) references: Option<(&'static str, OnDelete)>,
}

/// A column of an index. No index contains text: PostgreSQL would reject a row with text longer
/// than a page of the index.
#[derive(Clone, Copy)]
pub(crate) enum Key {
    Plain(&'static str),
    /// A time, latest first and nulls last.
    LatestFirst(&'static str),
}

pub(crate) struct Table {
    pub name: &'static str,
    /// The columns without `id`, `org_id`, `created_at`, `updated_at` and `metadata`, which every
    /// table has (the organizations' table except for `org_id`).
    pub columns: Vec<Column>,
    pub unique: &'static [&'static [&'static str]],
    pub indexes: Vec<(&'static str, Vec<Key>)>,
}

pub(crate) fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, not_null: false, unique: false, default: None, references: None }
}

pub(crate) fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

pub(crate) fn time(name: &'static str) -> Column {
    column(name, Kind::Time)
}

/// A reference to a row of another table, by its ID.
pub(crate) fn reference(name: &'static str, table: &'static str, on_delete: OnDelete) -> Column {
    Column { references: Some((table, on_delete)), ..column(name, Kind::Id) }
}

impl Column {
    pub(crate) fn not_null(self) -> Self {
        Self { not_null: true, ..self }
    }

    pub(crate) fn unique(self) -> Self {
        Self { unique: true, ..self }
    }

    pub(crate) fn default(self, literal: &'static str) -> Self {
        Self { default: Some(Default::Literal(literal)), ..self }
    }

    pub(crate) fn default_now(self) -> Self {
        Self { default: Some(Default::Now), ..self }
    }

    /// The column's definition in PostgreSQL.
    pub(crate) fn definition(&self) -> String {
        column_definition(self, true)
    }

    /// Its default in PostgreSQL, if it has one.
    pub(crate) fn default_sql(&self) -> Option<&'static str> {
        self.default.as_ref().map(|default| match default {
            Default::RandomId => "gen_random_uuid()",
            Default::Now => "now()",
            Default::Literal(literal) => literal,
        })
    }
}

impl Table {
    /// All of its columns, in order.
    pub(crate) fn all_columns(&self) -> Vec<Column> {
        let mut columns = vec![Column {
            not_null: true,
            default: Some(Default::RandomId),
            ..column("id", Kind::Id)
        }];
        if self.name != "organizations" {
            columns.push(reference("org_id", "organizations", OnDelete::Cascade).not_null());
        }
        columns.extend(self.columns.iter().cloned());
        columns.push(time("created_at").not_null().default_now());
        columns.push(time("updated_at").not_null().default_now());
        columns.push(column("metadata", Kind::Json).default("'{}'"));
        columns
    }

    /// The types of its columns that are enums.
    pub(crate) fn enums(&self) -> Vec<&'static Enum> {
        let of = |column: &Column| match column.kind {
            Kind::Enum(of) => Some(of),
            _ => None,
        };
        self.columns.iter().filter_map(of).collect()
    }

    /// Creates the table with its constraints, triggers and indexes, and remembers that.
    pub(crate) async fn create(self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let postgres = is_postgres(manager);
        let (columns, name) = (self.all_columns(), self.name);
        if postgres {
            // it waits for writers of the tables that it refers to
            execute(manager, LOCK_TIMEOUT).await?;
        }

        let mut parts = Vec::new();
        for column in &columns {
            parts.push(column_definition(column, postgres));
        }
        parts.push("PRIMARY KEY (id)".to_owned());
        if name != "organizations" {
            parts.push("UNIQUE (org_id, id)".to_owned());
        }
        for unique in self.unique {
            parts.push(format!("UNIQUE ({})", unique.join(", ")));
        }
        let mut after = Vec::new();
        for column in &columns {
            let Some((target, on_delete)) = column.references else { continue };
            let composite = target != "organizations" && made::by_service(manager, target).await?;
            parts.push(foreign_key(column.name, target, on_delete, composite, postgres));
            if composite && !postgres && matches!(on_delete, OnDelete::SetNull) {
                after.push(clear_on_delete(name, column.name, target));
            }
        }
        let strict = if postgres { "" } else { " STRICT" };
        execute(manager, &format!("CREATE TABLE {name} (\n  {}\n){strict}", parts.join(",\n  ")))
            .await?;

        if postgres {
            after.push(format!(
                "CREATE TRIGGER set_updated_at BEFORE UPDATE ON {name} \
                 FOR EACH ROW EXECUTE FUNCTION set_updated_at()"
            ));
        } else {
            after.extend(sqlite::time_triggers(name, &columns));
        }
        for (suffix, keys) in &self.indexes {
            let keys: Vec<String> = keys.iter().map(|key| key.sql(postgres)).collect();
            after.push(format!("CREATE INDEX {name}_{suffix} ON {name} ({})", keys.join(", ")));
        }
        for statement in after {
            execute(manager, &statement).await?;
        }
        made::remember(manager, name).await
    }
}

/// Drops the table that [`Table::create`] created.
pub(crate) async fn drop(manager: &SchemaManager<'_>, name: &str) -> Result<(), DbErr> {
    if !is_postgres(manager) {
        // SQLite keeps a trigger of another table that writes to this one, and every delete there
        // would fail from then on
        let triggers = Statement::from_string(
            DbBackend::Sqlite,
            format!(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name GLOB '{name}_clear_*'"
            ),
        );
        for row in manager.get_connection().query_all_raw(triggers).await? {
            let trigger: String = row.try_get("", "name")?;
            execute(manager, &format!("DROP TRIGGER {trigger}")).await?;
        }
    }
    execute(manager, &format!("DROP TABLE {name}")).await?;
    made::forget(manager, name).await
}

impl Enum {
    /// Creates the type if the database has types and this one does not exist.
    pub(crate) async fn create(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        let name = self.name;
        if !is_postgres(manager)
            || exists(manager, &format!("SELECT 1 WHERE to_regtype('{name}') IS NOT NULL")).await?
        {
            return Ok(());
        }
        execute(manager, &format!("CREATE TYPE {name} AS ENUM ({})", self.literals())).await?;
        made::remember(manager, name).await
    }

    /// Drops the type if [`Enum::create`] created it.
    pub(crate) async fn drop(&self, manager: &SchemaManager<'_>) -> Result<(), DbErr> {
        if made::by_service(manager, self.name).await? {
            execute(manager, &format!("DROP TYPE {}", self.name)).await?;
            made::forget(manager, self.name).await?;
        }
        Ok(())
    }

    fn literals(&self) -> String {
        let quoted: Vec<String> = self.values.iter().map(|value| format!("'{value}'")).collect();
        quoted.join(", ")
    }
}

impl Key {
    /// The key in the syntax of an index.
    pub(crate) fn sql(self, postgres: bool) -> String {
        match self {
            Self::Plain(column) => column.to_owned(),
            Self::LatestFirst(column) if postgres => format!("{column} DESC NULLS LAST"),
            // nulls sort first there
            Self::LatestFirst(column) => format!("{column} DESC"),
        }
    }
}

fn column_definition(column: &Column, postgres: bool) -> String {
    let name = column.name;
    let (kind, check) = match (&column.kind, postgres) {
        (Kind::Id, true) => ("uuid", None),
        (Kind::Id, false) => ("BLOB", Some(format!("length({name}) = 16"))),
        (Kind::Text, _) => ("text", None),
        // the range of RFC 3339; a client could not read infinity
        (Kind::Time, true) => (
            "timestamptz",
            Some(format!("{name} >= '0001-01-01 00:00+00' AND {name} < '10000-01-01 00:00+00'")),
        ),
        (Kind::Time, false) => ("TEXT", Some(time_check(name))),
        (Kind::Date, true) => ("date", None),
        (Kind::Date, false) => ("TEXT", Some(format!("date({name}, '+0 days') IS {name}"))),
        (Kind::Json, true) => ("jsonb", None),
        (Kind::Json, false) => ("TEXT", Some(format!("{name} IS NULL OR json_valid({name})"))),
        (Kind::Integer, true) => ("integer", None),
        (Kind::Integer, false) => {
            ("INTEGER", Some(format!("{name} BETWEEN -2147483648 AND 2147483647")))
        }
        (Kind::Numeric, true) => ("numeric", None),
        (Kind::Numeric, false) => ("REAL", None),
        (Kind::Boolean, true) => ("boolean", None),
        (Kind::Boolean, false) => ("INTEGER", Some(format!("{name} IN (0, 1)"))),
        (Kind::Enum(of), true) => (of.name, None),
        (Kind::Enum(of), false) => ("TEXT", Some(format!("{name} IN ({})", of.literals()))),
    };
    let mut sql = format!("{name} {kind}");
    if column.not_null {
        sql += " NOT NULL";
    }
    match (&column.default, postgres) {
        (None, _) => {}
        (Some(Default::RandomId), true) => sql += " DEFAULT gen_random_uuid()",
        (Some(Default::RandomId), false) => sql += &format!(" DEFAULT ({})", sqlite::RANDOM_ID),
        (Some(Default::Now), true) => sql += " DEFAULT now()",
        (Some(Default::Now), false) => sql += &format!(" DEFAULT ({})", sqlite::NOW),
        (Some(Default::Literal(literal)), _) => sql += &format!(" DEFAULT {literal}"),
    }
    if column.unique {
        sql += " UNIQUE";
    }
    // a CHECK that is null passes, so a null column passes
    if let Some(check) = check {
        sql += &format!(" CHECK ({check})");
    }
    sql
}

fn foreign_key(
    column: &str,
    target: &str,
    on_delete: OnDelete,
    composite: bool,
    postgres: bool,
) -> String {
    let (from, to) = if composite {
        (format!("org_id, {column}"), "org_id, id")
    } else {
        (column.to_owned(), "id")
    };
    let action = match (on_delete, composite, postgres) {
        (OnDelete::Cascade, ..) => " ON DELETE CASCADE".to_owned(),
        (OnDelete::SetNull, false, _) => " ON DELETE SET NULL".to_owned(),
        (OnDelete::SetNull, true, true) => format!(" ON DELETE SET NULL ({column})"),
        // a trigger does this, because SQLite would also clear org_id
        (OnDelete::SetNull, true, false) => String::new(),
    };
    format!("FOREIGN KEY ({from}) REFERENCES {target} ({to}){action}")
}
