//! A scope: one organization, one role, and the operations that they allow.

mod bulk;
mod events;
pub(crate) mod feed;
mod scoped;
mod selected;
mod write;

pub(crate) use bulk::{is_given, is_given_in};
pub use events::SendRecipient;
pub use feed::{FeedPage, Place, SettledPosition};
pub(crate) use scoped::ConditionKind;
pub use scoped::Scoped;
pub use selected::InsertOutcome;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rand::RngExt;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, FromQueryResult, IdenStatic, PaginatorTrait,
    QueryFilter, QueryResult, QuerySelect, QueryTrait,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    Admin, CursorKey, Dialect, Error, OrganizationOwned, Role, Sql, ValuesTable,
    budget::{Budget, Budgets, ByteLimits},
    condition::ConditionMemory,
    connections::Session,
    cursor_key,
    recent::Recent,
    row_security::Visibility,
    shares::{NoPermit, Permit, RestingPermit, Shares, WaitLimit},
    unreadable::{leave_out_unknown, read_rows},
};

/// The maximum number of rows or IDs in one statement. SQLite binds at most 32,766 values.
const CHUNK: usize = 2_000;

/// The maximum time that a response of a subscription waits for execution.
const PATIENCE: Duration = Duration::from_secs(5);
/// The maximum number of attempts of a transaction that is aborted in favor of others.
const ATTEMPTS: u32 = 12;
/// The maximum wait before the second attempt. It doubles with each further attempt.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// One organization's view of the database.
#[derive(Clone)]
pub struct Scope {
    session: Session,
    budgets: Budgets,
    organization: Uuid,
    role: Role,
    /// Whether the last transaction was aborted in favor of another.
    may_repeat: Arc<AtomicBool>,
    /// The key of cursors, in a viewer's scope.
    cursor_key: Option<Arc<CursorKey>>,
    /// The organizations with changes that were not added to the counts.
    pending: Arc<Recent>,
}

/// The right to execute an operation, until it is dropped.
pub struct ExecutionPermit {
    _expensive: Option<RestingPermit>,
    _any: Permit,
}

/// The right to work on a low-priority thread, until it is dropped.
pub struct BackgroundPermit {
    _permit: RestingPermit,
}

impl Scope {
    pub(crate) fn of(session: Session, budgets: Budgets, organization: Uuid, role: Role) -> Self {
        let (may_repeat, pending) = (Arc::default(), Arc::default());
        Self { session, budgets, organization, role, may_repeat, cursor_key: None, pending }
    }

    pub(crate) fn with_pending(self, pending: Arc<Recent>) -> Self {
        Self { pending, ..self }
    }

    /// Whether changes of the organization were not added to its counts within the last second, as far as
    /// [`Scope::note_pending`] says so.
    #[must_use]
    pub fn had_pending_changes(&self) -> bool {
        self.pending.has(self.organization)
    }

    /// Remembers that changes of the organization are not added to its counts yet.
    pub fn note_pending(&self) {
        self.pending.note(self.organization);
    }

    pub(crate) fn with_cursor_key(self, cursor_key: Option<Arc<CursorKey>>) -> Self {
        Self { cursor_key, ..self }
    }

    /// The key that hides the content of cursors.
    ///
    /// # Errors
    /// If the database has none.
    pub fn cursor_key(&self) -> Result<&CursorKey, Error> {
        self.cursor_key.as_deref().ok_or_else(cursor_key::missing)
    }

    /// The same scope for one operation, with its own budget of bytes and a deadline for its
    /// statements. `budget` is the budget that was already used for the operation, if any.
    #[must_use]
    pub fn operation(&self, deadline: Instant, budget: Option<Arc<Budget>>) -> Self {
        let budget = budget.unwrap_or_else(|| self.operation_budget());
        let session = self.session.clone().drawing_on(budget).until(deadline);
        Self { session, may_repeat: Arc::default(), ..self.clone() }
    }

    /// The deadline of its statements, if it is for one operation.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.session.deadline()
    }

    /// A budget of bytes for one operation of the organization.
    #[must_use]
    pub fn operation_budget(&self) -> Arc<Budget> {
        self.budget().operation(self.budgets.limits())
    }

    /// Waits until an operation of the organization can be executed. The number of concurrent
    /// operations is bounded, and an organization has no more than its share. Few expensive ones run
    /// at once, since they would keep all cores busy.
    ///
    /// # Errors
    /// [`Error::TooManyWait`] if the organization has too many operations. [`Error::Busy`] if others
    /// keep the process busy, or if operations of the organization have been waiting for long.
    pub async fn execution_permit(
        &self,
        is_expensive: bool,
        deadline: Instant,
    ) -> Result<ExecutionPermit, Error> {
        let work = &self.budgets.work;
        work.activity.note(self.organization);
        let end = Instant::now().checked_add(work.max_wait);
        let until = end.map_or(deadline, |end| end.min(deadline));
        let wait_limit = WaitLimit { until, behind: work.max_wait / 2 };
        let expensive = if is_expensive {
            let permit = self.enter(&work.expensive, self.organization, wait_limit).await?;
            Some(RestingPermit::new(permit, work.activity.clone()))
        } else {
            None
        };
        let any = self.enter(&work.any, self.organization, wait_limit).await?;
        Ok(ExecutionPermit { _expensive: expensive, _any: any })
    }

    /// Waits until work of the organization, such as parsing a large request, can run on a low-priority
    /// thread. It counts as an expensive operation.
    ///
    /// # Errors
    /// The errors of [`Scope::execution_permit`].
    pub async fn background_permit(&self, deadline: Instant) -> Result<BackgroundPermit, Error> {
        let work = &self.budgets.work;
        work.activity.note(self.organization);
        let end = Instant::now().checked_add(work.max_wait);
        let until = end.map_or(deadline, |end| end.min(deadline));
        let wait_limit = WaitLimit { until, behind: work.max_wait / 2 };
        let permit = self.enter(&work.expensive, self.organization, wait_limit).await?;
        Ok(BackgroundPermit { _permit: RestingPermit::new(permit, work.activity.clone()) })
    }

    /// Whether operations of the organization have been waiting for so long that more are refused.
    #[must_use]
    pub fn is_overloaded(&self) -> bool {
        let work = &self.budgets.work;
        work.any.has_waited(self.organization, work.max_wait / 2)
    }

    /// Waits for a permit for a response of a subscription, which does not queue behind the
    /// organization's other operations.
    ///
    /// # Errors
    /// The errors of [`Scope::execution_permit`].
    pub async fn subscription_permit(&self, deadline: Instant) -> Result<ExecutionPermit, Error> {
        let apart = Uuid::from_u128(!self.organization.as_u128());
        let until = std::cmp::min(deadline, Instant::now() + PATIENCE);
        let any = self.enter(&self.budgets.work.any, apart, until.into()).await?;
        Ok(ExecutionPermit { _expensive: None, _any: any })
    }

    async fn enter(
        &self,
        to: &Shares,
        whose: Uuid,
        wait_limit: WaitLimit,
    ) -> Result<Permit, Error> {
        to.enter_until(whose, wait_limit).await.map_err(|why| match why {
            NoPermit::TooMany => Error::TooManyWait,
            NoPermit::Busy => Error::Busy,
        })
    }

    /// The same scope for one statement that reads at most `bytes`, until a deadline.
    #[must_use]
    pub fn reading(&self, deadline: Instant, bytes: usize) -> Self {
        let limits = ByteLimits { operation: bytes, ..*self.budgets.limits() };
        self.operation(deadline, Some(self.budget().operation(&limits)))
    }

    /// The organization's budget of bytes.
    #[must_use]
    pub fn budget(&self) -> Arc<Budget> {
        self.budgets.organization(self.organization)
    }

    /// The budget of the scope's operation, or of the organization if there is none.
    #[must_use]
    pub fn drawn_from(&self) -> Arc<Budget> {
        self.session.budget().map_or_else(|| self.budget(), Arc::clone)
    }

    /// The memory of a condition that is about to be compiled.
    #[must_use]
    pub fn condition_memory(&self) -> ConditionMemory {
        ConditionMemory::new(self.drawn_from().empty_reservation())
    }

    pub(crate) fn executor(&self) -> &Session {
        &self.session
    }

    /// The ID of the organization.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.organization
    }

    /// The values that decide which rows this scope sees.
    #[must_use]
    pub fn visibility(&self) -> Visibility {
        Visibility::of(self.organization, self.session.row_security())
    }

    /// The right to delete, if the viewer's claims give it.
    #[must_use]
    pub fn admin(&self) -> Option<Admin<'_>> {
        (self.role == Role::Admin).then(|| Admin::of(self))
    }

    /// The dialect of this database.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        Dialect::of(self.executor().get_database_backend())
    }

    /// The organization's rows of a table. Events without a feed position, because their send does not
    /// exist yet, are not among them.
    #[must_use]
    pub fn find<E: OrganizationOwned>(&self) -> Scoped<E> {
        Scoped::within(E::ORGANIZATION.eq(self.organization))
    }

    /// The organization's rows with one of these IDs in an indexed column.
    #[must_use]
    pub fn find_by<E: OrganizationOwned>(&self, column: E::Column, ids: &[Uuid]) -> Scoped<E> {
        let dialect = self.dialect();
        let organization = if column.as_str() == E::ID.as_str() {
            dialect.is_only(E::ORGANIZATION, self.organization)
        } else {
            E::ORGANIZATION.eq(self.organization)
        };
        Scoped::within(organization).by_key(dialect.is_one_of(column, ids.iter().copied()))
    }

    /// Runs a select.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn all<E: OrganizationOwned>(
        &self,
        scoped: Scoped<E>,
    ) -> Result<Vec<E::Model>, Error> {
        let by_key = scoped.by == ConditionKind::Key;
        let rows = self.read(&scoped.into_query(), by_key).await?;
        read_rows::<E>(&rows)
    }

    /// Runs a select for its first row.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn one<E: OrganizationOwned>(
        &self,
        scoped: Scoped<E>,
    ) -> Result<Option<E::Model>, Error> {
        let by_key = scoped.by == ConditionKind::Key;
        let rows = self.read(&scoped.into_select().limit(1).into_query(), by_key).await?;
        Ok(read_rows::<E>(&rows)?.pop())
    }

    /// The number of rows of a select.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn count<E: OrganizationOwned>(&self, scoped: Scoped<E>) -> Result<u64, Error>
    where
        E::Model: FromQueryResult,
    {
        let _memory = scoped.memory.clone();
        Ok(scoped.into_select().count(&self.reader(false)).await?)
    }

    /// The number of rows of a select for each parent, by the parent's ID in `column`. Parents without
    /// rows are missing.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn counts<E: OrganizationOwned>(
        &self,
        scoped: Scoped<E>,
        column: E::Column,
        parents: &[Uuid],
    ) -> Result<BTreeMap<Uuid, u64>, Error> {
        let mut counts = BTreeMap::new();
        for chunk in parents.chunks(CHUNK) {
            let rows: Vec<(Uuid, i64)> = scoped
                .clone()
                .into_select()
                .filter(self.dialect().is_one_of(column, chunk.iter().copied()))
                .select_only()
                .column(column)
                .column_as(E::ID.count(), "count")
                .group_by(column)
                .into_tuple()
                .all(&self.reader(false))
                .await?;
            counts.extend(rows.into_iter().map(|(id, count)| (id, count.unsigned_abs())));
        }
        Ok(counts)
    }

    /// The organization's rows with these IDs, in no particular order, each once.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn by_ids<E: OrganizationOwned>(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<E::Model>, Error> {
        self.by_column::<E>(E::ID, ids).await
    }

    /// The organization's rows that it sees under these IDs, in no particular order, each once.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn by_shown_ids<E: OrganizationOwned>(
        &self,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<E::Model>, Error> {
        if E::CHOSEN_ID.is_none() {
            return self.by_ids::<E>(ids).await;
        }
        let dialect = self.dialect();
        let ids: Vec<Uuid> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let scoped = Scoped::<E>::within(dialect.is_only(E::ORGANIZATION, self.organization));
            rows.extend(self.all(scoped.by_key(dialect.is_shown_as::<E>(chunk))).await?);
        }
        Ok(rows)
    }

    /// The condition that the organization sees a row under one of these IDs.
    #[must_use]
    pub fn is_shown_as<E: OrganizationOwned>(&self, ids: &[Uuid]) -> Expr {
        self.dialect().is_shown_as::<E>(ids)
    }

    /// The organization's rows with one of these IDs in a column, in no particular order.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn by_column<E: OrganizationOwned>(
        &self,
        column: E::Column,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<E::Model>, Error> {
        let ids: Vec<Uuid> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            rows.extend(self.all(self.find_by::<E>(column, chunk)).await?);
        }
        Ok(rows)
    }

    /// These columns, by position, of the organization's rows with one of these IDs in a column, in
    /// no particular order.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn columns_by<E: OrganizationOwned>(
        &self,
        columns: &[E::Column],
        column: E::Column,
        ids: impl IntoIterator<Item = Uuid>,
    ) -> Result<Vec<QueryResult>, Error> {
        let ids: Vec<Uuid> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
        let mut rows = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(CHUNK) {
            let select = self.find_by::<E>(column, chunk).into_columns(columns.iter().copied());
            rows.extend(self.read(&select, true).await?);
        }
        leave_out_unknown::<E>(&mut rows, columns)?;
        Ok(rows)
    }

    /// The condition that a row of the table `R` matches `condition` and has the value of the column
    /// `own` in the column `link`.
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

    /// The number of rows of a select, as a scalar subquery.
    #[must_use]
    pub fn number_of<E: OrganizationOwned>(&self, scoped: Scoped<E>) -> Expr {
        let mut select = scoped.into_query();
        select.clear_selects().expr(Expr::col(E::ID.as_column_ref()).count());
        Expr::SubQuery(None, Box::new(select.into()))
    }

    /// A scalar subquery of SQL text. It can name columns of the surrounding table.
    #[must_use]
    pub fn expression(&self, sql: Sql) -> Expr {
        sql.expression(self.executor().get_database_backend(), self.organization)
    }

    /// The condition that a column has one of the IDs that SQL text selects. The text selects an `id`
    /// and a `value`, and only rows whose value satisfies `condition` count. Never null.
    #[must_use]
    pub fn among(
        &self,
        own: impl ColumnTrait,
        sql: Sql,
        condition: impl FnOnce(Expr) -> Expr,
    ) -> Expr {
        let own = Expr::col(own.as_column_ref());
        let backend = self.executor().get_database_backend();
        sql.among(backend, self.organization, own, condition)
    }

    /// Runs SQL text. The text can read the IDs of `selected` from a table named `selected` with the
    /// column `id`.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn rows<E: OrganizationOwned>(
        &self,
        sql: Sql,
        selected: Scoped<E>,
    ) -> Result<Vec<QueryResult>, Error> {
        self.rows_given(sql, selected, None).await
    }

    /// [`Scope::rows`] with an additional table of values.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn rows_given<E: OrganizationOwned>(
        &self,
        sql: Sql,
        selected: Scoped<E>,
        given: Option<ValuesTable>,
    ) -> Result<Vec<QueryResult>, Error> {
        let by_key = selected.by == ConditionKind::Key;
        let ids = selected.into_columns([E::ID]);
        let statement = sql.statement(
            self.executor().get_database_backend(),
            self.organization,
            ("selected", ids),
            by_key,
            given,
        );
        Ok(self.reader(by_key).query_all_raw(statement).await?)
    }

    /// Runs `work` in one transaction, which is rolled back if `work` fails or is dropped. Within a
    /// transaction, `work` joins it. A commit that has started is completed, even if this is dropped.
    ///
    /// # Errors
    /// The errors of `work` and of the database. [`Error::InDoubt`] if the connection was lost
    /// during the commit.
    pub async fn transaction<T, E: From<Error>>(
        &self,
        work: impl AsyncFnOnce(&Scope) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.session.in_transaction() {
            return work(self).await;
        }
        self.may_repeat.store(false, Ordering::Relaxed);
        let (session, transaction) = self.session.begin().await.map_err(Error::from)?;
        let scope = Self { session, ..self.clone() };
        let done = match work(&scope).await {
            Ok(value) => {
                let committed = transaction.clone().commit(self.session.deadline()).await;
                committed.map(|()| value).map_err(|failure| Error::from(failure).into())
            }
            Err(error) => Err(error),
        };
        if done.is_err() {
            self.may_repeat.store(transaction.roll_back().await, Ordering::Relaxed);
        }
        done
    }

    /// Runs `work`, which is one [`Scope::transaction`], and retries it while the database aborts it in
    /// favor of another, up to a limit.
    ///
    /// # Errors
    /// The errors of the last attempt.
    pub async fn repeat<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        work: impl Fn() -> F,
    ) -> Result<T, E> {
        for attempt in 1..ATTEMPTS {
            match work().await {
                Err(_) if self.may_repeat.swap(false, Ordering::Relaxed) => {
                    self.wait_before(attempt).await;
                }
                done => return done,
            }
        }
        work().await
    }

    /// Waits for a random time, so that conflicting transactions do not conflict again.
    async fn wait_before(&self, attempt: u32) {
        let longest = std::cmp::min(FIRST_WAIT.saturating_mul(1 << attempt), LONGEST_WAIT);
        let wait = rand::rng().random_range(Duration::ZERO..longest);
        let left = self.session.deadline().map(|end| end.saturating_duration_since(Instant::now()));
        tokio::time::sleep(left.map_or(wait, |left| std::cmp::min(wait, left))).await;
    }

    pub(crate) async fn query(&self, select: &SelectStatement) -> Result<Vec<QueryResult>, Error> {
        self.read(select, false).await
    }

    /// Runs a select, in the plan mode for look-ups by key or for any other.
    pub(crate) async fn read(
        &self,
        select: &SelectStatement,
        by_key: bool,
    ) -> Result<Vec<QueryResult>, Error> {
        Ok(self.reader(by_key).query_all(select).await?)
    }

    pub(crate) fn reader(&self, by_key: bool) -> Session {
        let session = self.session.reading();
        if by_key { session.by_key() } else { session }
    }
}
