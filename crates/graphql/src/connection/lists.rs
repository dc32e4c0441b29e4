//! Lists that are loaded together.

use std::{collections::HashMap, sync::Arc};

use campaigns_analytics::Scan;
use campaigns_scope::{OrganizationOwned, Place, Scope, Scoped, Settled, Window};
use sea_orm::sea_query::ExprTrait;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{Listed, OrderInput, Ordering, PageArguments, arguments::Asked};
use crate::{
    cursor,
    error::Error,
    event,
    filter::{self, Filter},
    rows::{self, Columns, Row, RowObject},
};

pub(super) type Pages<T> = HashMap<Option<Uuid>, ListPage<<T as RowObject>::Entity>>;

pub(super) type Column<T> = <<T as RowObject>::Entity as sea_orm::EntityTrait>::Column;

/// The rows of one list.
pub(super) struct ListPage<E: OrganizationOwned> {
    pub(super) rows: Vec<Row<E>>,
    pub(super) more: bool,
}

/// Lists that are loaded together: one, or one for each of many parents.
pub(super) struct Lists<T: Listed> {
    selected: Scoped<T::Entity>,
    /// The same rows, to count them.
    counted: Scoped<T::Entity>,
    columns: Columns<T::Entity>,
    ordering: Ordering,
    pub(super) window: Window,
    /// Of a list in feed order, the place of its cursor, with the argument's name.
    place: Option<(&'static str, Place)>,
    /// The column that says whose list a row is on, and whose lists these are.
    parents: Option<(Column<T>, Vec<Uuid>)>,
    /// Of a list in feed order, how far it goes.
    settled: OnceCell<Result<Settled, Error>>,
    pages: OnceCell<Result<Arc<Pages<T>>, Error>>,
    counts: OnceCell<Result<HashMap<Option<Uuid>, u64>, Error>>,
    other_sides: OnceCell<Result<Vec<Option<Uuid>>, Error>>,
}

impl<T: Listed> Lists<T> {
    /// The lists of what the filter selects.
    pub(super) fn select(
        scope: &Scope,
        columns: Columns<T::Entity>,
        filter: Option<&impl Filter>,
        order_by: Option<&[impl OrderInput]>,
        page: PageArguments,
        parents: Option<(Column<T>, Vec<Uuid>)>,
    ) -> Result<Self, Error> {
        // an order of the client's sorts all rows, as counting tests all of them
        let is_sorted = order_by.is_some_and(|fields| !fields.is_empty());
        let scan = if is_sorted { Scan::Full } else { Scan::Partial };
        let selected = scope.find().filter(filter::condition(scope, filter, "filter", scan)?);
        let counted = scope.find().filter(filter::condition(scope, filter, "filter", Scan::Full)?);
        let ordering = Ordering::of::<T>(scope, order_by)?;
        let Asked { window, place } = page.window(&ordering)?;
        Ok(Self {
            selected,
            counted,
            columns,
            ordering,
            window,
            place,
            parents,
            settled: OnceCell::new(),
            pages: OnceCell::new(),
            counts: OnceCell::new(),
            other_sides: OnceCell::new(),
        })
    }

    /// Those of the selected rows that are settled. How far the feed is settled is known before the first of them is
    /// read, and that it still has the place of the cursor.
    async fn settled_of(
        &self,
        scope: &Scope,
        selected: &Scoped<T::Entity>,
    ) -> Result<Scoped<T::Entity>, Error> {
        let selected = selected.clone();
        let Some(position) = self.ordering.order.0.first().filter(|_| self.ordering.is_feed) else {
            return Ok(selected);
        };
        Ok(match self.settled(scope).await?.position {
            Some(settled) => selected.filter(position.expression.clone().lte(settled)),
            None => selected,
        })
    }

    async fn settled(&self, scope: &Scope) -> Result<Settled, Error> {
        let settled = self.settled.get_or_init(async || {
            if let Some((argument, place)) = &self.place
                && !scope.still_has(place).await?
            {
                return Err(event::cursor::went_back(argument));
            }
            Ok(scope.settled().await?)
        });
        settled.await.clone()
    }

    pub(super) async fn pages(&self, scope: &Scope) -> Result<Arc<Pages<T>>, Error> {
        self.pages.get_or_init(async || self.load_pages(scope).await.map(Arc::new)).await.clone()
    }

    async fn load_pages(&self, scope: &Scope) -> Result<Pages<T>, Error> {
        let (order, window) = (&self.ordering.order, &self.window);
        let selected = self.settled_of(scope, &self.selected).await?;
        let columns = self.columns.all();
        let pages: Vec<(Option<Uuid>, _)> = match &self.parents {
            None => vec![(None, scope.page(selected, &columns, order, window).await?)],
            Some((column, parents)) => scope
                .pages(&selected, &columns, *column, parents, order, window)
                .await?
                .into_iter()
                .map(|(parent, page)| (Some(parent), page))
                .collect(),
        };
        // the rows of all lists are siblings: what hangs on them is loaded together too
        let mut all = Vec::with_capacity(pages.iter().map(|(_, page)| page.rows.len()).sum());
        let mut lengths = Vec::with_capacity(pages.len());
        for (parent, page) in pages {
            lengths.push((parent, page.rows.len(), page.more));
            all.extend(page.rows);
        }
        let mut rows = rows::read::<T::Entity>(all, columns);
        Ok(lengths
            .into_iter()
            .map(|(parent, length, more)| {
                (parent, ListPage { rows: rows.by_ref().take(length).collect(), more })
            })
            .collect())
    }

    /// The cursor of a row of a page.
    pub(super) async fn cursor(
        &self,
        scope: &Scope,
        row: &Row<T::Entity>,
    ) -> Result<String, Error> {
        let read = row.result().expect("the rows of a page were read");
        let keys = self.ordering.order.keys_of(read)?;
        // one of the feed says which feed it is of
        let incarnation =
            if self.ordering.is_feed { Some(self.settled(scope).await?.incarnation) } else { None };
        let name = &self.ordering.name;
        Ok(cursor::encode(name, &keys, incarnation.as_deref()))
    }

    pub(super) async fn count(&self, scope: &Scope, parent: Option<Uuid>) -> Result<u64, Error> {
        let counts = self.counts.get_or_init(async || {
            let selected = self.settled_of(scope, &self.counted).await?;
            Ok(match &self.parents {
                None => HashMap::from([(None, scope.count(selected).await?)]),
                Some((column, parents)) => scope
                    .counts(selected, *column, parents)
                    .await?
                    .into_iter()
                    .map(|(parent, count)| (Some(parent), count))
                    .collect(),
            })
        });
        counts
            .await
            .as_ref()
            .map(|counts| counts.get(&parent).copied().unwrap_or(0))
            .map_err(Clone::clone)
    }

    pub(super) async fn has_other_side(
        &self,
        scope: &Scope,
        parent: Option<Uuid>,
    ) -> Result<bool, Error> {
        let (order, window) = (&self.ordering.order, &self.window);
        let sides = self.other_sides.get_or_init(async || {
            let selected = self.settled_of(scope, &self.selected).await?;
            Ok(match &self.parents {
                None => {
                    let has = scope.has_other_side(selected, order, window).await?;
                    if has { vec![None] } else { Vec::new() }
                }
                Some((column, parents)) => scope
                    .have_other_side(&selected, *column, parents, order, window)
                    .await?
                    .into_iter()
                    .map(Some)
                    .collect(),
            })
        });
        sides.await.as_ref().map(|sides| sides.contains(&parent)).map_err(Clone::clone)
    }
}
