//! The address at which users reach the service, and origins.

use std::str::FromStr;

use http::HeaderValue;
use reqwest::Url;

/// The service's own addresses of one segment that are not pages of the dashboard. A prefix that is one
/// of them would be ambiguous.
const OWN_ADDRESSES: [&str; 6] =
    ["/assets", "/graphiql", "/graphql", "/healthz", "/metrics", "/readyz"];

/// The address at which users reach the service: an origin and, if a proxy serves it below a path,
/// that path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    origin: HeaderValue,
    prefix: String,
}

impl PublicUrl {
    /// The origin of the service's pages, as browsers write it.
    pub(crate) fn origin(&self) -> &HeaderValue {
        &self.origin
    }

    /// The path below which the service is, such as `/mail`. Empty if it is at the root.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl std::fmt::Display for PublicUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let origin = self.origin.to_str().unwrap_or_default();
        write!(formatter, "{origin}{}", self.prefix)
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of_web = text.split_once("://").filter(|(scheme, _)| {
            ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known))
        });
        let Some((scheme, rest)) = of_web else {
            return Err("it must begin with https:// or http://".to_owned());
        };
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let origin = origin(&format!("{scheme}://{host}")).map_err(
            |_| "it has a scheme, a host and at most a path, such as https://example.com/mail",
        )?;
        Ok(Self { origin, prefix: prefix(path)? })
    }
}

/// A path without the slash at its end, made of segments that need no encoding.
fn prefix(path: &str) -> Result<String, String> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let is_plain = |segment: &str| {
        let is_unreserved = |of: u8| of.is_ascii_alphanumeric() || b"-._~".contains(&of);
        !matches!(segment, "" | "." | "..") && segment.bytes().all(is_unreserved)
    };
    if !path.is_empty() && !path.split('/').skip(1).all(is_plain) {
        return Err("its path has only letters, digits and -._~ between single slashes, and neither . nor .. alone, \
                    such as https://example.com/mail"
            .to_owned());
    }
    if OWN_ADDRESSES.contains(&path) {
        return Err(format!(
            "{path} is an address of the service itself; choose another path, such as https://example.com/mail"
        ));
    }
    Ok(path.to_owned())
}

/// An origin as browsers write it (WHATWG HTML, "ASCII serialization of an origin"): in lower case, with a
/// name in ASCII, and without the port that the scheme has by default. Pages in apps have schemes of
/// their own, such as `capacitor://localhost`.
pub(crate) fn origin(text: &str) -> Result<HeaderValue, String> {
    const NO_ORIGIN: &str =
        "an origin has only a scheme and a host, such as https://app.example.com";
    if text.contains('*') {
        return Err(
            "wildcards are not supported; name each origin, such as https://app.example.com"
                .to_owned(),
        );
    }
    let url = Url::parse(text).map_err(|_| NO_ORIGIN)?;
    let has_more = url.path().len() > 1
        || url.query().is_some()
        || url.fragment().is_some()
        || !url.username().is_empty()
        || url.password().is_some();
    let Some(host) = url.host_str().filter(|host| !has_more && !host.is_empty()) else {
        return Err(NO_ORIGIN.to_owned());
    };
    let origin = match (url.origin(), url.port()) {
        (origin, _) if origin.is_tuple() => origin.ascii_serialization(),
        (_, Some(port)) => format!("{}://{host}:{port}", url.scheme()).to_lowercase(),
        (_, None) => format!("{}://{host}", url.scheme()).to_lowercase(),
    };
    HeaderValue::from_str(&origin).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_what_browsers_send() {
        for (given, sent) in [
            ("https://app.example.com", "https://app.example.com"),
            ("HTTPS://App.Example.COM/", "https://app.example.com"),
            ("https://app.example.com:443", "https://app.example.com"),
            ("http://app.example.com:80", "http://app.example.com"),
            ("http://app.example.com:443", "http://app.example.com:443"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("http://[::1]:3000", "http://[::1]:3000"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(origin(given).unwrap(), sent, "{given}");
        }
        for wrong in [
            "https://*.example.com",
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/path",
            "https://app.example.com?x",
            "https://u@app.example.com",
            "https://",
            "file:///",
            "data:text/plain,x",
        ] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_public_url_is_an_origin_and_a_prefix_without_a_slash_at_its_end() {
        for (given, origin, prefix) in [
            ("https://mail.example", "https://mail.example", ""),
            ("HTTPS://Mail.example:443/", "https://mail.example", ""),
            ("https://mail.example/desk", "https://mail.example", "/desk"),
            ("http://mail.example:8080/a/b-c_d~1.0/", "http://mail.example:8080", "/a/b-c_d~1.0"),
            ("https://mail.example/campaigns", "https://mail.example", "/campaigns"),
            ("https://mail.example/api/graphql", "https://mail.example", "/api/graphql"),
        ] {
            let url: PublicUrl = given.parse().unwrap();
            assert_eq!((url.origin().to_str().unwrap(), url.prefix()), (origin, prefix));
            assert_eq!(url.to_string(), format!("{origin}{prefix}"));
        }
        for wrong in [
            "mail.example/desk",
            "ftp://mail.example/desk",
            "https:///desk",
            "https://mail.example/desk?x",
            "https://mail.example?x=/desk",
            "https://mail.example/desk#x",
            "https://mail.example#/desk",
            "https://mail.example/../desk",
            "https://mail.example/desk/..",
            "https://mail.example/./desk",
            "https://mail.example/%2e%2e/desk",
            "https://mail.example//desk",
            "https://mail.example/desk//",
            "https://mail.example/a\\b",
            "https://mail.example/{desk}",
            "https://mail.example/desk ",
            "https://mail.example/b\u{fc}cher",
            "https://user@mail.example/desk",
            "https://mail.example/graphql",
            "https://mail.example/assets/",
        ] {
            assert!(wrong.parse::<PublicUrl>().is_err(), "{wrong}");
        }
    }
}
