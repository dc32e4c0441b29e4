//! The keys of a process.

use std::sync::Arc;

use uuid::Uuid;

use crate::key::{EncryptionKey, ID, NONCE};

/// The first byte of a sealed secret.
const VERSION: u8 = 1;

/// The keys of a process: the first encrypts, and all decrypt. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Keyring(Arc<[EncryptionKey]>);

/// There is no key to encrypt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no key to encrypt secrets with; give --encryption-key")]
pub struct NoKey;

/// No key opens a sealed secret, or it belongs to another row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no --encryption-key opens this secret")]
pub struct NotOpened;

impl FromIterator<EncryptionKey> for Keyring {
    fn from_iter<I: IntoIterator<Item = EncryptionKey>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl Keyring {
    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Encrypts the secret of the row with this ID.
    ///
    /// # Errors
    /// [`NoKey`] if there is none.
    pub fn seal(&self, row: Uuid, secret: &[u8]) -> Result<Vec<u8>, NoKey> {
        let key = self.0.first().ok_or(NoKey)?;
        let mut content = secret.to_vec();
        let nonce = key.seal(row, &mut content);
        Ok([&[VERSION], key.id().as_slice(), &nonce, &content].concat())
    }

    /// Decrypts the secret of the row with this ID.
    ///
    /// # Errors
    /// [`NotOpened`] if no key encrypted it for this row.
    pub fn open(&self, row: Uuid, sealed: &[u8]) -> Result<Vec<u8>, NotOpened> {
        let (id, nonce, content) = parts(sealed).ok_or(NotOpened)?;
        let mut keys = self.0.iter().filter(|key| key.id() == id);
        keys.find_map(|key| {
            let mut secret = content.to_vec();
            key.open(row, *nonce, &mut secret).then_some(secret)
        })
        .ok_or(NotOpened)
    }

    /// Whether the first key encrypted this.
    #[must_use]
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        let sealed_by = parts(sealed).map(|(id, ..)| id);
        sealed_by.is_some() && sealed_by == self.0.first().map(EncryptionKey::id)
    }
}

/// The ID of the key, the nonce and the rest of a sealed secret.
fn parts(sealed: &[u8]) -> Option<(&[u8; ID], &[u8; NONCE], &[u8])> {
    let (version, rest) = sealed.split_first()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (nonce, content) = rest.split_first_chunk()?;
    (*version == VERSION).then_some((id, nonce, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: Uuid = Uuid::from_u128(7);

    fn keyring(keys: &[u8]) -> Keyring {
        keys.iter().map(|byte| EncryptionKey::new(&[*byte; 32]).unwrap()).collect()
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let (old, both, new) = (keyring(&[1]), keyring(&[2, 1]), keyring(&[2]));
        let sealed = old.seal(ROW, b"secret").unwrap();
        assert_eq!(both.open(ROW, &sealed).unwrap(), b"secret");
        assert!(old.is_current(&sealed) && !both.is_current(&sealed));
        assert_eq!(new.open(ROW, &sealed), Err(NotOpened));
        let again = both.seal(ROW, b"secret").unwrap();
        assert!(both.is_current(&again));
        assert_eq!(new.open(ROW, &again).unwrap(), b"secret");
        assert_eq!(old.open(ROW, &again), Err(NotOpened));
    }

    #[test]
    fn a_secret_opens_in_its_own_row_and_unchanged_alone() {
        let keys = keyring(&[1]);
        let sealed = keys.seal(ROW, b"secret").unwrap();
        assert_ne!(keys.seal(ROW, b"secret").unwrap(), sealed);
        assert!(!sealed.windows(6).any(|part| part == b"secret"));
        assert_eq!(keys.open(Uuid::from_u128(8), &sealed), Err(NotOpened));
        for index in 0..sealed.len() {
            let mut other = sealed.clone();
            other[index] ^= 1;
            assert_eq!(keys.open(ROW, &other), Err(NotOpened), "{index}");
            assert_eq!(keys.open(ROW, &sealed[..index]), Err(NotOpened), "{index}");
        }
    }

    #[test]
    fn without_a_key_nothing_is_sealed() {
        let keys = Keyring::default();
        assert_eq!(keys.seal(ROW, b"secret"), Err(NoKey));
        let sealed = keyring(&[1]).seal(ROW, b"secret").unwrap();
        assert_eq!(keys.open(ROW, &sealed), Err(NotOpened));
        assert!(!keys.is_current(&sealed) && !keys.is_current(b""));
    }

    #[test]
    fn a_key_is_32_bytes_in_base64() {
        let text = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
        let key = EncryptionKey::parse(&format!(" {text}\n")).unwrap();
        assert_eq!(key.id(), EncryptionKey::new(&[1; 32]).unwrap().id());
        assert_eq!(format!("{:?}", Keyring::from_iter([key])), "Keyring([EncryptionKey])");
        for wrong in ["", "AQEB", &text[1..], &text[..43], "correct horse battery staple"] {
            assert!(EncryptionKey::parse(wrong).is_err(), "{wrong}");
        }
    }
}
