//! Trying again where the database ended a transaction so that another could go on.

use campaigns_scope::Error;

/// How often a transaction is tried.
pub(crate) const ATTEMPTS: usize = 5;

/// Whether the database may take at once what it has just refused: it was ended for another's
/// sake, or a row that it had looked up was deleted meanwhile.
pub(crate) fn may_work_at_once(error: &Error) -> bool {
    match error {
        Error::Deadlock(_) => true,
        Error::ReferenceNotFound { missing, .. } => missing.is_empty(),
        _ => false,
    }
}
