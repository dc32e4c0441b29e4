//! What resolvers find in their context: the scope, the viewer and the time.

use std::sync::Arc;

use async_graphql::Context;
use campaigns_scope::{Admin, Scope, Viewer};
use chrono::{DateTime, Utc};

use crate::{
    api::Rates,
    error::Error,
    limits::Limits,
    live::Live,
    outcome::{MayBeInDoubt, Outcome, Outcomes},
};

/// The time of the request, from the clock of the process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now(pub(crate) DateTime<Utc>);

/// What every resolver can get from its context.
pub(crate) trait RequestContext {
    /// The scope, which gives access to the organization's rows.
    fn scope(&self) -> &Scope;
    /// The viewer.
    fn viewer(&self) -> &Viewer;
    /// The time of the request.
    fn now(&self) -> DateTime<Utc>;
    /// The state that operations of this process share.
    fn live(&self) -> &Live;
    /// The limits of an operation.
    fn limits(&self) -> &Limits;

    /// Draws a cost that was not known before the operation ran from the organization's rate.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED`, retryable, if the rate does not allow it.
    fn charge(&self, cost: usize) -> Result<(), Error>;

    /// Runs `work`, which changes something in one transaction, and records for the response that
    /// it is committed. If the database aborts the transaction in favor of another, the work is
    /// repeated.
    ///
    /// # Errors
    /// The errors of `work`. Nothing is changed then, unless the outcome is in doubt.
    fn change<T, E, F>(
        &self,
        work: impl Fn() -> F + Send + Sync,
    ) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send,
        E: Send + MayBeInDoubt,
        F: Future<Output = Result<T, E>> + Send;

    /// Runs `work`, which changes something in one transaction and repeats it by itself if need be,
    /// and records its outcome for the response.
    ///
    /// # Errors
    /// The errors of `work`.
    fn change_once<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> impl Future<Output = Result<T, E>> + Send
    where
        T: Send,
        E: Send + MayBeInDoubt;

    /// The right to delete.
    ///
    /// # Errors
    /// FORBIDDEN if the viewer does not have it.
    fn admin(&self) -> Result<Admin<'_>, Error> {
        self.admin_to("delete")
    }

    /// The right to do something that only admins can.
    ///
    /// # Errors
    /// FORBIDDEN, with what it is, if the viewer does not have it.
    fn admin_to(&self, what: &str) -> Result<Admin<'_>, Error> {
        self.scope().admin().ok_or_else(|| Error::forbidden(what))
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

    fn charge(&self, cost: usize) -> Result<(), Error> {
        match self.data_opt::<Rates>() {
            Some(rates) if cost > 0 => rates.pass(self.scope().organization(), cost),
            _ => Ok(()),
        }
    }

    async fn change<T, E, F>(&self, work: impl Fn() -> F + Send + Sync) -> Result<T, E>
    where
        T: Send,
        E: Send + MayBeInDoubt,
        F: Future<Output = Result<T, E>> + Send,
    {
        self.change_once(self.scope().repeat(work)).await
    }

    async fn change_once<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>> + Send,
    ) -> Result<T, E>
    where
        T: Send,
        E: Send + MayBeInDoubt,
    {
        let result = work.await;
        let outcome = match &result {
            Ok(_) => Some(Outcome::Committed),
            Err(error) => error.is_in_doubt().then_some(Outcome::InDoubt),
        };
        if let Some(outcome) = outcome {
            let field = self.field();
            let outcomes: &Outcomes = self.data_unchecked();
            outcomes.record(field.alias().unwrap_or(field.name()), outcome);
            self.live().notify_changed(self.scope().organization());
        }
        result
    }
}
