//! Texts that are only compared, however long they are.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The SHA-256 of a text that is written into it.
#[derive(Default)]
pub(crate) struct Digest(Sha256);

impl Digest {
    /// The digest of what `write` writes.
    pub(crate) fn of(write: impl FnOnce(&mut Self) -> fmt::Result) -> [u8; 32] {
        let mut digest = Self::default();
        write(&mut digest).expect("a hash takes all text");
        digest.0.finalize().into()
    }
}

impl fmt::Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text);
        Ok(())
    }
}
