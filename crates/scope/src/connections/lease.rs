//! Connections in use.

use std::time::Instant;

use sea_orm::{ExecResult, QueryResult, Statement};
use tracing::Instrument;

use super::{Connections, Failure, PlanMode, link::Link, pooler::END_DELAY};
use crate::shares::Permit;

/// A connection in use.
pub(super) struct Lease {
    /// `None` after it is returned.
    link: Option<Link>,
    permit: Option<Permit>,
    connections: Connections,
    plan_mode: PlanMode,
    /// Whether the connection was idle before, so that the server may have closed it.
    pub(super) reused: bool,
}

impl Lease {
    /// A connection that occupies the place of a permit.
    pub(super) fn of(
        connections: &Connections,
        (link, reused): (Link, bool),
        permit: Permit,
        plan_mode: PlanMode,
    ) -> Self {
        let connections = connections.clone();
        Self { link: Some(link), permit: Some(permit), connections, plan_mode, reused }
    }

    pub(super) fn link(&mut self) -> &mut Link {
        self.link.as_mut().expect("it is there until it is dropped")
    }

    pub(super) async fn run(
        &mut self,
        statement: &Statement,
        take: impl FnMut(QueryResult, usize) -> Result<(), Failure>,
    ) -> Result<ExecResult, Failure> {
        let started = Instant::now();
        let connections = self.connections.clone();
        let statement = connections.0.types.rewrite(statement);
        // disabled unless traces are exported
        let span = tracing::info_span!(
            target: "campaigns::trace", "statement",
            otel.kind = "client",
            db.system.name = connections.system(),
            db.query.text = statement.sql,
        );
        let plan_mode = self.plan_mode;
        let done = self.link().run(&statement, plan_mode, take).instrument(span).await;
        if let Some(metrics) = connections.0.statement_metrics.get() {
            metrics.seconds.record(started.elapsed());
            if done.is_err() {
                metrics.failed.increment(1);
            }
        }
        if let Some(observer) = &connections.0.observer {
            observer(&statement, self.link().plan_mode.sql(), started.elapsed());
        }
        done
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(mut link) = self.link.take() else { return };
        let (connections, permit) = (self.connections.clone(), self.permit.take());
        if link.is_clean() || link.is_broken() {
            connections.put_back(link, permit);
            return;
        }
        // without a runtime, the process is ending, which closes the connection
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if connections.is_pooled() {
                if link.recover_pooled().await {
                    // closing the connection makes the pooler end the statement
                    drop(link);
                    tokio::time::sleep(END_DELAY).await;
                    return;
                }
            } else {
                link.recover(async |process| connections.cancel(process).await).await;
            }
            connections.put_back(link, permit);
        });
    }
}
