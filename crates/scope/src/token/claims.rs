//! The names of claims, and their parsing.

use chrono::{DateTime, Utc};
use serde_json::Value;

use super::InvalidToken;

/// The names of the claims, and the expected issuer and audience.
#[derive(Clone, Debug)]
pub struct ClaimRules {
    /// The claim with the organization's ID. A dot separates the names of nested objects.
    pub organization: String,
    /// The claim with the role: text, a list of texts, or an object with roles as keys. A dot separates
    /// the names of nested objects.
    pub role: String,
    /// The roles of admins.
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

/// The error if one claim is inside another that is not an object.
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
            // up to the end of the year 9999
            .map(|seconds| seconds.clamp(0, 253_402_300_799))
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .map(Some)
            .ok_or_else(|| InvalidToken::Claim(name.to_owned())),
    }
}

/// The claim with this name, or at the path of a dotted name. Names on the path can contain dots, as
/// URLs do.
pub(super) fn claim<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    let object = claims.as_object()?;
    if let Some(value) = object.get(name).filter(|value| !value.is_null()) {
        return Some(value);
    }
    let mut dots = name.match_indices('.');
    dots.find_map(|(dot, _)| claim(object.get(&name[..dot])?, &name[dot + 1..]))
}

/// Whether the claim with this name contains one of these roles: as text, in a list (Keycloak, Entra
/// ID), as the `key` of an object in a list (Kinde), as a key of an object (Zitadel), as `true`
/// (Firebase), or among the scopes of `scope` or `scp`, separated by spaces (RFC 8693, section 4.2).
pub(super) fn has_role(name: &str, claim: &Value, roles: &[String]) -> bool {
    let is_one = |role: &str| roles.iter().any(|one| one == role);
    let is_scope = matches!(name.rsplit('.').next(), Some("scope" | "scp"));
    match claim {
        Value::String(scopes) if is_scope => scopes.split(' ').any(is_one),
        Value::String(role) => is_one(role),
        Value::Array(all) => all.iter().any(|role| match role {
            Value::String(role) => is_one(role),
            role => role["key"].as_str().is_some_and(is_one),
        }),
        Value::Object(object) => object.keys().any(|role| is_one(role)),
        Value::Bool(is_set) => is_one(if *is_set { "true" } else { "false" }),
        Value::Null | Value::Number(_) => false,
    }
}

/// Sets a claim where [`claim`] finds it.
pub(super) fn put(claims: &mut Value, name: &str, value: Value) -> Result<(), ConflictingClaims> {
    // a URL is one name
    let names = if name.contains("://") { vec![name] } else { name.split('.').collect() };
    let slot = names.into_iter().try_fold(claims, |object, part| match object {
        Value::Null | Value::Object(_) => Some(&mut object[part]),
        _ => None,
    });
    *slot.ok_or_else(|| ConflictingClaims(name.to_owned()))? = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_claim_is_found_by_its_name_or_at_its_path() {
        let claims = json!({
            "a": { "b": 1, "b.c": 2, "n": null },
            "a.b": { "c": { "d": 3 } },
            "https://x.example/claims": { "x-role": 4 },
            "text": "x",
        });
        for (name, value) in [
            ("a.b", Some(json!({ "c": { "d": 3 } }))),
            ("a.b.c", Some(json!(2))),
            ("a.b.c.d", Some(json!(3))),
            ("https://x.example/claims.x-role", Some(json!(4))),
            ("a.n", None),
            ("a.x", None),
            ("text.x", None),
            ("", None),
            ("a.", None),
            (".a", None),
        ] {
            assert_eq!(claim(&claims, name), value.as_ref(), "{name}");
        }
    }

    #[test]
    fn a_role_is_found_in_each_form_that_issuers_use() {
        let roles = ["admin".to_owned(), "true".to_owned()];
        for (name, claim, expected) in [
            ("role", json!("admin"), true),
            ("role", json!("billing admin"), false),
            ("roles", json!(["member", "admin"]), true),
            ("roles", json!([{ "id": "1", "key": "admin", "name": "The admin" }]), true),
            ("roles", json!([{ "id": "1", "key": "member", "name": "admin" }, 7, null]), false),
            ("roles", json!({ "admin": { "1": "x.example" } }), true),
            ("admin", json!(true), true),
            ("admin", json!(false), false),
            ("admin", json!(1), false),
            ("scope", json!("openid admin"), true),
            ("scope", json!("openid administration"), false),
            ("x.scp", json!("openid admin"), true),
            ("scp", json!(["openid", "admin"]), true),
        ] {
            assert_eq!(has_role(name, &claim, &roles), expected, "{name}: {claim}");
        }
    }

    #[test]
    fn a_claim_is_found_where_it_was_put() {
        for name in ["role", "realm.roles", "https://x.example/role", "https://x.example/a.b"] {
            let mut claims = json!({ "sub": "x" });
            put(&mut claims, name, json!("admin")).unwrap();
            assert_eq!(claim(&claims, name), Some(&json!("admin")), "{name}");
        }
    }
}
