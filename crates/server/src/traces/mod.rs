//! Traces, by OpenTelemetry's protocol over HTTP (OTLP), if the usual variables name a collector:
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. The SDK respects the
//! others, such as `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and `OTEL_EXPORTER_OTLP_HEADERS`.
//!
//! **Invariants.**
//! - Without a collector nothing is listening to spans, so none are made.
//! - A span has no value of an operation: statements are shown with their placeholders.
//! - Nothing waits for the collector. Spans that it does not accept in time are dropped.
//! - Without the feature `traces`, a program that is given a collector says that it has no traces, and does not start.

#[cfg(feature = "traces")]
mod export;
#[cfg(not(feature = "traces"))]
#[path = "without.rs"]
mod export;

use std::sync::atomic::{AtomicBool, Ordering};

use campaigns_graphql::Code;
use campaigns_operation::OperationInfo;
use http::HeaderMap;
use tracing::{Span, info_span};
use uuid::Uuid;

pub(crate) use self::export::Traces;
use crate::metrics::Outcome;

/// The target of spans; the log excludes them.
pub(crate) const TARGET: &str = "campaigns::trace";

/// The variables that name a collector; the first one that is set counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// Whether spans are exported.
static ON: AtomicBool = AtomicBool::new(false);

/// The variable that names a collector, if one is set.
fn collector() -> Option<&'static str> {
    ENDPOINTS.into_iter().find(|variable| is_set(variable))
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The span of an operation, within the span of the client if a header names it.
pub(crate) fn operation(
    about: &OperationInfo,
    headers: Option<&HeaderMap>,
    organization: Uuid,
    request_id: Uuid,
) -> Span {
    if !ON.load(Ordering::Relaxed) {
        return Span::none();
    }
    let (kind, name) = (about.kind().as_str(), about.short_name().unwrap_or_default());
    let span = info_span!(
        target: TARGET, "operation",
        otel.name = [kind, name].join(" ").trim_end(),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        graphql.operation.type = kind,
        graphql.operation.name = name,
        campaigns.organization = %organization,
        campaigns.request_id = %request_id,
        campaigns.cost = about.cost(),
        campaigns.code = tracing::field::Empty,
    );
    if let Some(headers) = headers {
        export::adopt(&span, headers);
    }
    span
}

/// Records in a span how its operation ended.
pub(crate) fn end(span: &Span, outcome: Outcome) {
    if span.is_disabled() {
        return;
    }
    span.record("campaigns.code", outcome.as_str());
    if matches!(
        outcome,
        Outcome::Failed(Code::Internal | Code::Misconfigured | Code::Unavailable | Code::Timeout)
    ) {
        span.record("otel.status_code", "ERROR");
    }
}
