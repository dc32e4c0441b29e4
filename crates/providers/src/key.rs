//! Keys of webhooks: validated when they are configured, and parsed once.

use std::fmt;

use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Digest, SHA256, digest},
    hmac,
    signature::{
        ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey,
        RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, VerificationAlgorithm,
    },
};
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use x509_parser::{
    oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION},
    prelude::FromDer,
    x509::SubjectPublicKeyInfo,
};

use crate::{Provider, bounds::MAX_KEY, key_error::KeyError};

/// What the keys of a provider are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// It has none: Amazon signs with certificates.
    None,
    /// A public key on the curve P-256, for ECDSA.
    P256,
    /// An RSA public key.
    Rsa,
    /// A secret for HMAC with SHA-256.
    HmacSha256,
    /// A secret for HMAC with SHA-1.
    HmacSha1,
    /// A secret or a public key of the Standard Webhooks specification.
    StandardWebhooks,
    /// The credentials that the header `Authorization` must carry.
    Authorization,
}

/// A key of a webhook.
pub struct Key {
    material: Material,
    hint: String,
}

enum Material {
    Public(Box<ParsedPublicKey>),
    Hmac(Box<hmac::Key>),
    Basic(Digest),
    Bearer(Digest),
}

/// The credentials of a request.
pub(crate) enum Credentials<'a> {
    /// `user:password`.
    Basic(Vec<u8>),
    /// A token.
    Token(&'a str),
}

/// Base64 as people copy it, with or without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The least number of characters of a secret. The shortest that a provider generates, Mandrill's, has 22.
const SHORTEST_SECRET: usize = 8;

impl Key {
    /// Parses a key of the provider.
    ///
    /// # Errors
    /// See [`KeyError`].
    pub fn parse(provider: Provider, text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(KeyError::Blank);
        }
        if text.len() > MAX_KEY {
            return Err(KeyError::Long);
        }
        let material = match provider.facts().keys {
            KeyKind::None => return Err(KeyError::NotAllowed),
            KeyKind::P256 => p256(text)?,
            KeyKind::Rsa => rsa(text)?,
            KeyKind::HmacSha256 => secret(text, hmac::HMAC_SHA256)?,
            KeyKind::HmacSha1 => secret(text, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)?,
            KeyKind::StandardWebhooks => standard_webhooks(text)?,
            KeyKind::Authorization => authorization(text)?,
        };
        let hint = hint(&material, text);
        Ok(Self { material, hint })
    }

    /// The end of the key, or the user: enough to recognize the key, and no help in guessing it.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// Whether this key signed the parts, one after the other.
    pub(crate) fn signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        match &self.material {
            Material::Public(key) => key.verify_sig(&parts.concat(), signature).is_ok(),
            Material::Hmac(key) => {
                let mut context = hmac::Context::with_key(key);
                for part in parts {
                    context.update(part);
                }
                verify_slices_are_equal(context.sign().as_ref(), signature).is_ok()
            }
            Material::Basic(_) | Material::Bearer(_) => false,
        }
    }

    /// Whether this key is a public one, which verifies other signatures than a secret.
    pub(crate) fn is_public(&self) -> bool {
        matches!(self.material, Material::Public(_))
    }

    /// Whether these are the credentials.
    pub(crate) fn accepts(&self, credentials: &Credentials<'_>) -> bool {
        match (&self.material, credentials) {
            (Material::Basic(expected), Credentials::Basic(text)) => is_digest_of(expected, text),
            (Material::Bearer(expected), Credentials::Token(token)) => {
                is_digest_of(expected, token.as_bytes())
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "Key({})", self.hint)
    }
}

/// Compares digests, so that the time does not depend on the length either.
fn is_digest_of(expected: &Digest, text: &[u8]) -> bool {
    verify_slices_are_equal(expected.as_ref(), digest(&SHA256, text).as_ref()).is_ok()
}

/// See [`Key::hint`]. A short secret shows nothing.
fn hint(material: &Material, text: &str) -> String {
    if let Material::Basic(_) = material {
        let user = text.split(':').next().unwrap_or_default();
        return format!("{}:…", crate::bounds::cut(user, 32));
    }
    let visible: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let visible = visible.trim_end_matches('=');
    let shown = if visible.len() >= 16 { 4 } else { 0 };
    let end: String = visible.chars().skip(visible.chars().count() - shown).collect();
    format!("…{end}")
}

fn p256(text: &str) -> Result<Material, KeyError> {
    let der = public_key(text)?;
    let (_, key) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| KeyError::NotPublicKey)?;
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    if key.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY || curve != Some(OID_EC_P256) {
        return Err(KeyError::NotP256);
    }
    public(&ECDSA_P256_SHA256_ASN1, &der, KeyError::NotOnCurve)
}

fn rsa(text: &str) -> Result<Material, KeyError> {
    let der = public_key(text)?;
    let (_, key) = SubjectPublicKeyInfo::from_der(&der).map_err(|_| KeyError::NotPublicKey)?;
    if key.algorithm.algorithm != OID_PKCS1_RSAENCRYPTION {
        return Err(KeyError::NotRsa);
    }
    // Postal's installer makes keys of 1,024 bits
    let bits = match key.parsed() {
        Ok(x509_parser::public_key::PublicKey::RSA(key)) => key.key_size(),
        _ => return Err(KeyError::NotPublicKey),
    };
    if !(1_024..=8_192).contains(&bits) {
        return Err(KeyError::RsaSize);
    }
    public(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, &der, KeyError::NotPublicKey)
}

fn public(
    algorithm: &'static dyn VerificationAlgorithm,
    der: &[u8],
    error: KeyError,
) -> Result<Material, KeyError> {
    let key = ParsedPublicKey::new(algorithm, der).map_err(|_| error)?;
    Ok(Material::Public(Box::new(key)))
}

/// The DER of a public key in PEM or base64.
fn public_key(text: &str) -> Result<Vec<u8>, KeyError> {
    if text.contains("PRIVATE KEY-----") {
        return Err(KeyError::Private);
    }
    let is_armor = |line: &&str| line.trim_start().starts_with("-----");
    if text.lines().any(|line| is_armor(&line)) && !text.contains("-----BEGIN PUBLIC KEY-----") {
        return Err(KeyError::NotPublicKey);
    }
    let encoded: String = text
        .lines()
        .filter(|line| !is_armor(line))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .collect();
    LENIENT.decode(encoded).map_err(|_| KeyError::NotBase64)
}

fn secret(text: &str, algorithm: hmac::Algorithm) -> Result<Material, KeyError> {
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(KeyError::NotASecret);
    }
    if text.len() < SHORTEST_SECRET {
        return Err(KeyError::Short(SHORTEST_SECRET));
    }
    Ok(Material::Hmac(Box::new(hmac::Key::new(algorithm, text.as_bytes()))))
}

/// A key of the Standard Webhooks specification. The prefix of a secret is optional, as in Svix's libraries.
fn standard_webhooks(text: &str) -> Result<Material, KeyError> {
    if text.starts_with("whsk_") {
        return Err(KeyError::PrivateWebhookKey);
    }
    let decode = |text: &str| LENIENT.decode(text).map_err(|_| KeyError::NotBase64);
    if let Some(key) = text.strip_prefix("whpk_") {
        return public(&ED25519, &decode(key)?, KeyError::NotPublicKey);
    }
    let secret = decode(text.strip_prefix("whsec_").unwrap_or(text))?;
    if !(16..=128).contains(&secret.len()) {
        return Err(KeyError::SecretSize);
    }
    Ok(Material::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, &secret))))
}

/// Credentials: a user and a password if there is a colon (RFC 7617), or else a token (RFC 6750).
fn authorization(text: &str) -> Result<Material, KeyError> {
    let first = text.split(' ').next().unwrap_or_default();
    if first != text
        && (first.eq_ignore_ascii_case("basic") || first.eq_ignore_ascii_case("bearer"))
    {
        return Err(KeyError::WithScheme);
    }
    let expected = digest(&SHA256, text.as_bytes());
    match text.split_once(':') {
        Some((user, password)) if user.is_empty() || password.is_empty() => {
            Err(KeyError::HalfCredentials)
        }
        Some(_) if text.chars().any(char::is_control) => Err(KeyError::NotASecret),
        Some(_) => Ok(Material::Basic(expected)),
        None if !text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)) =>
        {
            Err(KeyError::NotAToken)
        }
        None if text.len() < SHORTEST_SECRET => Err(KeyError::Short(SHORTEST_SECRET)),
        None => Ok(Material::Bearer(expected)),
    }
}
