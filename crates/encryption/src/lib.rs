//! Encryption of secrets that the database keeps, such as the keys of webhooks. No I/O.
//!
//! A [`Keyring`] has the keys of the operator (`--encryption-key`): the first encrypts, and all decrypt. So a
//! key is replaced in three steps: the new key is put before the old one, `campaigns secrets rotate` encrypts
//! every secret anew, and the old key is left out.
//!
//! A sealed secret consists of a version, the ID of its key, a random nonce, and the result of AES-256-GCM. The
//! ID is a part of the key's SHA-256, so processes with keys in another order agree on it.
//!
//! **Invariants.**
//! - The ID of the row is authenticated with the secret: copied to another row, a sealed secret does not open.
//! - Neither debug output nor an error contains a key or a secret.
//! - Without a key, nothing is sealed ([`NoKey`]): there is no secret in plain text.

#![warn(missing_docs)]

mod key;
mod keyring;

pub use key::{EncryptionKey, InvalidKey};
pub use keyring::{Keyring, NoKey, NotOpened};
