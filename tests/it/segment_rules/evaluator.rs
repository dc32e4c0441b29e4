//! A simple evaluator of rules.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Number, Value as Json};

use super::people::Person;
use crate::filters::fold;

/// The fields by type, and the operators of each type, as documented.
pub(super) const TEXT: &[&str] = &[
    "first_name",
    "last_name",
    "email",
    "phone",
    "title",
    "source",
    "city",
    "state",
    "postal_code",
    "country",
    "address_line1",
    "address_line2",
    "company.name",
    "company.domain",
    "company.industry",
    "industry",
    "company.size",
    "clicked_url",
];
pub(super) const TIME: &[&str] =
    &["created_at", "updated_at", "last_sent_at", "last_opened_at", "last_clicked_at"];
pub(super) const NUMBER: &[&str] = &["sends", "opens", "clicks"];
pub(super) const BOOLEAN: &[&str] =
    &["opened", "clicked", "unsubscribed", "complained", "bounced", "suppressed"];
pub(super) const CAMPAIGN: &[&str] = &["received_campaign", "opened_campaign", "clicked_campaign"];
pub(super) const ID: &[&str] = &["owner_id", "id"];

const EQUAL: &[&str] = &["=", "!="];
const NULL: &[&str] = &["null", "notNull"];
const LISTS: &[&str] = &["in", "notIn"];
const ORDERED: &[&str] = &["<", "<=", ">", ">=", "between", "notBetween"];
const PARTS: &[&str] =
    &["contains", "beginsWith", "endsWith", "doesNotContain", "doesNotBeginWith", "doesNotEndWith"];

pub(super) fn operators(field: &str) -> Vec<&'static str> {
    let groups: &[&[&'static str]] = if TEXT.contains(&field) || field.starts_with("metadata.") {
        &[EQUAL, NULL, LISTS, ORDERED, PARTS]
    } else if TIME.contains(&field) || NUMBER.contains(&field) {
        &[EQUAL, NULL, LISTS, ORDERED]
    } else if BOOLEAN.contains(&field) {
        &[EQUAL, NULL]
    } else if CAMPAIGN.contains(&field) {
        &[EQUAL, LISTS]
    } else {
        &[EQUAL, NULL, LISTS]
    };
    groups.concat()
}

/// Whether a rule, a group or a flat object selects a person.
pub(super) fn selects(rules: &Json, person: &Person, now: DateTime<Utc>) -> bool {
    if let Some(inner) = rules.get("rules") {
        let inner: Vec<bool> = inner
            .as_array()
            .unwrap()
            .iter()
            .filter(|rule| rule.get("muted") != Some(&Json::Bool(true)))
            .map(|rule| selects(rule, person, now))
            .collect();
        let selected = inner.is_empty()
            || match rules["combinator"].as_str().unwrap() {
                "and" => inner.iter().all(|selected| *selected),
                _ => inner.iter().any(|selected| *selected),
            };
        return selected != (rules.get("not") == Some(&Json::Bool(true)));
    }
    if rules.get("field").is_none() {
        let rules = rules.as_object().unwrap();
        return rules.iter().all(|(field, value)| tests(field, "=", value, person, now));
    }
    let (field, operator) = (rules["field"].as_str().unwrap(), rules["operator"].as_str().unwrap());
    let positive = match operator {
        "!=" => "=",
        "doesNotContain" => "contains",
        "doesNotBeginWith" => "beginsWith",
        "doesNotEndWith" => "endsWith",
        "null" => "notNull",
        "notIn" => "in",
        "notBetween" => "between",
        positive => positive,
    };
    let nothing = Json::Null;
    let value = rules.get("value").unwrap_or(&nothing);
    tests(field, positive, value, person, now) == (positive == operator)
}

fn tests(field: &str, operator: &str, operand: &Json, person: &Person, now: DateTime<Utc>) -> bool {
    let mut values = person.values.get(field).cloned().unwrap_or_default();
    if let Some(path) = field.strip_prefix("metadata.") {
        let mut keys = path.split('.');
        let found = keys.try_fold(&person.metadata, |value, key| value.as_object()?.get(key));
        values = found.filter(|value| !value.is_null()).cloned().into_iter().collect();
    }
    let compare = |value: &Json, operand: &Json| {
        if TIME.contains(&field) {
            return Some(time(value, now).cmp(&time(operand, now)));
        }
        let is_number = NUMBER.contains(&field);
        match (value, operand) {
            (Json::Number(value), Json::Number(operand)) => numbers(value, operand),
            (Json::Number(value), Json::String(text)) if is_number => {
                numbers(value, &text.trim().parse().unwrap())
            }
            (Json::String(value), Json::String(operand)) => {
                Some(value.chars().cmp(operand.chars()))
            }
            (Json::Bool(value), Json::Bool(operand)) => Some(value.cmp(operand)),
            _ => None,
        }
    };
    let is = |value: &Json, operand: &Json, wanted: &[Ordering]| {
        compare(value, operand).is_some_and(|found| wanted.contains(&found))
    };
    let part = |value: &Json, test: fn(&[char], &[char]) -> bool| {
        let (Some(value), Some(operand)) = (value.as_str(), operand.as_str()) else { return false };
        test(&fold(value), &fold(operand))
    };
    values.iter().any(|value| match operator {
        "=" => is(value, operand, &[Ordering::Equal]),
        "<" => is(value, operand, &[Ordering::Less]),
        "<=" => is(value, operand, &[Ordering::Less, Ordering::Equal]),
        ">" => is(value, operand, &[Ordering::Greater]),
        ">=" => is(value, operand, &[Ordering::Greater, Ordering::Equal]),
        "notNull" => true,
        "in" => items(operand).iter().any(|item| is(value, item, &[Ordering::Equal])),
        "between" => {
            let items = items(operand);
            is(value, &items[0], &[Ordering::Greater, Ordering::Equal])
                && is(value, &items[1], &[Ordering::Less, Ordering::Equal])
        }
        "contains" => part(value, |value, part| {
            part.is_empty() || value.windows(part.len()).any(|window| window == part)
        }),
        "beginsWith" => part(value, <[char]>::starts_with),
        "endsWith" => part(value, <[char]>::ends_with),
        other => panic!("{other}"),
    })
}

fn items(operand: &Json) -> Vec<Json> {
    match operand {
        Json::Array(items) => items.clone(),
        text => {
            let items = text.as_str().unwrap().split(',').map(str::trim);
            items
                .filter(|item| !item.is_empty())
                .map(|item| Json::String(item.to_owned()))
                .collect()
        }
    }
}

fn time(value: &Json, now: DateTime<Utc>) -> DateTime<Utc> {
    let text = value.as_str().unwrap();
    if let Some(ago) = text.strip_prefix('-') {
        let (amount, unit) = ago.split_at(ago.len() - 1);
        let hours = match unit {
            "h" => 1,
            "d" => 24,
            _ => 24 * 7,
        };
        let ago = TimeDelta::hours(hours * amount.parse::<i64>().unwrap());
        return now.checked_sub_signed(ago).unwrap_or(DateTime::<Utc>::MIN_UTC);
    }
    let text = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    DateTime::parse_from_rfc3339(&text).unwrap().to_utc()
}

/// Compares numbers exactly, also an integer with a fraction.
fn numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (None, Some(_)) => numbers(b, a).map(Ordering::reverse),
        (Some(a), None) => {
            let b = b.as_f64()?;
            if b.abs() > 9e18 {
                return 0.0.partial_cmp(&b);
            }
            #[expect(clippy::cast_possible_truncation, reason = "it is within 64 bits")]
            let floor = b.floor() as i64;
            Some(a.cmp(&floor).then(0.0.partial_cmp(&b.fract().abs())?))
        }
        (None, None) => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
