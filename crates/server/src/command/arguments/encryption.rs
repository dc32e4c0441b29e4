//! The keys that secrets in the database are encrypted with.

use campaigns_encryption::{EncryptionKey, Keyring};
use clap::Args;

use crate::development;

#[derive(Debug, Args)]
#[command(next_help_heading = "Secrets")]
pub(in crate::command) struct Encryption {
    /// A key that encrypts secrets in the database, such as the keys of webhooks: 32 random bytes in base64, such as
    /// those of `openssl rand -base64 32`. Repeatable: the first one encrypts, and all decrypt. Without it, nothing
    /// that needs a secret can be stored. Development mode makes its own, in campaigns.db.encryption-key.
    #[arg(
        long,
        value_name = "SECRET",
        hide_env_values = true,
        value_delimiter = ',',
        value_parser = EncryptionKey::parse
    )]
    encryption_key: Vec<EncryptionKey>,
}

impl Encryption {
    /// The given keys.
    pub(in crate::command) fn keyring(&self) -> Keyring {
        self.encryption_key.iter().cloned().collect()
    }

    /// The given keys, or else the key of development mode if this is its database.
    pub(in crate::command) fn keyring_for(&self, url: &str) -> anyhow::Result<Keyring> {
        if self.encryption_key.is_empty() && url == development::DATABASE_URL {
            return Ok(development::existing_encryption_key()?.into_iter().collect());
        }
        Ok(self.keyring())
    }
}
