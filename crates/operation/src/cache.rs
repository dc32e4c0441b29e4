//! The cache of operations: everything that depends on their text alone is kept between requests.
//!
//! A dashboard sends the same few documents again and again. The results of parsing, validation and
//! expanding fragments depend on the text of a document and the name of the operation. So they are
//! kept under these two, and a request adds its variables.
//!
//! **Invariants.**
//! - Nothing that depends on variables, on the viewer or on the time is kept.
//! - What is kept weighs at most [`Limits::kept`](crate::Limits) bytes, by what it holds in memory
//!   ([`weigh`](mod@crate::weigh)); the least recently used goes first. An operation that is heavier
//!   than a sixteenth of that is not kept.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_graphql::{
    Name, Positioned, ServerError,
    parser::types::{ExecutableDocument, OperationType, VariableDefinition},
};
use hashlink::LinkedHashMap;

use crate::{expanded::ExpandedSelections, weigh::Weigh};

/// Everything that the text of an operation determines.
pub(crate) struct CachedOperation {
    pub(crate) key: Key,
    pub(crate) kind: OperationType,
    /// The name that the document gives the operation.
    pub(crate) name: Option<String>,
    pub(crate) variables: Vec<Positioned<VariableDefinition>>,
    /// Where each variable is first used.
    pub(crate) places: HashMap<String, String>,
    /// The variables that are used where null is not allowed.
    pub(crate) never_null: HashSet<Name>,
    /// The bytes of the input objects among its literals, as resolvers have them.
    pub(crate) input_bytes: usize,
    /// The number of its selections and its fragments', each expanded.
    pub(crate) selections: usize,
    pub(crate) plan: Plan,
}

/// How an operation is executed.
pub(crate) enum Plan {
    /// By its selections, which are always the same.
    Selections(Arc<ExpandedSelections>),
    /// By selections that depend on `@skip` and `@include` and are expanded for each request.
    Conditional(ExecutableDocument),
    /// Not at all, since it does not fit the schema.
    Invalid(Vec<ServerError>),
}

impl CachedOperation {
    /// The bytes that it takes in memory.
    fn weight(&self) -> usize {
        let plan = match &self.plan {
            Plan::Selections(written) => written.held(),
            Plan::Conditional(document) => document.held(),
            Plan::Invalid(errors) => errors.held(),
        };
        // the cache has a key of its own
        let key = size_of::<Key>() + self.key.query.held() + self.key.operation_name.held();
        size_of::<Self>()
            + 2 * key
            + self.name.held()
            + self.variables.held()
            + self.places.held()
            + 2 * size_of::<Name>() * self.never_null.capacity()
            + plan
    }
}

/// The key of a kept operation: its document, and its name if one is given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
}

/// Kept operations.
pub(crate) struct Cache {
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// Operations with their weights in bytes, the most recently used at the end.
    by_key: LinkedHashMap<Key, (Arc<CachedOperation>, usize)>,
    weight: usize,
}

impl Cache {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, entries: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<CachedOperation>> {
        self.entries().by_key.to_back(key).map(|(kept, _)| Arc::clone(kept))
    }

    /// Keeps an operation, if there is room for it.
    pub(crate) fn keep(&self, kept: &Arc<CachedOperation>) {
        let weight = kept.weight();
        if weight > self.most / 16 {
            return;
        }
        let mut entries = self.entries();
        let entries = &mut *entries;
        if let Some((_, before)) =
            entries.by_key.insert(kept.key.clone(), (Arc::clone(kept), weight))
        {
            entries.weight -= before;
        }
        entries.weight += weight;
        while entries.weight > self.most {
            let Some((_, (_, weight))) = entries.by_key.pop_front() else { break };
            entries.weight -= weight;
        }
    }

    /// How many bytes are kept.
    pub(crate) fn weight(&self) -> usize {
        self.entries().weight
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(query: &str) -> Arc<CachedOperation> {
        Arc::new(CachedOperation {
            key: Key { query: query.to_owned(), operation_name: None },
            kind: OperationType::Query,
            name: None,
            variables: Vec::new(),
            places: HashMap::new(),
            never_null: HashSet::new(),
            input_bytes: 0,
            selections: 0,
            plan: Plan::Invalid(Vec::new()),
        })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let all: Vec<_> = (10..30).map(|number| kept(&number.to_string())).collect();
        let most = 16 * all[0].weight();
        let cache = Cache::new(most);
        for kept in &all {
            cache.keep(kept);
            assert!(cache.get(&all[0].key).is_some());
            assert!(cache.weight() <= most);
        }
        let there: Vec<bool> = all.iter().map(|kept| cache.get(&kept.key).is_some()).collect();
        assert_eq!(there.iter().filter(|there| **there).count(), 16);
        assert!(there[0] && !there[1] && there[19]);
    }

    #[test]
    fn an_operation_that_is_too_heavy_is_not_kept() {
        let heavy = kept("heavy");
        let cache = Cache::new(16 * heavy.weight() - 1);
        cache.keep(&heavy);
        assert_eq!(cache.weight(), 0);
        let cache = Cache::new(16 * heavy.weight());
        cache.keep(&heavy);
        assert_eq!(cache.weight(), heavy.weight());
    }
}
