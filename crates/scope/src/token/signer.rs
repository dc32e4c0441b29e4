//! Signs tokens, for development and scripts.

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use uuid::Uuid;

use super::{
    claims::{ClaimRules, ConflictingClaims, put},
    key::{InvalidKey, Key},
};

/// Issues tokens with a shared secret, for development and scripts.
pub struct Signer {
    key: EncodingKey,
    rules: ClaimRules,
}

impl Signer {
    /// A signer whose tokens [`Key::secret`] verifies with the same secret.
    ///
    /// # Errors
    /// If the secret is shorter than 32 bytes.
    pub fn new(secret: &[u8], rules: ClaimRules) -> Result<Self, InvalidKey> {
        Key::secret(secret)?;
        Ok(Self { key: EncodingKey::from_secret(secret), rules })
    }

    /// A token that a [`Verifier`] with the same secret and rules accepts until `expires_at`.
    ///
    /// # Errors
    /// If one claim is inside another.
    ///
    /// # Panics
    /// Never: text and numbers can always be encoded.
    pub fn sign(
        &self,
        organization: Uuid,
        role: &str,
        subject: &str,
        now: DateTime<Utc>,
        expires_at: DateTime<Utc>,
    ) -> Result<String, ConflictingClaims> {
        let mut claims = json!({
            "sub": subject,
            "iat": now.timestamp(),
            "exp": expires_at.timestamp(),
        });
        put(&mut claims, &self.rules.organization, json!(organization))?;
        put(&mut claims, &self.rules.role, json!(role))?;
        if let Some(issuer) = &self.rules.issuer {
            claims["iss"] = json!(issuer);
        }
        if let Some(audience) = &self.rules.audience {
            claims["aud"] = json!(audience);
        }
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.key);
        Ok(token.expect("an HMAC signs any claims"))
    }
}
