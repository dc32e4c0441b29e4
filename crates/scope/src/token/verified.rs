//! Tokens that were verified before: clients send the same token with each request, and verifying it
//! takes a third of the time of a small one.
//!
//! **Invariant.** A kept token is valid under the same conditions as one that is verified again. Its
//! signature and its claims do not change, its times are compared with the clock for each request, and
//! it is dropped together with the keys that it was verified with. Only tokens that were valid are
//! kept, so a client without one displaces none. At most [`MOST`] tokens of [`MAX_BYTES`] are kept.

use chrono::{DateTime, Utc};
use hashlink::LruCache;
use serde_json::Value;

use super::{Bearer, InvalidToken, LEEWAY};

/// The maximum number of kept tokens. The least recently used goes first.
const MOST: usize = 1_000;
/// The maximum size of a kept token with its claims in memory, in bytes.
const MAX_BYTES: usize = 16 << 10;
/// The bytes of a node of an object in memory, however few entries it has.
const NODE: usize = 640;

/// A verified token.
pub(super) struct Verified {
    pub(super) bearer: Bearer,
    pub(super) not_before: Option<DateTime<Utc>>,
}

impl Verified {
    /// Its bearer, if it is valid at `now`.
    pub(super) fn bearer_at(&self, now: DateTime<Utc>) -> Result<Bearer, InvalidToken> {
        check_times(self.not_before, self.bearer.expires_at, now)?;
        Ok(self.bearer.clone())
    }
}

/// Fails with [`InvalidToken::Time`] if a token with these times (RFC 7519, sections 4.1.4 and 4.1.5)
/// is not valid at `now`, including the leeway.
pub(super) fn check_times(
    not_before: Option<DateTime<Utc>>,
    expires_at: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Result<(), InvalidToken> {
    let leeway = chrono::TimeDelta::seconds(LEEWAY);
    if now > expires_at + leeway || not_before.is_some_and(|start| now < start - leeway) {
        return Err(InvalidToken::Time);
    }
    Ok(())
}

/// The tokens that were verified with a set of keys.
pub(super) struct VerifiedTokens(LruCache<String, Verified>);

impl Default for VerifiedTokens {
    fn default() -> Self {
        Self(LruCache::new(MOST))
    }
}

impl VerifiedTokens {
    /// The token, if it is kept.
    pub(super) fn get(&mut self, token: &str) -> Option<&Verified> {
        self.0.get(token)
    }

    /// Keeps a token, unless it is too large.
    pub(super) fn keep(&mut self, token: &str, verified: Verified) {
        let bytes = token.len() + verified.bearer.subject.len() + held(&verified.bearer.claims);
        if bytes <= MAX_BYTES {
            self.0.insert(token.to_owned(), verified);
        }
    }
}

/// The bytes that a value takes in memory. Its depth is that of JSON that was parsed: at most 128.
fn held(value: &Value) -> usize {
    let inner = match value {
        Value::String(text) => text.capacity(),
        Value::Array(items) => items.iter().map(held).sum(),
        Value::Object(entries) => {
            let entries = entries.iter().map(|(name, value)| name.capacity() + held(value));
            NODE + entries.sum::<usize>()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    size_of::<Value>() + inner
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header};
    use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
    use serde_json::json;

    use super::{super::*, *};

    const SECRETS: [&[u8]; 3] = [
        b"the first secret, of at least 32 bytes",
        b"the second secret, of at least 32 bytes",
        b"the third secret, which is of no token",
    ];

    fn keys(secret: usize) -> KeySet {
        KeySet(vec![(None, Key::secret(SECRETS[secret]).unwrap())])
    }

    /// A token whose claims may be missing, of the wrong type, or early or late by a few seconds.
    fn token(rng: &mut StdRng) -> String {
        let mut claims = json!({ "sub": "someone", "exp": 1_000 + rng.random_range(-40..40) });
        if rng.random_bool(0.5) {
            claims["nbf"] = json!(1_000 + rng.random_range(-60..40));
        }
        if rng.random_bool(0.5) {
            claims["org_id"] = [json!(uuid::Uuid::nil()), json!("nowhere"), json!(null)]
                .choose(rng)
                .unwrap()
                .clone();
        }
        if rng.random_bool(0.1) {
            claims["sub"] = json!("");
        }
        let key = EncodingKey::from_secret(SECRETS[rng.random_range(0..2)]);
        jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
    }

    #[test]
    fn a_cached_token_is_as_valid_as_one_that_is_verified_again() {
        let mut rng = StdRng::seed_from_u64(71);
        let tokens: Vec<String> = (0..60).map(|_| token(&mut rng)).collect();
        let kept = Verifier::without_keys(ClaimRules::default());
        let (mut secret, mut valid) = (0, 0);
        kept.replace_keys(keys(secret));
        for _ in 0..20_000 {
            if rng.random_bool(0.01) {
                secret = rng.random_range(0..SECRETS.len());
                kept.replace_keys(keys(secret));
            }
            let token = tokens.choose(&mut rng).unwrap();
            let now = DateTime::from_timestamp(rng.random_range(900..1_100), 0).unwrap();
            let again = Verifier::without_keys(ClaimRules::default());
            again.replace_keys(keys(secret));
            let shown = |verifier: &Verifier| format!("{:?}", verifier.bearer(token, now));
            let (kept, again) = (shown(&kept), shown(&again));
            assert_eq!(kept, again);
            valid += usize::from(kept.starts_with("Ok"));
        }
        assert!((2_000..18_000).contains(&valid), "{valid} were valid");
    }

    fn verified(claims: Value) -> Verified {
        let expires_at = DateTime::from_timestamp(2_000, 0).unwrap();
        let bearer =
            Bearer { subject: "someone".into(), claimed: None, expires_at, claims: claims.into() };
        Verified { bearer, not_before: None }
    }

    #[test]
    fn the_number_of_cached_tokens_is_bounded() {
        let mut kept = VerifiedTokens::default();
        for number in 0..2 * MOST {
            kept.keep(&number.to_string(), verified(json!({})));
            assert!(kept.get("0").is_some(), "the first one is used again and again");
        }
        assert_eq!(kept.0.len(), MOST);
        assert!(kept.get("1").is_none() && kept.get(&format!("{}", 2 * MOST - 1)).is_some());
    }

    #[test]
    fn a_token_that_takes_too_much_memory_is_not_cached() {
        let mut kept = VerifiedTokens::default();
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!({ "": inner }));
        for (token, claims, is_kept) in [
            ("small", json!({ "roles": ["a", "b"] }), true),
            ("text", json!("x".repeat(MAX_BYTES)), false),
            ("objects", nested(100), false),
            ("few objects", nested(10), true),
            ("many items", json!(vec![0; 1_000]), false),
        ] {
            kept.keep(token, verified(claims));
            assert_eq!(kept.get(token).is_some(), is_kept, "{token}");
        }
    }
}
