//! One operation as an operator sees it: its count, its time and its log line.
//!
//! **Invariants.**
//! - Each operation of a viewer is counted and logged once, however it ends.
//! - The line has no value of the operation, no token and no address. Its document is named by its SHA-256,
//!   and only if the operation was slow.

use std::time::{Duration, Instant};

use campaigns_graphql::Code;
use campaigns_operation::{Kind, OperationInfo};
use http::HeaderMap;
use metrics::Gauge;
use sha2::{Digest, Sha256};
use tracing::Span;
use uuid::Uuid;

use crate::{
    App,
    metrics::{OperationLabels, Operations, Outcome},
    traces,
};

/// An operation in progress, until it is dropped.
pub(crate) struct ObservedOperation {
    operations: Operations,
    slow: Duration,
    organization: Uuid,
    request_id: Uuid,
    started: Instant,
    about: Option<OperationInfo>,
    /// How it ended, once that is known.
    outcome: Option<Outcome>,
    open: Option<Gauge>,
    span: Span,
}

impl ObservedOperation {
    /// Begins to observe an operation of an organization.
    pub(crate) fn begin(app: &App, organization: Uuid, request_id: Uuid) -> Self {
        Self {
            operations: app.operations.clone(),
            slow: app.settings.slow_operation,
            organization,
            request_id,
            started: Instant::now(),
            about: None,
            outcome: None,
            open: None,
            span: Span::none(),
        }
    }

    /// The ID of the operation in the log.
    pub(crate) fn request_id(&self) -> Uuid {
        self.request_id
    }

    /// The span of the operation.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Sets what the operation is, once it is prepared, and the headers of its request.
    pub(crate) fn identify(&mut self, about: OperationInfo, headers: Option<&HeaderMap>) {
        if about.kind() == Kind::Subscription {
            let open = metrics::gauge!("campaigns_subscriptions");
            open.increment(1.0);
            self.open = Some(open);
        } else {
            // a subscription lasts as long as its client wants, and has no span
            let Self { organization, request_id, .. } = *self;
            self.span = traces::operation(&about, headers, organization, request_id);
        }
        self.about = Some(about);
    }

    /// Ends it, with the code of its first error if there is one.
    pub(crate) fn end(mut self, code: Option<Code>) {
        self.outcome = Some(code.into());
    }

    /// How it ended. Without an explicit outcome, a subscription is done when its client leaves,
    /// and other operations were canceled.
    fn outcome(&self) -> Outcome {
        self.outcome.unwrap_or(match &self.about {
            _ if std::thread::panicking() => Outcome::Failed(Code::Internal),
            Some(about) if about.kind() == Kind::Subscription => Outcome::Done,
            _ => Outcome::Canceled,
        })
    }
}

impl Drop for ObservedOperation {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.decrement(1.0);
        }
        let (outcome, took) = (self.outcome(), self.started.elapsed());
        let Self { operations, organization, request_id, about, .. } = self;
        let code = outcome.as_str();
        // as text, since the log takes longer to show them
        let mut texts = [Uuid::encode_buffer(); 2];
        let [request_text, organization_text] = &mut texts;
        let request_id: &str = request_id.hyphenated().encode_lower(request_text);
        let organization: &str = organization.hyphenated().encode_lower(organization_text);
        // microseconds are exact enough
        let ms = (took.as_secs_f64() * 1e6).round() / 1e3;
        let Some(about) = about else {
            if let Outcome::Failed(code) = outcome {
                operations.refused(code);
            }
            tracing::info!(
                target: "campaigns::operation",
                request_id, organization, "type" = "unknown", code, ms, "operation"
            );
            return;
        };
        let kind = about.kind();
        operations.ended(&OperationLabels { kind, name: about.name() }, outcome, took);
        let name = about.short_name();
        traces::end(&self.span, outcome);
        let cost = about.cost();
        if kind != Kind::Subscription && took >= self.slow {
            let document = hex(&Sha256::digest(about.document()));
            tracing::warn!(
                target: "campaigns::operation",
                request_id, organization, "type" = kind.as_str(), name, cost, code, ms, document, "slow operation"
            );
        } else {
            tracing::info!(
                target: "campaigns::operation",
                request_id, organization, "type" = kind.as_str(), name, cost, code, ms, "operation"
            );
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes what is written");
        text
    })
}
