//! The cache of operations: the results that depend only on their text.
//!
//! A dashboard sends the same few documents repeatedly. The results of parsing, validation and the
//! expansion of fragments depend on the text of a document and the name of the operation. So they are
//! cached under these two, and a request adds its variables.
//!
//! **Invariants.**
//! - No cached result depends on variables, the viewer or the time.
//! - The cache weighs at most [`Limits::kept`](crate::Limits) bytes in memory
//!   ([`weigh`](mod@crate::weigh)). The least recently used operation is dropped first. An operation that
//!   weighs more than a sixteenth of the maximum is not cached.

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
    /// The operation's name in the document.
    pub(crate) name: Option<String>,
    pub(crate) variables: Vec<Positioned<VariableDefinition>>,
    /// The path of the first use of each variable.
    pub(crate) places: HashMap<String, String>,
    /// The maximum number of bytes of each text in a variable.
    pub(crate) max_texts: HashMap<Name, usize>,
    /// The variables that are used where null is not allowed.
    pub(crate) never_null: HashSet<Name>,
    /// The bytes that the input objects among its literals take in resolvers.
    pub(crate) input_bytes: usize,
    /// The number of selections of the document's operations and fragments, each expanded.
    pub(crate) selection_count: usize,
    pub(crate) plan: Plan,
}

/// The execution plan of an operation.
pub(crate) enum Plan {
    /// Execute these selections.
    Selections(Arc<ExpandedSelections>),
    /// Expand the selections for each request, since they depend on `@skip` and `@include`.
    Conditional(ExecutableDocument),
    /// Return these validation errors.
    Invalid(Vec<ServerError>),
}

impl CachedOperation {
    /// The bytes that it takes in memory.
    fn weight(&self) -> usize {
        let plan = match &self.plan {
            Plan::Selections(selections) => selections.held(),
            Plan::Conditional(document) => document.held(),
            Plan::Invalid(errors) => errors.held(),
        };
        // the cache has its own copy of the key
        let key = size_of::<Key>() + self.key.query.held() + self.key.operation_name.held();
        size_of::<Self>()
            + 2 * key
            + self.name.held()
            + self.variables.held()
            + self.places.held()
            + (size_of::<Name>() + 2 * size_of::<usize>()) * self.max_texts.capacity()
            + 2 * size_of::<Name>() * self.never_null.capacity()
            + plan
    }
}

/// The key of a cached operation: its document, and its name if given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) query: String,
    pub(crate) operation_name: Option<String>,
}

/// The cached operations.
pub(crate) struct Cache {
    most: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    /// The operations with their weights in bytes, the most recently used at the end.
    by_key: LinkedHashMap<Key, (Arc<CachedOperation>, usize)>,
    weight: usize,
}

impl Cache {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, entries: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<CachedOperation>> {
        self.entries().by_key.to_back(key).map(|(cached, _)| Arc::clone(cached))
    }

    /// Caches an operation, unless it is too heavy.
    pub(crate) fn insert(&self, cached: &Arc<CachedOperation>) {
        let weight = cached.weight();
        if weight > self.most / 16 {
            return;
        }
        let mut entries = self.entries();
        let entries = &mut *entries;
        if let Some((_, before)) =
            entries.by_key.insert(cached.key.clone(), (Arc::clone(cached), weight))
        {
            entries.weight -= before;
        }
        entries.weight += weight;
        while entries.weight > self.most {
            let Some((_, (_, weight))) = entries.by_key.pop_front() else { break };
            entries.weight -= weight;
        }
    }

    /// The number of cached bytes.
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

    fn cached(query: &str) -> Arc<CachedOperation> {
        Arc::new(CachedOperation {
            key: Key { query: query.to_owned(), operation_name: None },
            kind: OperationType::Query,
            name: None,
            variables: Vec::new(),
            places: HashMap::new(),
            max_texts: HashMap::new(),
            never_null: HashSet::new(),
            input_bytes: 0,
            selection_count: 0,
            plan: Plan::Invalid(Vec::new()),
        })
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let all: Vec<_> = (10..30).map(|number| cached(&number.to_string())).collect();
        let most = 16 * all[0].weight();
        let cache = Cache::new(most);
        for cached in &all {
            cache.insert(cached);
            assert!(cache.get(&all[0].key).is_some());
            assert!(cache.weight() <= most);
        }
        let there: Vec<bool> = all.iter().map(|cached| cache.get(&cached.key).is_some()).collect();
        assert_eq!(there.iter().filter(|there| **there).count(), 16);
        assert!(there[0] && !there[1] && there[19]);
    }

    #[test]
    fn an_operation_that_is_too_heavy_is_not_cached() {
        let heavy = cached("heavy");
        let cache = Cache::new(16 * heavy.weight() - 1);
        cache.insert(&heavy);
        assert_eq!(cache.weight(), 0);
        let cache = Cache::new(16 * heavy.weight());
        cache.insert(&heavy);
        assert_eq!(cache.weight(), heavy.weight());
    }
}
