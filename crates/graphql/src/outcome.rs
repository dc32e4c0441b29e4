//! Whether the changes of a mutation are stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// The outcome of the changes of each root field of a mutation, by response key. Fields that are
/// not in it have changed nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes(Arc<Mutex<HashMap<String, Outcome>>>);

/// The outcome of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are stored.
    Committed,
    /// It is unknown whether they are stored: the connection was lost during the commit.
    InDoubt,
}

impl Outcomes {
    pub(crate) fn note(&self, field: &str, outcome: Outcome) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.insert(field.to_owned(), outcome);
    }

    /// The outcome of the changes of a field, or of any field if none is named.
    pub(crate) fn of(&self, field: Option<&str>) -> Option<Outcome> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match field {
            Some(field) => outcomes.get(field).copied(),
            None => outcomes.values().next().copied(),
        }
    }
}

/// An error that can mean that the outcome of a commit is unknown.
pub(crate) trait MayBeInDoubt {
    /// Whether it means this.
    fn is_in_doubt(&self) -> bool;
}
