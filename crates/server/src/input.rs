//! Input that takes long to read.
//!
//! A request can have eight megabytes of JSON, which take a tenth of a second to read.
//! **Invariant.** Input of more than [`LONG`] bytes is read on a low-priority thread, with a permit
//! of the organization.

use std::time::Instant;

use campaigns_graphql::Error;
use campaigns_operation::run_at_low_priority;
use campaigns_scope::Scope;

/// The bytes of input that a thread of the runtime reads in about a millisecond.
const LONG: usize = 64 * 1024;

/// Reads input of this many bytes with a function. Long input waits for a permit, at most until the
/// deadline, and is read on a low-priority thread.
///
/// # Errors
/// The errors of [`Scope::background_permit`].
pub(crate) async fn read<T: Send + 'static>(
    scope: &Scope,
    deadline: Instant,
    bytes: usize,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if bytes <= LONG {
        return Ok(read());
    }
    let permit = scope.background_permit(deadline).await?;
    let work = async move {
        // until the thread ends, even if the client is gone by then
        let _permit = permit;
        read()
    };
    Ok(run_at_low_priority(work).await)
}
