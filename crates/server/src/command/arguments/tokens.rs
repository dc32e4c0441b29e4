//! The keys that tokens are verified with, and the names of their claims.

use std::path::PathBuf;

use campaigns_scope::{ClaimRules, Key};
use clap::{Args, builder::NonEmptyStringValueParser};
use reqwest::Url;

use super::wrong_usage::WrongUsage;
use crate::secrets::redacted_path;

#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens")]
pub(in crate::command) struct Keys {
    /// The secret of tokens signed with HS256, with at least 32 bytes.
    #[arg(long, value_name = "SECRET", hide_env_values = true)]
    pub(in crate::command) jwt_secret: Option<String>,
    /// A file with a public key in PEM format, for tokens signed with RS256, ES256, ES384 or EdDSA.
    #[arg(long, value_name = "FILE")]
    jwt_public_key: Option<PathBuf>,
    /// The address of a JSON Web Key Set with the public keys of tokens, such as <https://…/jwks.json>.
    #[arg(
        long,
        value_name = "URL",
        hide_env_values = true,
        value_parser = key_server
    )]
    jwks_url: Option<Url>,
}

/// The source of the keys.
pub(in crate::command) enum KeySource {
    /// One given key.
    Given(Key),
    /// A key server.
    Server(Url),
}

impl Keys {
    /// Whether a key server is given.
    pub(in crate::command) fn has_server(&self) -> bool {
        self.jwks_url.is_some()
    }

    /// The source of the keys, if one is given.
    pub(in crate::command) fn source(&self) -> anyhow::Result<Option<KeySource>> {
        match (&self.jwt_secret, &self.jwt_public_key, &self.jwks_url) {
            (None, None, None) => Ok(None),
            (Some(secret), None, None) => match Key::secret(secret.as_bytes()) {
                Ok(key) => Ok(Some(KeySource::Given(key))),
                Err(error) => Err(WrongUsage(format!("--jwt-secret: {error}")).into()),
            },
            (None, Some(file), None) => {
                let of_file = |error: &dyn std::error::Error| {
                    WrongUsage(format!("--jwt-public-key {}: {error}", redacted_path(file)))
                };
                let pem = std::fs::read(file).map_err(|error| of_file(&error))?;
                let key = Key::public_pem(&pem).map_err(|error| of_file(&error))?;
                Ok(Some(KeySource::Given(key)))
            }
            (None, None, Some(url)) => Ok(Some(KeySource::Server(url.clone()))),
            _ => Err(WrongUsage(
                "--jwt-secret, --jwt-public-key and --jwks-url exclude each other; give only one"
                    .to_owned(),
            )
            .into()),
        }
    }
}

fn key_server(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match (url.scheme(), url.has_host()) {
        ("http" | "https", true) => Ok(url),
        _ => Err("it must begin with https:// or http://".to_owned()),
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens")]
#[expect(clippy::struct_field_names, reason = "the flags' names")]
pub(in crate::command) struct Claims {
    /// The claim with the organization's ID. A dot separates the names of nested objects.
    #[arg(long, value_name = "CLAIM", default_value = "org_id")]
    jwt_org_claim: String,
    /// The claim with the role, with a list of roles, with an object whose keys are roles, or with
    /// true. A claim "scope" or "scp" can list roles separated by spaces. A dot separates the names of
    /// nested objects.
    #[arg(long, value_name = "CLAIM", default_value = "role")]
    jwt_role_claim: String,
    /// The roles that make a user an admin. Any other role is a member.
    #[arg(long, value_name = "ROLES", default_value = "admin,owner", value_delimiter = ',')]
    jwt_admin_roles: Vec<String>,
    /// The issuer that tokens must have.
    #[arg(long, value_name = "ISSUER", value_parser = NonEmptyStringValueParser::new())]
    jwt_issuer: Option<String>,
    /// The audience that tokens must have.
    #[arg(long, value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new())]
    jwt_audience: Option<String>,
}

impl From<&Claims> for ClaimRules {
    fn from(claims: &Claims) -> Self {
        Self {
            organization: claims.jwt_org_claim.clone(),
            role: claims.jwt_role_claim.clone(),
            admin_roles: trimmed(&claims.jwt_admin_roles),
            issuer: claims.jwt_issuer.clone(),
            audience: claims.jwt_audience.clone(),
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Tokens")]
pub(in crate::command) struct Memberships {
    /// Accepts tokens without an organization: the organization and the role come from the user's active
    /// membership. The token's subject identifies the user by auth_id.
    #[arg(long)]
    memberships: bool,
    /// The membership roles that make a user an admin. Any other role is a member.
    #[arg(long, value_name = "ROLES", default_value = "admin,owner", value_delimiter = ',')]
    membership_admin_roles: Vec<String>,
}

impl Memberships {
    /// The membership roles that make a user an admin, if memberships are used.
    pub(in crate::command) fn admin_roles(&self) -> Option<Vec<String>> {
        self.memberships.then(|| trimmed(&self.membership_admin_roles))
    }
}

/// The roles without surrounding spaces.
fn trimmed(roles: &[String]) -> Vec<String> {
    let roles = roles.iter().map(|role| role.trim().to_owned());
    roles.filter(|role| !role.is_empty()).collect()
}
