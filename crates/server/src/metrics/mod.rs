//! What the process counts, for Prometheus.
//!
//! Crates count through the `metrics` facade. State, such as the connections in use or the size of
//! logs, is read when metrics are scraped.
//!
//! **Invariants.**
//! - The number of time series is bounded: labels are codes, types, and the names of up to
//!   [`MAX_NAMES`] operations. No label names an organization, a user or an address.
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

use campaigns_scope::Occupancy;
use campaigns_tasks::Task;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::App;

pub(crate) use described::described;
pub(crate) use operations::{OperationLabels, Operations, Outcome};

/// Upper bounds of the buckets of durations, in seconds.
const BUCKETS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// How often recorded durations are sorted into buckets. They are kept one by one until then.
const UPKEEP: Duration = Duration::from_secs(2);
/// The number of operation names that get their own label.
pub(crate) const MAX_NAMES: usize = 100;

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

    /// All of them, as they are now.
    pub(crate) fn render(&self, app: &App) -> String {
        self.process.collect();
        gauge("campaigns_uptime_seconds", self.started.elapsed().as_secs_f64());
        gauge("campaigns_held_bytes", number(app.database.budgets().process().held()));
        let limits = app.database.budgets().limits();
        gauge("campaigns_held_bytes_limit", number(limits.process));
        gauge("campaigns_operation_cache_bytes", number(app.api.kept_bytes()));
        if let Some(bytes) = memory() {
            gauge("campaigns_memory_bytes", number(bytes));
        }

        let connections = app.database.connections_in_use();
        gauge("campaigns_database_connections_limit", number(connections.places));
        gauge("campaigns_database_connections_used", number(connections.held));
        gauge("campaigns_database_connections_idle", number(app.database.idle_connections()));
        gauge("campaigns_database_connections_waiting", number(connections.waiting));
        let budgets = app.database.budgets();
        for (cost, Occupancy { places, held, waiting }) in
            [("any", budgets.executing()), ("expensive", budgets.expensive())]
        {
            metrics::gauge!("campaigns_operations_executing_limit", "cost" => cost)
                .set(number(places));
            metrics::gauge!("campaigns_operations_executing", "cost" => cost).set(number(held));
            metrics::gauge!("campaigns_operations_waiting", "cost" => cost).set(number(waiting));
        }

        gauge("campaigns_peers", number(app.peers()));
        gauge("campaigns_sockets", number(app.sockets.count_authenticated()));
        gauge("campaigns_sockets_unknown", number(app.sockets.count_pending()));

        let feed = app.api.feed_state();
        gauge("campaigns_feed_log_events", number(feed.events));
        gauge("campaigns_feed_log_bytes", number(feed.bytes));
        gauge("campaigns_feed_lag_seconds", feed.lag.as_secs_f64());
        gauge("campaigns_feed_stalled_seconds", feed.stalled.as_secs_f64());
        gauge("campaigns_feed_organizations", number(feed.organizations));
        // a stale value must not look current
        let waiting = app.keeper.waiting().and_then(|waiting| usize::try_from(waiting).ok());
        gauge("campaigns_waiting_changes", waiting.map_or(f64::NAN, number));

        metrics::counter!("campaigns_log_lines_dropped_total")
            .absolute(crate::logs::dropped_lines() as u64);
        let runtime = tokio::runtime::Handle::current();
        gauge("campaigns_tasks", number(runtime.metrics().num_alive_tasks()));
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

fn gauge(name: &'static str, value: f64) {
    metrics::gauge!(name).set(value);
}

#[expect(clippy::cast_precision_loss, reason = "no count here is that large")]
fn number(count: usize) -> f64 {
    count as f64
}
