//! Tokens: who the caller is, for which organization, and with which role.
//!
//! **Invariants.** Only [`Verifier`] makes a [`Bearer`], from claims with a signature that is valid
//! under a key from the operator. The key decides the algorithm; the token's header is only
//! compared with it (RFC 8725, section 3.1). A [`Viewer`] is made only from a bearer: by the
//! token's own claims, or by an active membership ([`Memberships`](crate::Memberships)).

mod claims;
mod key;
mod signer;
mod verifier;

pub use claims::{ClaimRules, ConflictingClaims};
pub use key::{InvalidKey, Key, KeySet};
pub use signer::Signer;
pub use verifier::Verifier;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// How far the clocks of issuer and service may be apart, in seconds.
const LEEWAY: i64 = 30;

/// What the viewer may do: every member reads and writes, admins delete too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// May read and write.
    Member,
    /// May delete as well.
    Admin,
}

/// Somebody whose token was verified, for whichever organization.
#[derive(Clone, Debug)]
pub struct Bearer {
    subject: String,
    /// The organization and role that the token names.
    claimed: Option<(Uuid, Role)>,
    expires_at: DateTime<Utc>,
    /// All that the token says.
    claims: Arc<Value>,
}

impl Bearer {
    /// The token's subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Until when the token counts as valid: clocks differ.
    #[must_use]
    pub fn valid_until(&self) -> DateTime<Utc> {
        self.expires_at + chrono::TimeDelta::seconds(LEEWAY)
    }

    /// The viewer, where the token names an organization.
    #[must_use]
    pub fn viewer(&self) -> Option<Viewer> {
        self.claimed.map(|(organization, role)| self.within(organization, role))
    }

    /// The viewer with this role in this organization, which a membership gave.
    pub(crate) fn within(&self, organization: Uuid, role: Role) -> Viewer {
        let Self { subject, expires_at, claims, .. } = self.clone();
        Viewer { subject, organization, role, expires_at, claims }
    }
}

/// A bearer of a token within one organization.
#[derive(Clone, Debug)]
pub struct Viewer {
    subject: String,
    organization: Uuid,
    role: Role,
    expires_at: DateTime<Utc>,
    claims: Arc<Value>,
}

impl Viewer {
    /// The token's subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The id of the organization.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.organization
    }

    /// The viewer's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// All that the token says.
    pub(crate) fn claims(&self) -> &Value {
        &self.claims
    }

    /// When the token expires.
    #[must_use]
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }
}

/// Why a token is not valid. Says nothing that the bearer does not know.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// No JWT, or one that this key did not sign.
    #[error("the token is not signed with the expected key")]
    Signature,
    /// The token names a key that is not in use, or not yet.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// There is no key yet, so nothing can be said of any token.
    #[error("there are no keys to verify tokens with yet")]
    NoKeys,
    /// The token's time is over, or has not come.
    #[error("the token is expired or not valid yet")]
    Time,
    /// The issuer or the audience is another one.
    #[error("the token is from another issuer or for another audience")]
    Party,
    /// A claim is missing or has no usable value.
    #[error("the token's claim {0} is missing or invalid")]
    Claim(String),
}
