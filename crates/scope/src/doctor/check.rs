//! A check, and the rows that it looks for.

use campaigns_entity::StoredText;
use sea_orm::{DbErr, QueryResult};
use uuid::Uuid;

use crate::Dialect;

/// A check for one problem.
#[derive(Clone, Debug)]
pub struct Check {
    /// The problem.
    pub wrong: String,
    /// How to fix it.
    pub remedy: String,
    pub(super) probe: Probe,
}

#[derive(Clone, Debug)]
pub(super) enum Probe {
    /// Rows that a condition selects.
    Rows(Rows),
    /// Indexes that are missing or not valid.
    Indexes,
    /// Triggers that are missing or do not fire as they should.
    BrokenTriggers,
    /// Triggers that were turned off for a time.
    SwitchedTriggers,
    /// Faults in the objects that the feed depends on.
    Feed,
    /// What the service cannot work with.
    Tables,
}

/// The rows of a table that match a condition.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) table: &'static str,
    /// Other tables, as a join.
    pub(super) join: String,
    /// A condition on the table, `t`, and the joined ones. `$1` is the latest allowed time.
    pub(super) condition: String,
    /// A column with another ID to list.
    pub(super) other: Option<&'static str>,
}

impl Rows {
    pub(super) fn of(table: &'static str, condition: impl Into<String>) -> Self {
        Self { table, join: String::new(), condition: condition.into(), other: None }
    }

    pub(super) fn sql(&self, most: u64, dialect: Dialect) -> String {
        let Self { table, join, condition, other } = self;
        let organization = if *table == "organizations" { "t.id" } else { "t.org_id" };
        let organization = dialect.id_as_text(organization);
        let other =
            other.map_or("NULL".to_owned(), |column| dialect.id_as_text(&format!("t.{column}")));
        format!(
            "SELECT {id} AS id, {organization} AS org_id, {other} AS other, count(*) OVER () AS all_of_them \
             FROM {table} AS t {join} WHERE {condition} ORDER BY t.id LIMIT {most}",
            id = dialect.id_as_text("t.id"),
        )
    }

    /// The line of a row that [`Rows::sql`] selects.
    pub(super) fn line(&self, row: &QueryResult) -> Result<String, DbErr> {
        let read =
            |column| {
                let text = row.try_get::<Option<StoredText>>("", column)?;
                Ok::<_, DbErr>(text.map(|StoredText(text)| {
                    Uuid::try_parse(&text).map_or(text, |id| id.to_string())
                }))
            };
        let missing = || "NULL".to_owned();
        let id = read("id")?.unwrap_or_else(missing);
        let organization = read("org_id")?.unwrap_or_else(missing);
        let line = format!("{} {id} of organization {organization}", self.table);
        Ok(match self.other.zip(read("other")?) {
            Some((column, other)) => format!("{line}: {column} {other}"),
            None => line,
        })
    }

    pub(super) fn check(self, wrong: impl Into<String>, remedy: impl Into<String>) -> Check {
        Check { wrong: wrong.into(), remedy: remedy.into(), probe: Probe::Rows(self) }
    }
}
