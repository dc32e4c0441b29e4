//! Writes any number of rows in one statement. The rows are bound as one JSON text, so the statement's
//! text does not depend on their number, and is prepared once.
//!
//! PostgreSQL reads the rows from `json` rather than `jsonb`. It frees memory only at the end of a
//! statement, and the `jsonb` tree of 10,000 rows would take half of the connection's memory.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    sync::atomic::Ordering,
};

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ColumnType, ConnectionTrait, IdenStatic, Iterable,
    QueryOrder, QuerySelect, QueryTrait, Statement, Value, sea_query::LockType,
};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use super::Scope;
use crate::{
    Dialect, Error, OrganizationOwned, dialect::json, error::CHANGED_ID, raw::custom,
    unreadable::read_row,
};

/// PostgreSQL's function that returns the rows in `$2`, to be followed by column definitions.
pub(super) const ROWS: &str = "json_to_recordset(CAST($2 AS json))";

/// The caller's rows as a table named `given`. `$1` is the organization, `$2` the rows.
pub(super) struct GivenRows<E: OrganizationOwned> {
    pub(super) columns: Vec<E::Column>,
    pub(super) rows: Json,
}

impl<E: OrganizationOwned> GivenRows<E> {
    /// The rows, with the columns that are set in the first row. All rows have the same columns set.
    pub(super) fn of(rows: &[E::ActiveModel]) -> Self {
        let is_set = |column: &E::Column| match rows.first().map(|row| row.get(*column)) {
            Some(ActiveValue::Set(_)) => column.as_str() != E::ORGANIZATION.as_str(),
            _ => false,
        };
        let columns: Vec<E::Column> = E::Column::iter().filter(is_set).collect();
        let row = |row: &E::ActiveModel| -> Json {
            let value = |column: &E::Column| {
                let value = row.get(*column).into_value().map_or(Json::Null, |value| json(&value));
                (column.as_str().to_owned(), value)
            };
            columns.iter().map(value).collect::<Map<_, _>>().into()
        };
        Self { rows: rows.iter().map(row).collect(), columns }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.columns.iter().map(IdenStatic::as_str).collect();
        names.join(", ")
    }

    /// Its column definitions in PostgreSQL, or the expressions of its columns in `SQLite`.
    pub(super) fn typed(&self, dialect: Dialect) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| typed::<E>(*column, dialect)).collect();
        columns.join(", ")
    }

    /// The table as an item of FROM.
    pub(super) fn table(&self, dialect: Dialect) -> String {
        let columns = self.typed(dialect);
        match dialect {
            Dialect::Postgres => format!("{ROWS} AS given({columns})"),
            Dialect::Sqlite => format!("(SELECT {columns} FROM json_each($2)) AS given"),
        }
    }

    /// Common table expressions with the organization's rows that the given rows refer to, and the
    /// condition that none is missing. The referenced rows are locked in the order of their IDs.
    pub(super) fn referenced(dialect: Dialect) -> (Vec<String>, String) {
        // SQLite has one writer at a time
        let lock = if dialect == Dialect::Postgres { "FOR KEY SHARE" } else { "" };
        let mut tables = Vec::new();
        let mut conditions = vec!["true".to_owned()];
        for (column, table) in E::REFERENCES {
            let column = column.as_str();
            let among = is_among(dialect, "id", &format!("SELECT {column} FROM given"));
            tables.push(format!(
                "of_{column} AS (SELECT id FROM {table} WHERE org_id = $1 AND {among} ORDER BY id {lock})"
            ));
            conditions.push(format!(
                "NOT EXISTS (SELECT 1 FROM given WHERE {column} IS NOT NULL \
                 AND {column} NOT IN (SELECT id FROM of_{column}))"
            ));
        }
        (tables, conditions.join(" AND "))
    }
}

/// A column of `given`: its definition in PostgreSQL, or its expression in `SQLite`.
fn typed<E: OrganizationOwned>(column: E::Column, dialect: Dialect) -> String {
    let name = column.as_str();
    let kind = column.def().get_column_type().clone();
    match (dialect, kind) {
        (Dialect::Postgres, ColumnType::Uuid) => format!("{name} uuid"),
        (Dialect::Postgres, ColumnType::TimestampWithTimeZone) => format!("{name} timestamptz"),
        (Dialect::Postgres, ColumnType::JsonBinary) => format!("{name} jsonb"),
        (Dialect::Postgres, ColumnType::BigInteger) => format!("{name} bigint"),
        (Dialect::Postgres, ColumnType::Enum { name: kind, .. }) => format!("{name} {kind}"),
        (Dialect::Postgres, _) => format!("{name} text"),
        (Dialect::Sqlite, ColumnType::Uuid) => {
            format!("unhex(replace(value ->> '{name}', '-', '')) AS {name}")
        }
        (Dialect::Sqlite, ColumnType::JsonBinary) => {
            format!("nullif(value -> '{name}', 'null') AS {name}")
        }
        (Dialect::Sqlite, _) => format!("value ->> '{name}' AS {name}"),
    }
}

/// The condition that an ID is among the IDs of a query. PostgreSQL assumes that an array has few IDs
/// and looks up each of them. It assumes that a subquery over JSON has a hundred, and could read the
/// whole table for a single ID.
fn is_among(dialect: Dialect, id: &str, query: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("{id} = ANY (ARRAY({query}))"),
        Dialect::Sqlite => format!("{id} IN ({query})"),
    }
}

/// The condition that an ID is among the IDs in `$2`.
pub(crate) fn is_given(dialect: Dialect, id: &str) -> String {
    is_given_in(dialect, id, "$2")
}

/// The condition that an ID is in the JSON array of a placeholder.
pub(crate) fn is_given_in(dialect: Dialect, id: &str, placeholder: &str) -> String {
    is_among(dialect, id, &ids_in(dialect, placeholder))
}

/// The IDs in the JSON array of a placeholder.
fn ids_in(dialect: Dialect, placeholder: &str) -> String {
    match dialect {
        Dialect::Postgres => {
            format!("SELECT CAST(jsonb_array_elements_text({placeholder}) AS uuid)")
        }
        Dialect::Sqlite => {
            format!("SELECT unhex(replace(value, '-', '')) FROM json_each({placeholder})")
        }
    }
}

impl Scope {
    /// Inserts the rows with new IDs, and returns these IDs. All rows have the same columns set.
    /// Referenced rows cannot be deleted before the transaction ends. Outside a transaction, the call
    /// is its own transaction.
    ///
    /// The rows are inserted in the order of their IDs, so that two calls with the same new IDs do not
    /// deadlock.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] if one refers to a row of another organization or to none. No row
    /// is inserted then.
    pub async fn insert_missing<E: OrganizationOwned>(
        &self,
        rows: &[E::ActiveModel],
    ) -> Result<HashSet<Uuid>, Error> {
        let given = GivenRows::<E>::of(rows);
        let (entity, names) = (E::default(), given.names());
        let dialect = self.dialect();
        let order = if dialect == Dialect::Postgres { "ORDER BY id" } else { "" };
        let (mut tables, whole) = GivenRows::<E>::referenced(dialect);
        tables.insert(0, format!("given AS (SELECT * FROM {})", given.table(dialect)));
        let sql = format!(
            "WITH {} INSERT INTO {} ({}, {names}) SELECT $1, {names} FROM given WHERE {whole} {order} \
             ON CONFLICT DO NOTHING RETURNING {}",
            tables.join(", "),
            entity.table_name(),
            E::ORGANIZATION.as_str(),
            Self::returning_given(dialect, &format!("{}.id", entity.table_name())),
        );
        self.insert_given::<E>(&self.with_rows(sql, &given.rows), rows).await
    }

    /// The result of a statement that inserts given rows: their IDs. It fails if another program's
    /// trigger stores a row under another ID, which would otherwise look like a repeated ID.
    pub(super) fn returning_given(dialect: Dialect, id: &str) -> String {
        match dialect {
            Dialect::Postgres => format!(
                "CAST(CASE WHEN {id} IN (SELECT given.id FROM given) THEN CAST({id} AS text) \
                 ELSE '{CHANGED_ID}' || CAST({id} AS text) END AS uuid) AS id"
            ),
            // SQLite returns the row before its triggers
            Dialect::Sqlite => format!("{id} AS id"),
        }
    }

    /// Runs a statement that inserts given rows and returns the IDs of the inserted ones. Checks the
    /// references of the other rows.
    pub(super) async fn insert_given<E: OrganizationOwned>(
        &self,
        statement: &Statement,
        rows: &[E::ActiveModel],
    ) -> Result<HashSet<Uuid>, Error> {
        let inserted = self.write_given(statement).await?;
        let is_left = |row: &&E::ActiveModel| match row.get(E::ID) {
            ActiveValue::Set(Value::Uuid(Some(id))) => !inserted.contains(&id),
            _ => true,
        };
        let left: Vec<E::ActiveModel> = rows.iter().filter(is_left).cloned().collect();
        self.check_references::<E>(&left).await?;
        Ok(inserted)
    }

    /// Runs a statement that inserts given rows, outside a transaction as its own, and returns the IDs of its result.
    pub(super) async fn write_given(&self, statement: &Statement) -> Result<HashSet<Uuid>, Error> {
        let written = self.executor().write_alone(statement).await;
        let rows = written.map_err(|(failure, again)| {
            self.may_repeat.store(again, Ordering::Relaxed);
            Error::from(failure)
        })?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
    }

    /// Updates each row by its ID. All rows have the same columns set, none of which is a reference.
    ///
    /// # Errors
    /// Any error of the database.
    ///
    /// # Panics
    /// If one of the columns is a reference.
    pub async fn update_all<E: OrganizationOwned>(
        &self,
        rows: &[E::ActiveModel],
    ) -> Result<(), Error> {
        let given = GivenRows::<E>::of(rows);
        let refers = |column: &E::Column| {
            E::REFERENCES.iter().any(|(reference, _)| reference.as_str() == column.as_str())
        };
        assert!(!given.columns.iter().any(refers), "only Scope::update checks references");
        let set: Vec<String> = given
            .columns
            .iter()
            .map(IdenStatic::as_str)
            .filter(|name| *name != "id")
            .map(|name| format!("{name} = given.{name}"))
            .collect();
        let entity = E::default();
        let table = entity.table_name();
        let ids = match self.dialect() {
            Dialect::Postgres => {
                "SELECT CAST(value ->> 'id' AS uuid) FROM json_array_elements(CAST($2 AS json)) AS value"
            }
            Dialect::Sqlite => "SELECT unhex(replace(value ->> 'id', '-', '')) FROM json_each($2)",
        };
        let sql = format!(
            "UPDATE {table} SET {} FROM {} WHERE {table}.{} = $1 AND {table}.id = given.id AND {}",
            set.join(", "),
            given.table(self.dialect()),
            E::ORGANIZATION.as_str(),
            is_among(self.dialect(), &format!("{table}.id"), ids),
        );
        self.executor().execute_raw(self.with_rows(sql, &given.rows)).await?;
        Ok(())
    }

    /// Locks the organization's rows with these IDs until the transaction ends, and returns them. A row
    /// with a value unknown to this version is `None`. The rows are locked in the order of their IDs,
    /// so that two calls with common rows do not deadlock.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn lock_all<E: OrganizationOwned>(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<HashMap<Uuid, Option<E::Model>>, Error> {
        let ids: BTreeSet<Uuid> = ids.into_iter().collect();
        let ids = ids.iter().map(|id| Json::String(id.to_string())).collect::<Json>();
        let given = is_among(self.dialect(), "id", &ids_in(self.dialect(), "?"));
        let given = custom(self.executor().get_database_backend(), &given, vec![ids.into()]);
        // this lock still allows rows that refer to these to be inserted; SQLite needs no lock
        let select = self.find::<E>().filter(given).into_select();
        let select = select.order_by_asc(E::ID).lock(LockType::NoKeyUpdate);
        let rows = self.query(&select.into_query()).await?;
        rows.iter()
            .map(|row| {
                let id = row.try_get("", "id").map_err(Error::from)?;
                Ok((id, read_row::<E>(row)?))
            })
            .collect()
    }

    /// The IDs that belong to rows of the organization.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn existing<E: OrganizationOwned>(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<HashSet<Uuid>, Error> {
        let entity = E::default();
        let sql = format!(
            "SELECT id FROM {} WHERE {} = $1 AND {}",
            entity.table_name(),
            E::ORGANIZATION.as_str(),
            is_given(self.dialect(), "id"),
        );
        let rows = self.reader(true).query_all_raw(self.with_ids(sql, ids)).await?;
        Ok(rows.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?)
    }

    /// A statement with the organization as `$1` and these IDs as `$2`.
    pub(crate) fn with_ids(&self, sql: String, ids: impl IntoIterator<Item = Uuid>) -> Statement {
        let ids: BTreeSet<Uuid> = ids.into_iter().collect();
        let ids: Json = ids.iter().map(|id| Json::String(id.to_string())).collect();
        self.with(sql, ids.into())
    }

    /// A statement with the organization as `$1` and these rows as `$2`.
    pub(crate) fn with_rows(&self, sql: String, rows: &Json) -> Statement {
        self.with(sql, rows.to_string().into())
    }

    fn with(&self, sql: String, second: Value) -> Statement {
        let backend = self.executor().get_database_backend();
        Statement::from_sql_and_values(backend, sql, [self.organization.into(), second])
    }
}
