//! Every list of the schema: Relay's connections, over the keyset pages of the scope.
//!
//! **Invariants.** A part that is not selected costs nothing: the rows, the total count and the
//! flag for the side that the page did not come from are each loaded when they are asked for. The
//! lists of many parents are loaded together, each part in one statement.

use std::{collections::HashMap, fmt::Debug, sync::Arc};

use async_graphql::{Context, Enum, Object, OutputType, SimpleObject};
use campaigns_scope::{Direction, Order, OrganizationOwned, Scope, Scoped, Window};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::{
    campaign::Campaign,
    context::RequestContext,
    cursor,
    error::Error,
    rows::{Row, together},
    send::Send,
};

/// Rows on a page where the client does not say.
const DEFAULT_SIZE: u32 = 50;
/// Rows on a page at most.
const MAX_SIZE: u32 = 500;

/// An object that connections list.
pub(crate) trait Listed: OutputType + From<Row<Self::Entity>> + 'static {
    /// The table of its rows.
    type Entity: OrganizationOwned;
    /// Its name in cursors.
    const NAME: &'static str;
}

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum OrderDirection {
    /// The smallest first.
    Asc,
    /// The largest first.
    Desc,
}

impl From<OrderDirection> for Direction {
    fn from(direction: OrderDirection) -> Self {
        match direction {
            OrderDirection::Asc => Self::Ascending,
            OrderDirection::Desc => Self::Descending,
        }
    }
}

/// The four arguments of every connection.
#[derive(Clone, Debug)]
pub(crate) struct PageArguments {
    pub(crate) first: Option<i32>,
    pub(crate) after: Option<String>,
    pub(crate) last: Option<i32>,
    pub(crate) before: Option<String>,
}

impl PageArguments {
    fn window(self, order: &Order, order_name: &str) -> Result<Window, Error> {
        let Self { first, after, last, before } = self;
        if first.is_some() && last.is_some() {
            return Err(Error::bad_input("last", "Ask for the first or the last, not for both."));
        }
        if before.is_some() && (first.is_some() || after.is_some()) {
            return Err(Error::bad_input("before", "This goes with last alone."));
        }
        if after.is_some() && last.is_some() {
            return Err(Error::bad_input("after", "This goes with first alone."));
        }
        let from_end = last.is_some() || before.is_some();
        let (name, size) = if from_end { ("last", last) } else { ("first", first) };
        let limit = match size.map(u32::try_from) {
            None => DEFAULT_SIZE,
            Some(Ok(size)) if size <= MAX_SIZE => size,
            Some(_) => {
                return Err(Error::bad_input(name, format!("This is 0 to {MAX_SIZE}.")));
            }
        };
        let (name, cursor) = if from_end { ("before", before) } else { ("after", after) };
        let cursor = cursor
            .map(|cursor| {
                cursor::decode(&cursor, order_name, order).ok_or_else(|| {
                    Error::bad_input(name, "This is no cursor of a list in this order.")
                })
            })
            .transpose()?;
        Ok(Window { limit: limit.into(), from_end, cursor })
    }
}

/// An order as a client asks for it: fields with directions, made into keys.
pub(crate) struct Ordering {
    order: Order,
    name: String,
}

/// How one field of an order is said in SQL.
pub(crate) trait OrderInput: Debug {
    /// What tells one field from another.
    type Field: PartialEq;
    /// Which field it is.
    fn field(&self) -> Self::Field;
    /// The key.
    fn key(&self, scope: &Scope) -> campaigns_scope::OrderKey;
}

impl Ordering {
    /// The order of these fields, for a list of `T`.
    pub(crate) fn of<T: Listed>(
        scope: &Scope,
        fields: Option<&[impl OrderInput]>,
    ) -> Result<Self, Error> {
        let fields = fields.unwrap_or_default();
        if fields.len() > 20 {
            return Err(Error::bad_input("orderBy", "These may be 20 at most."));
        }
        // rows that are equal in a field stay so when it comes again
        let mut different: Vec<_> = Vec::with_capacity(fields.len());
        for field in fields {
            if different.iter().all(|of: &&_| OrderInput::field(*of) != field.field()) {
                different.push(field);
            }
        }
        Ok(Self {
            order: Order(different.iter().map(|field| field.key(scope)).collect()),
            name: format!("{} {different:?}", T::NAME),
        })
    }
}

type Pages<T> = HashMap<Option<Uuid>, ListPage<<T as Listed>::Entity>>;
type Column<T> = <<T as Listed>::Entity as sea_orm::EntityTrait>::Column;

/// The rows of one list with their cursors.
struct ListPage<E: OrganizationOwned> {
    rows: Vec<(Row<E>, String)>,
    more: bool,
}

/// Lists that are loaded together: one, or one for each of many parents.
pub(crate) struct Lists<T: Listed> {
    selected: Scoped<T::Entity>,
    ordering: Ordering,
    window: Window,
    /// The column that says whose list a row is on, and whose lists these are.
    parents: Option<(Column<T>, Vec<Uuid>)>,
    pages: OnceCell<Result<Arc<Pages<T>>, Error>>,
    counts: OnceCell<Result<HashMap<Option<Uuid>, u64>, Error>>,
    other_sides: OnceCell<Result<Vec<Option<Uuid>>, Error>>,
}

impl<T: Listed> Lists<T> {
    fn new(
        selected: Scoped<T::Entity>,
        ordering: Ordering,
        page: PageArguments,
        parents: Option<(Column<T>, Vec<Uuid>)>,
    ) -> Result<Self, Error> {
        let window = page.window(&ordering.order, &ordering.name)?;
        Ok(Self {
            selected,
            ordering,
            window,
            parents,
            pages: OnceCell::new(),
            counts: OnceCell::new(),
            other_sides: OnceCell::new(),
        })
    }

    async fn pages(&self, scope: &Scope) -> Result<Arc<Pages<T>>, Error> {
        self.pages.get_or_init(async || self.load_pages(scope).await.map(Arc::new)).await.clone()
    }

    async fn load_pages(&self, scope: &Scope) -> Result<Pages<T>, Error> {
        let (order, window) = (&self.ordering.order, &self.window);
        let pages: Vec<(Option<Uuid>, _)> = match &self.parents {
            None => vec![(None, scope.page(self.selected.clone(), order, window).await?)],
            Some((column, parents)) => scope
                .pages(&self.selected, *column, parents, order, window)
                .await?
                .into_iter()
                .map(|(parent, page)| (Some(parent), page))
                .collect(),
        };
        // the rows of all lists are siblings: what hangs on them is loaded together too
        let mut models = Vec::new();
        let mut cursors = Vec::with_capacity(pages.len());
        for (parent, page) in pages {
            let (rows, keys): (Vec<_>, Vec<_>) = page.rows.into_iter().unzip();
            models.extend(rows);
            let keys = keys.iter().map(|keys| cursor::encode(&self.ordering.name, keys));
            cursors.push((parent, keys.collect::<Vec<_>>(), page.more));
        }
        let mut rows = together(models).into_iter();
        Ok(cursors
            .into_iter()
            .map(|(parent, cursors, more)| {
                (parent, ListPage { rows: rows.by_ref().zip_all(cursors), more })
            })
            .collect())
    }

    async fn count(&self, scope: &Scope, parent: Option<Uuid>) -> Result<u64, Error> {
        let counts = self.counts.get_or_init(async || {
            Ok(match &self.parents {
                None => HashMap::from([(None, scope.count(self.selected.clone()).await?)]),
                Some((column, parents)) => scope
                    .counts(self.selected.clone(), *column, parents)
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

    async fn has_other_side(&self, scope: &Scope, parent: Option<Uuid>) -> Result<bool, Error> {
        let (order, window) = (&self.ordering.order, &self.window);
        let sides = self.other_sides.get_or_init(async || {
            Ok(match &self.parents {
                None => {
                    let selected = self.selected.clone();
                    let has = scope.has_other_side(selected, order, window).await?;
                    if has { vec![None] } else { Vec::new() }
                }
                Some((column, parents)) => scope
                    .have_other_side(&self.selected, *column, parents, order, window)
                    .await?
                    .into_iter()
                    .map(Some)
                    .collect(),
            })
        });
        sides.await.as_ref().map(|sides| sides.contains(&parent)).map_err(Clone::clone)
    }
}

/// `zip` that takes no more of the first than it needs.
trait ZipAll: Iterator + Sized {
    fn zip_all<B>(self, others: Vec<B>) -> Vec<(Self::Item, B)>;
}

impl<I: Iterator> ZipAll for I {
    fn zip_all<B>(self, others: Vec<B>) -> Vec<(I::Item, B)> {
        others.into_iter().zip(self).map(|(other, item)| (item, other)).collect()
    }
}

/// A list, page by page.
pub(crate) struct Connection<T: Listed> {
    lists: Arc<Lists<T>>,
    parent: Option<Uuid>,
}

impl<T: Listed> Connection<T> {
    /// The list of all that is selected.
    pub(crate) fn new(
        selected: Scoped<T::Entity>,
        ordering: Ordering,
        page: PageArguments,
    ) -> Result<Self, Error> {
        Ok(Self { lists: Arc::new(Lists::new(selected, ordering, page, None)?), parent: None })
    }

    /// The list of those that hang on `parent`, loaded together with those of its siblings.
    /// `arguments` are what makes these lists others than those of the same field elsewhere.
    pub(crate) fn of_parent<P: OrganizationOwned>(
        parent: &Row<P>,
        arguments: &str,
        column: Column<T>,
        make: impl FnOnce() -> Result<(Scoped<T::Entity>, Ordering), Error>,
        page: PageArguments,
    ) -> Result<Self, Error> {
        let id = crate::rows::id_of::<P>(parent);
        let key = format!("{} {column:?} {arguments} {page:?}", T::NAME);
        let lists = parent.shared(&key, || {
            let (selected, ordering) = make()?;
            let parents = parent.siblings().iter().map(crate::rows::id_of::<P>).collect();
            Lists::<T>::new(selected, ordering, page, Some((column, parents))).map(Arc::new)
        });
        Ok(Self { lists: (*lists).clone()?, parent: Some(id) })
    }

    async fn entries(&self, scope: &Scope) -> Result<Vec<(Row<T::Entity>, String)>, Error> {
        let pages = self.lists.pages(scope).await?;
        Ok(pages.get(&self.parent).map(|page| page.rows.clone()).unwrap_or_default())
    }
}

/// Where a page lies in its list.
#[derive(SimpleObject)]
pub(crate) struct PageInfo {
    /// Whether there are rows behind this page: ask with after: endCursor.
    has_next_page: bool,
    /// Whether there are rows before this page: ask with before: startCursor.
    has_previous_page: bool,
    /// The cursor of the first row of the page.
    start_cursor: Option<String>,
    /// The cursor of the last row of the page.
    end_cursor: Option<String>,
}

/// A row of a list, and where it stands.
#[derive(SimpleObject)]
#[graphql(
    concrete(name = "CampaignEdge", params(Campaign)),
    concrete(name = "SendEdge", params(Send))
)]
pub(crate) struct Edge<T: Listed> {
    /// Where the row stands in the list; for after and before.
    cursor: String,
    /// The row.
    node: T,
}

/// A list, page by page: first with after, or last with before; 50 rows where you do not say how
/// many, 500 at most. A cursor stays valid while rows come and go, for the order it was made in.
#[Object(
    concrete(name = "CampaignConnection", params(Campaign)),
    concrete(name = "SendConnection", params(Send))
)]
impl<T: Listed> Connection<T>
where
    Edge<T>: OutputType,
{
    /// The rows of this page, each with its cursor.
    async fn edges(&self, ctx: &Context<'_>) -> Result<Vec<Edge<T>>, Error> {
        let entries = self.entries(ctx.scope()).await?;
        Ok(entries.into_iter().map(|(row, cursor)| Edge { cursor, node: T::from(row) }).collect())
    }

    /// The rows of this page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Vec<T>, Error> {
        let entries = self.entries(ctx.scope()).await?;
        Ok(entries.into_iter().map(|(row, _)| T::from(row)).collect())
    }

    /// Where this page lies in the list.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo, Error> {
        let scope = ctx.scope();
        let pages = self.lists.pages(scope).await?;
        let page = pages.get(&self.parent);
        let more = page.is_some_and(|page| page.more);
        let from_end = self.lists.window.from_end;
        let other = if from_end { "hasNextPage" } else { "hasPreviousPage" };
        let other_side = self.lists.window.cursor.is_some()
            && ctx.look_ahead().field(other).exists()
            && self.lists.has_other_side(scope, self.parent).await?;
        let cursor = |entry: Option<&(_, String)>| entry.map(|(_, cursor)| cursor.clone());
        Ok(PageInfo {
            has_next_page: if from_end { other_side } else { more },
            has_previous_page: if from_end { more } else { other_side },
            start_cursor: cursor(page.and_then(|page| page.rows.first())),
            end_cursor: cursor(page.and_then(|page| page.rows.last())),
        })
    }

    /// How many rows the list has in all; counted only where you ask for it.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<u64, Error> {
        self.lists.count(ctx.scope(), self.parent).await
    }
}
