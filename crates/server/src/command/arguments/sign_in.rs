//! How users sign in to the pages.

use campaigns_web as web;
use clap::Args;
use reqwest::Url;

#[derive(Debug, Args)]
#[command(next_help_heading = "Signing in to the pages")]
pub(in crate::command) struct SignIn {
    /// The OpenID Connect issuer at which users sign in to the pages, such as
    /// <https://issuer.example>.
    #[arg(
        long,
        value_name = "URL",
        requires = "oidc_client_id",
        hide_env_values = true,
        value_parser = issuer
    )]
    oidc_issuer: Option<IssuerUrl>,
    /// The client ID that the pages are registered with at the issuer, as a public client.
    #[arg(long, value_name = "ID", requires = "oidc_issuer")]
    oidc_client_id: Option<String>,
    /// The scopes that the pages request from the issuer, separated by spaces.
    #[arg(long, value_name = "SCOPES", default_value = "openid")]
    oidc_scope: String,
    /// The API that the pages request an access token for, if the issuer requires one.
    #[arg(long, value_name = "URI", requires = "oidc_issuer")]
    oidc_resource: Option<String>,
    /// Accepts tokens in links to the pages, which end in #token=…. Users who are already signed in are asked first.
    /// Always on in development mode, which prints such links.
    #[arg(long)]
    token_links: bool,
}

/// An issuer's identifier. Issuers are compared as text, so it stays as it was written.
#[derive(Clone, Debug)]
struct IssuerUrl {
    text: String,
    origin: String,
}

impl SignIn {
    /// Whether an issuer is given.
    pub(in crate::command) fn has_issuer(&self) -> bool {
        self.oidc_issuer.is_some()
    }

    /// How users sign in to the pages.
    pub(in crate::command) fn settings(&self, is_development: bool) -> web::SignIn {
        let issuer = self.oidc_issuer.clone().zip(self.oidc_client_id.clone());
        let issuer = issuer.map(|(IssuerUrl { text, origin }, client_id)| web::Issuer {
            url: text,
            origin,
            client_id,
            scope: self.oidc_scope.clone(),
            resource: self.oidc_resource.clone(),
        });
        web::SignIn { issuer, takes_token_links: is_development || self.token_links }
    }
}

fn issuer(text: &str) -> Result<IssuerUrl, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("it must begin with https:// or http://".to_owned());
    }
    // everyone who opens a page can read it; OpenID Connect allows none of these (Discovery 1.0, section 3)
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must not contain a user or a password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("it must not contain a query or a fragment".to_owned());
    }
    let origin = url.origin().ascii_serialization();
    // it becomes part of the pages' policy, in which these are separators
    if origin.contains([';', ',', '\'']) {
        return Err("its host is not a name or an address".to_owned());
    }
    Ok(IssuerUrl { text: text.to_owned(), origin })
}
