//! What resolvers find in their context: the scope, the viewer and the time.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_graphql::Context;
use campaigns_scope::{Admin, Scope, Viewer};
use chrono::{DateTime, Utc};

use crate::{error::Error, limits::Limits, live::Live};

/// The time of the request, as the clock of the process says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now(pub(crate) DateTime<Utc>);

/// What became of the changes that each root field of a mutation makes, by its response key.
/// Fields that are not in it have changed nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcomes(Arc<Mutex<HashMap<String, Outcome>>>);

/// What became of changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// They are stored.
    Committed,
    /// They may be stored or not: the connection was lost during the commit.
    InDoubt,
}

impl Outcomes {
    fn note(&self, field: &str, outcome: Outcome) {
        let mut outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        outcomes.insert(field.to_owned(), outcome);
    }

    /// What became of the changes of a field; of any field where none is named.
    pub(crate) fn of(&self, field: Option<&str>) -> Option<Outcome> {
        let outcomes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match field {
            Some(field) => outcomes.get(field).copied(),
            None => outcomes.values().next().copied(),
        }
    }
}

/// What every resolver may ask its context for.
pub(crate) trait RequestContext {
    /// The door to the organization's rows.
    fn scope(&self) -> &Scope;
    /// Who asks.
    fn viewer(&self) -> &Viewer;
    /// When the request came.
    fn now(&self) -> DateTime<Utc>;
    /// What operations of this process share.
    fn live(&self) -> &Live;
    /// What an operation may come to.
    fn limits(&self) -> &Limits;

    /// Does `work`, which changes something in one transaction, and notes for the response that it
    /// is committed. Where the database ends the transaction for the sake of another, the work is
    /// done again.
    ///
    /// # Errors
    /// Those of `work`; then nothing is changed, unless the outcome is in doubt.
    fn change<T, E, F>(
        &self,
        work: impl Fn() -> F + Send + Sync,
    ) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send,
        E: Send + MayBeInDoubt,
        F: Future<Output = Result<T, E>> + Send;

    /// Notes for the response what became of work that changes something in one transaction.
    ///
    /// # Errors
    /// Those of `work`.
    fn changed<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send,
        E: Send + MayBeInDoubt;

    /// The right to delete.
    ///
    /// # Errors
    /// FORBIDDEN where the viewer has it not.
    fn admin(&self) -> Result<Admin<'_>, Error> {
        self.scope().admin().ok_or_else(Error::forbidden)
    }
}

impl RequestContext for Context<'_> {
    fn scope(&self) -> &Scope {
        self.data_unchecked::<Arc<Scope>>()
    }

    fn viewer(&self) -> &Viewer {
        self.data_unchecked()
    }

    fn now(&self) -> DateTime<Utc> {
        self.data_unchecked::<Now>().0
    }

    fn live(&self) -> &Live {
        self.data_unchecked()
    }

    fn limits(&self) -> &Limits {
        self.data_unchecked()
    }

    async fn change<T, E, F>(&self, work: impl Fn() -> F + Send + Sync) -> Result<T, E>
    where
        T: Send,
        E: Send + MayBeInDoubt,
        F: Future<Output = Result<T, E>> + Send,
    {
        self.changed(self.scope().repeat(work)).await
    }

    async fn changed<T, E>(&self, work: impl Future<Output = Result<T, E>> + Send) -> Result<T, E>
    where
        T: Send,
        E: Send + MayBeInDoubt,
    {
        let changed = work.await;
        let outcome = match &changed {
            Ok(_) => Some(Outcome::Committed),
            Err(error) => error.is_in_doubt().then_some(Outcome::InDoubt),
        };
        if let Some(outcome) = outcome {
            let field = self.field();
            let outcomes: &Outcomes = self.data_unchecked();
            outcomes.note(field.alias().unwrap_or(field.name()), outcome);
            self.live().has_changed(self.scope().organization());
        }
        changed
    }
}

/// An error that can mean that it is not known whether something was committed.
pub(crate) trait MayBeInDoubt {
    /// Whether it means that.
    fn is_in_doubt(&self) -> bool;
}
