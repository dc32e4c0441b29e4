//! What is kept of an operation from one request to the next: all that its text alone decides.
//!
//! A dashboard sends the same few documents again and again. What parsing, validation and writing out
//! its fragments come to depends on the text of a document and the name of the operation; so it is kept by
//! these two, and a request adds its variables.
//!
//! **Invariants.**
//! - Nothing is kept that depends on variables, on who asks or on the time.
//! - What is kept weighs [`Limits::kept`](crate::Limits) bytes at most; what was not used for longest goes
//!   first. An operation that is heavier than a sixteenth of that is not kept.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_graphql::{
    Positioned, ServerError,
    parser::types::{ExecutableDocument, OperationType, VariableDefinition},
};
use hashlink::LinkedHashMap;

use crate::written::Written;

/// What the text of an operation decides.
pub(crate) struct Kept {
    pub(crate) key: Key,
    pub(crate) kind: OperationType,
    /// The name that the document gives the operation.
    pub(crate) name: Option<String>,
    pub(crate) variables: Vec<Positioned<VariableDefinition>>,
    /// Where each variable is used first.
    pub(crate) places: HashMap<String, String>,
    pub(crate) way: Way,
}

/// How an operation is executed.
pub(crate) enum Way {
    /// Its selections, which are always the same.
    Written(Arc<Written>),
    /// Its selections depend on `@skip` and `@include`, and are written out for each request.
    Conditional(ExecutableDocument),
    /// The schema itself is asked about, which the library answers.
    Library(ExecutableDocument, Arc<Written>),
    /// Not at all: it does not fit the schema.
    Invalid(Vec<ServerError>),
}

/// What an operation is kept by: its document, and its name if one is given.
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
    /// With their weights in bytes, the one that was used last at the end.
    by_key: LinkedHashMap<Key, (Arc<Kept>, usize)>,
    weight: usize,
}

impl Cache {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, entries: Mutex::default() }
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Kept>> {
        self.entries().by_key.to_back(key).map(|(kept, _)| Arc::clone(kept))
    }

    /// Keeps an operation of so many bytes, if there is room for it.
    pub(crate) fn keep(&self, kept: &Arc<Kept>, weight: usize) {
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

    fn kept(query: &str) -> Arc<Kept> {
        Arc::new(Kept {
            key: Key { query: query.to_owned(), operation_name: None },
            kind: OperationType::Query,
            name: None,
            variables: Vec::new(),
            places: HashMap::new(),
            way: Way::Invalid(Vec::new()),
        })
    }

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let cache = Cache::new(160);
        let all: Vec<_> = (0..20).map(|number| kept(&number.to_string())).collect();
        for kept in &all {
            cache.keep(kept, 10);
            assert!(cache.get(&all[0].key).is_some());
            assert!(cache.weight() <= 160);
        }
        let there: Vec<bool> = all.iter().map(|kept| cache.get(&kept.key).is_some()).collect();
        assert_eq!(there.iter().filter(|there| **there).count(), 16);
        assert!(there[0] && !there[1] && there[19]);
    }

    #[test]
    fn one_that_is_too_heavy_is_not_kept() {
        let cache = Cache::new(160);
        cache.keep(&kept("heavy"), 11);
        assert_eq!(cache.weight(), 0);
    }
}
