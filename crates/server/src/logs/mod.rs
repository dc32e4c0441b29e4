//! The log: text on a terminal, and otherwise JSON, one object a line.

mod lines;

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use tracing::{Metadata, Subscriber};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::traces::{self, Traces};
use lines::Lines;

static LINES: OnceLock<Lines> = OnceLock::new();

/// How many lines were dropped because standard error was not read.
pub(crate) fn dropped_lines() -> usize {
    LINES.get().map_or(0, Lines::dropped)
}

/// The log of the process. Pending lines are written when this is dropped.
pub(crate) struct Log {
    _traces: Option<Traces>,
    lines: Lines,
}

impl Log {
    /// Writes to standard error what `RUST_LOG` selects, by default level `info`, and sends spans to a
    /// collector if one is named.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let filter = EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new("info,sea_orm_migration=warn"));
        let lines = Lines::start()?;
        LINES.get_or_init(|| lines.clone());
        let written = if io::stderr().is_terminal() {
            tracing_subscriber::fmt::layer().with_writer(lines.clone()).boxed()
        } else {
            json(lines.clone()).boxed()
        };
        let is_span = |metadata: &Metadata<'_>| metadata.target() == traces::TARGET;
        let no_spans = filter_fn(move |metadata| !is_span(metadata));
        let traces = Traces::start()?;
        let mut layers = vec![written.with_filter(filter.and(no_spans)).boxed()];
        // a layer that is `None` would take an interest in all spans, and they would all be made
        if let Some(traces) = &traces {
            layers.push(traces.layer().with_filter(filter_fn(is_span)).boxed());
        }
        tracing_subscriber::registry().with(layers).init();
        Ok(Self { _traces: traces, lines })
    }
}

/// Writes an event as one object: `timestamp`, `level`, the fields of the event, `target`.
fn json<S: Subscriber + for<'span> LookupSpan<'span>>(lines: Lines) -> impl Layer<S> {
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(lines)
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.written();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The logged form of an event, without its time.
    fn logged(happen: impl FnOnce()) -> serde_json::Value {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::registry().with(json(lines.clone()));
        tracing::subscriber::with_default(subscriber, happen);
        let text = String::from_utf8(lines.waiting()).unwrap();
        let text = text.strip_suffix('\n').unwrap();
        assert!(!text.contains('\n'));
        let mut line: serde_json::Value = serde_json::from_str(text).unwrap();
        let time = line["timestamp"].take();
        let time = chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
        assert_eq!(time.offset().local_minus_utc(), 0);
        line.as_object_mut().unwrap().remove("timestamp");
        line
    }

    #[test]
    fn an_event_is_an_object_of_its_fields() {
        let line = logged(|| {
            let (code, ms, error) = ("OK", 1.5, "a \"quote\",\na line");
            tracing::warn!(target: "here", code, ms, "type" = "query", cost = 7, done = true, %error, "it happened");
        });
        let expected = serde_json::json!({
            "level": "WARN", "message": "it happened", "code": "OK", "ms": 1.5, "type": "query",
            "cost": 7, "done": true, "error": "a \"quote\",\na line", "target": "here",
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_span_adds_nothing_to_the_events_in_it() {
        let line = logged(|| {
            let _entered = tracing::info_span!(target: "here", "outer", secret = 1).entered();
            tracing::info!(target: "here", "in it");
        });
        let expected = serde_json::json!({ "level": "INFO", "message": "in it", "target": "here" });
        assert_eq!(line, expected);
    }
}
