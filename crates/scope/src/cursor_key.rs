//! The key that hides the content of cursors.
//!
//! A cursor of an event contains its position among the events of all organizations. Two cursors
//! would reveal how many events others have recorded in between. So cursors are encrypted with a key
//! that all processes share: a row of the database.
//!
//! **Invariants.**
//! - Encryption is deterministic (AES-256-GCM-SIV with one nonce, which that mode allows): a row has
//!   the same cursor on each replica and after each restart.
//! - A cursor of one order of one organization is invalid anywhere else: the name of the order,
//!   with the organization in it, is authenticated with it.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sea_orm::{ConnectionTrait, DbErr, Statement};

use crate::{Error, connections::Session};

/// A key that hides the content of cursors.
pub struct CursorKey(LessSafeKey);

impl CursorKey {
    /// The key with these bytes, or `None` unless there are 32.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        Some(Self(LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, bytes).ok()?)))
    }

    /// Encrypts the content of a cursor in the order with this name.
    ///
    /// # Panics
    /// If the content has more than 64 GiB.
    #[must_use]
    pub fn seal(&self, order: &str, content: Vec<u8>) -> Vec<u8> {
        let mut sealed = content;
        self.0
            .seal_in_place_append_tag(nonce(), Aad::from(order), &mut sealed)
            .expect("a cursor is shorter than the longest message");
        sealed
    }

    /// Decrypts a cursor. Returns `None` if it was not encrypted in the order with this name.
    #[must_use]
    pub fn open(&self, order: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
        let length = self.0.open_in_place(nonce(), Aad::from(order), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// The key of a database, or `None` if it has none.
pub(crate) async fn stored(session: &Session) -> Result<Option<Arc<CursorKey>>, Error> {
    let sql = "SELECT key FROM campaign_cursor_key";
    let statement = Statement::from_string(session.get_database_backend(), sql);
    let Some(row) = session.query_one_raw(statement).await? else { return Ok(None) };
    let bytes: Vec<u8> = row.try_get("", "key")?;
    CursorKey::new(&bytes).map(|key| Some(Arc::new(key))).ok_or_else(missing)
}

/// The error if the database has no cursor key.
pub(crate) fn missing() -> Error {
    Error::Database(DbErr::RecordNotFound("campaign_cursor_key has no key".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_cursor_opens_only_in_its_own_order_and_with_its_own_key() {
        let key = CursorKey::new(&[7; 32]).unwrap();
        let sealed = key.seal("a", b"content".to_vec());
        assert_eq!(key.seal("a", b"content".to_vec()), sealed);
        assert_ne!(key.seal("b", b"content".to_vec()), sealed);
        assert_eq!(key.open("a", sealed.clone()), Some(b"content".to_vec()));
        assert_eq!(key.open("b", sealed.clone()), None);
        assert_eq!(CursorKey::new(&[8; 32]).unwrap().open("a", sealed.clone()), None);
        for index in 0..sealed.len() {
            let mut other = sealed.clone();
            other[index] ^= 1;
            assert_eq!(key.open("a", other), None);
        }
        assert_eq!(key.open("a", Vec::new()), None);
        assert!(CursorKey::new(&[7; 31]).is_none());
    }
}
