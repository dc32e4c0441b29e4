//! A column, and the types that it can have in both dialects.
//!
//! SQLite has no types for IDs, times, JSON and enums, so CHECKs restrict each value to one form: an
//! ID is a 16-byte blob, and a time is RFC 3339 text in UTC. A time that is written with other decimals
//! than needed (`.500000`, `.000`) is the same time in a different text, and would sort and compare
//! wrongly. Triggers bring it to the normal form, with 0, 3 or 6 decimals.

use sea_orm_migration::{SchemaManager, sea_orm::DbErr};

use crate::{
    made::{self, execute, exists, is_postgres},
    sqlite::{self, time_check},
};

/// An enum: a type in PostgreSQL, a CHECK in SQLite.
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

pub(crate) fn column(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, not_null: false, unique: false, default: None, references: None }
}

pub(crate) fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

pub(crate) fn time(name: &'static str) -> Column {
    column(name, Kind::Time)
}

/// The ID of a row, random by default.
pub(crate) fn row_id() -> Column {
    Column { not_null: true, default: Some(Default::RandomId), ..column("id", Kind::Id) }
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
        definition(self, true)
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

/// The definition of a column in a table that is created.
pub(crate) fn definition(column: &Column, postgres: bool) -> String {
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
