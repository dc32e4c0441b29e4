//! The pages of the service: the dashboard and GraphiQL.
//!
//! This crate's build script builds them from `web/` if Node is installed. Otherwise, the plain
//! pages beside this crate's source take their place, with fewer features and no dependencies.
//!
//! **Invariants.** A page loads nothing from another host, and its policy forbids it. It can connect to
//! the issuer at which people sign in, if there is one. No script is inline. A file that is cached
//! forever has the hash of its content in its name.

#![warn(missing_docs)]

mod issuer;
mod policy;

use std::borrow::Cow;

pub use issuer::Issuer;
use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/pages"]
struct Built;

#[derive(RustEmbed)]
#[folder = "plain"]
struct Plain;

/// The addresses of the dashboard's views, including everything below them.
const VIEWS: [&str; 5] = ["campaigns", "segments", "contacts", "live", "sign-in"];

/// A set of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// The dashboard and GraphiQL, as built from `web/`.
    Built,
    /// The pages that need no build.
    Plain,
}

/// A file to be served.
#[derive(Debug)]
pub struct File {
    /// Its content.
    pub content: Cow<'static, [u8]>,
    /// Its media type.
    pub content_type: &'static str,
    /// How its content is encoded; None if it is as it is.
    pub encoding: Option<&'static str>,
    /// How long it can be cached, as the value of `Cache-Control`.
    pub cache: &'static str,
    /// What the page can load, as the value of `Content-Security-Policy`. None if it is not a page.
    pub policy: Option<String>,
}

impl Default for Pages {
    /// The built pages, if this program contains them.
    fn default() -> Self {
        if env!("CAMPAIGNS_WEB_IS_BUILT") == "true" { Self::Built } else { Self::Plain }
    }
}

impl Pages {
    /// The file at a path, in one of the encodings in `Accept-Encoding`. A page lets people
    /// sign in at the issuer, if there is one. None if there is no such file.
    #[must_use]
    pub fn file(self, path: &str, accepted: &str, issuer: Option<&Issuer>) -> Option<File> {
        let path = path.strip_prefix('/')?;
        if path == "graphiql" {
            return self.page("graphiql.html", issuer);
        }
        if path.is_empty() || VIEWS.contains(&path.split('/').next().unwrap_or_default()) {
            return self.page("index.html", issuer);
        }
        let content_type = content_type(path)?;
        let (file, encoding) = ENCODINGS
            .iter()
            .filter(|(name, _)| accepts(accepted, name))
            .find_map(|(name, suffix)| {
                self.get(&format!("{path}{suffix}")).map(|file| (file, Some(*name)))
            })
            .or_else(|| self.get(path).map(|file| (file, None)))?;
        let is_hashed = self == Self::Built && path.starts_with("assets/");
        Some(File {
            content: file.data,
            content_type,
            encoding,
            cache: if is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" },
            policy: None,
        })
    }

    /// A page, with its own nonce, so that no cache can keep it.
    fn page(self, name: &str, issuer: Option<&Issuer>) -> Option<File> {
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let text = String::from_utf8(self.get(name)?.data.into_owned()).ok()?;
        let text = text
            .replace("CSP_NONCE", &nonce)
            .replace("OIDC_ISSUER", &issuer.map(Issuer::attribute).unwrap_or_default());
        Some(File {
            content: Cow::Owned(text.into_bytes()),
            content_type: "text/html; charset=utf-8",
            encoding: None,
            cache: "no-store",
            policy: Some(if self == Self::Built && name == "graphiql.html" {
                policy::of_graphiql(&nonce, issuer)
            } else {
                policy::of_page(&nonce, issuer)
            }),
        })
    }

    fn get(self, name: &str) -> Option<EmbeddedFile> {
        match self {
            Self::Built => Built::get(name),
            Self::Plain => Plain::get(name),
        }
    }
}

/// Encodings that files are kept in, smallest first, each with the end of its files' names.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Whether `Accept-Encoding` names an encoding without a weight of 0.
fn accepts(accepted: &str, encoding: &str) -> bool {
    accepted.split(',').any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(encoding));
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        is_named && weight.is_none_or(|weight| weight > 0.0)
    })
}

/// The media type of a file that can be requested by its name.
fn content_type(path: &str) -> Option<&'static str> {
    match path.rsplit_once('.')?.1 {
        "js" => Some("text/javascript; charset=utf-8"),
        "css" => Some("text/css; charset=utf-8"),
        "svg" => Some("image/svg+xml"),
        "ttf" => Some("font/ttf"),
        "woff2" => Some("font/woff2"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Issuer, Pages, accepts};

    #[test]
    fn an_encoding_is_accepted_where_it_is_named_with_a_weight() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("GZIP;q=0.5", "gzip"));
        assert!(!accepts("gzip;q=0, br", "gzip"));
        assert!(!accepts("", "br"));
    }

    #[test]
    fn each_page_allows_styles_by_the_nonce_that_it_carries() {
        for pages in [Pages::default(), Pages::Plain] {
            for path in ["/", "/graphiql", "/campaigns/1"] {
                let page = pages.file(path, "br", None).unwrap();
                let policy = page.policy.unwrap();
                let nonce = policy.split_once("'nonce-").unwrap().1.split_once('\'').unwrap().0;
                let text = String::from_utf8(page.content.into_owned()).unwrap();
                assert!(!text.contains("CSP_NONCE") && !text.contains("OIDC_ISSUER"));
                assert_eq!(text.contains(nonce), pages == Pages::Built);
            }
        }
        assert!(Pages::Plain.file("/index.html", "", None).is_none());
        assert!(Pages::Plain.file("/../Cargo.toml", "", None).is_none());
    }
    #[test]
    fn an_issuer_is_named_in_the_page_and_may_be_asked() {
        let issuer = Issuer {
            url: "https://issuer.example/a?b&c".to_owned(),
            origin: "https://issuer.example".to_owned(),
            client_id: "\"><script>".to_owned(),
            scope: "openid".to_owned(),
            resource: None,
        };
        for path in ["/", "/graphiql", "/sign-in"] {
            let page = Pages::default().file(path, "br", Some(&issuer)).unwrap();
            let policy = page.policy.unwrap();
            assert!(policy.contains("; connect-src 'self' https://issuer.example; "), "{policy}");
            let text = String::from_utf8(page.content.into_owned()).unwrap();
            assert!(!text.contains("<script>"), "{text}");
            if Pages::default() == Pages::Built {
                assert!(text.contains("&quot;https://issuer.example/a?b&amp;c&quot;"), "{text}");
            }
        }
    }
}
