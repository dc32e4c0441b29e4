//! A program that was built without the feature `traces`.

use std::convert::Infallible;

use anyhow::bail;
use http::HeaderMap;
use tracing::Span;
use tracing_subscriber::layer::Identity;

use super::collector;

/// The export of spans, which there is not.
pub(crate) struct Traces(Infallible);

impl Traces {
    /// Starts nothing. An error if a collector is configured.
    pub(crate) fn start() -> anyhow::Result<Option<Self>> {
        Self::check().map(|_| None)
    }

    /// An error if a collector is configured.
    pub(crate) fn check() -> anyhow::Result<bool> {
        if let Some(variable) = collector() {
            bail!(
                "traces cannot be exported: this program was built without them; unset {variable}"
            );
        }
        Ok(false)
    }

    /// The layer that exports the spans that it sees.
    pub(crate) fn layer(&self) -> Identity {
        match self.0 {}
    }
}

/// No span is made, so there is none to adopt.
pub(super) fn adopt(_: &Span, _: &HeaderMap) {}
