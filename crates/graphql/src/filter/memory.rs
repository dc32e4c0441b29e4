//! Filters of values in memory.
//!
//! **Invariant.** A test selects exactly what the filter's condition selects in SQL; the tests of
//! `event_feed` compare the two. It is made from a filter that has already been compiled to a
//! condition, so its values are known to be valid.

use std::{cell::RefCell, collections::HashSet, rc::Rc};

use campaigns_entity::StoredTime;
use campaigns_scope::folded;
use uuid::Uuid;

use super::{DateTimeFilter, EnumOperators, Filter, IdFilter, StringFilter};
use crate::scalars::DateTime;

/// A test of whether a row in memory is selected.
pub(crate) type Test<M> = Box<dyn Fn(&TestedRow<'_, M>) -> bool + Send + Sync>;

/// A row under test, with the data that several tests need.
pub(crate) struct TestedRow<'a, M> {
    row: &'a M,
    /// The folded texts of fields, by their names.
    folded: RefCell<Vec<(&'static str, Rc<str>)>>,
}

impl<'a, M> TestedRow<'a, M> {
    pub(crate) fn of(row: &'a M) -> Self {
        Self { row, folded: RefCell::default() }
    }

    /// The folded text of a field. A filter can have hundreds of conditions on one text.
    fn folded(&self, field: &'static str, text: &str) -> Rc<str> {
        let mut all = self.folded.borrow_mut();
        if let Some((_, folded)) = all.iter().find(|(of, _)| *of == field) {
            return Rc::clone(folded);
        }
        let folded: Rc<str> = folded(text).into();
        all.push((field, Rc::clone(&folded)));
        folded
    }
}

/// The test of a filter: of its fields, and of the filters that it joins and negates.
pub(crate) fn test<M: 'static, F: Filter>(
    filter: &F,
    fields: &dyn Fn(&F) -> Vec<Test<M>>,
) -> Test<M> {
    let of = |filters: &[F]| filters.iter().map(|filter| test(filter, fields)).collect::<Vec<_>>();
    let mut all = fields(filter);
    if let Some(filters) = filter.and() {
        all.extend(of(filters));
    }
    if let Some(filters) = filter.or() {
        let any = of(filters);
        all.push(Box::new(move |row| any.iter().any(|test| test(row))));
    }
    if let Some(filter) = filter.not() {
        let inner = test(filter, fields);
        all.push(Box::new(move |row| !inner(row)));
    }
    Box::new(move |row| all.iter().all(|test| test(row)))
}

/// The operators of one field, turned into tests.
pub(crate) struct Tests<M, V> {
    value: fn(&M) -> V,
    tests: Vec<Test<M>>,
}

impl<M: 'static, V: 'static> Tests<M, V> {
    fn of(value: fn(&M) -> V) -> Self {
        Self { value, tests: Vec::new() }
    }

    fn push<O: Send + Sync + 'static>(
        &mut self,
        operand: Option<O>,
        holds: impl Fn(&V, &O) -> bool + Send + Sync + 'static,
    ) {
        if let Some(operand) = operand {
            let value = self.value;
            self.tests.push(Box::new(move |tested| holds(&value(tested.row), &operand)));
        }
    }
}

/// The tests on an ID.
pub(crate) fn id<M: 'static>(filter: Option<&IdFilter>, value: fn(&M) -> Uuid) -> Vec<Test<M>> {
    let Some(IdFilter { eq, ne, r#in, not_in, is_null }) = filter else { return Vec::new() };
    let parse = |id: &async_graphql::ID| Uuid::try_parse(id).ok();
    let set = |ids: &Option<Vec<async_graphql::ID>>| {
        ids.as_ref().map(|ids| ids.iter().filter_map(parse).collect::<HashSet<_>>())
    };
    let mut tests = Tests::of(value);
    tests.push(eq.as_ref().map(parse), |id, eq| Some(*id) == *eq);
    tests.push(ne.as_ref().map(parse), |id, ne| Some(*id) != *ne);
    tests.push(set(r#in), |id, ids| ids.contains(id));
    tests.push(set(not_in), |id, ids| !ids.contains(id));
    // an id is never null
    tests.push(*is_null, |_, is_null| !is_null);
    tests.tests
}

/// Whether a folded text matches a folded part.
type TextMatch = fn(&str, &str) -> bool;

/// The tests on the text of a field.
pub(crate) fn text<M: 'static>(
    filter: Option<&StringFilter>,
    field: &'static str,
    value: fn(&M) -> Option<&str>,
) -> Vec<Test<M>> {
    let Some(StringFilter { eq, ne, r#in, not_in, contains, starts_with, ends_with, is_null }) =
        filter
    else {
        return Vec::new();
    };
    let set = |texts: &Option<Vec<String>>| {
        texts.as_ref().map(|texts| texts.iter().cloned().collect::<HashSet<_>>())
    };
    let mut tests: Vec<Test<M>> = Vec::new();
    if let Some(eq) = eq.clone() {
        tests.push(Box::new(move |of| value(of.row) == Some(&*eq)));
    }
    if let Some(ne) = ne.clone() {
        tests.push(Box::new(move |of| value(of.row) != Some(&*ne)));
    }
    if let Some(texts) = set(r#in) {
        tests.push(Box::new(move |of| value(of.row).is_some_and(|text| texts.contains(text))));
    }
    if let Some(texts) = set(not_in) {
        tests.push(Box::new(move |of| !value(of.row).is_some_and(|text| texts.contains(text))));
    }
    let parts: [(&Option<String>, TextMatch); 3] = [
        (contains, |text, part| text.contains(part)),
        (starts_with, |text, part| text.starts_with(part)),
        (ends_with, |text, part| text.ends_with(part)),
    ];
    for (part, holds) in parts {
        let Some(part) = part.as_deref().map(folded) else { continue };
        tests.push(Box::new(move |of| {
            value(of.row).is_some_and(|text| holds(&of.folded(field, text), &part))
        }));
    }
    if let Some(is_null) = *is_null {
        tests.push(Box::new(move |of| value(of.row).is_none() == is_null));
    }
    tests
}

/// The tests on a time that is never null.
pub(crate) fn time<M: 'static>(
    filter: Option<&DateTimeFilter>,
    value: fn(&M) -> StoredTime,
) -> Vec<Test<M>> {
    let Some(DateTimeFilter { eq, ne, gt, gte, lt, lte, is_null }) = filter else {
        return Vec::new();
    };
    let parse = |time: &Option<DateTime>| time.as_ref().and_then(DateTime::parse);
    let mut tests = Tests::of(value);
    tests.push(parse(eq), |time, eq| time == eq);
    tests.push(parse(ne), |time, ne| time != ne);
    tests.push(parse(gt), |time, than| time > than);
    tests.push(parse(gte), |time, than| time >= than);
    tests.push(parse(lt), |time, than| time < than);
    tests.push(parse(lte), |time, than| time <= than);
    tests.push(*is_null, |_, is_null| !is_null);
    tests.tests
}

/// The tests on an enum that is never null.
pub(crate) fn choice<M: 'static, T>(
    filter: Option<EnumOperators<T>>,
    value: fn(&M) -> T,
) -> Vec<Test<M>>
where
    T: PartialEq + Send + Sync + 'static,
{
    let Some(EnumOperators { eq, ne, r#in, not_in }) = filter else { return Vec::new() };
    let mut tests = Tests::of(value);
    tests.push(eq, |value, eq| value == eq);
    tests.push(ne, |value, ne| value != ne);
    tests.push(r#in, |value, values| values.contains(value));
    tests.push(not_in, |value, values| !values.contains(value));
    tests.tests
}

/// The test of a condition.
pub(crate) fn boolean<M: 'static>(wanted: Option<bool>, value: fn(&M) -> bool) -> Vec<Test<M>> {
    let mut tests = Tests::of(value);
    tests.push(wanted, |value, wanted| value == wanted);
    tests.tests
}
