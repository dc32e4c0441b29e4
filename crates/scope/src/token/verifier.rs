//! Verifies tokens.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, errors::ErrorKind};
use serde_json::Value;
use uuid::Uuid;

use super::{
    Bearer, InvalidToken, Role, Viewer,
    claims::{ClaimRules, claim, has_role, numeric_date},
    key::{Key, KeySet},
    verified::{Verified, VerifiedTokens, check_times},
};

/// Verifies tokens, and turns them into bearers and viewers.
pub struct Verifier {
    /// The keys in use.
    keys: RwLock<Arc<Keys>>,
    rules: ClaimRules,
}

/// Keys, and the tokens that were verified with them. A key that is replaced takes its tokens along.
struct Keys {
    all: Vec<VerificationKey>,
    verified: Mutex<VerifiedTokens>,
}

/// A key with the requirements for its tokens.
struct VerificationKey {
    name: Option<String>,
    key: DecodingKey,
    validation: Validation,
}

impl Verifier {
    /// A verifier with one key.
    #[must_use]
    pub fn new(key: Key, rules: ClaimRules) -> Self {
        let only = VerificationKey::of(None, key, &rules);
        Self { keys: RwLock::new(Keys::of(vec![only])), rules }
    }

    /// A verifier without keys. Set them with [`Verifier::replace_keys`].
    #[must_use]
    pub fn without_keys(rules: ClaimRules) -> Self {
        Self { keys: RwLock::new(Keys::of(Vec::new())), rules }
    }

    /// Replaces the keys in use.
    pub fn replace_keys(&self, set: KeySet) {
        let all = set.0.into_iter().map(|(name, key)| VerificationKey::of(name, key, &self.rules));
        let keys = Keys::of(all.collect());
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Whether there is any key.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.keys().all.is_empty()
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The viewer of the token, in the organization that it names. Whether the organization exists
    /// is checked by [`Database::enter`](crate::Database::enter).
    ///
    /// # Errors
    /// If the token is not valid at `now`, or names no organization.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Viewer, InvalidToken> {
        self.bearer(token, now)?.viewer().ok_or_else(|| self.lacks_organization())
    }

    /// The error for a token that must name an organization but does not.
    #[must_use]
    pub fn lacks_organization(&self) -> InvalidToken {
        InvalidToken::Claim(self.rules.organization.clone())
    }

    /// The bearer of the token. The token does not have to name an organization.
    ///
    /// # Errors
    /// If the token is not valid at `now`.
    pub fn bearer(&self, token: &str, now: DateTime<Utc>) -> Result<Bearer, InvalidToken> {
        let keys = self.keys();
        if let Some(verified) = keys.verified().get(token) {
            return verified.bearer_at(now);
        }
        let verified = self.verified(&keys.all, token, now)?;
        let bearer = verified.bearer.clone();
        keys.verified().keep(token, verified);
        Ok(bearer)
    }

    /// The token, verified with one of these keys.
    fn verified(
        &self,
        keys: &[VerificationKey],
        token: &str,
        now: DateTime<Utc>,
    ) -> Result<Verified, InvalidToken> {
        let claims = claims_under(keys, token)?;
        let expires_at =
            numeric_date(&claims, "exp")?.ok_or_else(|| InvalidToken::Claim("exp".to_owned()))?;
        let not_before = numeric_date(&claims, "nbf")?;
        check_times(not_before, expires_at, now)?;

        let subject = claims["sub"]
            .as_str()
            .filter(|subject| !subject.is_empty())
            .ok_or_else(|| InvalidToken::Claim("sub".to_owned()))?
            .to_owned();
        let organization = match claim(&claims, &self.rules.organization) {
            None => None,
            Some(named) => {
                let id = named.as_str().and_then(|id| Uuid::try_parse(id).ok());
                Some(id.ok_or_else(|| self.lacks_organization())?)
            }
        };
        let role = match claim(&claims, &self.rules.role) {
            Some(role) if has_role(&self.rules.role, role, &self.rules.admin_roles) => Role::Admin,
            _ => Role::Member,
        };
        let claimed = organization.map(|organization| (organization, role));
        let bearer = Bearer { subject, claimed, expires_at, claims: claims.into() };
        Ok(Verified { bearer, not_before })
    }
}

impl Keys {
    fn of(all: Vec<VerificationKey>) -> Arc<Self> {
        Arc::new(Self { all, verified: Mutex::default() })
    }

    fn verified(&self) -> std::sync::MutexGuard<'_, VerifiedTokens> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The claims of a token, verified with the key that it names. If the only key or the token has no
/// name, they are verified with the only key.
fn claims_under(keys: &[VerificationKey], token: &str) -> Result<Value, InvalidToken> {
    match keys {
        [] => return Err(InvalidToken::NoKeys),
        [only] if only.name.is_none() => return only.claims(token),
        _ => {}
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| InvalidToken::Signature)?;
    if let ([only], None) = (keys, &header.kid) {
        return only.claims(token);
    }
    let Some(kid) = header.kid else { return Err(InvalidToken::Signature) };
    // keys of different types can have the same name (RFC 7517, section 4.5)
    let mut named = keys.iter().filter(|key| key.name.as_ref() == Some(&kid)).peekable();
    if named.peek().is_none() {
        return Err(InvalidToken::UnknownKey);
    }
    let mut refused = InvalidToken::Signature;
    for key in named {
        match key.claims(token) {
            Err(InvalidToken::Signature) => {}
            Err(other) => refused = other,
            claims => return claims,
        }
    }
    Err(refused)
}

impl VerificationKey {
    fn of(name: Option<String>, Key { algorithm, key }: Key, rules: &ClaimRules) -> Self {
        Self { name, key, validation: validation(algorithm, rules) }
    }

    /// The claims of a token that this key has signed.
    fn claims(&self, token: &str) -> Result<Value, InvalidToken> {
        let decoded =
            jsonwebtoken::decode::<Value>(token, &self.key, &self.validation).map_err(|error| {
                match error.kind() {
                    ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => InvalidToken::Party,
                    ErrorKind::MissingRequiredClaim(claim) => InvalidToken::Claim(claim.clone()),
                    ErrorKind::Json(_) => InvalidToken::Unreadable,
                    _ => InvalidToken::Signature,
                }
            })?;
        // a critical extension that is not supported (RFC 7515, section 4.1.11)
        if decoded.header.crit.is_some() {
            return Err(InvalidToken::Signature);
        }
        // issuers sign logout tokens, security events and proofs with the same keys (RFC 8725, section 3.11)
        if decoded.header.typ.is_some_and(|named| !is_access_token(&named))
            || claims_are_of_another_token(&decoded.claims)
        {
            return Err(InvalidToken::Type);
        }
        Ok(decoded.claims)
    }
}

/// Whether a `typ` is that of an access token (RFC 9068, section 2.1) or of any JWT (RFC 7519, section
/// 5.1). It is a media type without the optional `application/` (RFC 7515, section 4.1.9).
fn is_access_token(named: &str) -> bool {
    let named = named.to_ascii_lowercase();
    matches!(named.strip_prefix("application/").unwrap_or(&named), "jwt" | "at+jwt")
}

/// Whether claims are those of a token that is not for requests: a refresh or logout token of Keycloak,
/// which names the type in a claim, or a logout token or security event of any issuer (OpenID Connect
/// Back-Channel Logout 1.0, section 2.4; RFC 8417, section 2.2). ID tokens are accepted: the dashboard
/// sends them where access tokens are not JWTs.
fn claims_are_of_another_token(claims: &Value) -> bool {
    let named = claims["typ"].as_str().unwrap_or_default();
    let others = ["refresh", "offline", "logout"];
    others.iter().any(|other| named.eq_ignore_ascii_case(other)) || claims["events"].is_object()
}

fn validation(algorithm: Algorithm, rules: &ClaimRules) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.set_required_spec_claims(&["exp", "sub"]);
    // the clock is the service's own
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = rules.audience.is_some();
    if let Some(audience) = &rules.audience {
        validation.set_audience(&[audience]);
        validation.required_spec_claims.insert("aud".to_owned());
    }
    if let Some(issuer) = &rules.issuer {
        validation.set_issuer(&[issuer]);
        validation.required_spec_claims.insert("iss".to_owned());
    }
    validation
}
