//! The metrics of the process, for Prometheus.

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::App;

/// The counters of the process.
#[derive(Clone)]
pub(crate) struct Metrics(PrometheusHandle);

impl Metrics {
    /// The counters of this process, which all of its services share.
    pub(crate) fn of_process() -> Self {
        use std::sync::OnceLock;
        static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
        let install = || {
            PrometheusBuilder::new()
                .install_recorder()
                .expect("nobody else in this process records metrics")
        };
        Self(HANDLE.get_or_init(install).clone())
    }

    /// All metrics with their current values.
    pub(crate) fn render(&self, app: &App) -> String {
        let bytes = app.database.budgets().process().held();
        #[expect(clippy::cast_precision_loss, reason = "no process has that much memory")]
        metrics::gauge!("campaigns_held_bytes").set(bytes as f64);
        let kept = app.api.kept_bytes();
        #[expect(clippy::cast_precision_loss, reason = "no process has that much memory")]
        metrics::gauge!("campaigns_operation_cache_bytes").set(kept as f64);
        self.0.run_upkeep();
        self.0.render()
    }
}
