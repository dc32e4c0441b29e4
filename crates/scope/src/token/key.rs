//! Keys that verify tokens: a single key, or a set of named keys.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk},
};
use serde::Deserialize;
use serde_json::Value;

/// The maximum number of keys of a set.
const MAX_KEYS: usize = 100;
/// The shortest modulus of an RSA key, 2,048 bits in base64url (RFC 7518, section 3.3).
const MIN_MODULUS: usize = 342;

/// The algorithms of an RSA key. The first one is the default.
const OF_RSA: &[Algorithm] = &[
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];

/// The reason why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    /// An HS256 secret of less than 32 bytes (RFC 7518, section 3.2).
    #[error("the secret has {0} bytes; it needs at least 32")]
    ShortSecret(usize),
    /// A private key, which the service must not have.
    #[error("this is a private key; give the public key that belongs to it")]
    Private,
    /// Not a PEM public key for RS256, ES256, ES384 or `EdDSA`.
    #[error("this is not a PEM public key for RS256, ES256, ES384 or EdDSA")]
    NotPem,
    /// Not a key set (RFC 7517, section 5).
    #[error("this is not a JSON Web Key Set: {0}")]
    NotSet(#[source] serde_json::Error),
    /// A key set without a key that can verify tokens.
    #[error("the key set has no key that can verify tokens")]
    EmptySet,
}

/// A key with its algorithm.
pub struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Key {
    /// A shared secret, for HS256.
    ///
    /// # Errors
    /// If it is shorter than 32 bytes.
    pub fn secret(secret: &[u8]) -> Result<Self, InvalidKey> {
        if secret.len() < 32 {
            return Err(InvalidKey::ShortSecret(secret.len()));
        }
        Ok(Self { algorithm: Algorithm::HS256, key: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM: RSA for RS256, P-256 for ES256, P-384 for ES384, Ed25519 for `EdDSA`.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn public_pem(pem: &[u8]) -> Result<Self, InvalidKey> {
        if String::from_utf8_lossy(pem).contains("PRIVATE KEY-----") {
            return Err(InvalidKey::Private);
        }
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            Ok(Self { algorithm: Algorithm::RS256, key })
        } else if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            let algorithm = of_curve(&key).ok_or(InvalidKey::NotPem)?;
            Ok(Self { algorithm, key })
        } else if let Ok(key) = DecodingKey::from_ed_pem(pem) {
            Ok(Self { algorithm: Algorithm::EdDSA, key })
        } else {
            Err(InvalidKey::NotPem)
        }
    }

    /// A key of a set, or `None` if it has another purpose or an unknown type.
    fn of_set(jwk: &Entry) -> Option<Self> {
        let is_for_signatures = jwk.r#use.as_deref().is_none_or(|purpose| purpose == "sig")
            && jwk.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        if !is_for_signatures {
            return None;
        }
        let (algorithms, key): (&[Algorithm], _) = match (&*jwk.kty, jwk.crv.as_deref()) {
            ("RSA", _) => {
                let (modulus, exponent) = (jwk.n.as_deref()?, jwk.e.as_deref()?);
                if modulus.len() < MIN_MODULUS {
                    return None;
                }
                (OF_RSA, DecodingKey::from_rsa_components(modulus, exponent))
            }
            ("EC", Some("P-256")) => (&[Algorithm::ES256], jwk.elliptic(43)?),
            ("EC", Some("P-384")) => (&[Algorithm::ES384], jwk.elliptic(64)?),
            ("OKP", Some("Ed25519")) => {
                let x = jwk.x.as_deref().filter(|x| x.len() == 43)?;
                (&[Algorithm::EdDSA], DecodingKey::from_ed_components(x))
            }
            _ => return None,
        };
        let algorithm = match jwk.alg.as_deref() {
            None => algorithms[0],
            // RFC 9864 gives the curve its own name
            Some("Ed25519") if algorithms == [Algorithm::EdDSA] => Algorithm::EdDSA,
            Some(name) => {
                let named: Algorithm = name.parse().ok()?;
                *algorithms.iter().find(|one| **one == named)?
            }
        };
        Some(Self { algorithm, key: key.ok()? })
    }
}

/// The algorithm of an elliptic key.
fn of_curve(key: &DecodingKey) -> Option<Algorithm> {
    let AlgorithmParameters::EllipticCurve(of) = Jwk::from_decoding_key(key, None).ok()?.algorithm
    else {
        return None;
    };
    match of.curve {
        EllipticCurve::P256 => Some(Algorithm::ES256),
        EllipticCurve::P384 => Some(Algorithm::ES384),
        _ => None,
    }
}

/// A key in a set (RFC 7517, section 4; RFC 7518, section 6).
#[derive(Deserialize)]
struct Entry {
    kty: String,
    kid: Option<String>,
    r#use: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Entry {
    /// A point with coordinates of this many characters of base64url.
    fn elliptic(&self, length: usize) -> Option<jsonwebtoken::errors::Result<DecodingKey>> {
        let (x, y) = (self.x.as_deref()?, self.y.as_deref()?);
        let is_whole = x.len() == length && y.len() == length;
        is_whole.then(|| DecodingKey::from_ec_components(x, y))
    }
}

/// Public keys with their names.
pub struct KeySet(pub(super) Vec<(Option<String>, Key)>);

impl KeySet {
    /// The keys of a JSON Web Key Set that can verify tokens: RSA, P-256, P-384 and Ed25519. Keys
    /// for encryption, of another type, or for an algorithm that does not fit are left out.
    ///
    /// # Errors
    /// If this is not a key set, or no key remains.
    pub fn parse(text: &[u8]) -> Result<Self, InvalidKey> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let set: Set = serde_json::from_slice(text).map_err(InvalidKey::NotSet)?;
        let keys: Vec<_> = set
            .keys
            .into_iter()
            .filter_map(|jwk| serde_json::from_value::<Entry>(jwk).ok())
            .filter_map(|jwk| Key::of_set(&jwk).map(|key| (jwk.kid, key)))
            .take(MAX_KEYS)
            .collect();
        if keys.is_empty() { Err(InvalidKey::EmptySet) } else { Ok(Self(keys)) }
    }
}
