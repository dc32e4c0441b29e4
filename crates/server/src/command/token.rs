//! `campaigns token`.

use campaigns_scope::Signer;
use chrono::Utc;

use super::{
    arguments::{Token, WrongUsage},
    output,
};
use crate::development;

pub(super) fn run(arguments: &Token) -> anyhow::Result<()> {
    let secret = match &arguments.jwt_secret {
        Some(secret) => secret.clone().into_bytes(),
        None => development::existing_secret()?.ok_or_else(|| {
            WrongUsage(
                "--jwt-secret is missing, and there is no development secret here: `campaigns` \
                 creates one when it starts without a database"
                    .to_owned(),
            )
        })?,
    };
    let signer = Signer::new(&secret, (&arguments.claims).into())
        .map_err(|error| WrongUsage(format!("--jwt-secret: {error}")))?;
    let now = Utc::now();
    let expires_at = chrono::TimeDelta::from_std(arguments.ttl)
        .ok()
        .and_then(|ttl| now.checked_add_signed(ttl))
        .ok_or_else(|| WrongUsage("--ttl is too long for a token".to_owned()))?;
    let Token { org, role, subject, .. } = arguments;
    let token = signer
        .sign(*org, role, subject, now, expires_at)
        .map_err(|error| WrongUsage(error.to_string()))?;
    Ok(output::line(token)?)
}
