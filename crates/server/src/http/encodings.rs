//! `Accept-Encoding` (RFC 9110, section 12.5.3).
//!
//! **Invariants.** A request whose client accepts none of the encodings of its response is refused before
//! anything is executed. A client that does not accept a response as it is gets it in an encoding that it
//! accepts, however small it is.

use axum::{extract::Request, middleware::Next, response::Response};
use campaigns_graphql::Error;
use http::{Extensions, HeaderMap, HeaderValue, StatusCode, header};

use super::{content::MediaType, respond};

/// The encodings of responses.
const ENCODINGS: [&str; 4] = ["gzip", "x-gzip", "br", "zstd"];

const NAME: &str = "Accept-Encoding";

/// Marks requests and responses of clients that do not accept a response as it is.
#[derive(Clone, Copy)]
struct MustEncode;

/// The encodings that a client accepts.
struct Accepted<'a> {
    /// The names, as they are given, with their weights.
    named: Vec<(&'a str, f32)>,
}

impl<'a> Accepted<'a> {
    /// Reads the header. A part that cannot be read counts as absent.
    fn of(headers: &'a HeaderMap) -> Self {
        let values = headers.get_all(header::ACCEPT_ENCODING).iter();
        let parts = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
        Self { named: parts.filter_map(weighted).collect() }
    }

    /// Whether the client accepts an encoding. `is_default` says what holds for one that is not named.
    fn accepts(&self, encoding: &str, is_default: bool) -> bool {
        let weight_of = |wanted: &str| {
            let mut named = self.named.iter();
            named.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, weight)| *weight)
        };
        weight_of(encoding).or_else(|| weight_of("*")).map_or(is_default, |weight| weight > 0.0)
    }

    fn accepts_identity(&self) -> bool {
        self.accepts("identity", true)
    }

    fn accepts_any(&self) -> bool {
        ENCODINGS.iter().any(|encoding| self.accepts(encoding, false))
    }
}

/// The name and the weight of a part of the header.
fn weighted(part: &str) -> Option<(&str, f32)> {
    let (name, weight) = match part.split_once(';') {
        Some((name, weight)) => (name, weight.trim()),
        None => return Some((part.trim(), 1.0)),
    };
    let weight = weight.strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
    // as compression reads it: 0 or 1, with up to three decimals
    let is_weight =
        weight.len() <= 5 && matches!(weight.as_bytes(), [b'0' | b'1'] | [b'0' | b'1', b'.', ..]);
    let weight = weight.parse().ok().filter(|weight| is_weight && *weight <= 1.0)?;
    Some((name.trim(), weight))
}

/// The response to a request whose client accepts no response. Marks one whose client accepts only encoded ones.
/// The handshake of a socket has no content, so the header does not matter there.
pub(super) fn refusal(request: &mut Request) -> Option<Response> {
    if request.headers().contains_key(header::UPGRADE) {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
        return None;
    }
    let accepted = Accepted::of(request.headers());
    if accepted.accepts_identity() {
        return None;
    }
    let why = if !accepted.accepts_any() {
        "No response has an encoding that this header accepts. Accept identity, gzip, br or zstd."
    } else if matches!(MediaType::negotiate(request.headers()), Ok(Some(MediaType::EventStream))) {
        "A stream is not encoded. Accept identity."
    } else {
        request.extensions_mut().insert(MustEncode);
        return None;
    };
    let mut refused =
        respond::refused(MediaType::Json, StatusCode::NOT_ACCEPTABLE, Error::bad_input(NAME, why));
    refused.headers_mut().append(header::VARY, HeaderValue::from_static("accept-encoding"));
    Some(refused)
}

/// [`refusal`] as a layer of a router.
pub(super) async fn negotiate(mut request: Request, next: Next) -> Response {
    match refusal(&mut request) {
        Some(refused) => refused,
        None => next.run(request).await,
    }
}

/// Whether these are the extensions of a marked response.
pub(super) fn must_encode(extensions: &Extensions) -> bool {
    extensions.get::<MustEncode>().is_some()
}

/// The mark of a request, if it has one.
pub(super) struct Mark(Option<MustEncode>);

pub(super) fn mark_of(request: &Request) -> Mark {
    Mark(request.extensions().get().copied())
}

impl Mark {
    /// Marks the response of the request.
    pub(super) fn put_on(self, mut response: Response) -> Response {
        if let Some(mark) = self.0 {
            response.extensions_mut().insert(mark);
        }
        response
    }
}

/// Marks the response of a marked request, as a layer of a router.
pub(super) async fn mark(request: Request, next: Next) -> Response {
    let mark = mark_of(&request);
    mark.put_on(next.run(request).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a client accepts a response as it is, and whether it accepts an encoded one.
    fn accepted(values: &[&str]) -> (bool, bool) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
        }
        let accepted = Accepted::of(&headers);
        (accepted.accepts_identity(), accepted.accepts_any())
    }

    #[test]
    fn encodings_are_accepted_by_their_weights() {
        for (values, expected) in [
            (&[][..], (true, false)),
            (&[""], (true, false)),
            (&["*"], (true, true)),
            (&["*;q=0"], (false, false)),
            (&["identity;q=0"], (false, false)),
            (&["identity;q=0, gzip"], (false, true)),
            (&["identity;q=0", "BR;q=0.001"], (false, true)),
            (&["*;q=0, identity"], (true, false)),
            (&["*;q=0,x-gzip"], (false, true)),
            (&["gzip;q=0"], (true, false)),
            (&["gzip;q=0, *"], (true, true)),
            (&["identity; Q=0.0, zstd ; q=1"], (false, true)),
            (&["gzip;q=2, ;;;, q, identity;q=x"], (true, false)),
            (&["identity;q=00", "identity;q=0.0000", "identity;q=-0"], (true, false)),
        ] {
            assert_eq!(accepted(values), expected, "{values:?}");
        }
    }
}
