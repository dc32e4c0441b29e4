//! The second wall: PostgreSQL's row security, in addition to the predicates of a scope.
//!
//! **Invariants.** Behind the wall, every statement of a viewer's scope runs in a transaction under
//! a role that policies apply to, with the viewer's claims set as in `PostgREST`. Both end with the
//! transaction, so the next user of the connection starts without them. Work that is not for one
//! viewer stays under the service's own role. A viewer whose claims policies cannot read has no wall,
//! and is refused before anything is asked.

use std::sync::Arc;

use sea_orm::{DbBackend, Statement};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{Error, Viewer};

/// The start of a transaction behind the wall.
const ENTER: &str =
    "SELECT set_config('role', $1, true), set_config('request.jwt.claims', $2, true)";

/// A viewer's side of the wall.
#[derive(Clone)]
pub(crate) struct Wall {
    role: Arc<str>,
    claims: Arc<str>,
}

/// What decides which rows a scope sees: two scopes with equal values see the same rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Visibility {
    organization: Uuid,
    /// The claims that policies can use.
    claims: Option<Arc<str>>,
}

impl Wall {
    /// The wall of a viewer.
    ///
    /// # Errors
    /// [`Error::Claims`] if PostgreSQL cannot store the viewer's claims.
    pub(crate) fn of(role: &Arc<str>, viewer: &Viewer) -> Result<Self, Error> {
        if has_nul(viewer.claims()) {
            return Err(Error::Claims("a claim contains a NUL character"));
        }
        Ok(Self { role: Arc::clone(role), claims: viewer.claims().to_string().into() })
    }

    /// Puts the transaction behind the wall.
    pub(crate) fn enter(&self) -> Statement {
        let values = [&*self.role, &*self.claims];
        Statement::from_sql_and_values(DbBackend::Postgres, ENTER, values.map(Into::into))
    }
}

/// Whether a text or a name in JSON contains the one character that jsonb cannot store. Other JSON
/// that it cannot store is not parsed.
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
    pub(crate) fn of(organization: Uuid, wall: Option<&Wall>) -> Self {
        Self { organization, claims: wall.map(|wall| Arc::clone(&wall.claims)) }
    }

    /// The organization.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.organization
    }

    /// The claims that policies can use, if they matter.
    #[must_use]
    pub fn claims(&self) -> Option<&Arc<str>> {
        self.claims.as_ref()
    }
}
