//! The metrics of the process, for Prometheus.
//!
//! Crates count through the `metrics` facade. State, such as the connections in use or the size of
//! logs, is read when metrics are scraped (`http/metrics.rs`).
//!
//! **Invariants.**
//! - The number of time series is bounded: labels are codes, types, and the names of up to
//!   [`MAX_NAMES`](operations) operations. No label names an organization, a user or an address.
//! - What an operation records allocates nothing and waits for nothing.
//! - Each metric is described in [`described`].
//! - A state is read from where it is kept, and never set by a task that could stop setting it.

mod described;
mod operations;

use std::{
    convert::Infallible,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use campaigns_tasks::Task;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

pub(crate) use described::described;
pub(crate) use operations::{OperationLabels, Operations, Outcome};

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often recorded durations are sorted into buckets. They are kept one by one until then.
const UPKEEP: Duration = Duration::from_secs(2);

static METRICS: OnceLock<Metrics> = OnceLock::new();

/// The counters of the process.
#[derive(Clone)]
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    process: metrics_process::Collector,
    started: Instant,
}

impl Metrics {
    /// The counters of this process, which all of its services share.
    pub(crate) fn of_process() -> Self {
        METRICS.get_or_init(Self::install).clone()
    }

    /// Disables all counting in this process.
    pub(crate) fn none() {
        METRICS.get_or_init(|| Self::of(&builder().build_recorder()));
    }

    fn of(recorder: &PrometheusRecorder) -> Self {
        let process = metrics_process::Collector::default();
        Self { handle: recorder.handle(), process, started: Instant::now() }
    }

    fn install() -> Self {
        let recorder = builder().build_recorder();
        let installed = Self::of(&recorder);
        metrics::set_global_recorder(recorder)
            .expect("no other recorder is installed in this process");
        described::describe();
        installed.process.describe();
        let upkeep = installed.handle.clone();
        let keep_up = move || -> Infallible {
            loop {
                thread::sleep(UPKEEP);
                upkeep.run_upkeep();
            }
        };
        Task::new("metrics").run_on_thread(keep_up).expect("the operating system gives threads");
        installed
    }

    /// All metrics in the text format of Prometheus, with those of the process as they are now.
    pub(crate) fn render(&self) -> String {
        self.process.collect();
        set_gauge("campaigns_uptime_seconds", self.started.elapsed().as_secs_f64());
        if let Some(bytes) = memory() {
            set_gauge("campaigns_memory_bytes", number(bytes));
        }
        let runtime = tokio::runtime::Handle::current();
        set_gauge("campaigns_tasks", number(runtime.metrics().num_alive_tasks()));
        self.handle.run_upkeep();
        self.handle.render()
    }
}

/// The bytes of memory of this process that belong to no file, as Linux counts them.
fn memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.trim().strip_suffix(" kB")?.parse::<usize>().ok().map(|kilobytes| kilobytes * 1_024)
}

fn builder() -> PrometheusBuilder {
    PrometheusBuilder::new().set_buckets(&BUCKETS).expect("there are buckets")
}

/// Sets a gauge without labels.
pub(crate) fn set_gauge(name: &'static str, value: f64) {
    metrics::gauge!(name).set(value);
}

/// A count as the value of a gauge.
#[expect(clippy::cast_precision_loss, reason = "no count here is that large")]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}
