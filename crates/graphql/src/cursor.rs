//! Cursors: the keys of a row and the name of the order that they belong to, as text that is opaque
//! to clients.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use campaigns_scope::{Dialect, KeyKind, KeyValue, Order};
use chrono::SecondsFormat;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// A cursor of a row with these keys, in the order with this name. A cursor of the feed includes
/// the feed's incarnation.
pub(crate) fn encode(order: &str, keys: &[KeyValue], incarnation: Option<&str>) -> String {
    let values = keys.iter().map(|key| match key {
        KeyValue::Null => Json::Null,
        KeyValue::Text(text) => json!(text),
        KeyValue::Time(time) => json!(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        KeyValue::StoredTime(text) => json!([text]),
        KeyValue::Integer(number) => json!(number),
        KeyValue::Id(id) => json!(id),
    });
    let incarnation = incarnation.map(|incarnation| json!(incarnation));
    let parts: Vec<Json> = std::iter::once(json!(order)).chain(values).chain(incarnation).collect();
    URL_SAFE_NO_PAD.encode(Json::from(parts).to_string())
}

/// The keys in a cursor, and the feed's incarnation, if included. `None` if it is not a cursor of
/// this order.
pub(crate) fn decode(
    cursor: &str,
    name: &str,
    order: &Order,
    dialect: Dialect,
) -> Option<(Vec<KeyValue>, Option<String>)> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let parts: Vec<Json> = serde_json::from_slice(&bytes).ok()?;
    let (first, values) = parts.split_first()?;
    let kinds = order.0.iter().map(|key| key.kind).chain([KeyKind::Id]);
    let (values, rest) = values.split_at_checked(order.0.len() + 1)?;
    let incarnation = match rest {
        [] => None,
        [Json::String(incarnation)] => Some(incarnation.clone()),
        _ => return None,
    };
    if first != name {
        return None;
    }
    let keys =
        kinds.zip(values).map(|(kind, value)| key(kind, value)).collect::<Option<Vec<_>>>()?;
    order.takes(&keys, dialect).then_some((keys, incarnation))
}

fn key(kind: KeyKind, value: &Json) -> Option<KeyValue> {
    if value.is_null() {
        return Some(KeyValue::Null);
    }
    // no text of a row contains it
    let text = |value: &Json| value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned);
    Some(match kind {
        KeyKind::Text | KeyKind::Enum(..) | KeyKind::Position(_) => KeyValue::Text(text(value)?),
        KeyKind::Time if value.is_array() => KeyValue::StoredTime(text(value.get(0)?)?.into()),
        KeyKind::Time => KeyValue::Time(campaigns_scope::storable_time(value.as_str()?)?),
        KeyKind::Integer => KeyValue::Integer(value.as_i64()?),
        KeyKind::Id => KeyValue::Id(Uuid::try_parse(value.as_str()?).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use campaigns_scope::{Direction, OrderKey};
    use sea_orm::sea_query::Expr;

    use super::*;

    const DB: Dialect = Dialect::Postgres;

    fn order(kind: KeyKind) -> Order {
        Order(vec![OrderKey {
            expression: Expr::val(1),
            kind,
            nullable: true,
            direction: Direction::Ascending,
        }])
    }

    #[test]
    fn a_cursor_is_read_in_its_own_order_alone() {
        let keys = [KeyValue::Text("ÆØ\"Å".to_owned()), KeyValue::Id(Uuid::from_u128(3))];
        let cursor = encode("campaign NAME ASC", &keys, None);
        let text = order(KeyKind::Text);
        let decoded = decode(&cursor, "campaign NAME ASC", &text, DB).unwrap();
        assert_eq!(decoded, (keys.to_vec(), None));
        let of_feed = encode("campaign NAME ASC", &keys, Some("x"));
        let decoded = decode(&of_feed, "campaign NAME ASC", &text, DB).unwrap();
        assert_eq!(decoded, (keys.to_vec(), Some("x".to_owned())));
        assert_eq!(decode(&cursor, "campaign NAME DESC", &text, DB), None);
        assert_eq!(decode(&cursor, "campaign NAME ASC", &order(KeyKind::Integer), DB), None);
        assert_eq!(decode("not a cursor", "campaign NAME ASC", &text, DB), None);
        assert_eq!(decode("", "campaign NAME ASC", &text, DB), None);
        assert_eq!(decode(&URL_SAFE_NO_PAD.encode("[]"), "campaign NAME ASC", &text, DB), None);
    }

    #[test]
    fn a_time_that_cannot_be_written_is_as_it_is_stored() {
        let times = order(KeyKind::Time);
        let decoded = |text: &str, dialect| {
            let keys = [KeyValue::StoredTime(text.into()), KeyValue::Id(Uuid::from_u128(3))];
            let cursor = encode("order", &keys, None);
            let decoded = decode(&cursor, "order", &times, dialect);
            decoded.map(|decoded| assert_eq!(decoded, (keys.to_vec(), None))).is_some()
        };
        for text in
            ["infinity", "-infinity", "0044-03-15 00:00:00+00 BC", "294276-12-31 00:00:00+00"]
        {
            assert!(decoded(text, Dialect::Postgres) && decoded(text, Dialect::Sqlite), "{text}");
        }
        for text in ["", "yesterday", "'; DROP TABLE campaigns", "2026-01-31 12:00"] {
            assert!(!decoded(text, Dialect::Postgres) && decoded(text, Dialect::Sqlite), "{text}");
        }
        assert!(!decoded("\0", Dialect::Sqlite));
    }

    mod of_anything {
        use campaigns_scope::storable_time;
        use proptest::prelude::*;

        use super::*;

        fn kinds() -> impl Strategy<Value = (KeyKind, KeyValue)> {
            prop_oneof![
                "[^\0]{0,20}".prop_map(|text| (KeyKind::Text, KeyValue::Text(text))),
                any::<i64>().prop_map(|number| (KeyKind::Integer, KeyValue::Integer(number))),
                (0_i64..4_000_000_000, 0_u32..1_000_000).prop_map(|(seconds, micros)| {
                    let time = chrono::DateTime::from_timestamp(seconds, micros * 1_000).unwrap();
                    let time = storable_time(&time.to_rfc3339()).unwrap();
                    (KeyKind::Time, KeyValue::Time(time))
                }),
                Just((KeyKind::Text, KeyValue::Null)),
            ]
        }

        proptest! {
            #[test]
            fn what_was_encoded_is_decoded((kind, value) in kinds(), id in any::<u128>(), feed in proptest::option::of(".{0,9}")) {
                let keys = vec![value, KeyValue::Id(Uuid::from_u128(id))];
                let cursor = encode("order", &keys, feed.as_deref());
                prop_assert_eq!(decode(&cursor, "order", &order(kind), DB), Some((keys, feed)));
            }

            #[test]
            fn anything_else_is_no_cursor_and_no_panic(text in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
                for kind in [KeyKind::Text, KeyKind::Time, KeyKind::Integer, KeyKind::Id] {
                    prop_assert!(decode(&text, "order", &order(kind), DB).is_none());
                    let encoded = URL_SAFE_NO_PAD.encode(&bytes);
                    prop_assert!(decode(&encoded, "order", &order(kind), DB).is_none());
                }
            }
        }
    }
}
