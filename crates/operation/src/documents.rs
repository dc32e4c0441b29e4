//! Persisted documents: documents that are registered in advance, by the SHA-256 of their text
//! (<https://github.com/graphql/graphql-over-http/pull/264>). A client can send the ID instead of the
//! text. A service that accepts only persisted documents executes no others.

use std::{collections::HashMap, fmt::Write, sync::Arc};

use sha2::{Digest, Sha256};

use crate::{Code, Error, Operation};

/// The persisted documents. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct Documents(Option<Arc<DocumentSet>>);

#[derive(Debug)]
struct DocumentSet {
    /// The text of each document, by its hash in hexadecimal.
    texts: HashMap<String, String>,
    /// Whether all other documents are rejected.
    alone: bool,
}

/// The error for an ID that is not the hash of its document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{id} is not the SHA-256 of its document, which is {hash}")]
pub struct WrongId {
    id: String,
    hash: String,
}

impl Documents {
    /// These documents by ID, in the format of graphql-codegen and relay-compiler. With `alone`, all
    /// others are rejected.
    ///
    /// # Errors
    /// [`WrongId`] if an ID is not the SHA-256 of its text.
    pub fn new(documents: HashMap<String, String>, alone: bool) -> Result<Self, WrongId> {
        let mut texts = HashMap::with_capacity(documents.len());
        for (id, text) in documents {
            let hash = sha256(&text);
            if without_algorithm(&id) != hash {
                return Err(WrongId { id, hash });
            }
            texts.insert(hash, text);
        }
        Ok(Self(Some(Arc::new(DocumentSet { texts, alone }))))
    }

    /// Sets the text of an operation that names a persisted document.
    ///
    /// # Errors
    /// `BAD_USER_INPUT` if the document is unknown, or if only persisted documents are accepted and the
    /// text is not one. `PERSISTED_QUERY_NOT_SUPPORTED` for the hash of an unknown automatic persisted
    /// query: clients then send the text, and no more hashes.
    pub fn find(&self, operation: &mut Operation) -> Result<(), Error> {
        let known = self.0.as_deref();
        if let Some(id) = &operation.document_id {
            let text = known.and_then(|known| known.texts.get(without_algorithm(id)));
            let text = text.ok_or_else(|| {
                Error::bad_input("documentId", "No document with this id is known.")
            })?;
            operation.query.clone_from(text);
            return Ok(());
        }
        if let Some(hash) = operation.persisted_query.take()
            && operation.query.is_empty()
        {
            let text = known.and_then(|known| known.texts.get(&hash));
            operation.query.clone_from(text.ok_or_else(not_supported)?);
            return Ok(());
        }
        match known {
            Some(known) if known.alone && !known.texts.contains_key(&sha256(&operation.query)) => {
                Err(Error::bad_input(
                    "query",
                    "Only known documents are executed. Send a documentId.",
                ))
            }
            _ => Ok(()),
        }
    }
}

/// The error for an automatic persisted query, with the message that clients expect.
fn not_supported() -> Error {
    Error::new(Code::PersistedQueryNotSupported, "PersistedQueryNotSupported", None)
}

/// An ID without the prefix for its algorithm.
fn without_algorithm(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

fn sha256(text: &str) -> String {
    let mut hash = String::with_capacity(64);
    for byte in Sha256::digest(text.as_bytes()) {
        write!(hash, "{byte:02x}").expect("writing to a string never fails");
    }
    hash
}
