//! Inserts a row for each selected ID, without reading the IDs into the process.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, IdenStatic, Iterable, QueryResult,
    Statement, Value,
};

use super::{ConditionKind, Scope};
use crate::{Dialect, Error, OrganizationOwned, Scoped, Sql, ValuesTable};

/// The outcome of [`Scope::insert_selected`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InsertOutcome {
    /// The number of inserted rows.
    pub inserted: u64,
    /// The number of IDs whose rows another transaction inserted first.
    pub taken: u64,
    kinds: BTreeMap<i64, u64>,
}

impl InsertOutcome {
    /// The number of IDs of a kind, starting at 1.
    #[must_use]
    pub fn of(&self, kind: i64) -> u64 {
        self.kinds.get(&kind).copied().unwrap_or(0)
    }

    fn read(counted: &[QueryResult], inserted: Option<u64>) -> Result<Self, Error> {
        let kind = |row: &QueryResult| {
            let (kind, number): (i64, i64) = (row.try_get("", "kind")?, row.try_get("", "number")?);
            Ok((kind, number.unsigned_abs()))
        };
        let mut kinds = counted.iter().map(kind).collect::<Result<BTreeMap<i64, u64>, DbErr>>()?;
        let selected = kinds.remove(&TO_INSERT).unwrap_or(0);
        let inserted = inserted.or(kinds.remove(&INSERTED)).unwrap_or(0);
        Ok(Self { inserted, taken: selected.saturating_sub(inserted), kinds })
    }
}

/// The kind of an ID that is to be inserted.
const TO_INSERT: i64 = 0;
/// The pseudo-kind of the number of inserted rows.
const INSERTED: i64 = -1;

impl Scope {
    /// Inserts `row` for each ID of kind 0 that SQL text selects, with the ID in `column`, and counts
    /// the IDs of other kinds. The text is like that of [`Scope::rows_given`], and returns each `id`
    /// once, with its `kind`. The database generates the IDs of the new rows. In PostgreSQL, this is
    /// one statement. In `SQLite`, which has one writer, it is two in one transaction.
    ///
    /// Rows are inserted in the order of the IDs, so that two calls with common IDs do not deadlock. A
    /// row that violates a unique constraint is not inserted.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] if `row` refers to a row of another organization or to none.
    pub async fn insert_selected<E: OrganizationOwned, S: OrganizationOwned>(
        &self,
        row: E::ActiveModel,
        column: E::Column,
        sql: Sql,
        selected: Scoped<S>,
        given: Option<ValuesTable>,
    ) -> Result<InsertOutcome, Error> {
        let mut row = row;
        row.set(E::ORGANIZATION, self.organization.into());
        let backend = self.executor().get_database_backend();
        let by_key = selected.by == ConditionKind::Key;
        let ids = selected.into_columns([S::ID]);
        let query = sql.statement(backend, self.organization, ("selected", ids), by_key, given);
        self.transaction(async |scope| {
            scope.check_references::<E>(std::slice::from_ref(&row)).await?;
            scope.insert_of_kind::<E>(&row, column, query).await
        })
        .await
    }

    async fn insert_of_kind<E: OrganizationOwned>(
        &self,
        row: &E::ActiveModel,
        column: E::Column,
        query: Statement,
    ) -> Result<InsertOutcome, Error> {
        let set = E::Column::iter().filter_map(|column| match row.get(column) {
            ActiveValue::Set(value) => Some((column.as_str(), value)),
            _ => None,
        });
        let (names, common): (Vec<&str>, Vec<Value>) = set.unzip();
        let (dialect, backend) = (self.dialect(), self.executor().get_database_backend());
        let mut values = query.values.map(|values| values.0).unwrap_or_default();
        let places: Vec<String> = (values.len()..values.len() + common.len())
            .map(|before| match dialect {
                Dialect::Postgres => format!("${}", before + 1),
                Dialect::Sqlite => "?".to_owned(),
            })
            .collect();
        let insert = format!(
            "INSERT INTO {} ({}, {}) SELECT {}, id FROM classified WHERE kind = {TO_INSERT} \
             ORDER BY id ON CONFLICT DO NOTHING",
            E::default().table_name(),
            names.join(", "),
            column.as_str(),
            places.join(", "),
        );
        let kinds =
            "SELECT CAST(kind AS bigint) AS kind, count(*) AS number FROM classified GROUP BY 1";
        let (counted, inserted) = match dialect {
            Dialect::Postgres => {
                values.extend(common);
                let sql = format!(
                    "WITH classified AS MATERIALIZED ({}), inserted AS ({insert} RETURNING 1) {kinds} \
                     UNION ALL SELECT {INSERTED}, count(*) FROM inserted",
                    query.sql
                );
                let statement = Statement::from_sql_and_values(backend, sql, values);
                (self.executor().query_all_raw(statement).await?, None)
            }
            Dialect::Sqlite => {
                let with = format!("WITH classified AS ({})", query.sql);
                let count = format!("{with} {kinds}");
                let count = Statement::from_sql_and_values(backend, count, values.clone());
                let counted = self.executor().query_all_raw(count).await?;
                values.extend(common);
                let insert = format!("{with} {insert}");
                let insert = Statement::from_sql_and_values(backend, insert, values);
                (counted, Some(self.executor().execute_raw(insert).await?.rows_affected()))
            }
        };
        InsertOutcome::read(&counted, inserted)
    }
}
