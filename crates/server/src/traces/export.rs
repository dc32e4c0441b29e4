//! The export of spans to a collector.

use std::{io::Write, sync::atomic::Ordering, time::Duration};

use anyhow::{Context as _, anyhow, bail};
use http::{HeaderMap, Uri};
use opentelemetry::{
    propagation::{Extractor, TextMapPropagator},
    trace::{TraceContextExt, TracerProvider},
};
use opentelemetry_otlp::{SpanExporter, WithHttpConfig};
use opentelemetry_sdk::{Resource, propagation::TraceContextPropagator, trace::SdkTracerProvider};
use reqwest::{Url, blocking::Client, redirect::Policy};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, registry::LookupSpan};

use super::{ON, collector, is_set};
use crate::secrets::{redacted, redacted_value};

/// The variables with the maximum time of a request, in milliseconds, and the time without them.
const TIMEOUTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const TIMEOUT: Duration = Duration::from_secs(10);

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

    /// The layer that exports the spans that it sees.
    pub(crate) fn layer<S: Subscriber + for<'span> LookupSpan<'span>>(
        &self,
    ) -> impl Layer<S> + use<S> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("campaigns"));
        layer.with_location(false).with_threads(false).with_tracked_inactivity(false)
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

/// The exporter to the configured collector, if any.
fn exporter() -> anyhow::Result<Option<SpanExporter>> {
    let Some(variable) = collector() else { return Ok(None) };
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

/// Puts a span within the span of the client, if a header names it.
pub(super) fn adopt(span: &Span, headers: &HeaderMap) {
    let parent = TraceContextPropagator::new().extract(&Headers(headers));
    if !parent.span().span_context().is_valid() {
        return;
    }
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
