//! Development mode: the defaults for a service without configuration.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    path::Path,
};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use campaigns_encryption::EncryptionKey;
use rand::RngExt;
use rustix::fs::{Access, access};

/// The embedded database, in the working directory.
pub(crate) const DATABASE_URL: &str = "sqlite://campaigns.db";

/// The file with the secret, next to the database.
const SECRET: &str = "campaigns.db.secret";
/// The file with the key that encrypts secrets, beside it.
const ENCRYPTION_KEY: &str = "campaigns.db.encryption-key";

/// Rejects a working directory in which no file can be created.
pub(crate) fn require_writable() -> anyhow::Result<()> {
    access(".", Access::WRITE_OK | Access::EXEC_OK).context("the working directory is read-only")
}

/// The development secret, if there is one.
pub(crate) fn existing_secret() -> anyhow::Result<Option<Vec<u8>>> {
    existing(SECRET)
}

/// The development secret. Created if there is none, readable only by its owner.
pub(crate) fn secret() -> anyhow::Result<Vec<u8>> {
    if let Some(secret) = existing_secret()? {
        return Ok(secret);
    }
    let secret: String =
        rand::rng().sample_iter(rand::distr::Alphanumeric).take(64).map(char::from).collect();
    create(SECRET, secret.as_bytes())?;
    Ok(secret.into_bytes())
}

/// The key of development mode that encrypts secrets, if there is one.
pub(crate) fn existing_encryption_key() -> anyhow::Result<Option<EncryptionKey>> {
    let Some(key) = existing(ENCRYPTION_KEY)? else { return Ok(None) };
    let key = EncryptionKey::parse(&String::from_utf8_lossy(&key));
    Ok(Some(key.with_context(|| format!("cannot use {ENCRYPTION_KEY}"))?))
}

/// The key of development mode that encrypts secrets. Created if there is none, readable only by its owner.
pub(crate) fn encryption_key() -> anyhow::Result<EncryptionKey> {
    if let Some(key) = existing_encryption_key()? {
        return Ok(key);
    }
    let key = STANDARD.encode(rand::rng().random::<[u8; 32]>());
    create(ENCRYPTION_KEY, key.as_bytes())?;
    Ok(EncryptionKey::parse(&key)?)
}

/// The content of a file, if it exists.
fn existing(name: &str) -> anyhow::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    match std::fs::File::open(name) {
        Ok(mut file) => {
            file.read_to_end(&mut content).with_context(|| format!("cannot read {name}"))?;
            Ok(Some(content))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot open {name}")),
    }
}

/// Creates a file that only its owner can read.
fn create(name: &str, content: &[u8]) -> anyhow::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file =
        options.open(Path::new(name)).with_context(|| format!("cannot create {name}"))?;
    file.write_all(content).with_context(|| format!("cannot write {name}"))
}
