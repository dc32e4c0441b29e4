//! The log: text on a terminal, and otherwise JSON, one object a line.
//!
//! **Invariant.** Nobody waits for whoever reads standard error. Lines go through a bounded queue to a
//! thread of their own; if the queue is full they are dropped and counted.
//!
//! The thread writes what has come, and then rests for a moment. If it wrote each line as it comes, it would
//! be woken for each, and that costs more than the line.

use std::{
    io::{self, IsTerminal, Write},
    sync::OnceLock,
    thread,
    time::Duration,
};

use tracing::Metadata;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use crate::traces::{self, Traces};

/// How many lines wait to be written, at most.
const MAX_LINES: usize = 16_384;

/// How long the thread rests after it has written.
const REST: Duration = Duration::from_millis(10);
/// How many bytes are written at once, at most.
const AT_ONCE: usize = 64 * 1024;

/// Counts the lines that were dropped.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How many lines were dropped because standard error was not read.
pub(crate) fn dropped_lines() -> usize {
    DROPPED.get().map_or(0, ErrorCounter::dropped_lines)
}

/// The log of the process. What waits is written when this is dropped.
pub(crate) struct Log {
    _traces: Option<Traces>,
    _writer: WorkerGuard,
}

impl Log {
    /// Writes to standard error what `RUST_LOG` selects, by default level `info`, and sends spans to a
    /// collector if one is named.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let filter = EnvFilter::try_from_default_env()
            .unwrap_or_else(|_| EnvFilter::new("info,sea_orm_migration=warn"));
        let (writer, guard) = NonBlockingBuilder::default()
            .buffered_lines_limit(MAX_LINES)
            .lossy(true)
            .thread_name("log")
            .finish(Together::default());
        DROPPED.get_or_init(|| writer.error_counter());
        let lines = tracing_subscriber::fmt::layer().with_writer(writer);
        let lines = if io::stderr().is_terminal() {
            lines.boxed()
        } else {
            let lines = lines.json().flatten_event(true);
            lines.with_current_span(false).with_span_list(false).boxed()
        };
        let is_span = |metadata: &Metadata<'_>| metadata.target() == traces::TARGET;
        let no_spans = filter_fn(move |metadata| !is_span(metadata));
        let traces = Traces::start()?;
        let spans = traces.as_ref().map(|traces| {
            let layer = tracing_opentelemetry::layer().with_tracer(traces.tracer());
            let layer = layer.with_location(false).with_threads(false);
            layer.with_tracked_inactivity(false).with_filter(filter_fn(is_span))
        });
        tracing_subscriber::registry()
            .with(lines.with_filter(filter.and(no_spans)))
            .with(spans)
            .init();
        Ok(Self { _traces: traces, _writer: guard })
    }
}

/// Standard error, to which lines go together.
#[derive(Default)]
struct Together(Vec<u8>);

impl Write for Together {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(line);
        if self.0.len() >= AT_ONCE {
            self.write_out()?;
        }
        Ok(line.len())
    }

    /// Called when no more lines wait.
    fn flush(&mut self) -> io::Result<()> {
        self.write_out()?;
        thread::sleep(REST);
        Ok(())
    }
}

impl Together {
    fn write_out(&mut self) -> io::Result<()> {
        let written = io::stderr().write_all(&self.0);
        // what cannot be written would not be written later either
        self.0.clear();
        written
    }
}
