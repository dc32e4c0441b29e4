//! Claims: their names, and how they are read.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::InvalidToken;

/// The names of the claims, and the expected issuer and audience.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    /// The claim with the organization's ID. A dot separates the names of nested objects.
    pub organization: String,
    /// The claim with the role. A dot separates the names of nested objects.
    pub role: String,
    /// The roles that are admins.
    pub admin_roles: Vec<String>,
    /// The issuer, if it is checked.
    pub issuer: Option<String>,
    /// The audience, if it is checked.
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

/// Two claims exclude each other: one is inside the other, which is not an object.
#[derive(Debug, thiserror::Error)]
#[error("the claim {0} is inside another claim that is not an object")]
pub struct ConflictingClaims(String);

/// A `NumericDate` (RFC 7519, section 2): seconds since the epoch, with or without a fraction.
pub(super) fn numeric_date(
    claims: &Value,
    name: &str,
) -> Result<Option<DateTime<Utc>>, InvalidToken> {
    match &claims[name] {
        Value::Null => Ok(None),
        value => value
            .as_i64()
            .or_else(|| {
                #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
                value.as_f64().map(|seconds| seconds.floor() as i64)
            })
            // a year within the range of clocks
            .map(|seconds| seconds.clamp(0, 253_402_300_799))
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .map(Some)
            .ok_or_else(|| InvalidToken::Claim(name.to_owned())),
    }
}

/// The claim with this name, or at the path of a dotted name.
pub(super) fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    claims
        .get(name)
        .or_else(|| name.split('.').try_fold(claims, |object, part| object.get(part)))
        .filter(|value| !value.is_null())
}

/// Puts a claim where [`claim`] finds it.
pub(super) fn put(claims: &mut Value, name: &str, value: Value) -> Result<(), ConflictingClaims> {
    let slot = name.split('.').try_fold(claims, |object, part| match object {
        Value::Null | Value::Object(_) => Some(&mut object[part]),
        _ => None,
    });
    *slot.ok_or_else(|| ConflictingClaims(name.to_owned()))? = value;
    Ok(())
}
