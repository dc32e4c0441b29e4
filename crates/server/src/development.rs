//! Development mode: the defaults for a service without configuration.

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read, Write},
    path::Path,
};

use anyhow::Context;
use rand::RngExt;
use rustix::fs::{Access, access};

/// The embedded database, in the working directory.
pub(crate) const DATABASE_URL: &str = "sqlite://campaigns.db";

/// The file with the secret, next to the database.
const SECRET: &str = "campaigns.db.secret";

/// Rejects a working directory in which no file can be created.
pub(crate) fn require_writable() -> anyhow::Result<()> {
    access(".", Access::WRITE_OK | Access::EXEC_OK).context("the working directory is read-only")
}

/// The development secret, if there is one.
pub(crate) fn existing_secret() -> anyhow::Result<Option<Vec<u8>>> {
    let mut secret = Vec::new();
    match std::fs::File::open(SECRET) {
        Ok(mut file) => {
            file.read_to_end(&mut secret).with_context(|| format!("cannot read {SECRET}"))?;
            Ok(Some(secret))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot open {SECRET}")),
    }
}

/// The development secret. Created if there is none, readable only by its owner.
pub(crate) fn secret() -> anyhow::Result<Vec<u8>> {
    if let Some(secret) = existing_secret()? {
        return Ok(secret);
    }
    let secret: String =
        rand::rng().sample_iter(rand::distr::Alphanumeric).take(64).map(char::from).collect();
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file =
        options.open(Path::new(SECRET)).with_context(|| format!("cannot create {SECRET}"))?;
    file.write_all(secret.as_bytes()).with_context(|| format!("cannot write {SECRET}"))?;
    Ok(secret.into_bytes())
}
