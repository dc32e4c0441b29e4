//! The select of rows of one organization.
//!
//! **Invariant.** Only a [`Scope`](super::Scope) makes one, and its first condition is that on the
//! organization.

use std::{marker::PhantomData, sync::Arc};

use sea_orm::{
    ColumnTrait, Condition, QueryFilter, QueryTrait, Select,
    sea_query::{Expr, ExprTrait, IntoCondition, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{OrganizationOwned, condition::ConditionMemory};

/// A select of rows of one organization.
pub struct Scoped<E: OrganizationOwned> {
    /// That on the organization, and the others.
    conditions: Condition,
    table: PhantomData<fn() -> E>,
    /// The kind of its condition.
    pub(crate) by: ConditionKind,
    /// The memory of a condition that a client wrote.
    pub(crate) memory: Option<Arc<ConditionMemory>>,
}

/// The condition of a select, in addition to the organization.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConditionKind {
    /// None.
    Nothing,
    /// A look-up by key.
    Key,
    /// Any other.
    Filter,
}

impl<E: OrganizationOwned> Clone for Scoped<E> {
    fn clone(&self) -> Self {
        let Self { conditions, table, by, memory } = self;
        Self { conditions: conditions.clone(), table: *table, by: *by, memory: memory.clone() }
    }
}

impl<E: OrganizationOwned> Scoped<E> {
    /// The rows that match a condition on their organization. Events without a feed position are not
    /// among them.
    pub(super) fn within(organization: Expr) -> Self {
        let mut conditions = Condition::all().add(organization);
        if let Some(position) = E::FEED_POSITION {
            // a missing position is null in PostgreSQL and 0 in SQLite
            let position = Expr::col(position.as_column_ref());
            conditions = conditions.add(position.gt(Expr::cust("0")));
        }
        Self { conditions, table: PhantomData, by: ConditionKind::Nothing, memory: None }
    }

    /// Only rows that match the condition.
    #[must_use]
    pub fn filter(self, condition: impl IntoCondition) -> Self {
        let condition = condition.into_condition();
        if condition.is_empty() {
            return self;
        }
        let conditions = self.conditions.add(condition);
        Self { conditions, by: ConditionKind::Filter, ..self }
    }

    /// The same rows, which hold the memory of their condition.
    #[must_use]
    pub fn holding(self, memory: ConditionMemory) -> Self {
        Self { memory: Some(Arc::new(memory)), ..self }
    }

    /// The same rows, with a custom plan for each execution, because the statement does more than look
    /// up rows by key.
    #[must_use]
    pub fn with_custom_plan(self) -> Self {
        Self { by: ConditionKind::Filter, ..self }
    }

    /// Only the row with this ID.
    #[must_use]
    pub fn id(self, id: Uuid) -> Self {
        self.by_key(E::ID.eq(id))
    }

    pub(super) fn by_key(self, condition: Expr) -> Self {
        let by = if self.by == ConditionKind::Nothing {
            ConditionKind::Key
        } else {
            ConditionKind::Filter
        };
        Self { conditions: self.conditions.add(condition), by, ..self }
    }

    /// A select of all columns.
    pub(crate) fn into_select(self) -> Select<E> {
        E::find().filter(self.conditions)
    }

    /// A select of all columns.
    pub(crate) fn into_query(self) -> SelectStatement {
        self.into_select().into_query()
    }

    /// A select of these columns, by position.
    pub(crate) fn into_columns(
        self,
        columns: impl IntoIterator<Item = E::Column>,
    ) -> SelectStatement {
        let mut select = Query::select();
        select.from(E::default().table_ref()).cond_where(self.conditions);
        for column in columns {
            // an enum is read as text, and keeps the name of its column
            select.expr(column.select_as(column.into_expr()));
        }
        select
    }
}
