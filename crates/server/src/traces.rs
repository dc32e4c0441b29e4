//! Traces, by OpenTelemetry's protocol over HTTP (OTLP), if the usual variables name a collector:
//! `OTEL_EXPORTER_OTLP_ENDPOINT` or `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`. The SDK respects the
//! others, such as `OTEL_SERVICE_NAME`, `OTEL_TRACES_SAMPLER` and `OTEL_EXPORTER_OTLP_HEADERS`.
//!
//! **Invariants.**
//! - Without a collector nothing is listening to spans, so none are made.
//! - A span has no value of an operation: statements are shown with their placeholders.
//! - Nothing waits for the collector. Spans that it does not accept in time are dropped.

use std::{
    io::Write,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail};
use campaigns_graphql::Code;
use campaigns_operation::OperationInfo;
use http::{HeaderMap, Uri};
use opentelemetry::{
    Context,
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracer, SdkTracerProvider},
};
use reqwest::{Url, blocking::Client, redirect::Policy};
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use uuid::Uuid;

use crate::{
    metrics::Outcome,
    secrets::{redacted, redacted_value},
};

/// The target of spans; the log excludes them.
pub(crate) const TARGET: &str = "campaigns::trace";

/// The variables that name a collector; the first one that is set counts.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// The variables with the maximum time of a request, in milliseconds, and the time without them.
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const TIMEOUT: Duration = Duration::from_secs(10);

/// Whether spans are exported.
static ON: AtomicBool = AtomicBool::new(false);

/// The export of spans. Pending spans are sent when this is dropped.
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts the export, if a collector is configured.
    pub(crate) fn start() -> anyhow::Result<Option<Self>> {
        let Some(exporter) = exporter()? else { return Ok(None) };
        let resource = Resource::builder();
        let resource = if is_set("OTEL_SERVICE_NAME") {
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

    /// Whether a collector is configured. An error if spans cannot be exported to it.
    pub(crate) fn check() -> anyhow::Result<bool> {
        Ok(exporter()?.is_some())
    }

    /// The tracer of this process.
    pub(crate) fn tracer(&self) -> SdkTracer {
        self.0.tracer("campaigns")
    }
}

impl Drop for Traces {
    fn drop(&mut self) {
        if let Err(error) = self.0.shutdown() {
            let error = error.to_string();
            let line = format!("campaigns: the last spans were not sent: {}", redacted(&error));
            // there is no other place for it
            writeln!(std::io::stderr(), "{line}").ok();
        }
    }
}

fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// The exporter to the configured collector, if any.
fn exporter() -> anyhow::Result<Option<SpanExporter>> {
    let Some(variable) = ENDPOINTS.into_iter().find(|variable| is_set(variable)) else {
        return Ok(None);
    };
    // the library repeats an address that it cannot read in its error, so it gets none
    let address = std::env::var(variable).unwrap_or_default();
    let scheme = Url::parse(&address).map(|address| address.scheme().to_owned());
    if !matches!(scheme.as_deref(), Ok("http" | "https")) || address.parse::<Uri>().is_err() {
        bail!("traces cannot be exported: {variable} must be an address with https:// or http://");
    }
    let exporter = SpanExporter::builder().with_http().with_http_client(client()?).build();
    let exporter = exporter.map_err(|error| {
        anyhow!("traces cannot be exported: {}", redacted_value(&error.to_string()))
    });
    exporter.map(Some)
}

/// A client that follows no redirects, which could send spans and the collector's credentials elsewhere.
fn client() -> anyhow::Result<Client> {
    let milliseconds =
        TIMEOUTS.iter().find_map(|variable| std::env::var(variable).ok()?.parse().ok());
    let timeout = milliseconds.map_or(TIMEOUT, Duration::from_millis);
    // it has a runtime of its own, which cannot start within another
    let made = std::thread::spawn(move || {
        Client::builder().timeout(timeout).redirect(Policy::none()).build()
    });
    let made = made.join().map_err(|_| anyhow!("it panicked")).and_then(|made| Ok(made?));
    made.context("traces cannot be exported: no client can be made")
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
        let parent = TraceContextPropagator::new().extract(&Headers(headers));
        if parent.span().span_context().is_valid() {
            adopt(&span, parent);
        }
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
