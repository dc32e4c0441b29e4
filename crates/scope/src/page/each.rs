//! The same page of several lists of one table, in few statements.

use std::{collections::HashMap, sync::Arc};

use sea_orm::{
    ColumnTrait, Condition, IdenStatic,
    sea_query::{Alias, Expr, ExprTrait, Query, SelectStatement, UnionType},
};
use uuid::Uuid;

use super::{
    Order, Page, Window, key_names, narrow, order::other_side, page_of, select_keys, sort,
    sort_name,
};
use crate::{ConditionMemory, Error, OrganizationOwned, Scope, Scoped};

/// The maximum number of lists in one statement. SQLite allows 500 terms of a compound SELECT.
const LISTS: usize = 100;
/// The maximum number of values that one statement binds. SQLite allows 32,766.
const VALUES: usize = 32_000;
/// The maximum number of values of a list in addition to those of its condition: the organization, the
/// ID of the parent, the limit, and the keys of a cursor, each repeated.
const OWN_VALUES: usize = 100;
/// The bytes of conditions above which a statement gets no more lists.
const BYTES: usize = 2 << 20;

/// The selects of lists, compiled while they are read, so that few conditions are held at once.
pub trait Selects<E: OrganizationOwned>: Send + Sync {
    /// The IDs of the lists.
    fn ids(&self) -> Vec<Uuid>;

    /// The select of the list at an index of [`Selects::ids`].
    ///
    /// # Errors
    /// If a budget of bytes is exhausted.
    fn select(&self, scope: &Scope, index: usize) -> Result<Scoped<E>, Error>;
}

/// The lists of one statement.
type Batch<E> = Vec<(Uuid, Scoped<E>)>;

impl Scope {
    /// A page of each list, by the list's ID.
    ///
    /// # Errors
    /// Any error of the database, and [`Error::Exhausted`].
    pub async fn pages_of_each<E: OrganizationOwned>(
        &self,
        lists: &dyn Selects<E>,
        columns: &[E::Column],
        order: &Order,
        window: &Window,
    ) -> Result<HashMap<Uuid, Page>, Error> {
        let (keys, dialect) = (self.keys::<E>(order), self.dialect());
        let page = Alias::new("page");
        let page_of_list = |id: Uuid, list: Scoped<E>| {
            let selected = columns.iter().copied();
            let mut inner = list.into_columns(selected);
            select_keys(&mut inner, &keys, dialect);
            narrow(&mut inner, &keys, window, dialect);
            sort(&mut inner, &keys, window, |index, _| Expr::col(Alias::new(sort_name(index))));
            let mut outer = Query::select();
            for column in columns {
                outer.column((page.clone(), Alias::new(column.as_str())));
            }
            for name in key_names(&keys, dialect) {
                outer.column((page.clone(), Alias::new(name)));
            }
            outer.expr_as(Expr::val(id), Alias::new("parent_id"));
            outer.from_subquery(inner, page.clone());
            outer
        };
        let ids = lists.ids();
        let mut rows: HashMap<Uuid, Vec<_>> = HashMap::with_capacity(ids.len());
        let mut next = 0;
        while next < ids.len() {
            let batch = self.next_batch(lists, &ids, &mut next)?;
            let (Some(mut select), _memory) = united(batch, page_of_list) else { break };
            sort(&mut select, &keys, window, |index, _| Expr::col(Alias::new(sort_name(index))));
            for row in self.query(&select).await? {
                let parent: Uuid = row.try_get("", "parent_id").map_err(Error::from)?;
                rows.entry(parent).or_default().push(row);
            }
        }
        rows.into_iter()
            .map(|(parent, rows)| Ok((parent, page_of::<E>(rows, columns, order, window)?)))
            .collect()
    }

    /// The number of rows of each list, by the list's ID.
    ///
    /// # Errors
    /// The errors of [`Scope::pages_of_each`].
    pub async fn counts_of_each<E: OrganizationOwned>(
        &self,
        lists: &dyn Selects<E>,
    ) -> Result<HashMap<Uuid, u64>, Error> {
        self.counts_where(lists, None).await
    }

    /// The number of rows of each list that match a condition, if one is given.
    async fn counts_where<E: OrganizationOwned>(
        &self,
        lists: &dyn Selects<E>,
        condition: Option<&Condition>,
    ) -> Result<HashMap<Uuid, u64>, Error> {
        let count_of_list = |id: Uuid, list: Scoped<E>| {
            let mut select = list.into_query();
            if let Some(condition) = condition {
                select.cond_where(condition.clone());
            }
            select
                .clear_selects()
                .expr_as(Expr::val(id), Alias::new("parent_id"))
                .expr_as(Expr::col(E::ID.as_column_ref()).count(), Alias::new("count"));
            select
        };
        let ids = lists.ids();
        let mut counts = HashMap::with_capacity(ids.len());
        let mut next = 0;
        while next < ids.len() {
            let batch = self.next_batch(lists, &ids, &mut next)?;
            let (Some(select), _memory) = united(batch, count_of_list) else { break };
            for row in self.query(&select).await? {
                let count: i64 = row.try_get("", "count")?;
                counts.insert(row.try_get("", "parent_id")?, count.unsigned_abs());
            }
        }
        Ok(counts)
    }

    /// The IDs of the lists that have a row at the cursor of the window or on its other side.
    ///
    /// # Errors
    /// The errors of [`Scope::pages_of_each`].
    pub async fn each_with_other_side<E: OrganizationOwned>(
        &self,
        lists: &dyn Selects<E>,
        order: &Order,
        window: &Window,
    ) -> Result<Vec<Uuid>, Error> {
        let Some(cursor) = &window.cursor else { return Ok(Vec::new()) };
        let condition = other_side(&self.keys::<E>(order), cursor, window.from_end, self.dialect());
        let counts = self.counts_where(lists, Some(&condition)).await?;
        Ok(counts.into_iter().filter(|(_, count)| *count > 0).map(|(id, _)| id).collect())
    }

    /// Compiles the next lists, as many as fit in one statement.
    fn next_batch<E: OrganizationOwned>(
        &self,
        lists: &dyn Selects<E>,
        ids: &[Uuid],
        next: &mut usize,
    ) -> Result<Batch<E>, Error> {
        let (mut batch, mut values, mut bytes) = (Vec::new(), 0, 0);
        while let Some(id) = ids.get(*next).filter(|_| batch.len() < LISTS && bytes < BYTES) {
            let list = lists.select(self, *next)?;
            let weight = list.memory.as_ref().map(|memory| memory.weight()).unwrap_or_default();
            let bound = OWN_VALUES + weight.values;
            if !batch.is_empty() && values + bound > VALUES {
                break;
            }
            batch.push((*id, list));
            (values, bytes) = (values + bound, bytes + weight.bytes);
            *next += 1;
        }
        Ok(batch)
    }
}

/// The selects of lists, combined into one, and the memory of their conditions.
fn united<E: OrganizationOwned>(
    batch: Batch<E>,
    select: impl Fn(Uuid, Scoped<E>) -> SelectStatement,
) -> (Option<SelectStatement>, Vec<Option<Arc<ConditionMemory>>>) {
    let memory = batch.iter().map(|(_, list)| list.memory.clone()).collect();
    let mut selects = batch.into_iter().map(|(id, list)| select(id, list));
    let first = selects.next().map(|mut first| {
        for other in selects {
            first.union(UnionType::All, other);
        }
        first
    });
    (first, memory)
}
