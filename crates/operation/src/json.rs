//! Values as JSON text.
//!
//! **Invariant.** `Value::Binary`, which no field of a schema uses, is serialized JSON. An
//! [`object`](mod@crate::object) creates it.

use async_graphql::{Response, Value};

/// Appends a value.
pub(crate) fn value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Boolean(true) => out.extend_from_slice(b"true"),
        Value::Boolean(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => serialize(number, out),
        Value::String(text) => string(text, out),
        Value::Enum(name) => string(name, out),
        Value::Binary(json) => out.extend_from_slice(json),
        Value::List(values) => {
            out.push(b'[');
            for (index, of) in values.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                self::value(of, out);
            }
            out.push(b']');
        }
        Value::Object(fields) => {
            out.push(b'{');
            for (index, (name, of)) in fields.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                string(name, out);
                out.push(b':');
                self::value(of, out);
            }
            out.push(b'}');
        }
    }
}

/// The number of bytes of a value that are already serialized.
pub(crate) fn serialized(value: &Value) -> usize {
    match value {
        Value::Binary(json) => json.len(),
        Value::List(values) => values.iter().map(serialized).sum(),
        Value::Object(fields) => fields.values().map(serialized).sum(),
        _ => 0,
    }
}

/// Appends a string.
pub fn string(text: &str, out: &mut Vec<u8>) {
    serialize(text, out);
}

/// Appends a serializable value as JSON.
#[expect(clippy::missing_panics_doc, reason = "writing to memory never fails")]
pub fn serialize(value: &(impl serde::Serialize + ?Sized), out: &mut Vec<u8>) {
    serde_json::to_writer(out, value).expect("writing to memory never fails");
}

/// A response as JSON.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "JSON is UTF-8")]
pub fn text(response: &Response) -> String {
    let mut out = b"{".to_vec();
    if !response.errors.is_empty() {
        out.extend_from_slice(b"\"errors\":");
        serialize(&response.errors, &mut out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"data\":");
    value(&response.data, &mut out);
    out.push(b'}');
    String::from_utf8(out).expect("JSON is UTF-8")
}
