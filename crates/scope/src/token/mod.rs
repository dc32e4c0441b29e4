//! Tokens: the caller, its organization and its role.
//!
//! **Invariants.** Only [`Verifier`] makes a [`Bearer`], from claims with a valid signature of a key
//! that the operator configured. The key decides the algorithm; the token's header is only compared
//! with it (RFC 8725, section 3.1). A [`Viewer`] is made only from a bearer: by the token's own
//! claims, or by an active membership ([`Memberships`](crate::Memberships)). A token that was verified
//! before is valid under the same conditions ([`verified`]).

mod claims;
mod key;
mod signer;
mod verified;
mod verifier;

pub use claims::{ClaimRules, ConflictingClaims};
pub use key::{InvalidKey, Key, KeySet};
pub use signer::Signer;
pub use verifier::Verifier;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

/// The allowed difference between the clocks of issuer and service, in seconds.
const LEEWAY: i64 = 30;

/// The role of a viewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Can read and write.
    Member,
    /// Can also delete.
    Admin,
}

/// The holder of a verified token, for any organization.
#[derive(Clone, Debug)]
pub struct Bearer {
    subject: String,
    /// The organization and role that the token names.
    claimed: Option<(Uuid, Role)>,
    expires_at: DateTime<Utc>,
    /// All claims of the token.
    claims: Arc<Value>,
}

impl Bearer {
    /// The token's subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The time until which the token counts as valid, including the leeway.
    #[must_use]
    pub fn valid_until(&self) -> DateTime<Utc> {
        self.expires_at + chrono::TimeDelta::seconds(LEEWAY)
    }

    /// The viewer, if the token names an organization.
    #[must_use]
    pub fn viewer(&self) -> Option<Viewer> {
        self.claimed.map(|(organization, role)| self.within(organization, role))
    }

    /// The viewer with this role in this organization, as given by a membership.
    pub(crate) fn within(&self, organization: Uuid, role: Role) -> Viewer {
        let Self { subject, expires_at, claims, .. } = self.clone();
        Viewer { subject, organization, role, expires_at, claims }
    }
}

/// The holder of a verified token, within one organization.
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

    /// The ID of the organization.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.organization
    }

    /// The viewer's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// All claims of the token.
    pub(crate) fn claims(&self) -> &Value {
        &self.claims
    }

    /// When the token expires.
    #[must_use]
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }
}

/// The reason why a token is not valid. It reveals nothing that the bearer does not know.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// Not a JWT, or not signed with this key.
    #[error("the token is not signed with the expected key")]
    Signature,
    /// The `typ` in its header is not that of an access token.
    #[error("the token is not an access token")]
    Type,
    /// Its header or claims are not those of a JWT (RFC 7519, section 4.1): not an object, or a
    /// registered claim has another type.
    #[error("the token cannot be read")]
    Unreadable,
    /// The token names a key that is not in use.
    #[error("the token is signed with an unknown key")]
    UnknownKey,
    /// There are no keys yet, so no token can be verified.
    #[error("the service has no keys to verify tokens with yet")]
    NoKeys,
    /// The token has expired, or is not valid yet.
    #[error("the token is expired or not valid yet")]
    Time,
    /// The issuer or the audience does not match.
    #[error("the token is from another issuer or for another audience")]
    Party,
    /// A claim is missing or invalid.
    #[error("the token's claim {0} is missing or invalid")]
    Claim(String),
}
