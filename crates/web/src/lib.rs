//! The pages of the service: the dashboard and GraphiQL.
//!
//! This crate's build script builds them from `web/` if Node is installed. Otherwise, the crate contains
//! the plain page in `plain/`, which sends operations and has no dependencies.
//!
//! **Invariants.** A page loads files only from its own host, and its content security policy enforces
//! this. It can also connect to the issuer for sign-in, if there is one. There are no inline scripts. A
//! file that is cached forever has the hash of its content in its name.

#![warn(missing_docs)]

mod policy;
mod sign_in;

use std::{borrow::Cow, collections::BTreeMap, sync::LazyLock};

use rust_embed::{EmbeddedFile, RustEmbed};
pub use sign_in::{Issuer, SignIn};

#[derive(RustEmbed)]
#[folder = "$OUT_DIR/pages"]
struct Built;

#[derive(RustEmbed)]
#[folder = "plain"]
struct Plain;

/// The dashboard's views: the first segment of the path, and the name. The dashboard reads the same file.
static VIEWS: LazyLock<BTreeMap<&str, &str>> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../web/views.json")).expect("it is an object of texts")
});

/// A set of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// The dashboard and GraphiQL, as built from `web/`.
    Built,
    /// One page that sends operations. It needs no build.
    Plain,
}

/// A file to be served.
#[derive(Debug)]
pub struct File {
    /// Its content.
    pub content: Cow<'static, [u8]>,
    /// Its media type.
    pub content_type: &'static str,
    /// The value of `Content-Encoding`, or `None` if the content is not encoded.
    pub encoding: Option<&'static str>,
    /// The value of `Cache-Control`.
    pub cache: &'static str,
    /// The value of `Content-Security-Policy`, or `None` if the file is not a page.
    pub policy: Option<String>,
}

impl Default for Pages {
    /// The built pages, if this program contains them.
    fn default() -> Self {
        if env!("CAMPAIGNS_WEB_IS_BUILT") == "true" { Self::Built } else { Self::Plain }
    }
}

impl Pages {
    /// The file at a path, in one of the encodings in `Accept-Encoding`, or `None` if it does not exist.
    /// `prefix` is the base path of the service in the links of a page: empty, or a path without a
    /// trailing slash.
    #[must_use]
    pub fn file(self, path: &str, accepted: &str, prefix: &str, sign_in: &SignIn) -> Option<File> {
        let path = path.strip_prefix('/')?;
        if let Some(name) = self.page_at(path) {
            return self.page(name, prefix, sign_in);
        }
        // browsers request this if a page does not name an icon
        let path = match (path, self) {
            ("favicon.ico", Self::Built) => "favicon.svg",
            ("favicon.ico", Self::Plain) => "assets/favicon.svg",
            _ => path,
        };
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

    /// The page for a path that does not exist.
    #[must_use]
    pub fn missing(self, prefix: &str, sign_in: &SignIn) -> Option<File> {
        // the dashboard itself shows that the view does not exist
        let name = if self == Self::Built { "index.html" } else { "missing.html" };
        self.page(name, prefix, sign_in)
    }

    /// The name of the page at a path. The plain page takes the place of all pages. None if there is no page.
    fn page_at(self, path: &str) -> Option<&'static str> {
        let is_view = |path: &str| VIEWS.contains_key(path.split('/').next().unwrap_or_default());
        match (path, self) {
            ("graphiql", Self::Built) => Some("graphiql.html"),
            ("" | "graphiql", _) => Some("index.html"),
            _ => is_view(path).then_some("index.html"),
        }
    }

    /// A page, with its own nonce, so that no cache can keep it.
    fn page(self, name: &str, prefix: &str, sign_in: &SignIn) -> Option<File> {
        let SignIn { issuer, takes_token_links } = sign_in;
        let issuer = issuer.as_ref();
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let text = String::from_utf8(self.get(name)?.data.into_owned()).ok()?;
        let text = text
            // in the built page, its files are relative to it
            .replace("=\"./", &format!("=\"{prefix}/"))
            .replace("BASE_PATH", &format!("{prefix}/"))
            .replace("CSP_NONCE", &nonce)
            .replace("OIDC_ISSUER", &issuer.map(Issuer::attribute).unwrap_or_default())
            .replace("TOKEN_LINKS", if *takes_token_links { "on" } else { "off" });
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

/// The encodings of stored files, smallest first, each with the suffix of the file name.
const ENCODINGS: [(&str, &str); 2] = [("br", ".br"), ("gzip", ".gz")];

/// Whether `Accept-Encoding` names an encoding, or any with `*`, without a weight of 0.
fn accepts(accepted: &str, encoding: &str) -> bool {
    let weight_of = |wanted: &str| {
        accepted.split(',').find_map(|item| {
            let mut parts = item.split(';').map(str::trim);
            let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(wanted));
            let weight = parts
                .find_map(|part| part.strip_prefix(['q', 'Q'])?.strip_prefix('=')?.parse().ok());
            is_named.then(|| weight.unwrap_or(1.0))
        })
    };
    weight_of(encoding).or_else(|| weight_of("*")).is_some_and(|weight: f32| weight > 0.0)
}

/// The media type of a file. `None` for a file that is not served by its name.
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
    use super::{Issuer, Pages, SignIn, accepts};

    #[test]
    fn an_encoding_is_accepted_where_it_is_named_with_a_weight() {
        assert!(accepts("gzip, deflate, br", "br"));
        assert!(accepts("GZIP;q=0.5", "gzip"));
        assert!(!accepts("gzip;q=0, br", "gzip"));
        assert!(!accepts("gzip;Q=0, *", "gzip"));
        assert!(accepts("gzip;q=0, *;q=0.1", "br"));
        assert!(!accepts("br, *;q=0", "gzip"));
        assert!(!accepts("", "br"));
    }

    #[test]
    fn there_is_a_page_for_addresses_without_one() {
        for pages in [Pages::default(), Pages::Plain] {
            assert!(pages.file("/nope", "br", "", &SignIn::default()).is_none());
            let missing = pages.missing("", &SignIn::default()).unwrap();
            assert!(missing.policy.is_some());
            assert_eq!(
                pages.file("/favicon.ico", "", "", &SignIn::default()).unwrap().content_type,
                "image/svg+xml"
            );
        }
    }

    #[test]
    fn each_page_allows_styles_by_the_nonce_that_it_carries() {
        for pages in [Pages::default(), Pages::Plain] {
            for path in ["/", "/graphiql", "/campaigns/1"] {
                let page = pages.file(path, "br", "", &SignIn::default()).unwrap();
                let policy = page.policy.unwrap();
                let nonce = policy.split_once("'nonce-").unwrap().1.split_once('\'').unwrap().0;
                let text = String::from_utf8(page.content.into_owned()).unwrap();
                assert!(
                    !["CSP_NONCE", "OIDC_ISSUER", "TOKEN_LINKS", "BASE_PATH", "\"./"]
                        .iter()
                        .any(|name| text.contains(name))
                );
                assert_eq!(text.contains(nonce), pages == Pages::Built);
            }
        }
        assert!(Pages::Plain.file("/index.html", "", "", &SignIn::default()).is_none());
        assert!(Pages::Plain.file("/../Cargo.toml", "", "", &SignIn::default()).is_none());
    }

    #[test]
    fn each_page_names_addresses_below_its_prefix() {
        for pages in [Pages::default(), Pages::Plain] {
            for path in ["/", "/graphiql", "/campaigns/1", "/sign-in"] {
                for (prefix, base) in [("", "/"), ("/mail", "/mail/"), ("/a/b", "/a/b/")] {
                    let page = pages.file(path, "br", prefix, &SignIn::default()).unwrap();
                    let text = String::from_utf8(page.content.into_owned()).unwrap();
                    let parts: Vec<&str> = text.split('"').collect();
                    let is_link = |part: &str| part.ends_with("href=") || part.ends_with("src=");
                    let pairs = parts.windows(2).filter(|pair| is_link(pair[0]));
                    let addresses: Vec<&str> = pairs.map(|pair| pair[1]).collect();
                    assert!(addresses.iter().any(|one| one.starts_with(&format!("{base}assets/"))));
                    assert!(addresses.iter().all(|one| one.starts_with(base)), "{addresses:?}");
                }
            }
        }
    }

    #[test]
    fn each_page_says_whether_it_takes_tokens_from_links() {
        for pages in [Pages::default(), Pages::Plain] {
            for path in ["/", "/graphiql", "/sign-in"] {
                for (takes_token_links, said) in [(true, "on"), (false, "off")] {
                    let sign_in = SignIn { takes_token_links, ..SignIn::default() };
                    let page = pages.file(path, "br", "", &sign_in).unwrap();
                    let text = String::from_utf8(page.content.into_owned()).unwrap();
                    let element = format!("<meta name=\"token-links\" content=\"{said}\" />");
                    assert!(text.contains(&element), "{text}");
                }
            }
        }
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
        let sign_in = SignIn { issuer: Some(issuer), ..SignIn::default() };
        for path in ["/", "/graphiql", "/sign-in"] {
            let page = Pages::default().file(path, "br", "", &sign_in).unwrap();
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
