//! Events as JSON, one object a line: `timestamp`, `level`, the fields of the event, `target`.
//!
//! The lines are those of tracing-subscriber's own JSON, which takes more than twice as long: a
//! noticeable part of a quick operation.

use std::fmt::{Debug, Write};

use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::lines::Lines;

/// As long as most lines are, in bytes.
const USUAL: usize = 384;

/// Writes events as JSON.
pub(super) struct Json(pub(super) Lines);

impl<S: Subscriber> Layer<S> for Json {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let mut object = Object { text: Vec::with_capacity(USUAL), ..Object::default() };
        object.put("timestamp", &Utc::now().to_rfc3339_opts(SecondsFormat::Micros, true));
        object.put("level", metadata.level().as_str());
        event.record(&mut object);
        let target = object.target.take();
        object.put("target", target.as_deref().unwrap_or(metadata.target()));
        object.text.extend_from_slice(b"}\n");
        self.0.add(&object.text);
    }
}

/// An object that is not closed yet.
#[derive(Default)]
struct Object {
    text: Vec<u8>,
    /// The true target of an event that came by the `log` crate.
    target: Option<String>,
}

impl Object {
    fn put(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.text.push(if self.text.is_empty() { b'{' } else { b',' });
        serde_json::to_writer(&mut self.text, name).expect("text is JSON, and memory takes it");
        self.text.push(b':');
        serde_json::to_writer(&mut self.text, value).expect("text and numbers are JSON");
    }

    fn field(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        let name = field.name();
        // how tracing describes an event of the `log` crate
        if !name.starts_with("log.") {
            self.put(name.strip_prefix("r#").unwrap_or(name), value);
        }
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut shown = String::new();
        // a value that cannot be shown is left out
        if write!(shown, "{value:?}").is_ok() {
            self.field(field, &shown);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        self.field(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.field(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, &value);
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The logged form of an event, without its time.
    fn logged(happen: impl FnOnce()) -> serde_json::Value {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(Json(lines.clone()));
        tracing::subscriber::with_default(subscriber, happen);
        let text = lines.waiting();
        let text = String::from_utf8(text).unwrap();
        let text = text.strip_suffix('\n').unwrap();
        assert!(!text.contains('\n'));
        let mut line: serde_json::Value = serde_json::from_str(text).unwrap();
        let time = line["timestamp"].take();
        chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
        line.as_object_mut().unwrap().remove("timestamp");
        line
    }

    #[test]
    fn an_event_is_an_object_of_its_fields() {
        let line = logged(|| {
            let (code, ms, error) = ("OK", 1.5, "a \"quote\",\na line");
            tracing::warn!(target: "here", code, ms, r#type = "query", cost = 7, done = true, %error, "it happened");
        });
        let expected = serde_json::json!({
            "level": "WARN", "message": "it happened", "code": "OK", "ms": 1.5, "type": "query",
            "cost": 7, "done": true, "error": "a \"quote\",\na line", "target": "here",
        });
        assert_eq!(line, expected);
    }

    struct Unshowable;

    impl Debug for Unshowable {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            Err(std::fmt::Error)
        }
    }

    #[test]
    fn a_field_that_cannot_be_shown_is_left_out() {
        let line = logged(|| tracing::info!(target: "here", bad = ?Unshowable, good = 1_u8));
        assert_eq!(line, serde_json::json!({ "level": "INFO", "good": 1, "target": "here" }));
    }

    #[test]
    fn an_event_of_the_log_crate_has_its_own_target() {
        let line = logged(|| {
            tracing::info!(target: "log", { log.target = "their::module", log.line = 3 }, "they say");
        });
        let expected = serde_json::json!({
            "level": "INFO", "message": "they say", "target": "their::module",
        });
        assert_eq!(line, expected);
    }
}
