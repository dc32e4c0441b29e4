//! A scope: one organization, one role, and what may be done with them.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, ConnectionTrait, DatabaseConnection,
    DatabaseExecutor, DatabaseTransaction, DbBackend, FromQueryResult, IdenStatic, PaginatorTrait,
    QueryFilter, QueryResult, QuerySelect, QueryTrait, Select, SqliteTransactionMode, Statement,
    TransactionOptions, TransactionTrait, Value,
    sea_query::{Alias, Expr, ExprTrait, IntoCondition, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{Admin, Dialect, Error, OrganizationOwned, Role, Sql};

/// How many rows or ids one statement names; SQLite binds 32,766 values at most.
const CHUNK: usize = 2_000;

enum Handle {
    Pool(DatabaseConnection),
    Transaction(DatabaseTransaction),
}

/// One organization's view of the database.
pub struct Scope {
    handle: Handle,
    organization: Uuid,
    role: Role,
}

/// A select of rows of one organization.
pub struct Scoped<E: OrganizationOwned> {
    pub(crate) select: Select<E>,
}

impl<E: OrganizationOwned> Clone for Scoped<E> {
    fn clone(&self) -> Self {
        Self { select: self.select.clone() }
    }
}

impl<E: OrganizationOwned> Scoped<E> {
    /// Only rows that fulfil the condition.
    #[must_use]
    pub fn filter(self, condition: impl IntoCondition) -> Self {
        Self { select: self.select.filter(condition.into_condition()) }
    }

    /// Only the row of this id.
    #[must_use]
    pub fn id(self, id: Uuid) -> Self {
        self.filter(E::ID.eq(id))
    }

    pub(crate) fn into_query(self) -> SelectStatement {
        self.select.into_query()
    }
}

impl Scope {
    pub(crate) fn of(connection: DatabaseConnection, organization: Uuid, role: Role) -> Self {
        Self { handle: Handle::Pool(connection), organization, role }
    }

    pub(crate) fn executor(&self) -> DatabaseExecutor<'_> {
        match &self.handle {
            Handle::Pool(connection) => connection.into(),
            Handle::Transaction(transaction) => transaction.into(),
        }
    }

    /// The id of the organization.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.organization
    }

    /// The right to delete, where the viewer's claims give it.
    #[must_use]
    pub fn admin(&self) -> Option<Admin<'_>> {
        (self.role == Role::Admin).then(|| Admin::of(self))
    }

    /// How this database says what the two say differently.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        match self.executor().get_database_backend() {
            DbBackend::Postgres => Dialect::Postgres,
            _ => Dialect::Sqlite,
        }
    }

    /// The organization's rows of a table.
    #[must_use]
    pub fn find<E: OrganizationOwned>(&self) -> Scoped<E> {
        Scoped { select: E::find().filter(E::ORGANIZATION.eq(self.organization)) }
    }

    /// Runs a select.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn all<E: OrganizationOwned>(
        &self,
        scoped: Scoped<E>,
    ) -> Result<Vec<E::Model>, Error> {
        Ok(scoped.select.all(&self.executor()).await?)
    }

    /// Runs a select for its first row.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn one<E: OrganizationOwned>(
        &self,
        scoped: Scoped<E>,
    ) -> Result<Option<E::Model>, Error> {
        Ok(scoped.select.one(&self.executor()).await?)
    }

    /// How many rows a select has.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn count<E: OrganizationOwned>(&self, scoped: Scoped<E>) -> Result<u64, Error>
    where
        E::Model: FromQueryResult,
    {
        Ok(scoped.select.count(&self.executor()).await?)
    }

    /// How many rows a select has for each of these values of `column`, those with any.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn counts<E: OrganizationOwned>(
        &self,
        scoped: Scoped<E>,
        column: E::Column,
        parents: &[Uuid],
    ) -> Result<BTreeMap<Uuid, u64>, Error> {
        let mut counts = BTreeMap::new();
        for chunk in parents.chunks(CHUNK) {
            let rows: Vec<(Uuid, i64)> = scoped
                .select
                .clone()
                .filter(column.is_in(chunk.iter().copied()))
                .select_only()
                .column(column)
                .column_as(E::ID.count(), "count")
                .group_by(column)
                .into_tuple()
                .all(&self.executor())
                .await?;
            counts.extend(rows.into_iter().map(|(id, count)| (id, count.unsigned_abs())));
        }
        Ok(counts)
    }

    /// The rows of these ids that are the organization's, in no order, each once.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn by_ids<E: OrganizationOwned>(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<E::Model>, Error> {
        let ids: Vec<Uuid> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let found = self.find::<E>().filter(E::ID.is_in(chunk.iter().copied()));
            rows.extend(self.all(found).await?);
        }
        Ok(rows)
    }

    /// The row of this id, which nobody else changes before the transaction ends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock<E: OrganizationOwned>(&self, id: Uuid) -> Result<Option<E::Model>, Error> {
        // SQLite has one writer at a time, and renders no lock
        let select = self.find::<E>().id(id).select.lock_exclusive();
        Ok(select.one(&self.executor()).await?)
    }

    /// Inserts a row into the organization, whatever organization it names.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] where it refers to a row that is not the organization's.
    pub async fn insert<E: OrganizationOwned>(
        &self,
        mut row: E::ActiveModel,
    ) -> Result<E::Model, Error> {
        row.set(E::ORGANIZATION, self.organization.into());
        self.check_references::<E>(std::slice::from_ref(&row)).await?;
        Ok(E::insert(row).exec_with_returning(&self.executor()).await?)
    }

    /// Inserts rows into the organization, many a statement. Not one transaction by itself.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] where one refers to a row that is not the organization's.
    pub async fn insert_all<E: OrganizationOwned>(
        &self,
        mut rows: Vec<E::ActiveModel>,
    ) -> Result<(), Error> {
        for row in &mut rows {
            row.set(E::ORGANIZATION, self.organization.into());
        }
        self.check_references::<E>(&rows).await?;
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(CHUNK / 2));
            E::insert_many(rows).exec_without_returning(&self.executor()).await?;
            rows = rest;
        }
        Ok(())
    }

    /// Writes the columns that are set to the row of this id; `None` where there is no such row.
    /// A row stays in its organization.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] where it would refer to a row that is not the organization's.
    pub async fn update<E: OrganizationOwned>(
        &self,
        id: Uuid,
        mut changes: E::ActiveModel,
    ) -> Result<Option<E::Model>, Error> {
        changes.not_set(E::ID);
        changes.not_set(E::ORGANIZATION);
        self.check_references::<E>(std::slice::from_ref(&changes)).await?;
        let update = E::update_many()
            .set(changes)
            .filter(E::ORGANIZATION.eq(self.organization))
            .filter(E::ID.eq(id));
        match self.dialect() {
            Dialect::Postgres => {
                let updated = update.exec_with_returning(&self.executor()).await?;
                Ok(updated.into_iter().next())
            }
            // what it returns there is the row before its triggers, with the old updated_at
            Dialect::Sqlite => {
                if update.exec(&self.executor()).await?.rows_affected == 0 {
                    return Ok(None);
                }
                self.one(self.find::<E>().id(id)).await
            }
        }
    }

    /// Whether a row has a row of another table `R` whose column equals its own, and which
    /// fulfils the condition.
    #[must_use]
    pub fn has<R: OrganizationOwned>(
        &self,
        link: R::Column,
        own: impl ColumnTrait,
        condition: Condition,
    ) -> Expr {
        let mut related = Query::select();
        related
            .expr(Expr::val(1))
            .from(R::default())
            .and_where(R::ORGANIZATION.eq(self.organization))
            .and_where(Expr::col(link.as_column_ref()).equals(own.as_column_ref()))
            .cond_where(condition);
        Expr::exists(related)
    }

    /// A scalar subquery of SQL text. It may name columns of the table that it stands in.
    #[must_use]
    pub fn expression(&self, sql: Sql) -> Expr {
        sql.expression(self.executor().get_database_backend(), self.organization)
    }

    /// Runs SQL text, which sees the ids that `selected` selects as a table of the name
    /// `selected` with one column, `id`.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rows<E: OrganizationOwned>(
        &self,
        sql: Sql,
        selected: Scoped<E>,
    ) -> Result<Vec<QueryResult>, Error> {
        let ids = selected.select.select_only().column(E::ID).into_query();
        let statement = sql.statement(
            self.executor().get_database_backend(),
            self.organization,
            ("selected", ids),
        );
        Ok(self.executor().query_all_raw(statement).await?)
    }

    /// Does `work` in one transaction: all of it, or nothing where it fails or is dropped. Within
    /// a transaction it is a part of that.
    ///
    /// # Errors
    /// Those of `work` and of the database.
    pub async fn transaction<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Scope) -> Result<T, E>,
    ) -> Result<T, E> {
        let Handle::Pool(connection) = &self.handle else { return work(self).await };
        let transaction = connection
            .begin_with_options(TransactionOptions {
                // two that begin by reading could not both go on to write
                sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                ..TransactionOptions::default()
            })
            .await
            .map_err(Error::from)?;
        let scope = Self {
            handle: Handle::Transaction(transaction),
            organization: self.organization,
            role: self.role,
        };
        let value = work(&scope).await?;
        if let Handle::Transaction(transaction) = scope.handle {
            transaction.commit().await.map_err(Error::from)?;
        }
        Ok(value)
    }

    pub(crate) async fn query(&self, select: &SelectStatement) -> Result<Vec<QueryResult>, Error> {
        Ok(self.executor().query_all(select).await?)
    }

    /// Refuses a reference to a row that is not the organization's.
    async fn check_references<E: OrganizationOwned>(
        &self,
        rows: &[E::ActiveModel],
    ) -> Result<(), Error> {
        for (column, table) in E::REFERENCES {
            let ids: BTreeSet<Uuid> = rows
                .iter()
                .filter_map(|row| match row.get(*column) {
                    ActiveValue::Set(Value::Uuid(id)) => id,
                    _ => None,
                })
                .collect();
            let ids: Vec<Uuid> = ids.into_iter().collect();
            for chunk in ids.chunks(CHUNK) {
                let mut found = Query::select();
                found
                    .expr(Expr::col(Alias::new("id")))
                    .from(Alias::new(*table))
                    .and_where(Expr::col(Alias::new("org_id")).eq(self.organization))
                    .and_where(Expr::col(Alias::new("id")).is_in(chunk.iter().copied()));
                if self.query(&found).await?.len() < chunk.len() {
                    return Err(Error::ReferenceNotFound { column: column.as_str() });
                }
            }
        }
        Ok(())
    }
}

/// The text of a statement and its values, for a test that looks at them.
impl<E: OrganizationOwned> Scoped<E> {
    /// As it would be sent.
    #[must_use]
    pub fn statement(&self, dialect: Dialect) -> Statement {
        self.select.build(dialect.backend())
    }
}
