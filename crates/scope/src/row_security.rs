//! PostgreSQL's row security, as a second protection in addition to the predicates of a scope.
//!
//! **Invariants.** With row security, every statement of a viewer's scope runs in a transaction under
//! a role that policies apply to, with the viewer's claims set as in `PostgREST`. Both end with the
//! transaction, so the next user of the connection starts without them. Work that is not for one
//! viewer runs under the service's own role. Viewers whose claims policies cannot read are refused
//! before any statement.

use std::sync::Arc;

use sea_orm::{DbBackend, Statement};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{Error, Viewer};

/// The first statement of a transaction with row security.
const ENTER: &str =
    "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true)";

/// The role and claims that policies apply to a viewer's statements.
#[derive(Clone)]
pub(crate) struct RowSecurity {
    role: Arc<str>,
    claims: Arc<str>,
}

/// The values that decide which rows a scope sees. Two scopes with equal values see the same rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Visibility {
    organization: Uuid,
    /// The claims that policies can use.
    claims: Option<Arc<str>>,
}

impl RowSecurity {
    /// The row security of a viewer.
    ///
    /// # Errors
    /// [`Error::Claims`] if PostgreSQL cannot store the viewer's claims.
    pub(crate) fn of(role: &Arc<str>, viewer: &Viewer) -> Result<Self, Error> {
        if has_nul(viewer.claims()) {
            return Err(Error::Claims("a claim contains a NUL character"));
        }
        Ok(Self { role: Arc::clone(role), claims: viewer.claims().to_string().into() })
    }

    /// The statement that sets the role and the claims for the current transaction.
    pub(crate) fn enter(&self) -> Statement {
        let values = [&*self.role, &*self.claims];
        Statement::from_sql_and_values(DbBackend::Postgres, ENTER, values.map(Into::into))
    }
}

/// Whether a string or a key in JSON contains a NUL character, which jsonb cannot store. The parser
/// rejects any other JSON that jsonb cannot store.
fn has_nul(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains('\0'),
        Json::Array(values) => values.iter().any(has_nul),
        Json::Object(object) => {
            object.iter().any(|(name, value)| name.contains('\0') || has_nul(value))
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => false,
    }
}

impl Visibility {
    pub(crate) fn of(organization: Uuid, row_security: Option<&RowSecurity>) -> Self {
        Self {
            organization,
            claims: row_security.map(|row_security| Arc::clone(&row_security.claims)),
        }
    }

    /// The organization.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.organization
    }

    /// The claims that policies can use, if row security is on.
    #[must_use]
    pub fn claims(&self) -> Option<&Arc<str>> {
        self.claims.as_ref()
    }
}
