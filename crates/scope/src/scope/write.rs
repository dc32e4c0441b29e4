//! Writing rows: within the organization, with references to its own rows only.

use std::collections::BTreeSet;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, IdenStatic, QueryFilter,
    QuerySelect, QueryTrait, UpdateMany, Value,
    sea_query::{Expr, LockBehavior, LockType},
};
use uuid::Uuid;

use super::{CHUNK, Scope, bulk};
use crate::{Dialect, Error, OrganizationOwned, unreadable::all_known};

impl Scope {
    /// The row of this id, which nobody else changes before the transaction ends.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock<E: OrganizationOwned>(&self, id: Uuid) -> Result<Option<E::Model>, Error> {
        // rows that refer to it may be inserted meanwhile; SQLite has one writer at a time, and
        // renders no lock
        let select = self.find::<E>().id(id).select.lock(LockType::NoKeyUpdate);
        let rows = self.query(&select.into_query()).await?;
        Ok(all_known::<E>(&rows)?.pop())
    }

    /// [`Scope::lock`] that does not wait: `None` also where another transaction holds the row.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn lock_if_free<E: OrganizationOwned>(
        &self,
        id: Uuid,
    ) -> Result<Option<E::Model>, Error> {
        let select = self.find::<E>().id(id).select;
        let select = select.lock_with_behavior(LockType::NoKeyUpdate, LockBehavior::SkipLocked);
        let rows = self.query(&select.into_query()).await?;
        Ok(all_known::<E>(&rows)?.pop())
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
        Ok(E::insert(row).exec_with_returning(self.executor()).await?)
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
            E::insert_many(rows).exec_without_returning(self.executor()).await?;
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
        self.update_row(id, E::update_many().set(changes)).await
    }

    /// Computes a column of the row of this id, one that refers to no other row; `None` where there is no
    /// such row.
    ///
    /// # Errors
    /// Those of the database.
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
        match self.dialect() {
            Dialect::Postgres => {
                let updated = update.exec_with_returning(self.executor()).await?;
                Ok(updated.into_iter().next())
            }
            // what it returns there is the row before its triggers, with the old updated_at
            Dialect::Sqlite => {
                if update.exec(self.executor()).await?.rows_affected == 0 {
                    return Ok(None);
                }
                self.one(self.find::<E>().id(id)).await
            }
        }
    }

    /// Refuses a reference to a row that is not the organization's.
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
            let found = self.executor().query_all_raw(statement).await?;
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
