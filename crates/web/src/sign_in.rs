//! How people sign in to the pages, other than by a token that they paste.

use serde_json::json;

/// How people sign in to the pages, other than by a token that they paste.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// The issuer at which they sign in.
    pub issuer: Option<Issuer>,
    /// Whether a link with `#token=…` signs them in. Anyone can make such a link, for a session of
    /// their own choice.
    pub takes_token_links: bool,
}

/// An issuer of OpenID Connect, and what the pages ask it for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its identifier, as its tokens and its metadata have it.
    pub url: String,
    /// The origin of that, which the pages may connect to.
    pub origin: String,
    /// What the pages are registered as.
    pub client_id: String,
    /// The scopes that they ask for, separated by spaces.
    pub scope: String,
    /// The API that they request an access token for, if the issuer needs it.
    pub resource: Option<String>,
}

impl Issuer {
    /// What a page reads, as the value of an attribute.
    pub(crate) fn attribute(&self) -> String {
        let Self { url, origin: _, client_id, scope, resource } = self;
        let settings =
            json!({ "url": url, "clientId": client_id, "scope": scope, "resource": resource });
        settings.to_string().replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
    }
}
