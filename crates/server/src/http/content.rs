//! Media types: what a client sends and what it accepts (RFC 9110, sections 8.3 and 12.5.1).

use http::{HeaderMap, HeaderValue, header};

use super::headers::{Unusable, text, texts};

/// The maximum number of characters of an encoding in an error message.
const MAX_NAMED: usize = 100;

/// A media type of `/graphql`'s responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MediaType {
    /// `application/graphql-response+json`: the status says whether the operation was executed.
    GraphqlResponse,
    /// `application/json`: the status is 200 for every request that could be read.
    Json,
    /// `text/event-stream`: results one after the other, as they become available.
    EventStream,
}

impl MediaType {
    /// The value of `Content-Type`.
    pub(crate) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::GraphqlResponse => "application/graphql-response+json; charset=utf-8",
            Self::Json => "application/json; charset=utf-8",
            Self::EventStream => "text/event-stream",
        })
    }

    /// Negotiates the media type from `Accept`. `None` if nothing is acceptable. Defaults to JSON;
    /// wildcards never select a stream. The most specific range that matches a type decides its
    /// weight; among equal weights, the type that is named first wins.
    ///
    /// # Errors
    /// If the header cannot be read.
    pub(super) fn negotiate(headers: &HeaderMap) -> Result<Option<Self>, Unusable> {
        let values = texts(headers, &header::ACCEPT, "Accept")?;
        Ok(Self::best(&values))
    }

    fn best(accepted: &[&str]) -> Option<Self> {
        let ranges: Vec<Range> = accepted
            .iter()
            .flat_map(|value| value.split(','))
            .filter(|range| !range.trim().is_empty())
            .map(Range::of)
            .collect();
        if ranges.is_empty() {
            return Some(Self::Json);
        }
        let mut best: Option<(f32, usize, Self)> = None;
        for media_type in [Self::Json, Self::GraphqlResponse, Self::EventStream] {
            let matching = ranges.iter().enumerate().filter_map(|(place, range)| {
                Some((range.specificity(media_type)?, std::cmp::Reverse(place), range.quality))
            });
            let most = matching.max_by_key(|(specificity, place, _)| (*specificity, *place));
            let Some((_, std::cmp::Reverse(place), quality)) = most else { continue };
            let is_better = best.is_none_or(|(other, before, _)| {
                quality > other || quality.total_cmp(&other).is_eq() && place < before
            });
            if quality > 0.0 && is_better {
                best = Some((quality, place, media_type));
            }
        }
        best.map(|(.., media_type)| media_type)
    }

    /// The type and subtype.
    fn name(self) -> &'static str {
        match self {
            Self::GraphqlResponse => "application/graphql-response+json",
            Self::Json => "application/json",
            Self::EventStream => "text/event-stream",
        }
    }
}

/// The encoding of a body, such as gzip, if it has one (RFC 9110, section 8.4).
///
/// # Errors
/// If the header cannot be read.
pub(super) fn encoding(headers: &HeaderMap) -> Result<Option<String>, Unusable> {
    let values = texts(headers, &header::CONTENT_ENCODING, "Content-Encoding")?;
    let named = values.iter().flat_map(|value| value.split(',')).map(str::trim);
    let mut encodings =
        named.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"));
    Ok(encodings.next().map(|name| name.chars().take(MAX_NAMED).collect()))
}

/// A range of media types, with its weight.
struct Range {
    types: String,
    quality: f32,
}

impl Range {
    fn of(text: &str) -> Self {
        let mut parts = text.split(';').map(|part| part.trim().to_ascii_lowercase());
        let types = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")?.parse().ok());
        Self { types, quality: quality.unwrap_or(1.0) }
    }

    /// How specifically this matches a media type, or `None` if it does not.
    fn specificity(&self, media_type: MediaType) -> Option<u8> {
        match self.types.as_str() {
            types if types == media_type.name() => Some(2),
            // a stream must be requested by name
            _ if media_type == MediaType::EventStream => None,
            "application/*" => Some(1),
            "*/*" => Some(0),
            _ => None,
        }
    }
}

/// Whether a body is JSON in UTF-8. Nothing that a page can send without a preflight request (a
/// form, plain text) is.
pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    let Ok(Some(value)) = text(headers, &header::CONTENT_TYPE, "Content-Type") else {
        return false;
    };
    let mut parts = value.split(';').map(|part| part.trim().to_ascii_lowercase());
    parts.next().as_deref() == Some("application/json")
        && parts.all(|part| match part.strip_prefix("charset=") {
            Some(charset) => charset.trim_matches('"') == "utf-8",
            None => true,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accept(value: &'static str) -> Option<MediaType> {
        let headers = [(header::ACCEPT, HeaderValue::from_static(value))];
        MediaType::negotiate(&headers.into_iter().collect()).ok().flatten()
    }

    #[test]
    fn the_best_acceptable_media_type_is_chosen() {
        const JSON: &str = "application/json";
        assert_eq!(MediaType::negotiate(&HeaderMap::new()).ok().flatten(), Some(MediaType::Json));
        assert_eq!(accept("*/*"), Some(MediaType::Json));
        assert_eq!(accept(JSON), Some(MediaType::Json));
        assert_eq!(accept("application/graphql-response+json"), Some(MediaType::GraphqlResponse));
        assert_eq!(
            accept("application/graphql-response+json, application/json;q=0.9"),
            Some(MediaType::GraphqlResponse)
        );
        assert_eq!(
            accept("application/graphql-response+json;q=0.5, application/json"),
            Some(MediaType::Json)
        );
        assert_eq!(accept("text/event-stream"), Some(MediaType::EventStream));
        assert_eq!(accept("text/*"), None);
        // the most specific range wins, in any position
        assert_eq!(accept("*/*;q=0.1, application/json;q=0"), Some(MediaType::GraphqlResponse));
        assert_eq!(
            accept("application/json;q=0.2, application/*;q=0.5"),
            Some(MediaType::GraphqlResponse)
        );
        assert_eq!(accept("text/event-stream;q=0.5, */*"), Some(MediaType::Json));
        assert_eq!(accept("text/html"), None);
        assert_eq!(accept("application/json;q=0"), None);
    }
}
