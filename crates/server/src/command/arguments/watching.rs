//! How an operator watches the service.

use std::time::Duration;

use clap::Args;

use super::{listen::ListenAddress, values::duration};

#[derive(Debug, Args)]
#[command(next_help_heading = "Watching")]
pub(in crate::command) struct Watching {
    /// Serves /metrics on this address alone. It needs no token.
    #[arg(long, value_name = "ADDRESS")]
    pub(in crate::command) metrics_listen: Option<ListenAddress>,
    /// Counts nothing, and does not serve /metrics.
    #[arg(long, conflicts_with = "metrics_listen")]
    pub(in crate::command) no_metrics: bool,
    /// Logs operations that take this long as slow, with the SHA-256 of their document.
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "1s",
        value_parser = duration
    )]
    pub(in crate::command) slow_operation: Duration,
}
