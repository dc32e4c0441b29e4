//! Cursors: the keys of a row and the name of the order that they belong to, as text that is opaque
//! to clients.
//!
//! A cursor of an event is sealed: it contains the event's position and its key, which are shared
//! by all organizations. Clients still hold unsealed cursors of earlier versions, which anyone
//! could forge. These are read as well.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use campaigns_scope::{CursorKey, Dialect, KeyKind, KeyValue, Order, Place};
use chrono::SecondsFormat;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// The maximum number of bytes of a cursor: one of the longest text that can be stored has up to
/// 131,000, if each of its characters is escaped.
pub(crate) const MAX_CURSOR: usize = 256 * 1024;

/// The first byte of a sealed cursor. One that is not sealed starts with `[`.
const SEALED: u8 = 1;

/// The content of a cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The keys of the row.
    pub(crate) keys: Vec<KeyValue>,
    /// The incarnation of the feed, in a cursor of the feed.
    pub(crate) incarnation: Option<String>,
    /// Whether only the service can have made it.
    pub(crate) is_sealed: bool,
}

impl Cursor {
    /// The place in the feed, if its order starts with the feed's position.
    pub(crate) fn place(&self) -> Option<Place> {
        match (self.keys.first(), self.keys.last()) {
            (Some(KeyValue::Integer(position)), Some(KeyValue::Id(id))) => Some(Place {
                position: *position,
                id: *id,
                incarnation: self.incarnation.as_deref().unwrap_or_default().into(),
                is_authentic: self.is_sealed,
            }),
            _ => None,
        }
    }
}

/// A cursor of a row with these keys, in the order with this name. A cursor of the feed includes
/// the feed's incarnation.
pub(crate) fn encode(order: &str, keys: &[KeyValue], incarnation: Option<&str>) -> String {
    let values = std::iter::once(json!(order)).chain(keys.iter().map(value));
    let parts: Vec<Json> =
        values.chain(incarnation.map(|incarnation| json!(incarnation))).collect();
    URL_SAFE_NO_PAD.encode(Json::from(parts).to_string())
}

/// The same as [`encode`], sealed.
pub(crate) fn seal(
    key: &CursorKey,
    order: &str,
    keys: &[KeyValue],
    incarnation: Option<&str>,
) -> String {
    // pad numbers, since the length of a sealed cursor is visible
    let values = keys.iter().map(|key| match key {
        KeyValue::Integer(number) => json!(format!("{number:020}")),
        key => value(key),
    });
    let parts: Vec<Json> =
        values.chain(incarnation.map(|incarnation| json!(incarnation))).collect();
    let mut bytes = vec![SEALED];
    bytes.extend(key.seal(order, Json::from(parts).to_string().into_bytes()));
    URL_SAFE_NO_PAD.encode(bytes)
}

fn value(key: &KeyValue) -> Json {
    match key {
        KeyValue::Null => Json::Null,
        KeyValue::Text(text) => json!(text),
        KeyValue::StoredText(bytes) => json!([URL_SAFE_NO_PAD.encode(bytes)]),
        KeyValue::Time(time) => json!(time.to_rfc3339_opts(SecondsFormat::AutoSi, true)),
        KeyValue::StoredTime(text) => json!([text]),
        KeyValue::Integer(number) => json!(number),
        KeyValue::Id(id) => json!(id),
    }
}

/// The content of a cursor. `None` if it is not a cursor of this order, or was sealed with another
/// key.
pub(crate) fn decode(
    cursor: &str,
    key: Option<&CursorKey>,
    name: &str,
    order: &Order,
    dialect: Dialect,
) -> Option<Cursor> {
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let is_sealed = bytes.first() == Some(&SEALED);
    if is_sealed {
        bytes = key?.open(name, bytes.split_off(1))?;
    }
    let mut values: Vec<Json> = serde_json::from_slice(&bytes).ok()?;
    if !is_sealed {
        if *values.first()? != name {
            return None;
        }
        values.remove(0);
    }
    let kinds = order.0.iter().map(|key| key.kind).chain([KeyKind::Id]);
    let (values, rest) = values.split_at_checked(order.0.len() + 1)?;
    let incarnation = match rest {
        [] => None,
        [Json::String(incarnation)] => Some(incarnation.clone()),
        _ => return None,
    };
    let keys = kinds
        .zip(values)
        .map(|(kind, value)| match (kind, value) {
            (KeyKind::Integer, Json::String(number)) if is_sealed => {
                number.parse().ok().map(KeyValue::Integer)
            }
            _ => self::key(kind, value),
        })
        .collect::<Option<Vec<_>>>()?;
    order.takes(&keys, dialect).then_some(Cursor { keys, incarnation, is_sealed })
}

fn key(kind: KeyKind, value: &Json) -> Option<KeyValue> {
    if value.is_null() {
        return Some(KeyValue::Null);
    }
    // text with NUL is encoded as bytes
    let text = |value: &Json| value.as_str().filter(|text| !text.contains('\0')).map(str::to_owned);
    Some(match kind {
        KeyKind::Text if value.is_array() => {
            let bytes = URL_SAFE_NO_PAD.decode(value.get(0)?.as_str()?).ok()?;
            KeyValue::StoredText(bytes.into())
        }
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

    fn plain(keys: &[KeyValue], incarnation: Option<&str>) -> Cursor {
        let incarnation = incarnation.map(str::to_owned);
        Cursor { keys: keys.to_vec(), incarnation, is_sealed: false }
    }

    fn cursor_key(byte: u8) -> CursorKey {
        CursorKey::new(&[byte; 32]).unwrap()
    }

    #[test]
    fn a_cursor_is_read_only_in_its_own_order() {
        let keys = [KeyValue::Text("ÆØ\"Å".to_owned()), KeyValue::Id(Uuid::from_u128(3))];
        let cursor = encode("campaign NAME ASC", &keys, None);
        let text = order(KeyKind::Text);
        let decode =
            |cursor: &str, name: &str, order: &Order| decode(cursor, None, name, order, DB);
        assert_eq!(decode(&cursor, "campaign NAME ASC", &text), Some(plain(&keys, None)));
        let of_feed = encode("campaign NAME ASC", &keys, Some("x"));
        assert_eq!(decode(&of_feed, "campaign NAME ASC", &text), Some(plain(&keys, Some("x"))));
        assert_eq!(decode(&cursor, "campaign NAME DESC", &text), None);
        assert_eq!(decode(&cursor, "campaign NAME ASC", &order(KeyKind::Integer)), None);
        assert_eq!(decode("not a cursor", "campaign NAME ASC", &text), None);
        assert_eq!(decode("", "campaign NAME ASC", &text), None);
        assert_eq!(decode(&URL_SAFE_NO_PAD.encode("[]"), "campaign NAME ASC", &text), None);
    }

    #[test]
    fn a_time_without_an_rfc_3339_form_is_encoded_as_it_is_stored() {
        let times = order(KeyKind::Time);
        let decoded = |text: &str, dialect| {
            let keys = [KeyValue::StoredTime(text.into()), KeyValue::Id(Uuid::from_u128(3))];
            let cursor = encode("order", &keys, None);
            let decoded = decode(&cursor, None, "order", &times, dialect);
            decoded.map(|decoded| assert_eq!(decoded, plain(&keys, None))).is_some()
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

    #[test]
    fn text_that_is_not_utf_8_is_encoded_as_it_is_stored() {
        let texts = order(KeyKind::Text);
        for bytes in [&b"a\xff"[..], b"\0", b"\xef\xbf\xbd", b""] {
            let keys = [KeyValue::StoredText(bytes.into()), KeyValue::Id(Uuid::from_u128(3))];
            let cursor = encode("order", &keys, None);
            let decoded = |dialect| decode(&cursor, None, "order", &texts, dialect);
            assert_eq!(decoded(Dialect::Sqlite), Some(plain(&keys, None)));
            assert_eq!(decoded(Dialect::Postgres), None);
        }
    }

    #[test]
    fn a_sealed_cursor_reveals_nothing_even_by_its_length() {
        let key = cursor_key(1);
        let keys = |position| [KeyValue::Integer(position), KeyValue::Id(Uuid::from_u128(3))];
        let sealed = |position| seal(&key, "a event Feed+", &keys(position), Some("0123abcd"));
        assert_eq!(sealed(5), sealed(5));
        assert_eq!(sealed(5).len(), sealed(1 << 60).len());
        let bytes = URL_SAFE_NO_PAD.decode(sealed(5)).unwrap();
        for known in ["event", "0123abcd", "00000003"] {
            assert!(!String::from_utf8_lossy(&bytes).contains(known));
        }
        let numbers = order(KeyKind::Integer);
        let read =
            |key: Option<&CursorKey>, name: &str| decode(&sealed(5), key, name, &numbers, DB);
        let whole = Cursor {
            keys: keys(5).to_vec(),
            incarnation: Some("0123abcd".to_owned()),
            is_sealed: true,
        };
        assert_eq!(read(Some(&key), "a event Feed+"), Some(whole));
        assert_eq!(read(Some(&key), "b event Feed+"), None);
        assert_eq!(read(Some(&cursor_key(2)), "a event Feed+"), None);
        assert_eq!(read(None, "a event Feed+"), None);
    }

    mod properties {
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
            fn an_encoded_cursor_is_decoded((kind, value) in kinds(), id in any::<u128>(), feed in proptest::option::of(".{0,9}")) {
                let keys = vec![value, KeyValue::Id(Uuid::from_u128(id))];
                let key = cursor_key(1);
                let cursor = encode("order", &keys, feed.as_deref());
                let content = Cursor { keys, incarnation: feed, is_sealed: false };
                prop_assert_eq!(decode(&cursor, Some(&key), "order", &order(kind), DB), Some(content.clone()));
                let sealed = seal(&key, "order", &content.keys, content.incarnation.as_deref());
                let content = Cursor { is_sealed: true, ..content };
                prop_assert_eq!(decode(&sealed, Some(&key), "order", &order(kind), DB), Some(content));
            }

            #[test]
            fn other_input_is_rejected_without_a_panic(text in ".{0,60}", bytes in prop::collection::vec(any::<u8>(), 0..60)) {
                let key = cursor_key(1);
                for kind in [KeyKind::Text, KeyKind::Time, KeyKind::Integer, KeyKind::Id] {
                    prop_assert!(decode(&text, Some(&key), "order", &order(kind), DB).is_none());
                    let sealed = [&[SEALED], bytes.as_slice()].concat();
                    for bytes in [&bytes, &sealed] {
                        let encoded = URL_SAFE_NO_PAD.encode(bytes);
                        prop_assert!(decode(&encoded, Some(&key), "order", &order(kind), DB).is_none());
                    }
                }
            }
        }
    }
}
