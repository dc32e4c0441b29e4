//! Writes rows, within the organization and with references to its own rows only.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DbErr, IdenStatic, QueryFilter,
    QuerySelect, QueryTrait, UpdateMany, Value,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use super::{CHUNK, Scope, bulk};
use crate::{
    Dialect, Error, OrganizationOwned,
    refusers::{Change, Refusers},
    unreadable::read_rows,
};

impl Scope {
    /// Locks the row with this ID until the transaction ends, and returns it.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn lock<E: OrganizationOwned>(&self, id: Uuid) -> Result<Option<E::Model>, Error> {
        // this lock still allows rows that refer to it to be inserted; SQLite has one writer at a
        // time, and the query builder renders no lock for it
        let select = self.find::<E>().id(id).into_select().lock(LockType::NoKeyUpdate);
        let rows = self.query(&select.into_query()).await?;
        Ok(read_rows::<E>(&rows)?.pop())
    }

    /// [`Scope::lock`] without waiting. Returns `None` also if another transaction has locked the row.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn lock_if_free<E: OrganizationOwned>(
        &self,
        id: Uuid,
    ) -> Result<Option<E::Model>, Error> {
        let select = self.find::<E>().id(id).into_select();
        let select = select.lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
        let rows = self.query(&select.into_query()).await?;
        Ok(read_rows::<E>(&rows)?.pop())
    }

    /// Inserts a row into the organization, regardless of the organization that it names.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] if it refers to a row of another organization or to none.
    pub async fn insert<E: OrganizationOwned>(
        &self,
        mut row: E::ActiveModel,
    ) -> Result<E::Model, Error> {
        row.set(E::ORGANIZATION, self.organization.into());
        self.check_references::<E>(std::slice::from_ref(&row)).await?;
        match E::insert(row).exec_with_returning(self.executor()).await {
            Err(DbErr::RecordNotInserted | DbErr::RecordNotFound(_)) => {
                Err(self.refusers::<E>(Change::Insert).await?.kept(E::default().table_name()))
            }
            inserted => Ok(inserted?),
        }
    }

    /// What can keep a row from being changed.
    async fn refusers<E: OrganizationOwned>(&self, change: Change) -> Result<Refusers, Error> {
        let changes = [(E::default().table_name().to_owned(), change)];
        Refusers::of(self.executor(), self.dialect(), changes).await
    }

    /// Inserts rows into the organization, many in each statement. The call is not its own transaction.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] if one refers to a row of another organization or to none.
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
            E::insert_many(rows).exec_without_returning(self.executor()).await?;
            rows = rest;
        }
        Ok(())
    }

    /// Writes the set columns to the row with this ID, or returns `None` if the row does not exist. Its
    /// ID and organization are never changed.
    ///
    /// # Errors
    /// [`Error::ReferenceNotFound`] if it would refer to a row of another organization or to none.
    /// [`Error::Stopped`] if a trigger or a rule of another program keeps the row as it is.
    pub async fn update<E: OrganizationOwned>(
        &self,
        id: Uuid,
        mut changes: E::ActiveModel,
    ) -> Result<Option<E::Model>, Error> {
        changes.not_set(E::ID);
        changes.not_set(E::ORGANIZATION);
        self.check_references::<E>(std::slice::from_ref(&changes)).await?;
        self.update_row(id, E::update_many().set(changes)).await
    }

    /// Sets a column of the row with this ID to an expression. The column must not be a reference.
    /// Returns `None` if the row does not exist.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn compute<E: OrganizationOwned>(
        &self,
        id: Uuid,
        column: E::Column,
        value: Expr,
    ) -> Result<Option<E::Model>, Error> {
        self.update_row(id, E::update_many().col_expr(column, value)).await
    }

    async fn update_row<E: OrganizationOwned>(
        &self,
        id: Uuid,
        update: UpdateMany<E>,
    ) -> Result<Option<E::Model>, Error> {
        let update = update.filter(E::ORGANIZATION.eq(self.organization)).filter(E::ID.eq(id));
        let updated = match self.dialect() {
            Dialect::Postgres => {
                update.exec_with_returning(self.executor()).await?.into_iter().next()
            }
            // SQLite's RETURNING gives the row before its triggers, with the old updated_at
            Dialect::Sqlite if update.exec(self.executor()).await?.rows_affected == 0 => None,
            Dialect::Sqlite => return self.one(self.find::<E>().id(id)).await,
        };
        if updated.is_none() && !self.existing::<E>([id]).await?.is_empty() {
            let entity = E::default();
            let refusers = self.refusers::<E>(Change::Update).await?;
            // otherwise a policy hides it from updates
            if refusers.can_keep(entity.table_name()) {
                return Err(refusers.kept(entity.table_name()));
            }
        }
        Ok(updated)
    }

    /// Fails if one of the rows refers to a row of another organization or to none.
    pub(super) async fn check_references<E: OrganizationOwned>(
        &self,
        rows: &[E::ActiveModel],
    ) -> Result<(), Error> {
        let dialect = self.dialect();
        for (column, table) in E::REFERENCES {
            let ids: BTreeSet<Uuid> = rows
                .iter()
                .filter_map(|row| match row.get(*column) {
                    ActiveValue::Set(Value::Uuid(id)) => id,
                    _ => None,
                })
                .collect();
            if ids.is_empty() {
                continue;
            }
            let sql = format!(
                "SELECT id FROM {table} WHERE org_id = $1 AND {}",
                bulk::is_given(dialect, "id")
            );
            let statement = self.with_ids(sql, ids.iter().copied());
            let found = self.executor().reading().query_all_raw(statement).await?;
            let found: BTreeSet<Uuid> =
                found.iter().map(|row| row.try_get("", "id")).collect::<Result<_, _>>()?;
            let missing: Vec<Uuid> = ids.difference(&found).copied().collect();
            if !missing.is_empty() {
                return Err(Error::ReferenceNotFound { column: column.as_str(), missing });
            }
        }
        Ok(())
    }
}
