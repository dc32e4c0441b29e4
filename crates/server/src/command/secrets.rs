//! `campaigns secrets`.

use anyhow::bail;
use campaigns_encryption::Keyring;
use campaigns_scope::{Database, Findings};

use super::{
    arguments::{Secrets, SecretsAction, WrongUsage},
    database, output,
};

pub(super) async fn run(arguments: Secrets) -> anyhow::Result<()> {
    let SecretsAction::Rotate = arguments.action;
    let options = database::options(&arguments.database, &arguments.schema)?;
    let keys = arguments.encryption.keyring_for(&options.url)?;
    if keys.is_empty() {
        return Err(WrongUsage(
            "--encryption-key is missing; give the new key first, and then the old one".to_owned(),
        )
        .into());
    }
    let database = database::open(&options).await?;
    let rotated = rotate(&database, &keys).await;
    database.close().await?;
    output::line(rotated?)?;
    Ok(())
}

/// Encrypts each secret with the first key, and says how many were changed. Another process can do the same, or
/// change secrets, at the same time.
async fn rotate(database: &Database, keys: &Keyring) -> anyhow::Result<String> {
    let secrets = database.secrets();
    let (mut rotated, mut all, mut unopened) = (0_u64, 0_u64, 0_u64);
    let mut last = None;
    loop {
        let page = secrets.after(last.as_ref()).await?;
        let Some(end) = page.last() else { break };
        for secret in &page {
            all += 1;
            let Ok(opened) = keys.open(secret.id, &secret.sealed) else {
                unopened += 1;
                continue;
            };
            if keys.is_current(&secret.sealed) {
                continue;
            }
            let sealed = keys.seal(secret.id, &opened)?;
            rotated += u64::from(secrets.replace(secret, sealed).await?);
        }
        last = Some(end.clone());
    }
    if unopened > 0 {
        bail!(
            "{unopened} of {all} secrets are not opened by any --encryption-key; `campaigns doctor` lists them"
        );
    }
    Ok(format!("{rotated} of {all} secrets were encrypted anew"))
}

/// The secrets that no key opens.
pub(super) async fn unopened(
    database: &Database,
    keys: &Keyring,
    most: u64,
) -> anyhow::Result<Findings> {
    let secrets = database.secrets();
    let mut found = Findings::default();
    let mut last = None;
    loop {
        let page = secrets.after(last.as_ref()).await?;
        let Some(end) = page.last() else { return Ok(found) };
        for secret in &page {
            if keys.open(secret.id, &secret.sealed).is_ok() {
                continue;
            }
            found.all += 1;
            if found.all <= most {
                let (table, id, organization) = (secret.table, secret.id, secret.organization);
                found.named.push(format!("{table} {id} of organization {organization}"));
            }
        }
        last = Some(end.clone());
    }
}
