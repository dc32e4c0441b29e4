//! Inserts rows that a query selects, without passing them through the process.

use std::collections::BTreeMap;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ConnectionTrait, DbErr, IdenStatic, Iterable, QueryResult,
    QuerySelect, QueryTrait, Statement, Value,
};

use super::{ConditionKind, Scope};
use crate::{Dialect, Error, OrganizationOwned, Scoped, Sql, ValuesTable};

/// The outcome for the IDs that a text selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SortOutcome {
    /// How many rows were inserted.
    pub inserted: u64,
    /// The number of IDs that were to be inserted but existed by then, because another transaction
    /// was faster.
    pub taken: u64,
    kinds: BTreeMap<i64, u64>,
}

impl SortOutcome {
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
/// Stands for the inserted rows in place of a kind.
const INSERTED: i64 = -1;

impl Scope {
    /// Inserts `row` for each ID that SQL text selects, with the ID in `column`. The text is like
    /// that of [`Scope::rows_given`], and returns each `id` once, with its `kind`: a row is
    /// inserted for kind 0, and the others are counted. The database generates the IDs of the rows.
    /// In PostgreSQL, this is one statement. In `SQLite`, which has one writer, it is two in one
    /// transaction.
    ///
    /// Rows are inserted in the order of the IDs, so that two calls with common IDs do not
    /// deadlock. A row that breaks a unique constraint is not inserted.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] where `row` refers to a row that is not the organization's.
    pub async fn insert_sorted<E: OrganizationOwned, S: OrganizationOwned>(
        &self,
        row: E::ActiveModel,
        column: E::Column,
        sql: Sql,
        selected: Scoped<S>,
        given: Option<ValuesTable>,
    ) -> Result<SortOutcome, Error> {
        let mut row = row;
        row.set(E::ORGANIZATION, self.organization.into());
        let backend = self.executor().get_database_backend();
        let by_key = selected.by == ConditionKind::Key;
        let ids = selected.select.select_only().column(S::ID).into_query();
        let query = sql.statement(backend, self.organization, ("selected", ids), by_key, given);
        self.transaction(async |scope| {
            scope.check_references::<E>(std::slice::from_ref(&row)).await?;
            scope.insert_kind::<E>(&row, column, query).await
        })
        .await
    }

    async fn insert_kind<E: OrganizationOwned>(
        &self,
        row: &E::ActiveModel,
        column: E::Column,
        query: Statement,
    ) -> Result<SortOutcome, Error> {
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
            "INSERT INTO {} ({}, {}) SELECT {}, id FROM sorted WHERE kind = {TO_INSERT} \
             ORDER BY id ON CONFLICT DO NOTHING",
            E::default().table_name(),
            names.join(", "),
            column.as_str(),
            places.join(", "),
        );
        let kinds =
            "SELECT CAST(kind AS bigint) AS kind, count(*) AS number FROM sorted GROUP BY 1";
        let (counted, inserted) = match dialect {
            Dialect::Postgres => {
                values.extend(common);
                let sql = format!(
                    "WITH sorted AS MATERIALIZED ({}), inserted AS ({insert} RETURNING 1) {kinds} \
                     UNION ALL SELECT {INSERTED}, count(*) FROM inserted",
                    query.sql
                );
                let statement = Statement::from_sql_and_values(backend, sql, values);
                (self.executor().query_all_raw(statement).await?, None)
            }
            Dialect::Sqlite => {
                let with = format!("WITH sorted AS ({})", query.sql);
                let count = format!("{with} {kinds}");
                let count = Statement::from_sql_and_values(backend, count, values.clone());
                let counted = self.executor().query_all_raw(count).await?;
                values.extend(common);
                let insert = format!("{with} {insert}");
                let insert = Statement::from_sql_and_values(backend, insert, values);
                (counted, Some(self.executor().execute_raw(insert).await?.rows_affected()))
            }
        };
        SortOutcome::read(&counted, inserted)
    }
}
