//! The log: text on a terminal, and otherwise JSON, one object a line.

mod json;
mod lines;

use std::{
    io::{self, IsTerminal},
    sync::OnceLock,
};

use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::traces::{self, Traces};
use json::Json;
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
            Json(lines.clone()).boxed()
        };
        let is_span = |metadata: &Metadata<'_>| metadata.target() == traces::TARGET;
        let no_spans = filter_fn(move |metadata| !is_span(metadata));
        let traces = Traces::start()?;
        let mut layers = vec![written.with_filter(filter.and(no_spans)).boxed()];
        // a layer that is `None` would take an interest in all spans, and they would all be made
        if let Some(traces) = &traces {
            let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer());
            let layer = layer.with_location(false).with_threads(false);
            layers
                .push(layer.with_tracked_inactivity(false).with_filter(filter_fn(is_span)).boxed());
        }
        tracing_subscriber::registry().with(layers).init();
        Ok(Self { _traces: traces, lines })
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.lines.written();
    }
}
