//! Arbitrary JSON as rules: it is accepted, or the error has the path of an invalid value.

use campaigns_segments::{FIELDS, Rules};
use proptest::prelude::*;
use serde_json::Value as Json;

/// Names of members and fields, operators and values, valid and invalid.
fn words() -> impl Strategy<Value = String> {
    let fields: Vec<String> = FIELDS.iter().map(|field| field.name.to_owned()).collect();
    prop_oneof![
        3 => prop::sample::select(fields),
        3 => prop::sample::select(vec![
            "field", "operator", "value", "rules", "combinator", "not", "and", "or", "=", "!=", "<", "in", "between",
            "contains", "null", "notNull", "disabled", "muted", "-30d", "2026-01-31", "metadata.plan", "metadata.",
        ])
        .prop_map(str::to_owned),
        1 => ".{0,10}",
    ]
}

fn anything() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        words().prop_map(Json::from),
    ];
    leaf.prop_recursive(14, 200, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::vec((words(), inner.clone()), 0..6)
                .prop_map(|members| Json::Object(members.into_iter().collect())),
            (words(), words(), inner.clone()).prop_map(|(field, operator, value)| {
                serde_json::json!({ "field": field, "operator": operator, "value": value })
            }),
            prop::collection::vec(inner, 0..6)
                .prop_map(|rules| serde_json::json!({ "combinator": "and", "rules": rules })),
        ]
    })
}

/// Whether a path leads to a value, or to a missing member of one.
fn leads(mut value: &Json, path: &str) -> bool {
    let mut rest = path;
    while !rest.is_empty() {
        // names may have dots in them
        let Json::Object(object) = value else {
            let (part, after) = rest.split_once('.').unwrap_or((rest, ""));
            let item = part.parse::<usize>().ok().and_then(|index| value.get(index));
            let Some(item) = item else { return false };
            (value, rest) = (item, after);
            continue;
        };
        let longest = object
            .iter()
            .filter(|(name, _)| rest == name.as_str() || rest.starts_with(&format!("{name}.")))
            .max_by_key(|(name, _)| name.len());
        match longest {
            Some((name, member)) => {
                (value, rest) = (member, rest[name.len()..].strip_prefix('.').unwrap_or(""));
            }
            // the last part can be the name of a missing member
            None => return !rest.contains('.'),
        }
    }
    true
}

proptest! {
    #[test]
    fn any_json_is_accepted_or_its_error_has_a_path(rules in anything()) {
        if let Err(error) = Rules::parse(&rules) {
            let path = error.path.strip_prefix("rules").map_or(error.path.as_str(), |rest| rest);
            prop_assert!(!error.message.is_empty());
            prop_assert!(leads(&rules, path.strip_prefix('.').unwrap_or(path)) || leads(&rules, &error.path), "{} {}", error.path, rules);
        }
    }
}
