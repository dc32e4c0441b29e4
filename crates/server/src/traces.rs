//! Traces, by OpenTelemetry's protocol over HTTP (OTLP), where the usual variables name a collector:
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. The SDK heeds the others, such as
//! `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and `OTEL_EXPORTER_OTLP_HEADERS`.
//!
//! **Invariants.**
//! - Without a collector nothing is listening to spans, so none are made.
//! - A span has no value of an operation: statements are shown with their placeholders.
//! - Nobody waits for the collector. Spans that it does not take in time are dropped.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use campaigns_graphql::Code;
use campaigns_operation::About;
use http::HeaderMap;
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use crate::metrics::Outcome;

/// What spans have as their target; the log leaves them out.
pub(crate) const TARGET: &str = "campaigns::trace";

/// Whether spans go anywhere.
static ON: AtomicBool = AtomicBool::new(false);

/// The export of spans. What waits is sent when this is dropped.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the export, if a collector is named.
    pub(crate) fn start() -> anyhow::Result<Option<Self>> {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let variables = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
        if !variables.iter().any(is_set) {
            return Ok(None);
        }
        let exporter = SpanExporter::builder().with_http().build();
        let exporter = exporter.context("traces cannot be exported")?;
        let resource = Resource::builder();
        let resource = if is_set(&"OTEL_SERVICE_NAME") {
            resource
        } else {
            resource.with_service_name("campaigns")
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.build())
            .with_batch_exporter(exporter)
            .build();
        ON.store(true, Ordering::Relaxed);
        Ok(Some(Self(provider)))
    }

    /// What makes spans of this process.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("campaigns")
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            eprintln!("campaigns: the last spans were not sent: {error}");
        }
    }
}

/// The span of an operation, within the span of the client if a header names it.
pub(crate) fn operation(
    about: &About,
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
        let parent = TraceContextPropagator::new().extract(&Headers(headers));
        if parent.span().span_context().is_valid() {
            adopt(&span, parent);
        }
    }
    span
}

/// Says in a span how its operation ended.
pub(crate) fn end(span: &Span, outcome: Outcome) {
    if span.is_disabled() {
        return;
    }
    span.record("campaigns.code", outcome.as_str());
    if matches!(outcome, Outcome::Failed(Code::Internal | Code::Unavailable | Code::Timeout)) {
        span.record("otel.status_code", "ERROR");
    }
}

fn adopt(span: &Span, parent: Context) {
    if let Err(error) = span.set_parent(parent) {
        tracing::debug!(%error, "the client's span is left out");
    }
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}
