//! A check, and the rows that it looks for.

use uuid::Uuid;

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

    pub(super) fn sql(&self, most: u64) -> String {
        let Self { table, join, condition, other } = self;
        let organization = if *table == "organizations" { "t.id" } else { "t.org_id" };
        let other = other.map_or("NULL".to_owned(), |column| format!("t.{column}"));
        format!(
            "SELECT t.id AS id, {organization} AS org_id, {other} AS other, count(*) OVER () AS all_of_them \
             FROM {table} AS t {join} WHERE {condition} ORDER BY t.id LIMIT {most}"
        )
    }

    pub(super) fn line(&self, id: Uuid, organization: Uuid, other: Option<Uuid>) -> String {
        let row = format!("{} {id} of organization {organization}", self.table);
        match self.other.zip(other) {
            Some((column, other)) => format!("{row}: {column} {other}"),
            None => row,
        }
    }

    pub(super) fn check(self, wrong: impl Into<String>, remedy: impl Into<String>) -> Check {
        Check { wrong: wrong.into(), remedy: remedy.into(), probe: Probe::Rows(self) }
    }
}
