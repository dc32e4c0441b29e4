//! Keyset pages, for one list or for the lists of many parents in one statement.
//!
//! A list has an order: keys, each ascending or descending, and the row's ID (ascending) as the last
//! key, so that no two rows are equal. A cursor contains the keys of a row. The page after a cursor
//! has the first rows whose keys come after it. The page before it has the last rows whose keys come
//! before it.
//!
//! **Invariants.**
//! - Nulls come last in both directions. Text is ordered by code point, and an enum by its
//!   declaration. A time that RFC 3339 cannot represent is ordered as in the database, and a cursor
//!   contains it as it is stored.
//! - A row is on a page after a cursor if and only if it comes after the cursor in the order, even if
//!   the cursor's own row has changed or is deleted: paging by cursors skips and repeats no unchanged
//!   row.
//! - SQL compares and orders by the same expressions, so the two cannot disagree.
//!
//! If all keys have the same direction and none can be null, "after" is a row comparison,
//! `(a, id) > (?, ?)`. Otherwise it is a disjunction over the keys: equal in the first keys and after
//! in the next one. The bound of the first key is then repeated as a separate condition, because an
//! index scan can only start there.

mod each;
mod order;
mod text;

use std::collections::HashMap;

use campaigns_entity::{StoredText, StoredTime};
use chrono::{DateTime, SecondsFormat, Utc};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbErr, IdenStatic, QueryResult,
    sea_query::{Alias, Expr, ExprTrait, JoinType, Query, SelectStatement},
    sqlx::{Decode, Row, Sqlite},
};
use uuid::Uuid;

use crate::{
    Dialect, Error, OrganizationOwned, Scope, Scoped, connections::MAX_PREPARED_LENGTH,
    scope::ConditionKind, unreadable::leave_out_unknown,
};

pub use each::Selects;
pub use order::{Direction, KeyKind, KeyValue, Order, OrderKey};
use order::{beyond, other_side};

/// The maximum number of parents in one statement.
const PARENTS: usize = 2_000;
/// The column with the number of rows of a list.
const TOTAL: &str = "total";

/// The requested part of a list.
#[derive(Clone, Debug)]
pub struct Window {
    /// The maximum number of rows.
    pub limit: u64,
    /// Whether to start from the end of the list instead of its start.
    pub from_end: bool,
    /// The keys of the row that the page starts after, in the requested direction.
    pub cursor: Option<Vec<KeyValue>>,
}

/// A page of a list, in its order. Each row has the requested columns, by position, and the keys
/// ([`Order::keys_of`]).
#[derive(Debug, Default)]
pub struct Page {
    /// The rows.
    pub rows: Vec<QueryResult>,
    /// Whether the list continues after the page, in the requested direction.
    pub more: bool,
    /// The number of rows of the whole list, if it was counted. It is read from the first row, so it
    /// is unknown for an empty page after a cursor.
    pub total: Option<u64>,
    /// The keys of the row that was left out at the start of the page, if one was.
    pub left_out_at_start: Option<Vec<KeyValue>>,
    /// The keys of the row that was left out at the end of the page, if one was.
    pub left_out_at_end: Option<Vec<KeyValue>>,
}

impl Scope {
    /// The keys of an order, including the ID. Enums are ordered by the positions of their values if
    /// the column has another type, or a type that the driver cannot read.
    fn keys<E: OrganizationOwned>(&self, order: &Order) -> Vec<OrderKey> {
        let of_column = |key: OrderKey| match key.kind {
            KeyKind::Enum(name, _) if !self.executor().reads_enum(name) => key.by_position(),
            _ => key,
        };
        order.keys::<E>().into_iter().map(of_column).collect()
    }

    /// A page of a list, with these columns of each row. `counted` is the same list: its rows are
    /// counted in the same statement, unless that becomes too long to stay prepared.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn page<E: OrganizationOwned>(
        &self,
        list: Scoped<E>,
        counted: Option<Scoped<E>>,
        columns: &[E::Column],
        order: &Order,
        window: &Window,
    ) -> Result<Page, Error> {
        let keys = self.keys::<E>(order);
        let dialect = self.dialect();
        // such a page reads the index on organization and ID in order
        let by_key = list.by == ConditionKind::Nothing && order.0.is_empty() && counted.is_none();
        let _memory = (list.memory.clone(), counted.as_ref().and_then(|list| list.memory.clone()));
        let backend = self.executor().get_database_backend();
        let build = || {
            let mut select = list.into_columns(columns.iter().copied());
            select_keys(&mut select, &keys, dialect);
            narrow(&mut select, &keys, window, dialect);
            sort(&mut select, &keys, window, |index, _| Expr::col(Alias::new(sort_name(index))));
            select
        };
        if by_key && window.cursor.is_none() {
            let (organization, limit) = (self.organization(), window.limit + 1);
            let build = || backend.build(&build());
            let statement =
                text::statement::<E>(backend, organization, columns, window.from_end, limit, build);
            let rows = self.reader(by_key).query_all_raw(statement).await?;
            return page_of::<E>(rows, columns, order, window);
        }
        let select = build();
        let with_total = counted.map(|counted| {
            let mut select = select.clone();
            select.expr_as(self.number_of(counted), Alias::new(TOTAL));
            backend.build(&select)
        });
        // the statement contains the list's condition twice
        let with_total = with_total.filter(|statement| statement.sql.len() <= MAX_PREPARED_LENGTH);
        let is_counted = with_total.is_some();
        let statement = with_total.unwrap_or_else(|| backend.build(&select));
        drop(select);
        let rows = self.reader(by_key).query_all_raw(statement).await?;
        let total = match rows.first() {
            Some(row) if is_counted => Some(row.try_get::<i64>("", TOTAL).map_err(Error::from)?),
            None if is_counted && window.cursor.is_none() => Some(0),
            _ => None,
        };
        let page = page_of::<E>(rows, columns, order, window)?;
        Ok(Page { total: total.map(i64::unsigned_abs), ..page })
    }

    /// The same page of each parent's list, in one statement: the rows with the parent's ID in
    /// `column`.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn pages<E: OrganizationOwned>(
        &self,
        list: &Scoped<E>,
        columns: &[E::Column],
        column: E::Column,
        parents: &[Uuid],
        order: &Order,
        window: &Window,
    ) -> Result<HashMap<Uuid, Page>, Error> {
        let keys = self.keys::<E>(order);
        let mut rows: HashMap<Uuid, Vec<_>> = HashMap::with_capacity(parents.len());
        let by_key = list.by == ConditionKind::Nothing && order.0.is_empty();
        for chunk in parents.chunks(PARENTS) {
            let select = self.select_for_parents(list, columns, column, chunk, &keys, window);
            for row in self.read(&select, by_key).await? {
                let parent: Uuid = row.try_get("", "parent_id").map_err(Error::from)?;
                rows.entry(parent).or_default().push(row);
            }
        }
        rows.into_iter()
            .map(|(parent, rows)| Ok((parent, page_of::<E>(rows, columns, order, window)?)))
            .collect()
    }

    /// Whether a list has a row at the cursor of the window or on its other side. Without a cursor,
    /// there is no other side.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn has_other_side<E: OrganizationOwned>(
        &self,
        list: Scoped<E>,
        order: &Order,
        window: &Window,
    ) -> Result<bool, Error> {
        let Some(cursor) = &window.cursor else { return Ok(false) };
        let condition = other_side(&self.keys::<E>(order), cursor, window.from_end, self.dialect());
        let _memory = list.memory.clone();
        let mut select = list.filter(condition).into_query();
        select.clear_selects().expr(Expr::val(1)).limit(1);
        Ok(!self.query(&select).await?.is_empty())
    }

    /// The parents whose lists have a row at the cursor of the window or on its other side.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn have_other_side<E: OrganizationOwned>(
        &self,
        list: &Scoped<E>,
        column: E::Column,
        parents: &[Uuid],
        order: &Order,
        window: &Window,
    ) -> Result<Vec<Uuid>, Error> {
        let Some(cursor) = &window.cursor else { return Ok(Vec::new()) };
        let condition = other_side(&self.keys::<E>(order), cursor, window.from_end, self.dialect());
        Ok(self
            .counts(list.clone().filter(condition), column, parents)
            .await?
            .into_keys()
            .collect())
    }

    fn select_for_parents<E: OrganizationOwned>(
        &self,
        list: &Scoped<E>,
        columns: &[E::Column],
        column: E::Column,
        parents: &[Uuid],
        keys: &[OrderKey],
        window: &Window,
    ) -> SelectStatement {
        let dialect = self.dialect();
        let (parent, page) = (Alias::new("parent"), Alias::new("page"));
        let parent_id = Expr::col((parent.clone(), Alias::new("id")));
        let selected = columns.iter().copied();
        let mut inner = list.clone().into_columns(selected);
        inner.and_where(Expr::col(column.as_column_ref()).eq(parent_id.clone()));
        narrow(&mut inner, keys, window, dialect);

        let (ids, mut outer) = (dialect.each_id(parents), Query::select());
        match dialect {
            Dialect::Postgres => {
                select_keys(&mut inner, keys, dialect);
                sort(&mut inner, keys, window, |index, _| Expr::col(Alias::new(sort_name(index))));
                for own in columns {
                    outer.column((page.clone(), Alias::new(own.as_str())));
                }
                for name in key_names(keys, dialect) {
                    outer.column((page.clone(), Alias::new(name)));
                }
                outer.from_subquery(ids, parent).join_lateral(
                    JoinType::InnerJoin,
                    inner,
                    page.clone(),
                    Expr::val(true),
                );
                sort(&mut outer, keys, window, |index, _| {
                    Expr::col((page.clone(), Alias::new(sort_name(index))))
                });
            }
            // SQLite has no lateral joins, but a subquery of IN can be correlated, and its IDs are
            // then looked up in the table
            Dialect::Sqlite => {
                inner.clear_selects().expr(Expr::col(E::ID.as_column_ref()));
                sort(&mut inner, keys, window, |_, key| key.ordered(dialect));
                for own in columns {
                    outer.expr(Expr::col(own.as_column_ref()));
                }
                select_keys(&mut outer, keys, dialect);
                outer
                    .from_subquery(ids, parent)
                    .join(JoinType::CrossJoin, E::default(), Expr::val(true))
                    .and_where(Expr::col(E::ID.as_column_ref()).in_subquery(inner));
                sort(&mut outer, keys, window, |index, _| Expr::col(Alias::new(sort_name(index))));
            }
        }
        outer.expr_as(parent_id, Alias::new("parent_id"));
        outer
    }
}

/// The name of the column with a key, as it is ordered by.
fn sort_name(index: usize) -> String {
    format!("sort_{index}")
}

/// The name of the column with a key, as a cursor contains it, if that differs.
fn key_name(index: usize) -> String {
    format!("key_{index}")
}

/// The names of the columns that [`select_keys`] adds.
fn key_names(keys: &[OrderKey], dialect: Dialect) -> impl Iterator<Item = String> {
    keys.iter().enumerate().flat_map(move |(index, key)| {
        let shown = key.shown(dialect).map(|_| key_name(index));
        [Some(sort_name(index)), shown].into_iter().flatten()
    })
}

fn select_keys(select: &mut SelectStatement, keys: &[OrderKey], dialect: Dialect) {
    for (index, key) in keys.iter().enumerate() {
        select.expr_as(key.ordered(dialect), Alias::new(sort_name(index)));
        if let Some(shown) = key.shown(dialect) {
            select.expr_as(shown, Alias::new(key_name(index)));
        }
    }
}

/// Adds the bound and the limit of a page. The limit is one row more than requested, to detect whether
/// there are more.
fn narrow(select: &mut SelectStatement, keys: &[OrderKey], window: &Window, dialect: Dialect) {
    if let Some(cursor) = &window.cursor {
        select.cond_where(beyond(keys, cursor, window.from_end, dialect));
    }
    select.limit(window.limit + 1);
}

/// Orders by the keys. `name` gives the expression of a key: preferably the name of a selected column,
/// since a repeated expression would be computed twice.
fn sort(
    select: &mut SelectStatement,
    keys: &[OrderKey],
    window: &Window,
    name: impl Fn(usize, &OrderKey) -> Expr,
) {
    for (index, key) in keys.iter().enumerate() {
        key.sort(select, name(index, key), window.from_end);
    }
}

/// The page of these rows. A row that this version cannot read counts towards the limit, and the list
/// continues after it, even if the page has no other rows.
fn page_of<E: OrganizationOwned>(
    mut rows: Vec<QueryResult>,
    columns: &[E::Column],
    order: &Order,
    window: &Window,
) -> Result<Page, Error> {
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    if window.from_end {
        rows.reverse();
    }
    let count = rows.len();
    let left_out = leave_out_unknown::<E>(&mut rows, columns)?;
    // a row whose keys cannot be read either has no cursor
    let keys_at = |position| {
        let (_, row) = left_out.iter().find(|(at, _)| *at == position)?;
        order.keys_of(row).ok()
    };
    let (left_out_at_start, left_out_at_end) = (keys_at(0), keys_at(count.saturating_sub(1)));
    Ok(Page { rows, more, total: None, left_out_at_start, left_out_at_end })
}

impl Order {
    /// The keys of a row of a page in this order, including the ID: the content of its cursor.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn keys_of(&self, row: &QueryResult) -> Result<Vec<KeyValue>, Error> {
        let kinds = self.0.iter().map(|key| key.kind).chain([KeyKind::Id]);
        kinds.enumerate().map(|(index, kind)| Ok(key_of(row, index, kind)?)).collect()
    }
}

fn key_of(row: &QueryResult, index: usize, kind: KeyKind) -> Result<KeyValue, DbErr> {
    let is_enum = matches!(kind, KeyKind::Enum(..) | KeyKind::Position(_));
    let name = if is_enum { key_name(index) } else { sort_name(index) };
    Ok(match kind {
        KeyKind::Text => {
            row.try_get::<Option<StoredText>>("", &name)?.map(|text| text_key(row, &name, text))
        }
        KeyKind::Enum(..) | KeyKind::Position(_) => {
            row.try_get::<Option<String>>("", &name)?.map(KeyValue::Text)
        }
        KeyKind::Time => {
            let time = row.try_get::<Option<StoredTime>>("", &name)?;
            time.map(|time| time_key(row, &name, time)).transpose()?
        }
        KeyKind::Integer => row.try_get::<Option<i64>>("", &name)?.map(KeyValue::Integer),
        KeyKind::Id => row.try_get::<Option<Uuid>>("", &name)?.map(KeyValue::Id),
    }
    .unwrap_or(KeyValue::Null))
}

/// The key of text, which has to compare like the stored bytes.
fn text_key(row: &QueryResult, name: &str, StoredText(text): StoredText) -> KeyValue {
    let is_exact = !text.contains(['\0', char::REPLACEMENT_CHARACTER]);
    let bytes = if is_exact { None } else { stored_bytes(row, name) };
    match bytes {
        Some(bytes) => KeyValue::StoredText(bytes.into()),
        None => KeyValue::Text(text),
    }
}

/// The bytes of text in a row of SQLite.
fn stored_bytes(row: &QueryResult, name: &str) -> Option<Vec<u8>> {
    let value = row.try_as_sqlite_row()?.try_get_raw(name).ok()?;
    <Vec<u8> as Decode<Sqlite>>::decode(value).ok()
}

/// The key of a time, which has to compare like the stored value. SQLite compares text, so the key of
/// a time that another program stored in another format is its text.
fn time_key(row: &QueryResult, name: &str, time: StoredTime) -> Result<KeyValue, DbErr> {
    Ok(match time {
        StoredTime::Before(text) | StoredTime::After(text) => {
            KeyValue::StoredTime(text.as_str().into())
        }
        StoredTime::At(time) if row.try_as_sqlite_row().is_some() => {
            let StoredText(text) = row.try_get("", name)?;
            if text == sqlite_text(time) {
                KeyValue::Time(time)
            } else {
                KeyValue::StoredTime(text.into())
            }
        }
        StoredTime::At(time) => KeyValue::Time(time),
    })
}

/// A time as it is bound in SQLite.
fn sqlite_text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, false)
}
