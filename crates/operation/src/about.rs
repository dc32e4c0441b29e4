//! The description of an operation for metrics and logs.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;

use crate::cache::CachedOperation;

/// The maximum length of a name in a log line.
const MAX_NAME: usize = 64;

/// A prepared operation, described for metrics and logs. Cloning shares it.
#[derive(Clone)]
pub struct OperationInfo {
    pub(crate) cached: Arc<CachedOperation>,
    pub(crate) cost: usize,
}

/// The type of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A query.
    Query,
    /// A mutation.
    Mutation,
    /// A subscription.
    Subscription,
}

impl Kind {
    /// The keyword of the type in a document.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Mutation => "mutation",
            Self::Subscription => "subscription",
        }
    }
}

impl OperationInfo {
    /// The operation's type.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.cached.kind {
            OperationType::Query => Kind::Query,
            OperationType::Mutation => Kind::Mutation,
            OperationType::Subscription => Kind::Subscription,
        }
    }

    /// The operation's name in the document.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.cached.name.as_deref()
    }

    /// The name, shortened for a log line.
    #[must_use]
    pub fn short_name(&self) -> Option<&str> {
        // names are ASCII
        self.name().map(|name| &name[..name.len().min(MAX_NAME)])
    }

    /// The text of the document.
    #[must_use]
    pub fn document(&self) -> &str {
        &self.cached.key.query
    }

    /// The computed cost: fields, multiplied by the requested rows.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }
}
