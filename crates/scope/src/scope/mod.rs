//! A scope: one organization, one role, and what may be done with them.

mod bulk;
pub(crate) mod feed;
mod write;

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DatabaseExecutor,
    DatabaseTransaction, DbBackend, FromQueryResult, PaginatorTrait, QueryFilter, QueryResult,
    QuerySelect, QueryTrait, Select, SqliteTransactionMode, TransactionOptions, TransactionTrait,
    sea_query::{Expr, ExprTrait, IntoCondition, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{Admin, Dialect, Error, Given, OrganizationOwned, Role, Sql};

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
        self.by_column::<E>(E::ID, ids).await
    }

    /// The organization's rows that have one of these ids in a column, in no order.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn by_column<E: OrganizationOwned>(
        &self,
        column: E::Column,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<E::Model>, Error> {
        let ids: Vec<Uuid> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let found = self.find::<E>().filter(column.is_in(chunk.iter().copied()));
            rows.extend(self.all(found).await?);
        }
        Ok(rows)
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
        self.rows_given(sql, selected, None).await
    }

    /// [`Scope::rows`], where the text sees one table more, with these values.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn rows_given<E: OrganizationOwned>(
        &self,
        sql: Sql,
        selected: Scoped<E>,
        given: Option<Given>,
    ) -> Result<Vec<QueryResult>, Error> {
        let ids = selected.select.select_only().column(E::ID).into_query();
        let statement = sql.statement(
            self.executor().get_database_backend(),
            self.organization,
            ("selected", ids),
            given,
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
}
