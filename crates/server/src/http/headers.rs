//! Headers that the service reads.
//!
//! **Invariant.** Such a header is read, or its request is refused: a header that cannot be read, or that
//! is given twice where one is expected, never counts as absent.

use campaigns_graphql::Error;
use http::{HeaderMap, HeaderName, HeaderValue};

/// A header that is present but cannot be used.
pub(super) struct Unusable {
    /// In its usual spelling.
    name: &'static str,
    pub(super) why: &'static str,
}

impl From<Unusable> for Error {
    fn from(Unusable { name, why }: Unusable) -> Self {
        Self::bad_input(name, why)
    }
}

/// The text of a header, if it is given.
pub(super) fn text<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    spelled: &'static str,
) -> Result<Option<&'a str>, Unusable> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Unusable { name: spelled, why: "This header is given twice." });
    }
    readable(value, spelled).map(Some)
}

/// The texts of a header that is a list, whose parts can be in several headers (RFC 9110, section 5.3).
pub(super) fn texts<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    spelled: &'static str,
) -> Result<Vec<&'a str>, Unusable> {
    headers.get_all(name).iter().map(|value| readable(value, spelled)).collect()
}

fn readable<'a>(value: &'a HeaderValue, name: &'static str) -> Result<&'a str, Unusable> {
    let why = "This header contains bytes other than visible ASCII.";
    value.to_str().map_err(|_| Unusable { name, why })
}
