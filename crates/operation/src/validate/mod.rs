//! Validation rules that the library checks only in part (GraphQL, section 5).
//!
//! [`merge`] compares fields with the same response key at all levels (5.3.2), and [`variables`]
//! checks each variable against the places where it is used (5.8.5).
//!
//! **Invariant.** Each rule takes time proportional to the size of the document with its fragments
//! expanded, which [`measure`](mod@crate::measure) bounds, and reports at most
//! [`MAX_VALIDATION_ERRORS`](crate::error::MAX_VALIDATION_ERRORS) errors.

mod merge;
pub(crate) mod variables;

use std::ops::ControlFlow;

use async_graphql::{Pos, ServerError, parser::types::ExecutableDocument};

use crate::{error::MAX_VALIDATION_ERRORS, types::Types};

/// The errors found so far.
#[derive(Default)]
struct ValidationErrors(Vec<ServerError>);

impl ValidationErrors {
    /// Records an error. Stops once there are enough.
    fn push(&mut self, message: String, locations: Vec<Pos>) -> ControlFlow<()> {
        let mut error = ServerError::new(message, None);
        error.locations = locations;
        self.0.push(error);
        if self.0.len() < MAX_VALIDATION_ERRORS {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

/// Checks all operations and fragments of a document.
///
/// # Errors
/// The errors found.
pub(crate) fn check(types: &Types, document: &ExecutableDocument) -> Result<(), Vec<ServerError>> {
    let mut errors = ValidationErrors::default();
    match merge::check(types, document, &mut errors) {
        // there are enough errors
        ControlFlow::Break(()) => Err(errors.0),
        ControlFlow::Continue(()) => match variables::check(types, document, &mut errors) {
            ControlFlow::Continue(()) if errors.0.is_empty() => Ok(()),
            _ => Err(errors.0),
        },
    }
}
