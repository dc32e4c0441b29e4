//! Filters: the operators of all filters, and how they are compiled to a condition.
//!
//! **Invariant.** A filter is two-valued: a negative operator selects exactly what its positive
//! counterpart does not. A positive operator is null on a null column, which is equivalent to false
//! unless it is negated. Every negation goes through [`Dialect::not`], which treats null as false.
//!
//! [`Dialect::not`]: campaigns_scope::Dialect::not

pub(crate) mod memory;
mod operators;

use std::fmt::Debug;

use campaigns_analytics::Scan;
use campaigns_scope::{ConditionMemory, OrganizationOwned, Scope, Scoped};
use sea_orm::sea_query::{Condition, Expr, ExprTrait};

use crate::{error::Error, input::Path};

pub(crate) use operators::{
    DateTimeFilter, EnumOperators, IdFilter, IntFilter, JsonFilter, StringFilter, enum_filter,
};

/// The maximum nesting of filters.
const MAX_DEPTH: usize = 10;
/// The maximum number of conditions of a filter.
const MAX_CONDITIONS: usize = 500;
/// The maximum number of filters in `and`, `or` and `not`: one around each condition on each level.
const MAX_FILTERS: usize = MAX_CONDITIONS * MAX_DEPTH;
/// The maximum number of values in `in` and `notIn`.
const MAX_VALUES: usize = 1_000;
/// The maximum number of values in all `in` and `notIn` of a filter.
const MAX_VALUES_IN_ALL: usize = 30_000;

/// A filter of rows of one table.
pub(crate) trait Filter: Debug + Sized {
    /// The filters that it joins by AND.
    fn and(&self) -> Option<&[Self]>;
    /// The filters that it joins by OR.
    fn or(&self) -> Option<&[Self]>;
    /// The filter that it negates.
    fn not(&self) -> Option<&Self>;
    /// Its own fields.
    fn fields(&self, all: &mut All<'_>, path: Path<'_>) -> Result<(), Error>;
}

/// The methods `and`, `or` and `not` of a filter that has fields with these names.
macro_rules! logical {
    () => {
        fn and(&self) -> Option<&[Self]> {
            self.and.as_deref()
        }

        fn or(&self) -> Option<&[Self]> {
            self.or.as_deref()
        }

        fn not(&self) -> Option<&Self> {
            self.not.as_deref()
        }
    };
}
pub(crate) use logical;

/// The condition of a filter argument, for a statement that tests this many rows. It is empty if it
/// selects everything.
pub(crate) fn condition(
    scope: &Scope,
    filter: Option<&impl Filter>,
    argument: &str,
    scan: Scan,
) -> Result<Condition, Error> {
    let Some(filter) = filter else { return Ok(Condition::all()) };
    let (statement, mut usage) = (Statement { scope, scan }, FilterUsage::default());
    let compiled = compile(statement, filter, Path::argument(argument), 1, &mut usage)?;
    Ok(Condition::all().add_option(compiled))
}

/// The rows that a filter argument selects, for a statement that tests this many of them. Each
/// condition is drawn from the operation's budget when it is compiled.
pub(crate) fn select<E: OrganizationOwned>(
    scope: &Scope,
    filter: Option<&impl Filter>,
    argument: &str,
    scan: Scan,
) -> Result<Scoped<E>, Error> {
    let Some(filter) = filter else { return Ok(scope.find()) };
    let memory = Some(scope.condition_memory());
    let mut usage = FilterUsage { memory, ..FilterUsage::default() };
    let compiled =
        compile(Statement { scope, scan }, filter, Path::argument(argument), 1, &mut usage)?;
    let selected = scope.find().filter(Condition::all().add_option(compiled));
    Ok(match usage.memory {
        Some(memory) => selected.holding(memory),
        None => selected,
    })
}

/// The statement that a condition is for.
#[derive(Clone, Copy)]
struct Statement<'a> {
    scope: &'a Scope,
    scan: Scan,
}

/// How much of its limits a filter has used.
#[derive(Default)]
struct FilterUsage {
    conditions: usize,
    /// The filters in `and`, `or` and `not`, with or without their own conditions.
    filters: usize,
    values: usize,
    /// The memory of the conditions, if it is drawn.
    memory: Option<ConditionMemory>,
}

/// The condition of a filter; `None` if it selects everything. Each part that is joined has a counted
/// condition, so that the expression never exceeds SQLite's maximum depth of 1,000 levels.
fn compile(
    statement: Statement<'_>,
    filter: &impl Filter,
    path: Path<'_>,
    depth: usize,
    usage: &mut FilterUsage,
) -> Result<Option<Expr>, Error> {
    if depth > MAX_DEPTH {
        return Err(Error::limit(
            path,
            format!("Filters can be nested at most {MAX_DEPTH} levels deep."),
        ));
    }
    usage.filters += 1;
    if usage.filters > MAX_FILTERS {
        let message = format!("A filter can consist of at most {MAX_FILTERS} filters.");
        return Err(Error::limit(path, message));
    }
    let Statement { scope, scan } = statement;
    let mut all = All { scope, scan, usage, joined: None };
    filter.fields(&mut all, path)?;
    if let Some(filters) = filter.and() {
        let path = path.field("and");
        for (index, filter) in filters.iter().enumerate() {
            if let Some(part) = compile(statement, filter, path.index(index), depth + 1, all.usage)?
            {
                all.join(part);
            }
        }
    }
    if let Some(filters) = filter.or() {
        let path = path.field("or");
        let mut parts = Vec::new();
        for (index, filter) in filters.iter().enumerate() {
            parts.push(compile(statement, filter, path.index(index), depth + 1, all.usage)?);
        }
        // next to a filter that selects everything, the others do not matter
        if parts.iter().all(Option::is_some) {
            match parts.into_iter().flatten().reduce(ExprTrait::or) {
                Some(any) => all.join(any),
                None => all.push(path, Expr::val(false))?,
            }
        }
    }
    if let Some(filter) = filter.not() {
        let path = path.field("not");
        match compile(statement, filter, path, depth + 1, all.usage)? {
            Some(part) => all.join(scope.dialect().not(part)),
            None => all.push(path, Expr::val(false))?,
        }
    }
    Ok(all.joined)
}

/// Conditions that are joined by AND.
pub(crate) struct All<'a> {
    pub(crate) scope: &'a Scope,
    pub(crate) scan: Scan,
    usage: &'a mut FilterUsage,
    joined: Option<Expr>,
}

impl All<'_> {
    /// Adds a condition.
    pub(crate) fn push(&mut self, path: Path<'_>, condition: Expr) -> Result<(), Error> {
        self.count(path, 1)?;
        if let Some(memory) = &mut self.usage.memory {
            memory.draw(&condition)?;
        }
        self.join(condition);
        Ok(())
    }

    fn join(&mut self, condition: Expr) {
        self.joined = Some(match self.joined.take() {
            Some(joined) => joined.and(condition),
            None => condition,
        });
    }

    fn count(&mut self, path: Path<'_>, conditions: usize) -> Result<(), Error> {
        self.usage.conditions += conditions;
        if self.usage.conditions > MAX_CONDITIONS {
            let message = format!("A filter can have at most {MAX_CONDITIONS} conditions.");
            return Err(Error::limit(path, message));
        }
        Ok(())
    }

    /// The values of an `in` or `notIn`.
    fn values<T, U>(
        &mut self,
        path: Path<'_>,
        values: &[T],
        check: impl Fn(&T, Path<'_>) -> Result<U, Error>,
    ) -> Result<Vec<U>, Error> {
        if values.len() > MAX_VALUES {
            return Err(Error::limit(
                path,
                format!("This can have at most {MAX_VALUES} elements."),
            ));
        }
        self.usage.values += values.len();
        if self.usage.values > MAX_VALUES_IN_ALL {
            let message = format!(
                "The lists of a filter can have at most {MAX_VALUES_IN_ALL} values in total."
            );
            return Err(Error::limit(path, message));
        }
        values.iter().enumerate().map(|(index, value)| check(value, path.index(index))).collect()
    }

    fn push_not(&mut self, path: Path<'_>, condition: Expr) -> Result<(), Error> {
        let negated = self.scope.dialect().not(condition);
        self.push(path, negated)
    }

    /// Adds a condition for true, or its negation for false.
    pub(crate) fn boolean(
        &mut self,
        path: Path<'_>,
        wanted: Option<bool>,
        condition: impl FnOnce(&Scope) -> Expr,
    ) -> Result<(), Error> {
        match wanted {
            None => Ok(()),
            Some(true) => self.push(path, condition(self.scope)),
            Some(false) => self.push_not(path, condition(self.scope)),
        }
    }
}
