//! Deletion, for admins only.
//!
//! A campaign can have a million sends and events. One statement that deletes them all would exceed
//! any time limit, with all of its locks. So the rows that depend on a row in large numbers go
//! first, a few thousand in each transaction, and the row itself goes last.
//!
//! **Invariants.** The remaining rows are consistent: figures and the feed are right after every
//! step. An interrupted deletion can be repeated, and continues where it stopped. References from
//! other programs' rows that forbid the deletion are found before the first step ([`referrers`]).

use std::time::{Duration, Instant};

use sea_orm::{ColumnTrait, ConnectionTrait, IdenStatic, QueryFilter, Statement};
use uuid::Uuid;

use crate::{
    Dependent, Dialect, Error, OrganizationOwned, Scope, connections::Session,
    owned::ReferencingColumn, referrers, scope::is_given,
};

/// The number of rows that the first step deletes.
const FIRST_STEP: u64 = 2_000;
/// The maximum number of rows that a step deletes.
const LARGEST_STEP: u64 = 20_000;
/// The target time of a step, since other transactions wait for its locks.
const STEP_TIME: Duration = Duration::from_millis(300);
/// The maximum time of a step.
const STEP_LIMIT: Duration = Duration::from_secs(10);

/// The right to delete within a scope. Only [`Scope::admin`] creates it, from an admin's claims.
pub struct Admin<'a> {
    scope: &'a Scope,
}

impl<'a> Admin<'a> {
    pub(crate) fn of(scope: &'a Scope) -> Self {
        Self { scope }
    }

    /// Deletes the row with this ID, as the organization sees it, and everything that depends on it.
    /// Returns whether the row existed. It can take longer than the scope's operation, but no longer
    /// than `limit`.
    ///
    /// # Errors
    /// Any error of the database. [`Error::Refused`] if another program's rows refer to a row that
    /// would be deleted. [`Error::Unfinished`] if the time runs out after a part was deleted: the
    /// same call continues from there.
    pub async fn delete<E: OrganizationOwned>(
        &self,
        id: Uuid,
        limit: Duration,
    ) -> Result<bool, Error> {
        let end = Instant::now() + limit;
        let mut begun = false;
        if !E::DEPENDENTS.is_empty() {
            let (organization, dialect) = (self.scope.organization(), self.scope.dialect());
            referrers::require_none::<E>(&self.session(), dialect, organization, id).await?;
        }
        for dependent in E::DEPENDENTS {
            let mut step = FIRST_STEP;
            loop {
                let started = Instant::now();
                let done = self.step(dependent, id, step).await;
                begun |= matches!(done, Ok(1..));
                match done {
                    // fewer rows than requested is not the end: a concurrent update can hide some
                    Ok(0) => break,
                    Ok(_) if started > end => return Err(Error::Unfinished),
                    Ok(_) => {}
                    // the step is too large for this machine under its current load
                    Err(Error::Timeout(_)) if step > 1 && started < end => step /= 8,
                    Err(Error::Timeout(_)) if begun => return Err(Error::Unfinished),
                    Err(error) => return Err(error),
                }
                step = match started.elapsed() {
                    took if took > STEP_TIME => (step / 2).max(1),
                    took if took < STEP_TIME / 2 => (step * 2).min(LARGEST_STEP),
                    _ => step,
                };
            }
        }
        let session = self.session();
        let deleted = E::delete_many()
            .filter(E::ORGANIZATION.eq(self.scope.organization()))
            .filter(self.scope.is_shown_as::<E>(&[id]))
            .exec(&session)
            .await;
        match deleted.map_err(Error::of_deletion) {
            Ok(deleted) => Ok(deleted.rows_affected > 0),
            Err(Error::Timeout(_)) if begun => Err(Error::Unfinished),
            Err(error) => Err(error),
        }
    }

    /// The scope of this right.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        self.scope
    }

    /// Runs `work` in one transaction, like [`Scope::transaction`].
    ///
    /// # Errors
    /// The errors of [`Scope::transaction`].
    pub async fn transaction<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Admin<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        self.scope.transaction(async |scope| work(&Admin::of(scope)).await).await
    }

    /// Deletes the rows with `id` in the column `of` and one of `ids` in `column`, and returns their
    /// number. They are locked in the order of their IDs, so that two calls with common rows do not
    /// deadlock.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn delete_of<E: OrganizationOwned>(
        &self,
        (of, id): (E::Column, Uuid),
        column: E::Column,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<u64, Error> {
        let scope = self.scope;
        let (entity, dialect) = (E::default(), scope.dialect());
        let table = entity.table_name();
        let found = format!(
            "SELECT id FROM {table} WHERE {} = $1 AND {} AND {} = $3",
            E::ORGANIZATION.as_str(),
            is_given(dialect, column.as_str()),
            of.as_str(),
        );
        let sql = match dialect {
            Dialect::Postgres => format!(
                "WITH found AS MATERIALIZED ({found} ORDER BY id FOR UPDATE) \
                 DELETE FROM {table} WHERE {} = $1 AND id = ANY (ARRAY(SELECT id FROM found))",
                E::ORGANIZATION.as_str(),
            ),
            Dialect::Sqlite => format!("DELETE FROM {table} WHERE id IN ({found})"),
        };
        let mut statement = scope.with_ids(sql, ids);
        if let Some(values) = &mut statement.values {
            values.0.push(id.into());
        }
        let deleted = scope.executor().execute_raw(statement).await.map_err(Error::of_deletion)?;
        Ok(deleted.rows_affected())
    }

    /// Deletes or clears up to `rows` of the rows that depend on a row, and returns their number.
    /// They are processed in the order in which the table stores them, so that two deletions of the
    /// same rows do not deadlock. They are not sorted, since there can be millions.
    async fn step(&self, dependent: &Dependent, id: Uuid, rows: u64) -> Result<u64, Error> {
        let (change, ReferencingColumn { table, column }) = match dependent {
            Dependent::Deleted(of) => (format!("DELETE FROM {}", of.table), of),
            Dependent::Cleared(of) => (format!("UPDATE {} SET {} = NULL", of.table, of.column), of),
        };
        let found = |place: &str| {
            format!("SELECT {place} FROM {table} WHERE org_id = $1 AND {column} = $2 LIMIT $3")
        };
        let sql = match self.scope.dialect() {
            Dialect::Postgres => format!("{change} WHERE ctid = ANY (ARRAY({}))", found("ctid")),
            Dialect::Sqlite => format!("{change} WHERE rowid IN ({})", found("rowid")),
        };
        let session = self.session();
        let backend = session.get_database_backend();
        let organization = self.scope.organization();
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let values = [organization.into(), id.into(), rows.into()];
        let statement = Statement::from_sql_and_values(backend, sql, values);
        let changed = session.execute_raw(statement).await.map_err(Error::of_deletion)?;
        Ok(changed.rows_affected())
    }

    /// The session for one step, with [`STEP_LIMIT`] as its deadline.
    fn session(&self) -> Session {
        self.scope.executor().clone().until(Instant::now() + STEP_LIMIT)
    }
}
