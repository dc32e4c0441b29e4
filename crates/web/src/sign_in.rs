//! Sign-in to the pages.

use serde_json::json;

/// The ways to sign in to the pages, in addition to a pasted token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// The issuer to sign in at.
    pub issuer: Option<Issuer>,
    /// Whether a link with `#token=…` signs its visitor in. Anyone can create such a link, for a session
    /// of their own choice.
    pub takes_token_links: bool,
}

/// An OpenID Connect issuer, and the parameters of the pages' requests to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its issuer identifier, as in its tokens and metadata.
    pub url: String,
    /// The origin of its URL, which the pages can connect to.
    pub origin: String,
    /// The client ID of the pages.
    pub client_id: String,
    /// The requested scopes, separated by spaces.
    pub scope: String,
    /// The API to request an access token for, if the issuer requires it (RFC 8707).
    pub resource: Option<String>,
}

impl Issuer {
    /// The settings of the pages, as the escaped value of an HTML attribute.
    pub(crate) fn attribute(&self) -> String {
        let Self { url, origin: _, client_id, scope, resource } = self;
        let settings =
            json!({ "url": url, "clientId": client_id, "scope": scope, "resource": resource });
        settings.to_string().replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;")
    }
}
