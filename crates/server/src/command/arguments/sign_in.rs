//! Where people sign in to the pages.

use campaigns_web::Issuer;
use clap::Args;
use reqwest::Url;

#[derive(Debug, Args)]
#[expect(clippy::struct_field_names, reason = "the flags' names")]
pub(in crate::command) struct SignIn {
    /// The OpenID Connect issuer at which people sign in to the pages, as <https://issuer.example>.
    #[arg(
        long,
        env = "CAMPAIGNS_OIDC_ISSUER",
        value_name = "URL",
        requires = "oidc_client_id",
        value_parser = issuer
    )]
    oidc_issuer: Option<IssuerUrl>,
    /// The id that the pages are registered with at the issuer, as a public client.
    #[arg(long, env = "CAMPAIGNS_OIDC_CLIENT_ID", value_name = "ID", requires = "oidc_issuer")]
    oidc_client_id: Option<String>,
    /// The scopes that the pages ask the issuer for, separated by spaces.
    #[arg(long, env = "CAMPAIGNS_OIDC_SCOPE", value_name = "SCOPES", default_value = "openid")]
    oidc_scope: String,
    /// The API that the pages ask an access token for, where the issuer has to be told.
    #[arg(long, env = "CAMPAIGNS_OIDC_RESOURCE", value_name = "URI", requires = "oidc_issuer")]
    oidc_resource: Option<String>,
}

/// An issuer's identifier. Issuers are compared as text, so it stays as it was written.
#[derive(Clone, Debug)]
struct IssuerUrl {
    text: String,
    origin: String,
}

impl SignIn {
    /// The issuer, where one is given.
    pub(in crate::command) fn issuer(self) -> Option<Issuer> {
        let IssuerUrl { text, origin } = self.oidc_issuer?;
        Some(Issuer {
            url: text,
            origin,
            client_id: self.oidc_client_id?,
            scope: self.oidc_scope,
            resource: self.oidc_resource,
        })
    }
}

fn issuer(text: &str) -> Result<IssuerUrl, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match (url.scheme(), url.has_host()) {
        ("http" | "https", true) => {
            Ok(IssuerUrl { text: text.to_owned(), origin: url.origin().ascii_serialization() })
        }
        _ => Err("it begins with https:// or http://".to_owned()),
    }
}
