//! The same page of several lists of one table, in one statement.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, IdenStatic, QuerySelect, QueryTrait,
    sea_query::{
        Alias, Expr, ExprTrait, PostgresQueryBuilder, Query, SelectStatement, SqliteQueryBuilder,
        UnionType,
    },
};
use uuid::Uuid;

use super::{
    Order, Page, Window, key_names, narrow, order::other_side, page_of, select_keys, sort,
    sort_name,
};
use crate::{Dialect, Error, OrganizationOwned, Scope, Scoped};

/// The maximum number of lists in one statement. SQLite allows 500 terms of a compound SELECT.
const LISTS: usize = 100;
/// The maximum number of values that one statement binds. SQLite allows 32,766.
const VALUES: usize = 32_000;

impl Scope {
    /// A page of each list, by the list's ID.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn pages_of_each<E: OrganizationOwned>(
        &self,
        lists: &[(Uuid, Scoped<E>)],
        columns: &[E::Column],
        order: &Order,
        window: &Window,
    ) -> Result<HashMap<Uuid, Page>, Error> {
        let (keys, dialect) = (self.keys::<E>(order), self.dialect());
        let page = Alias::new("page");
        let selects = lists.iter().map(|(id, list)| {
            let selected = columns.iter().copied();
            let mut inner = list.clone().select.select_only().columns(selected).into_query();
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
            outer.expr_as(Expr::val(*id), Alias::new("parent_id"));
            outer.from_subquery(inner, page.clone());
            outer
        });
        let mut rows: HashMap<Uuid, Vec<_>> = HashMap::with_capacity(lists.len());
        for mut select in united(selects, dialect) {
            sort(&mut select, &keys, window, |index, _| Expr::col(Alias::new(sort_name(index))));
            for row in self.query(&select).await? {
                let parent: Uuid = row.try_get("", "parent_id").map_err(Error::from)?;
                rows.entry(parent).or_default().push(row);
            }
        }
        rows.into_iter()
            .map(|(parent, rows)| Ok((parent, page_of::<E>(rows, columns, window)?)))
            .collect()
    }

    /// The number of rows of each list, by the list's ID.
    ///
    /// # Errors
    /// Any error of the database.
    pub async fn counts_of_each<E: OrganizationOwned>(
        &self,
        lists: &[(Uuid, Scoped<E>)],
    ) -> Result<HashMap<Uuid, u64>, Error> {
        let selects = lists.iter().map(|(id, list)| {
            let mut select = list.clone().into_query();
            select
                .clear_selects()
                .expr_as(Expr::val(*id), Alias::new("parent_id"))
                .expr_as(Expr::col(E::ID.as_column_ref()).count(), Alias::new("count"));
            select
        });
        let mut counts = HashMap::with_capacity(lists.len());
        for select in united(selects, self.dialect()) {
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
    /// Any error of the database.
    pub async fn each_with_other_side<E: OrganizationOwned>(
        &self,
        lists: &[(Uuid, Scoped<E>)],
        order: &Order,
        window: &Window,
    ) -> Result<Vec<Uuid>, Error> {
        let Some(cursor) = &window.cursor else { return Ok(Vec::new()) };
        let condition = other_side(&self.keys::<E>(order), cursor, window.from_end, self.dialect());
        let lists: Vec<_> =
            lists.iter().map(|(id, list)| (*id, list.clone().filter(condition.clone()))).collect();
        let counts = self.counts_of_each(&lists).await?;
        Ok(counts.into_iter().filter(|(_, count)| *count > 0).map(|(id, _)| id).collect())
    }
}

/// The selects, combined into as few statements as possible.
fn united(
    selects: impl Iterator<Item = SelectStatement>,
    dialect: Dialect,
) -> Vec<SelectStatement> {
    let mut statements: Vec<SelectStatement> = Vec::new();
    let (mut lists, mut values) = (0, 0);
    for select in selects {
        let bound = match dialect {
            Dialect::Postgres => select.build(PostgresQueryBuilder).1.0.len(),
            Dialect::Sqlite => select.build(SqliteQueryBuilder).1.0.len(),
        };
        match statements.last_mut() {
            Some(statement) if lists < LISTS && values + bound <= VALUES => {
                statement.union(UnionType::All, select);
                (lists, values) = (lists + 1, values + bound);
            }
            _ => {
                statements.push(select);
                (lists, values) = (1, bound);
            }
        }
    }
    statements
}
