//! Lists that are loaded together.

use std::{collections::HashMap, sync::Arc};

use async_graphql::Context;
use campaigns_analytics::Scan;
use campaigns_scope::{
    KeyValue, OrganizationOwned, Page, Place, Scope, Scoped, Selects, SettledPosition, Window,
};
use sea_orm::sea_query::ExprTrait;
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::{
    arguments::{OrderInput, Ordering, PageArguments, PageRequest},
    node::ConnectionNode,
};
use crate::{
    error::Error,
    filter::{self, Filter},
    rows::{self, Columns, Row, RowObject},
};

pub(super) type Pages<T> = HashMap<Option<Uuid>, ListPage<<T as RowObject>::Entity>>;

pub(super) type Column<T> = <<T as RowObject>::Entity as sea_orm::EntityTrait>::Column;

/// The rows of one list.
pub(super) struct ListPage<E: OrganizationOwned> {
    pub(super) rows: Vec<Row<E>>,
    pub(super) more: bool,
    /// The number of rows of the whole list, if it was counted with the page.
    total: Option<u64>,
    /// The keys of the outermost rows that were left out.
    left_out: LeftOut,
}

/// The keys of the rows that were left out at the start and the end of a page.
#[derive(Debug)]
pub(super) struct LeftOut {
    start: Option<Vec<KeyValue>>,
    end: Option<Vec<KeyValue>>,
}

/// The parts of a list that are selected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// Rows, or what depends on them.
    page: bool,
    /// The number of all rows.
    total: bool,
}

impl Parts {
    /// The parts of the connection in a context.
    pub(super) fn of(ctx: &Context<'_>) -> Self {
        let connection = ctx.look_ahead();
        let is_selected = |part| connection.field(part).exists();
        Self {
            page: ["nodes", "edges", "pageInfo"].into_iter().any(is_selected),
            total: is_selected("totalCount"),
        }
    }
}

/// The rows of a list.
pub(super) struct SelectedRows<E: OrganizationOwned> {
    /// The select for a page.
    pages: Scoped<E>,
    /// The select for counting, if they are counted by another one.
    counted: Option<Scoped<E>>,
}

impl<E: OrganizationOwned> SelectedRows<E> {
    /// The rows that a filter selects, for a list in an order.
    pub(super) fn by(
        scope: &Scope,
        filter: Option<&impl Filter>,
        order_by: Option<&[impl OrderInput]>,
        parts: Parts,
    ) -> Result<Self, Error> {
        // a requested order sorts all rows, and counting tests all of them
        let is_sorted = order_by.is_some_and(|fields| !fields.is_empty());
        let scan = if is_sorted { Scan::Full } else { Scan::Partial };
        let of = |scan| filter::select(scope, filter, "filter", scan);
        let counted = if parts.total && !is_sorted { Some(of(Scan::Full)?) } else { None };
        Ok(Self { pages: of(scan)?, counted })
    }

    fn counted(&self) -> &Scoped<E> {
        self.counted.as_ref().unwrap_or(&self.pages)
    }
}

/// Where the rows of lists that are loaded together come from.
pub(super) enum Source<T: ConnectionNode> {
    /// A single list.
    Single(SelectedRows<T::Entity>),
    /// A list for each of many parents: the column that determines the parent of a row, and the
    /// parents.
    Children(SelectedRows<T::Entity>, Column<T>, Vec<Uuid>),
    /// A list for each of many parents, each with its own condition.
    Each(Box<dyn Selects<T::Entity>>),
}

/// Lists that are loaded together.
pub(super) struct Lists<T: ConnectionNode> {
    source: Source<T>,
    parts: Parts,
    columns: Columns<T::Entity>,
    ordering: Ordering,
    pub(super) window: Window,
    /// The place of the cursor of a list in feed order, with the argument's name.
    place: Option<(&'static str, Place)>,
    /// The end of a list in feed order.
    settled: OnceCell<Result<SettledPosition, Error>>,
    pages: OnceCell<Result<Arc<Pages<T>>, Error>>,
    counts: OnceCell<Result<HashMap<Option<Uuid>, u64>, Error>>,
    other_sides: OnceCell<Result<Vec<Option<Uuid>>, Error>>,
}

impl<T: ConnectionNode> Lists<T> {
    /// The lists in an order.
    pub(super) fn new(
        scope: &Scope,
        (source, parts): (Source<T>, Parts),
        columns: Columns<T::Entity>,
        order_by: Option<&[impl OrderInput]>,
        page: PageArguments,
    ) -> Result<Self, Error> {
        let ordering = Ordering::of::<T>(scope, order_by)?;
        let PageRequest { window, place } = page.window(scope, &ordering)?;
        Ok(Self {
            source,
            parts,
            columns,
            ordering,
            window,
            place,
            settled: OnceCell::new(),
            pages: OnceCell::new(),
            counts: OnceCell::new(),
            other_sides: OnceCell::new(),
        })
    }

    /// The selected rows up to the end of the lists, which for a list in feed order is the settled
    /// position. That is read before the first row, after a check that the feed still has the place
    /// of the cursor.
    async fn settle(
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

    async fn settled(&self, scope: &Scope) -> Result<SettledPosition, Error> {
        let settled = self.settled.get_or_init(async || {
            if let Some((argument, place)) = &self.place
                && !scope.still_has(place).await?
            {
                return Err(Error::went_back(argument));
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
        let columns = self.columns.all();
        let of_parents = match &self.source {
            Source::Single(selected) => {
                let list = self.settle(scope, &selected.pages).await?;
                let counted = if self.parts.total {
                    Some(self.settle(scope, selected.counted()).await?)
                } else {
                    None
                };
                let page = scope.page(list, counted, &columns, order, window).await?;
                return Ok(pages_of([(None, page)], &columns));
            }
            Source::Children(selected, column, parents) => {
                let selected = self.settle(scope, &selected.pages).await?;
                scope.pages(&selected, &columns, *column, parents, order, window).await?
            }
            Source::Each(lists) => {
                scope.pages_of_each(lists.as_ref(), &columns, order, window).await?
            }
        };
        let pages = of_parents.into_iter().map(|(parent, page)| (Some(parent), page));
        Ok(pages_of(pages, &columns))
    }

    /// The cursor of a row of a page.
    pub(super) async fn cursor(
        &self,
        scope: &Scope,
        row: &Row<T::Entity>,
    ) -> Result<String, Error> {
        let read = row.result().expect("the rows of a page were read");
        self.cursor_of(scope, &self.ordering.order.keys_of(read)?).await
    }

    /// The cursors of the first and the last row of a page. A row that was left out has one, so that the list can be
    /// continued after a page of only such rows.
    pub(super) async fn ends(
        &self,
        scope: &Scope,
        page: &ListPage<T::Entity>,
    ) -> Result<[Option<String>; 2], Error> {
        let LeftOut { start, end } = &page.left_out;
        let mut cursors = [None, None];
        for (cursor, (left_out, row)) in
            cursors.iter_mut().zip([(start, page.rows.first()), (end, page.rows.last())])
        {
            *cursor = match (left_out, row) {
                (Some(keys), _) => Some(self.cursor_of(scope, keys).await?),
                (None, Some(row)) => Some(self.cursor(scope, row).await?),
                (None, None) => None,
            };
        }
        Ok(cursors)
    }

    /// The cursor of a row with these keys.
    async fn cursor_of(&self, scope: &Scope, keys: &[KeyValue]) -> Result<String, Error> {
        // a cursor of the feed includes its incarnation
        let incarnation =
            if self.ordering.is_feed { Some(self.settled(scope).await?.incarnation) } else { None };
        self.ordering.cursor(scope, keys, incarnation.as_deref())
    }

    pub(super) async fn count(&self, scope: &Scope, parent: Option<Uuid>) -> Result<u64, Error> {
        if self.parts.page && matches!(self.source, Source::Single(_)) {
            let pages = self.pages(scope).await?;
            if let Some(total) = pages.get(&parent).and_then(|page| page.total) {
                return Ok(total);
            }
        }
        let counts = self.counts.get_or_init(async || {
            let of_parents: HashMap<Uuid, u64> = match &self.source {
                Source::Single(selected) => {
                    let selected = self.settle(scope, selected.counted()).await?;
                    return Ok(HashMap::from([(None, scope.count(selected).await?)]));
                }
                Source::Children(selected, column, parents) => {
                    let selected = self.settle(scope, selected.counted()).await?;
                    scope.counts(selected, *column, parents).await?.into_iter().collect()
                }
                Source::Each(lists) => scope.counts_of_each(lists.as_ref()).await?,
            };
            Ok(of_parents.into_iter().map(|(parent, count)| (Some(parent), count)).collect())
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
            let of_parents = match &self.source {
                Source::Single(selected) => {
                    let selected = self.settle(scope, &selected.pages).await?;
                    let has = scope.has_other_side(selected, order, window).await?;
                    return Ok(if has { vec![None] } else { Vec::new() });
                }
                Source::Children(selected, column, parents) => {
                    let selected = self.settle(scope, &selected.pages).await?;
                    scope.have_other_side(&selected, *column, parents, order, window).await?
                }
                Source::Each(lists) => {
                    scope.each_with_other_side(lists.as_ref(), order, window).await?
                }
            };
            Ok(of_parents.into_iter().map(Some).collect())
        });
        sides.await.as_ref().map(|sides| sides.contains(&parent)).map_err(Clone::clone)
    }
}

/// The pages of lists. The rows of all lists are siblings, so data that depends on them is also
/// loaded together.
fn pages_of<E: OrganizationOwned>(
    pages: impl IntoIterator<Item = (Option<Uuid>, Page)>,
    columns: &Arc<[E::Column]>,
) -> HashMap<Option<Uuid>, ListPage<E>> {
    let mut all = Vec::new();
    let mut ends = Vec::new();
    for (parent, page) in pages {
        let Page { rows, more, total, left_out_at_start: start, left_out_at_end: end } = page;
        all.extend(rows);
        ends.push((parent, all.len(), more, total, LeftOut { start, end }));
    }
    let (mut rows, mut taken) = (rows::from_results::<E>(all, Arc::clone(columns)), 0);
    let page = |(parent, end, more, total, left_out)| {
        let rows = rows.by_ref().take(end - taken).collect();
        taken = end;
        (parent, ListPage { rows, more, total, left_out })
    };
    ends.into_iter().map(page).collect()
}
