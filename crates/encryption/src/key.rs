//! Keys.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest::{SHA256, digest},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use uuid::Uuid;

/// The bytes of a key.
const LENGTH: usize = 32;
/// The bytes of a key's ID.
pub(crate) const ID: usize = 8;
/// The bytes of a nonce.
pub(crate) const NONCE: usize = NONCE_LEN;

/// A key that encrypts secrets. Clones share it.
#[derive(Clone)]
pub struct EncryptionKey {
    id: [u8; ID],
    key: Arc<RandomizedNonceKey>,
}

/// The text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be 32 random bytes in base64, such as those of `openssl rand -base64 32`")]
pub struct InvalidKey;

impl EncryptionKey {
    /// The key in a text: 32 bytes in base64.
    ///
    /// # Errors
    /// [`InvalidKey`] if it is anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        Self::new(&STANDARD.decode(text.trim()).map_err(|_| InvalidKey)?)
    }

    /// The key with these bytes.
    ///
    /// # Errors
    /// [`InvalidKey`] unless there are 32.
    pub fn new(bytes: &[u8]) -> Result<Self, InvalidKey> {
        if bytes.len() != LENGTH {
            return Err(InvalidKey);
        }
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| InvalidKey)?;
        let mut id = [0; ID];
        id.copy_from_slice(&digest(&SHA256, bytes).as_ref()[..ID]);
        Ok(Self { id, key: Arc::new(key) })
    }

    pub(crate) fn id(&self) -> &[u8; ID] {
        &self.id
    }

    /// Encrypts in place, and returns the nonce.
    pub(crate) fn seal(&self, row: Uuid, content: &mut Vec<u8>) -> [u8; NONCE] {
        let nonce = self.key.seal_in_place_append_tag(Aad::from(row.as_bytes()), content);
        *nonce.expect("a secret is shorter than the longest message").as_ref()
    }

    /// Decrypts in place, and returns whether this key encrypted it for this row.
    pub(crate) fn open(&self, row: Uuid, nonce: [u8; NONCE], sealed: &mut Vec<u8>) -> bool {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(row.as_bytes()), sealed);
        let length = opened.map(|content| content.len());
        length.is_ok_and(|length| {
            sealed.truncate(length);
            true
        })
    }
}

impl fmt::Debug for EncryptionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("EncryptionKey")
    }
}
