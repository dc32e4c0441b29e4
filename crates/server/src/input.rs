//! Input that takes long to read.
//!
//! A request can have eight megabytes of JSON, which take a tenth of a second to read. **Invariant.**
//! Input of more than [`LONG`] bytes is read on a low-priority thread, in the organization's turn.

use std::time::Instant;

use campaigns_graphql::Error;
use campaigns_operation::aside;
use campaigns_scope::Scope;

/// The bytes of input that a thread of the runtime reads in about a millisecond.
const LONG: usize = 64 * 1024;

/// Reads input of so many bytes with a function. If it is long, waits for its turn, until the
/// deadline at most.
///
/// # Errors
/// The errors of [`Scope::turn_aside`].
pub(crate) async fn read<T: Send + 'static>(
    scope: &Scope,
    deadline: Instant,
    bytes: usize,
    read: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if bytes <= LONG {
        return Ok(read());
    }
    let _turn = scope.turn_aside(deadline).await?;
    Ok(aside(async { read() }).await)
}
