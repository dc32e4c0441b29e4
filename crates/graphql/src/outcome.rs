//! Whether the changes of a mutation are stored.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::{PathSegment, Response, Value};
use campaigns_delivery::{ListError, QueueError, RecordError, ReportError, StepError};
use campaigns_operation::{Code, error::code_of};

use crate::error::Error;

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
    /// Records the outcome of the changes of a field.
    pub(crate) fn record(&self, field: &str, outcome: Outcome) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.insert(field.to_owned(), outcome);
    }

    /// The outcome of the changes of a field, or of any field if none is named.
    fn of(&self, field: Option<&str>) -> Option<Outcome> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match field {
            Some(field) => outcomes.get(field).copied(),
            None => outcomes.values().next().copied(),
        }
    }

    /// Adds to each error of a mutation whether the changes of its field are committed nevertheless:
    /// `extensions.committed` is true, or null if that is unknown. An error that suggests a retry
    /// has false if they are not.
    pub(crate) fn annotate(&self, response: &mut Response) {
        for error in &mut response.errors {
            let field = error.path.first().and_then(|segment| match segment {
                PathSegment::Field(name) => Some(name.as_str()),
                PathSegment::Index(_) => None,
            });
            let code = code_of(error);
            let is_late = code == Some(Code::Timeout.as_str());
            let suggests_retry = is_late || code == Some(Code::Unavailable.as_str());
            let committed = match self.of(field) {
                Some(Outcome::Committed) => Value::from(true),
                Some(Outcome::InDoubt) => Value::Null,
                None if suggests_retry => Value::from(false),
                None => continue,
            };
            if is_late && committed == Value::from(true) {
                "The operation took too long, but its changes are committed. Do not repeat it."
                    .clone_into(&mut error.message);
            }
            error.extensions.get_or_insert_default().set("committed", committed);
        }
    }
}

/// An error that can mean that the outcome of a commit is unknown.
pub(crate) trait MayBeInDoubt {
    /// Whether it means this.
    fn is_in_doubt(&self) -> bool;
}

impl MayBeInDoubt for Error {
    fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt)
    }
}

impl MayBeInDoubt for campaigns_scope::Error {
    fn is_in_doubt(&self) -> bool {
        matches!(self, Self::InDoubt(_))
    }
}

/// Implements `MayBeInDoubt` for errors that come from the scope, or mean that nothing was changed.
macro_rules! may_be_in_doubt {
    ($($error:ident),*) => { $(
        impl MayBeInDoubt for $error {
            fn is_in_doubt(&self) -> bool {
                matches!(self, Self::Scope(error) if error.is_in_doubt())
            }
        }
    )* };
}

may_be_in_doubt!(ListError, QueueError, RecordError, ReportError, StepError);
