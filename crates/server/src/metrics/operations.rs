//! Operations by type, name and code.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use campaigns_graphql::Code;
use campaigns_operation::Kind;
use metrics::{Counter, Histogram, SharedString};

/// The number of operation names that get their own label.
const MAX_NAMES: usize = 100;
/// Longer names are counted under [`OTHER`].
const MAX_NAME: usize = 64;
/// The label of operations without their own label.
const OTHER: &str = "other";

/// How an operation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing failed.
    Done,
    /// It failed, or a part of it: the code of the first error.
    Failed(Code),
    /// The client went away.
    Canceled,
}

impl Outcome {
    const COUNT: usize = Code::ALL.len() + 2;

    /// The value of the label `code`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "OK",
            Self::Failed(code) => code.as_str(),
            Self::Canceled => "CANCELED",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Done => 0,
            Self::Canceled => 1,
            Self::Failed(code) => {
                2 + Code::ALL.iter().position(|one| *one == code).expect("all codes are there")
            }
        }
    }
}

impl From<Option<Code>> for Outcome {
    fn from(code: Option<Code>) -> Self {
        code.map_or(Self::Done, Self::Failed)
    }
}

/// The operations of a service. Clones share them.
#[derive(Clone)]
pub(crate) struct Operations(Arc<Inner>);

struct Inner {
    named: RwLock<HashMap<Box<str>, Arc<NamedOperations>>>,
    unnamed: Arc<NamedOperations>,
    others: Arc<NamedOperations>,
    /// Operations that could not be read.
    unknown: Codes,
}

/// The operations with one name.
struct NamedOperations {
    name: SharedString,
    kinds: [OnceLock<Series>; 3],
}

struct Series {
    seconds: Histogram,
    codes: Codes,
}

/// A counter for each code, made when it is needed.
#[derive(Default)]
struct Codes([OnceLock<Counter>; Outcome::COUNT]);

/// The labels that an operation is counted under.
pub(crate) struct OperationLabels<'a> {
    pub(crate) kind: Kind,
    pub(crate) name: Option<&'a str>,
}

impl Operations {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            named: RwLock::default(),
            unnamed: NamedOperations::new(""),
            others: NamedOperations::new(OTHER),
            unknown: Codes::default(),
        }))
    }

    /// Counts a request that was refused before its operation was known.
    pub(crate) fn refused(&self, code: Code) {
        self.0.unknown.of(Outcome::Failed(code), "unknown", &"".into()).increment(1);
    }

    /// Counts an operation that has ended, and the time it took. A subscription lasts as long as
    /// its client wants, so its time is not recorded.
    pub(crate) fn ended(&self, counted: &OperationLabels<'_>, outcome: Outcome, took: Duration) {
        let of_name = self.of_name(counted.name, outcome);
        let series = of_name.series(counted.kind);
        series.codes.of(outcome, counted.kind.as_str(), &of_name.name).increment(1);
        if counted.kind != Kind::Subscription {
            series.seconds.record(took);
        }
    }

    fn of_name(&self, name: Option<&str>, outcome: Outcome) -> Arc<NamedOperations> {
        let Inner { named, unnamed, others, .. } = &*self.0;
        let Some(name) = name else { return Arc::clone(unnamed) };
        let found = {
            let named = named.read().unwrap_or_else(PoisonError::into_inner);
            let found = named.get(name).map(Arc::clone);
            match found {
                None if named.len() >= MAX_NAMES => Some(Arc::clone(others)),
                found => found,
            }
        };
        if let Some(found) = found {
            return found;
        }
        // names of invalid documents are not tracked
        let is_invalid = outcome == Outcome::Failed(Code::GraphqlValidationFailed);
        if is_invalid || name.len() > MAX_NAME {
            return Arc::clone(others);
        }
        let mut named = named.write().unwrap_or_else(PoisonError::into_inner);
        if named.len() >= MAX_NAMES && !named.contains_key(name) {
            return Arc::clone(others);
        }
        Arc::clone(named.entry(name.into()).or_insert_with(|| NamedOperations::new(name)))
    }
}

impl NamedOperations {
    fn new(name: &str) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned().into(), kinds: Default::default() })
    }

    fn series(&self, kind: Kind) -> &Series {
        self.kinds[kind as usize].get_or_init(|| {
            let name = self.name.clone();
            let seconds = match kind {
                Kind::Subscription => Histogram::noop(),
                kind => metrics::histogram!(
                    "campaigns_operation_seconds", "type" => kind.as_str(), "name" => name
                ),
            };
            Series { seconds, codes: Codes::default() }
        })
    }
}

impl Codes {
    fn of(&self, outcome: Outcome, kind: &'static str, name: &SharedString) -> &Counter {
        self.0[outcome.index()].get_or_init(|| {
            metrics::counter!(
                "campaigns_operations_total",
                "type" => kind, "name" => name.clone(), "code" => outcome.as_str()
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_distinguished_names_is_bounded() {
        let operations = Operations::new();
        let name_of =
            |name: &str, outcome| operations.of_name(Some(name), outcome).name.to_string();
        let invalid = Outcome::Failed(Code::GraphqlValidationFailed);
        assert_eq!(name_of("Wrong", invalid), OTHER);
        for number in 0..MAX_NAMES {
            let name = format!("Name{number}");
            assert_eq!(name_of(&name, Outcome::Done), name);
        }
        assert_eq!(name_of("OneMore", Outcome::Done), OTHER);
        assert_eq!(name_of("Name7", Outcome::Canceled), "Name7");
        assert_eq!(name_of(&"x".repeat(MAX_NAME + 1), Outcome::Done), OTHER);
        assert_eq!(operations.of_name(None, Outcome::Done).name.as_ref(), "");
    }
}
