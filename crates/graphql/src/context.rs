//! What a resolver finds in its context: the scope, the viewer, the time.

use std::sync::Arc;

use async_graphql::Context;
use campaigns_feed::Feed;
use campaigns_scope::{Admin, Scope, Viewer};
use chrono::{DateTime, Utc};

use crate::error::Error;

/// The time of the request, as the clock of the process says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now(pub(crate) DateTime<Utc>);

/// What every resolver may ask its context for.
pub(crate) trait RequestContext {
    /// The door to the organization's rows.
    fn scope(&self) -> &Scope;
    /// Who asks.
    fn viewer(&self) -> &Viewer;
    /// When the request came.
    fn now(&self) -> DateTime<Utc>;
    /// The feed of this process.
    fn feed(&self) -> &Feed;

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

    fn feed(&self) -> &Feed {
        self.data_unchecked()
    }
}
