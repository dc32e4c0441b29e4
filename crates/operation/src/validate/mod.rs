//! Rules of validation that the library checks only in part (GraphQL, section 5).
//!
//! [`merge`] compares fields with the same response key at all levels (5.3.2), and [`variables`]
//! checks each variable against the places where it is used (5.8.5).
//!
//! **Invariant.** Each rule takes time in proportion to the document with its fragments expanded,
//! which [`measure`](mod@crate::measure) bounds, and finds at most
//! [`MAX_FAULTS`](crate::engine::MAX_FAULTS) faults.

mod merge;
pub(crate) mod variables;

use std::ops::ControlFlow;

use async_graphql::{Pos, ServerError, parser::types::ExecutableDocument};

use crate::{engine::MAX_FAULTS, types::Types};

/// Faults that were found so far.
#[derive(Default)]
struct Faults(Vec<ServerError>);

impl Faults {
    /// Records a fault. Stops once there are enough.
    fn push(&mut self, message: String, locations: Vec<Pos>) -> ControlFlow<()> {
        let mut error = ServerError::new(message, None);
        error.locations = locations;
        self.0.push(error);
        if self.0.len() < MAX_FAULTS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Checks all operations and fragments of a document.
///
/// # Errors
/// The faults.
pub(crate) fn check(types: &Types, document: &ExecutableDocument) -> Result<(), Vec<ServerError>> {
    let mut faults = Faults::default();
    match merge::check(types, document, &mut faults) {
        // there are enough faults
        ControlFlow::Break(()) => Err(faults.0),
        ControlFlow::Continue(()) => match variables::check(types, document, &mut faults) {
            ControlFlow::Continue(()) if faults.0.is_empty() => Ok(()),
            _ => Err(faults.0),
        },
    }
}
