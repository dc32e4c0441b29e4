//! Deletion, for admins only.
//!
//! A campaign can have a million sends and events. One statement that deletes them all would exceed
//! any time limit, with all of its locks. So the rows that depend on a row in large numbers go
//! first, a few thousand in each transaction, and the row itself goes last.
//!
//! **Invariants.** What is not deleted yet is consistent: figures and the feed are right at every
//! step. A deletion that was interrupted can be repeated, and continues where it stopped.
//! References from rows of other programs that forbid the deletion are found before the first step
//! ([`referrers`]).

use std::time::{Duration, Instant};

use sea_orm::{ColumnTrait, ConnectionTrait, IdenStatic, QueryFilter, Statement};
use uuid::Uuid;

use crate::{
    Dependent, Dialect, Error, OrganizationOwned, Scope, connections::Session, owned::Hanging,
    referrers, scope::is_given,
};

/// How many rows the first step deletes.
const FIRST_STEP: u64 = 2_000;
/// How many rows a step deletes at most.
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

    /// Deletes the row that the organization knows by this ID and everything that depends on it, and
    /// returns whether there was one. It can take longer than the scope's operation, but no longer than `limit`.
    ///
    /// # Errors
    /// Any error of the database. [`Error::Refused`] if rows of another program refer to what would
    /// be deleted. [`Error::Unfinished`] if the time runs out after a part was deleted: the same
    /// call continues from there.
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
                    // fewer than requested does not mean the end: some may just have been changed
                    Ok(0) => break,
                    Ok(_) if started > end => return Err(Error::Unfinished),
                    Ok(_) => {}
                    // too many at once, on this machine and at this time
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

    /// Deletes the rows that refer to one row by a column, and to any of some others by another
    /// column, and returns their number. They are locked in the order of their IDs, so that two
    /// calls with common rows do not deadlock.
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

    /// Deletes or clears a number of the rows that depend on a row, and returns how many there
    /// were. They are taken in the order in which they are stored in the table, so that two
    /// deletions of the same rows do not deadlock. They are found without sorting, since there can
    /// be millions.
    async fn step(&self, dependent: &Dependent, id: Uuid, rows: u64) -> Result<u64, Error> {
        let (change, Hanging { table, column }) = match dependent {
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

    /// Runs each statement for at most the time of a step.
    fn session(&self) -> Session {
        self.scope.executor().clone().until(Instant::now() + STEP_LIMIT)
    }
}
