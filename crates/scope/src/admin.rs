//! Deletion, for admins only.
//!
//! A campaign can have a million sends and events. One statement that deletes them all would exceed
//! any time limit, with all of its locks. So the rows that depend on a row in large numbers go
//! first, a few thousand in each transaction, and the row itself goes last.
//!
//! **Invariants.** The remaining rows are consistent: figures and the feed are right after every
//! step. An interrupted deletion can be repeated, and continues where it stopped. References from
//! other programs' rows that forbid the deletion are found before the first step ([`referrers`]), and
//! so are other programs' triggers and rules ([`refusers`](crate::refusers)): if there are any, a
//! rehearsal deletes up to 20,000 rows of each table and is rolled back. If they refuse a row beyond
//! these, the deletion stops there with an error.

use std::time::{Duration, Instant};

use sea_orm::{ColumnTrait, ConnectionTrait, IdenStatic, QueryFilter, QuerySelect, Statement};
use uuid::Uuid;

use crate::{
    Dependent, Dialect, Error, OrganizationOwned, Scope,
    connections::Session,
    owned::ReferencingColumn,
    referrers,
    refusers::{Change, Refusers},
    scope::is_given,
};

/// The number of further attempts to delete rows that a step did not delete.
const ATTEMPTS: usize = 2;
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
        let (organization, dialect) = (self.scope.organization(), self.scope.dialect());
        let mut refusers = Refusers::default();
        if !E::DEPENDENTS.is_empty() {
            referrers::require_none::<E>(&self.session(), dialect, organization, id).await?;
            refusers = Refusers::of(&self.session(), dialect, changes::<E>()).await?;
            if !refusers.is_empty() {
                self.rehearse::<E>(id, &refusers).await?;
            }
        }
        for dependent in E::DEPENDENTS {
            let table = dependent.column().table;
            let mut step = FIRST_STEP;
            let mut attempts = 0;
            loop {
                let started = Instant::now();
                let session = self.session();
                let done = self.step(&session, dependent, id, step).await;
                begun |= matches!(done, Ok(1..));
                match done {
                    // fewer rows than requested is not the end: a concurrent update can hide some
                    Ok(0) if !refusers.can_keep(table) => break,
                    Ok(0) if !self.has_any(&session, dependent, id).await? => break,
                    Ok(0) if attempts == ATTEMPTS => return Err(refusers.kept(table)),
                    Ok(0) => attempts += 1,
                    Ok(_) if started > end => return Err(Error::Unfinished),
                    Ok(_) => attempts = 0,
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
        match self.delete_itself::<E>(&session, id).await {
            Ok(0) if self.is_there::<E>(&session, id).await? => {
                if refusers.is_empty() {
                    refusers = Refusers::of(&session, dialect, changes::<E>()).await?;
                }
                let table = E::default().table_name().to_owned();
                // otherwise a policy hides it from deletions
                if refusers.can_keep(&table) { Err(refusers.kept(&table)) } else { Ok(false) }
            }
            Ok(deleted) => Ok(deleted > 0),
            Err(Error::Timeout(_)) if begun => Err(Error::Unfinished),
            Err(error) => Err(error),
        }
    }

    /// Deletes a row and up to a step of the rows that depend on it, and rolls back.
    ///
    /// # Errors
    /// Any error of the database. [`Error::Stopped`] if a trigger or a rule keeps a row.
    async fn rehearse<E: OrganizationOwned>(
        &self,
        id: Uuid,
        refusers: &Refusers,
    ) -> Result<(), Error> {
        let (session, transaction) = self.session().begin().await?;
        let done = self.rehearse_in::<E>(&session, id, refusers).await;
        transaction.roll_back().await;
        match done {
            // the steps of the deletion are smaller
            Err(Error::Timeout(_)) => Ok(()),
            done => done,
        }
    }

    async fn rehearse_in<E: OrganizationOwned>(
        &self,
        session: &Session,
        id: Uuid,
        refusers: &Refusers,
    ) -> Result<(), Error> {
        if !self.is_there::<E>(session, id).await? {
            return Ok(());
        }
        let mut is_all = true;
        for dependent in E::DEPENDENTS {
            let table = dependent.column().table;
            let mut attempts = 0;
            loop {
                let changed = self.step(session, dependent, id, LARGEST_STEP).await?;
                if !refusers.can_keep(table) || !self.has_any(session, dependent, id).await? {
                    is_all &= changed < LARGEST_STEP;
                    break;
                }
                if changed == LARGEST_STEP {
                    is_all = false;
                    break;
                }
                // a concurrent update or insert can hide some
                attempts += 1;
                if attempts > ATTEMPTS {
                    return Err(refusers.kept(table));
                }
            }
        }
        let table = E::default().table_name().to_owned();
        // deleting it would cascade to the rows that are left
        if is_all && refusers.has(&table) {
            self.delete_itself::<E>(session, id).await?;
            if refusers.can_keep(&table) && self.is_there::<E>(session, id).await? {
                return Err(refusers.kept(&table));
            }
        }
        if self.scope.dialect() == Dialect::Postgres {
            let backend = session.get_database_backend();
            let deferred = Statement::from_string(backend, "SET CONSTRAINTS ALL IMMEDIATE");
            session.execute_raw(deferred).await.map_err(Error::of_deletion)?;
        }
        Ok(())
    }

    /// Deletes the row itself, and returns the number of deleted rows.
    async fn delete_itself<E: OrganizationOwned>(
        &self,
        session: &Session,
        id: Uuid,
    ) -> Result<u64, Error> {
        let deleted = E::delete_many()
            .filter(E::ORGANIZATION.eq(self.scope.organization()))
            .filter(self.scope.is_shown_as::<E>(&[id]))
            .exec(session)
            .await;
        Ok(deleted.map_err(Error::of_deletion)?.rows_affected)
    }

    /// Whether the row exists.
    async fn is_there<E: OrganizationOwned>(
        &self,
        session: &Session,
        id: Uuid,
    ) -> Result<bool, Error> {
        let found = E::find()
            .filter(E::ORGANIZATION.eq(self.scope.organization()))
            .filter(self.scope.is_shown_as::<E>(&[id]))
            .select_only()
            .column(E::ID)
            .into_tuple::<Uuid>()
            .one(session)
            .await?;
        Ok(found.is_some())
    }

    /// Whether any row depends on a row.
    async fn has_any(
        &self,
        session: &Session,
        dependent: &Dependent,
        id: Uuid,
    ) -> Result<bool, Error> {
        let ReferencingColumn { table, column } = dependent.column();
        let sql = format!("SELECT 1 FROM {table} WHERE org_id = $1 AND {column} = $2 LIMIT 1");
        let values = [self.scope.organization().into(), id.into()];
        let backend = session.get_database_backend();
        let statement = Statement::from_sql_and_values(backend, sql, values);
        Ok(session.query_one_raw(statement).await?.is_some())
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
    async fn step(
        &self,
        session: &Session,
        dependent: &Dependent,
        id: Uuid,
        rows: u64,
    ) -> Result<u64, Error> {
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

/// The changes that a deletion makes.
fn changes<E: OrganizationOwned>() -> Vec<(String, Change)> {
    let dependents = E::DEPENDENTS.iter().map(|dependent| match dependent {
        Dependent::Deleted(of) => (of.table.to_owned(), Change::Delete),
        Dependent::Cleared(of) => (of.table.to_owned(), Change::Update),
    });
    dependents.chain([(E::default().table_name().to_owned(), Change::Delete)]).collect()
}
