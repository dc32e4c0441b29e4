//! All lists of the schema: Relay connections, over the keyset pages of the scope.
//!
//! **Invariants.** A part that is not selected costs nothing: the rows, the total count, and the
//! flag for the side that the page does not start from are loaded only if they are selected. The
//! lists of many parents are loaded together, each part in one statement; a single list is counted in
//! the statement of its page, so that both are of one snapshot.

mod arguments;
mod lists;
mod node;

use std::{borrow::Cow, fmt::Write, sync::Arc};

use async_graphql::{Context, ID, OutputType, SimpleObject, TypeName};
use campaigns_operation::object::Objects;
use campaigns_scope::{OrderKey, OrganizationOwned, Scope, Selects};
use uuid::Uuid;

use crate::{
    context::RequestContext,
    error::Error,
    filter::{self, Filter},
    input::{self, Path},
    json_columns::{Text, draw_from},
    rows::{self, Columns, Key, Row},
};
use lists::{Column, Lists, Parts, SelectedRows, Source};

pub(crate) use arguments::{OrderDirection, OrderInput, Ordering, PageArguments};
pub(crate) use node::ConnectionNode;

/// The bytes of a part of a connection as a value, without its content.
const PART: usize = 512;
/// The bytes of an edge as a value, without its content.
const EDGE: usize = 1_024;

/// The object with the ID in an argument, if it belongs to the organization.
pub(crate) async fn find<T: ConnectionNode>(
    ctx: &Context<'_>,
    id: &ID,
) -> Result<Option<T>, Error> {
    with_id(ctx, input::id(id, Path::argument("id"))?).await
}

/// The object with this ID, if it belongs to the organization.
pub(crate) async fn with_id<T: ConnectionNode>(
    ctx: &Context<'_>,
    id: Uuid,
) -> Result<Option<T>, Error> {
    let columns = T::columns(ctx).all();
    let found = ctx.scope().columns_by::<T::Entity>(&columns, T::Entity::ID, [id]).await?;
    Ok(rows::from_results::<T::Entity>(found, columns).next().map(T::from))
}

/// No filter, for a list that has none.
pub(crate) const UNFILTERED: Option<&NoFilter> = None;
/// No order, for a list that is ordered only by ID.
pub(crate) const UNORDERED: Option<&[NoOrder]> = None;

/// The filter of a list without filters.
#[derive(Debug)]
pub(crate) enum NoFilter {}

impl Filter for NoFilter {
    fn and(&self) -> Option<&[Self]> {
        match *self {}
    }

    fn or(&self) -> Option<&[Self]> {
        match *self {}
    }

    fn not(&self) -> Option<&Self> {
        match *self {}
    }

    fn fields(&self, _: &mut filter::All<'_>, _: Path<'_>) -> Result<(), Error> {
        match *self {}
    }
}

/// The order of a list that is ordered only by ID.
#[derive(Debug)]
pub(crate) enum NoOrder {}

impl OrderInput for NoOrder {
    type Field = ();

    fn field(&self) {
        match *self {}
    }

    fn key(&self, _: &Scope) -> OrderKey {
        match *self {}
    }
}

/// A paginated list.
pub(crate) struct Connection<T: ConnectionNode> {
    lists: Arc<Lists<T>>,
    parent: Option<Uuid>,
}

impl<T: ConnectionNode> Connection<T> {
    /// The list of the organization's rows that the filter selects.
    pub(crate) fn list(
        ctx: &Context<'_>,
        filter: Option<&impl Filter>,
        order_by: Option<&[impl OrderInput]>,
        page: PageArguments,
    ) -> Result<Self, Error> {
        let (scope, columns) = (ctx.scope(), Self::columns(ctx));
        let parts = Parts::of(ctx);
        let source = Source::Single(SelectedRows::by(scope, filter, order_by, parts)?);
        let lists = Lists::new(scope, (source, parts), columns, order_by, page)?;
        Ok(Self { lists: Arc::new(lists), parent: None })
    }

    /// The list of rows that refer to `parent` by a column, loaded together with the lists of its
    /// siblings.
    pub(crate) fn children<P: OrganizationOwned>(
        ctx: &Context<'_>,
        parent: &Row<P>,
        column: Column<T>,
        filter: Option<&impl Filter>,
        order_by: Option<&[impl OrderInput]>,
        page: PageArguments,
    ) -> Result<Self, Error> {
        let (scope, columns, parts) = (ctx.scope(), Self::columns(ctx), Parts::of(ctx));
        // what distinguishes these lists from those of the same field elsewhere
        let (name, of) = (T::NAME, columns.bits);
        let key = Key::of_field(ctx, |key| {
            write!(key, "{name} {column:?} {filter:?} {order_by:?} {page:?} {of} {parts:?}")
        });
        let lists = parent.shared(key, || {
            let selected = SelectedRows::by(scope, filter, order_by, parts)?;
            let source = Source::Children(selected, column, parent.ids());
            Lists::new(scope, (source, parts), columns, order_by, page).map(Arc::new)
        });
        Ok(Self { lists: (*lists).clone()?, parent: Some(parent.id()) })
    }

    /// The list of rows that `parent` selects with its own condition, loaded together with the
    /// lists of its siblings, as given by `lists` for those that have one.
    pub(crate) fn each<P: OrganizationOwned>(
        ctx: &Context<'_>,
        parent: &Row<P>,
        lists: impl FnOnce() -> Result<Box<dyn Selects<T::Entity>>, Error>,
        order_by: Option<&[impl OrderInput]>,
        page: PageArguments,
    ) -> Result<Self, Error> {
        let (scope, columns, parts) = (ctx.scope(), Self::columns(ctx), Parts::of(ctx));
        let (name, of) = (T::NAME, columns.bits);
        let key = Key::of_field(ctx, |key| {
            write!(key, "each {name} {order_by:?} {page:?} {of} {parts:?}")
        });
        let lists = parent.shared(key, || {
            Lists::new(scope, (Source::Each(lists()?), parts), columns, order_by, page)
                .map(Arc::new)
        });
        Ok(Self { lists: (*lists).clone()?, parent: Some(parent.id()) })
    }

    /// The columns of its rows that the connection in a context needs.
    fn columns(ctx: &Context<'_>) -> Columns<T::Entity> {
        T::columns_at(ctx, &["nodes"]).and(T::columns_at(ctx, &["edges", "node"]))
    }

    async fn rows(&self, scope: &Scope) -> Result<Vec<Row<T::Entity>>, Error> {
        let pages = self.lists.pages(scope).await?;
        Ok(pages.get(&self.parent).map(|page| page.rows.clone()).unwrap_or_default())
    }
}

/// Information about a page of a list.
#[derive(SimpleObject)]
pub(crate) struct PageInfo {
    /// Whether the list has elements after this page. To fetch them, pass `endCursor` as `after`.
    has_next_page: bool,
    /// Whether the list has elements before this page. To fetch them, pass `startCursor` as `before`.
    has_previous_page: bool,
    /// The cursor of the start of the page, usually that of its first element. Null if there is no element.
    start_cursor: Option<Text<String>>,
    /// The cursor of the end of the page, usually that of its last element. Null if there is no element.
    end_cursor: Option<Text<String>>,
}

/// An element of a list with its cursor.
#[derive(SimpleObject)]
#[graphql(name_type)]
pub(crate) struct Edge<T: ConnectionNode> {
    /// The position of the element in the list, for use with `after` and `before`.
    pub(crate) cursor: Text<String>,
    /// The element.
    pub(crate) node: T,
}

impl<T: ConnectionNode> TypeName for Edge<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Edge", <T as OutputType>::type_name()).into()
    }
}

impl<T: ConnectionNode> TypeName for Connection<T> {
    fn type_name() -> Cow<'static, str> {
        format!("{}Connection", <T as OutputType>::type_name()).into()
    }
}

/// A paginated list. Use `first` with `after`, or `last` with `before`. A page has up to 500
/// elements, and 50 by default. A cursor stays valid while elements come and go, as long as the
/// order is the same.
#[async_graphql::Object(name_type)]
impl<T: ConnectionNode> Connection<T> {
    /// The elements of this page, each with its cursor.
    async fn edges(&self, ctx: &Context<'_>) -> Result<Vec<Edge<T>>, Error> {
        let scope = ctx.scope();
        let rows = self.rows(scope).await?;
        draw_from(scope, PART + EDGE * rows.len())?;
        let mut edges = Vec::with_capacity(rows.len());
        for row in rows {
            let cursor = Text(self.lists.cursor(scope, &row).await?);
            edges.push(Edge { cursor, node: T::from(row) });
        }
        Ok(edges)
    }

    /// The elements of this page.
    async fn nodes(&self, ctx: &Context<'_>) -> Result<Objects<T>, Error> {
        draw_from(ctx.scope(), PART)?;
        Ok(Objects(self.rows(ctx.scope()).await?.into_iter().map(T::from).collect()))
    }

    /// Information about this page.
    async fn page_info(&self, ctx: &Context<'_>) -> Result<PageInfo, Error> {
        let scope = ctx.scope();
        draw_from(scope, PART)?;
        let pages = self.lists.pages(scope).await?;
        let page = pages.get(&self.parent);
        let more = page.is_some_and(|page| page.more);
        let from_end = self.lists.window.from_end;
        let other = if from_end { "hasNextPage" } else { "hasPreviousPage" };
        let other_side = self.lists.window.cursor.is_some()
            && ctx.look_ahead().field(other).exists()
            && self.lists.has_other_side(scope, self.parent).await?;
        let [start, end] = match page {
            Some(page) => self.lists.ends(scope, page).await?,
            None => [None, None],
        };
        Ok(PageInfo {
            has_next_page: if from_end { other_side } else { more },
            has_previous_page: if from_end { more } else { other_side },
            start_cursor: start.map(Text),
            end_cursor: end.map(Text),
        })
    }

    /// The total number of elements in the list. Counted only if you select it.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<u64, Error> {
        draw_from(ctx.scope(), PART)?;
        self.lists.count(ctx.scope(), self.parent).await
    }
}
