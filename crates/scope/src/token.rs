//! Tokens: who asks, for which organization, with which role.
//!
//! **Invariant.** A [`Viewer`] is made by [`Verifier::verify`] alone, from claims whose signature
//! holds under the key that the operator gave. The key decides the algorithm; what the token's
//! header says is only compared with it (RFC 8725, section 3.1).

use chrono::{DateTime, Utc};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
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

/// Somebody whose token was verified.
#[derive(Clone, Debug)]
pub struct Viewer {
    subject: String,
    organization: Uuid,
    role: Role,
    expires_at: DateTime<Utc>,
}

impl Viewer {
    /// The token's subject.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The id of the organization that the token is for.
    #[must_use]
    pub fn organization(&self) -> Uuid {
        self.organization
    }

    /// The viewer's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// When the token expires.
    #[must_use]
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.expires_at
    }

    /// Until when the token counts as valid: clocks differ.
    #[must_use]
    pub fn valid_until(&self) -> DateTime<Utc> {
        self.expires_at + chrono::TimeDelta::seconds(LEEWAY)
    }
}

/// Why a token is not valid. Says nothing that the bearer does not know.
#[derive(Debug, thiserror::Error)]
pub enum InvalidToken {
    /// No JWT, or one that this key did not sign.
    #[error("the token is not signed with the expected key")]
    Signature,
    /// The token's time is over, or has not come.
    #[error("the token is expired or not valid yet")]
    Time,
    /// The issuer or the audience is another one.
    #[error("the token is from another issuer or for another audience")]
    Party,
    /// A claim is missing or has no usable value.
    #[error("the token's claim {0} is missing or not usable")]
    Claim(String),
}

/// Two claims cannot both be: one goes into the other, which is no object.
#[derive(Debug, thiserror::Error)]
#[error("the claim {0} goes into another one, which is no object")]
pub struct ConflictingClaims(String);

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    /// An HS256 secret of less than 32 bytes (RFC 7518, section 3.2).
    #[error("the secret has {0} bytes; it needs 32 or more")]
    ShortSecret(usize),
    /// No public key in PEM that RS256, ES256 or `EdDSA` can use.
    #[error("this is no public key in PEM for RS256, ES256 or EdDSA")]
    NotPem,
}

/// A key, and with it the algorithm.
pub struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    /// A shared secret, for HS256.
    ///
    /// # Errors
    /// Where it is shorter than 32 bytes.
    pub fn secret(secret: &[u8]) -> Result<Self, InvalidKey> {
        if secret.len() < 32 {
            return Err(InvalidKey::ShortSecret(secret.len()));
        }
        Ok(Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM: RSA for RS256, P-256 for ES256, Ed25519 for `EdDSA`.
    ///
    /// # Errors
    /// Where it is none of these.
    pub fn public_pem(pem: &[u8]) -> Result<Self, InvalidKey> {
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            Ok(Self { algorithm: Algorithm::RS256, key })
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            Ok(Self { algorithm: Algorithm::ES256, key })
        } else if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            Ok(Self { algorithm: Algorithm::EdDSA, key })
        } else {
            Err(InvalidKey::NotPem)
        }
    }
}

/// Which claims say what, and which parties are expected.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    /// The claim with the organization's id; a dot goes into an object.
    pub organization: String,
    /// The claim with the role; a dot goes into an object.
    pub role: String,
    /// The roles that are admins.
    pub admin_roles: Vec<String>,
    /// The issuer, where it is checked.
    pub issuer: Option<String>,
    /// The audience, where it is checked.
    pub audience: Option<String>,
}

impl Default for ClaimRules {
    fn default() -> Self {
        Self {
            organization: "org_id".to_owned(),
            role: "role".to_owned(),
            admin_roles: vec!["admin".to_owned(), "owner".to_owned()],
            issuer: None,
            audience: None,
        }
    }
}

/// Makes viewers of tokens.
pub struct Verifier {
    key: Key,
    rules: ClaimRules,
    validation: Validation,
}

impl Verifier {
    /// A verifier with one key.
    #[must_use]
    pub fn new(key: Key, rules: ClaimRules) -> Self {
        let mut validation = Validation::new(key.algorithm);
        validation.set_required_spec_claims(&["exp", "sub"]);
        // the clock is ours
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
        Self { key, rules, validation }
    }

    /// The viewer whom the token speaks of. Whether the organization exists is for
    /// [`Database::enter`](crate::Database::enter) to see.
    ///
    /// # Errors
    /// Where the token is not valid at `now`.
    pub fn verify(&self, token: &str, now: DateTime<Utc>) -> Result<Viewer, InvalidToken> {
        use jsonwebtoken::errors::ErrorKind;
        let decoded = jsonwebtoken::decode::<Value>(token, &self.key.key, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => InvalidToken::Party,
                ErrorKind::MissingRequiredClaim(claim) => InvalidToken::Claim(claim.clone()),
                _ => InvalidToken::Signature,
            })?;
        // an extension that has to be understood, and is not (RFC 7515, section 4.1.11)
        if decoded.header.crit.is_some() {
            return Err(InvalidToken::Signature);
        }
        let claims = decoded.claims;

        let expires_at =
            numeric_date(&claims, "exp")?.ok_or_else(|| InvalidToken::Claim("exp".to_owned()))?;
        let not_before = numeric_date(&claims, "nbf")?;
        let leeway = chrono::TimeDelta::seconds(LEEWAY);
        if now > expires_at + leeway || not_before.is_some_and(|start| now < start - leeway) {
            return Err(InvalidToken::Time);
        }

        let subject = claims["sub"]
            .as_str()
            .filter(|subject| !subject.is_empty())
            .ok_or_else(|| InvalidToken::Claim("sub".to_owned()))?;
        let organization = claim(&claims, &self.rules.organization)
            .and_then(Value::as_str)
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or_else(|| InvalidToken::Claim(self.rules.organization.clone()))?;
        let role = match claim(&claims, &self.rules.role).and_then(Value::as_str) {
            Some(role) if self.rules.admin_roles.iter().any(|admin| admin == role) => Role::Admin,
            _ => Role::Member,
        };
        Ok(Viewer { subject: subject.to_owned(), organization, role, expires_at })
    }
}

/// A `NumericDate` (RFC 7519, section 2): seconds since the epoch, with or without a fraction.
fn numeric_date(claims: &Value, name: &str) -> Result<Option<DateTime<Utc>>, InvalidToken> {
    match &claims[name] {
        Value::Null => Ok(None),
        value => value
            .as_i64()
            .or_else(|| {
                #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
                value.as_f64().map(|seconds| seconds.floor() as i64)
            })
            // a year that clocks can be compared with
            .map(|seconds| seconds.clamp(0, 253_402_300_799))
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .map(Some)
            .ok_or_else(|| InvalidToken::Claim(name.to_owned())),
    }
}

/// The claim of this name, or the one that a dotted name leads to.
fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    claims
        .get(name)
        .or_else(|| name.split('.').try_fold(claims, |object, part| object.get(part)))
        .filter(|value| !value.is_null())
}

/// Issues tokens with a shared secret, for development and scripts.
pub struct Signer {
    key: EncodingKey,
    rules: ClaimRules,
}

impl Signer {
    /// A signer with the secret that [`Key::secret`] verifies with.
    ///
    /// # Errors
    /// Where the secret is shorter than 32 bytes.
    pub fn new(secret: &[u8], rules: ClaimRules) -> Result<Self, InvalidKey> {
        Key::secret(secret)?;
        Ok(Self { key: EncodingKey::from_secret(secret), rules })
    }

    /// A token that a [`Verifier`] with the same secret and rules takes until `expires_at`.
    ///
    /// # Errors
    /// Where the names of the claims go into one another.
    ///
    /// # Panics
    /// Never: claims of text and numbers always encode.
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

/// Puts a claim where [`claim`] finds it.
fn put(claims: &mut Value, name: &str, value: Value) -> Result<(), ConflictingClaims> {
    let slot = name.split('.').try_fold(claims, |object, part| match object {
        Value::Null | Value::Object(_) => Some(&mut object[part]),
        _ => None,
    });
    *slot.ok_or_else(|| ConflictingClaims(name.to_owned()))? = value;
    Ok(())
}
