//! Triggers and rules of other programs that fire when rows of a table change.
//!
//! Each can keep a row from being changed without an error: a BEFORE trigger returns null or calls
//! `RAISE(IGNORE)`, and a rule does something else INSTEAD. A row that was not changed then still exists,
//! so it must not be reported as missing.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value as Json, json};

use crate::{Dialect, Error, connections::Session, triggers};

/// A change of the rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Insert,
    Update,
    Delete,
}

impl Change {
    /// Its name in SQL.
    fn word(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
        }
    }

    /// The code of its rules and the bit of its triggers in PostgreSQL's catalog.
    fn in_catalog(self) -> (&'static str, i16) {
        match self {
            Self::Insert => ("3", 4),
            Self::Update => ("2", 16),
            Self::Delete => ("4", 8),
        }
    }
}

/// The triggers and rules that fire for changes of some tables.
#[derive(Debug, Default)]
pub(crate) struct Refusers(BTreeMap<String, Vec<Refuser>>);

#[derive(Debug)]
struct Refuser {
    name: String,
    /// Whether it can keep a row from being changed. The others can only raise an error.
    can_keep: bool,
}

/// PostgreSQL's triggers and rules that fire in ordinary sessions. `$1` is the tables with their changes.
const IN_POSTGRES: &str = "SELECT wanted.of_table, 'trigger ' || triggers.tgname AS name, \
       (triggers.tgtype & 2) <> 0 AS can_keep \
     FROM jsonb_to_recordset($1) AS wanted(of_table text, bit smallint, rule text) \
     JOIN pg_trigger AS triggers ON triggers.tgrelid = to_regclass(wanted.of_table) \
     WHERE NOT triggers.tgisinternal AND triggers.tgenabled IN ('O', 'A') \
     AND (triggers.tgtype & wanted.bit) <> 0 \
     UNION ALL SELECT wanted.of_table, 'rule ' || rules.rulename, rules.is_instead \
     FROM jsonb_to_recordset($1) AS wanted(of_table text, bit smallint, rule text) \
     JOIN pg_rewrite AS rules ON rules.ev_class = to_regclass(wanted.of_table) \
     WHERE rules.ev_enabled IN ('O', 'A') AND CAST(rules.ev_type AS text) = wanted.rule \
     ORDER BY 1, 2";

/// `SQLite`'s triggers, found by the text of their definitions.
const IN_SQLITE: &str = "SELECT lower(own.tbl_name) AS of_table, 'trigger ' || own.name AS name, \
       own.sql LIKE '%RAISE%IGNORE%' AS can_keep \
     FROM json_each($1) AS wanted JOIN sqlite_master AS own \
     ON own.type = 'trigger' AND lower(own.tbl_name) = wanted.value ->> 'of_table' \
     AND own.sql LIKE '%' || (wanted.value ->> 'word') || '%' ORDER BY 1, 2";

impl Refusers {
    /// Looks up the triggers and rules of these changes.
    ///
    /// # Errors
    /// Any error of the database.
    pub(crate) async fn of(
        session: &Session,
        dialect: Dialect,
        changes: impl IntoIterator<Item = (String, Change)>,
    ) -> Result<Self, Error> {
        let wanted = changes.into_iter().map(|(table, change)| {
            let (rule, bit) = change.in_catalog();
            json!({ "of_table": table, "word": change.word(), "rule": rule, "bit": bit })
        });
        let wanted: Json = wanted.collect();
        let session = session.reading();
        let sql = match dialect {
            Dialect::Postgres => IN_POSTGRES,
            Dialect::Sqlite => IN_SQLITE,
        };
        let backend = session.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, [wanted.into()]);
        let mut found: BTreeMap<String, Vec<Refuser>> = BTreeMap::new();
        for row in session.query_all_raw(statement).await? {
            let name: String = row.try_get("", "name")?;
            let bare = name.split_once(' ').map_or("", |(_, bare)| bare);
            if triggers::is_of_service(bare) {
                continue;
            }
            let can_keep = row.try_get("", "can_keep")?;
            let table: String = row.try_get("", "of_table")?;
            found.entry(table).or_default().push(Refuser { name, can_keep });
        }
        Ok(Self(found))
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a table has any.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.0.contains_key(table)
    }

    /// Whether a trigger or a rule of a table can keep a row from being changed.
    pub(crate) fn can_keep(&self, table: &str) -> bool {
        self.0.get(table).is_some_and(|of_table| of_table.iter().any(|of| of.can_keep))
    }

    /// The error for rows of a table that exist but were not changed.
    pub(crate) fn kept(&self, table: &str) -> Error {
        let of_table = self.0.get(table).map(Vec::as_slice).unwrap_or_default();
        let keep: Vec<&str> =
            of_table.iter().filter(|of| of.can_keep).map(|of| of.name.as_str()).collect();
        if keep.is_empty() {
            return Error::Refused { by: None };
        }
        Error::Stopped { by: keep.join(", or the ") }
    }
}
