//! `campaigns worker`, and the worker of `campaigns serve`.

use std::time::Duration;

use campaigns_delivery::{WORKER_CONNECTIONS, WORKER_LIMIT};
use campaigns_scope::{Database, Options};
use campaigns_tasks::Task;
use tokio::{sync::watch, task::JoinHandle};

use super::{arguments::Worker, database, output, process};
use crate::logs::Log;

/// How long campaigns in progress can take once the process is asked to stop. Those that take
/// longer stay as they were.
const GRACE: Duration = Duration::from_millis(9_200);

pub(super) async fn run(arguments: Worker) -> anyhow::Result<()> {
    let _log = Log::start()?;
    let worker = Running::start(
        database::options(&arguments.database, &arguments.schema)?,
        arguments.pooler,
    )
    .await?;
    let termination = process::termination();
    output::line("looking for campaigns that are due")?;
    termination.await;
    tracing::info!("ending");
    worker.end(GRACE).await;
    Ok(())
}

/// A worker with its own connections, since its work can take longer than an operation.
pub(super) struct Running {
    database: Database,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Running {
    /// Connects and starts.
    pub(super) async fn start(options: Options, pooler: bool) -> anyhow::Result<Self> {
        let options = Options {
            max_connections: WORKER_CONNECTIONS,
            statement_timeout: Some(WORKER_LIMIT),
            pooler,
            ..options
        };
        let database = database::open(&options).await?;
        let (stop, stopped) = watch::channel(false);
        let of_worker = database.clone();
        let task = tokio::spawn(async move {
            let start = || campaigns_delivery::work(of_worker.clone(), stopped.clone());
            Task::new("worker").run(start).await;
        });
        Ok(Self { database, stop, task })
    }

    /// Lets the worker finish its work in progress, within a time.
    pub(super) async fn end(self, grace: Duration) {
        self.stop.send_replace(true);
        let task = self.task.abort_handle();
        if tokio::time::timeout(grace, self.task).await.is_err() {
            tracing::warn!(
                "campaigns took longer than {grace:?} to start and were left as they were"
            );
            task.abort();
        }
        if let Err(error) = self.database.close().await {
            tracing::warn!(%error, "the worker's connections were not closed cleanly");
        }
    }
}
