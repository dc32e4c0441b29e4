//! The error of invalid rules.

use std::fmt::Display;

/// The reason why rules are invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct RuleError {
    /// The path to the invalid value, starting at the rules: `rules.1.operator`. Empty for the rules as a
    /// whole.
    pub path: String,
    /// The message for the client.
    pub message: String,
}

impl RuleError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { path: String::new(), message: message.into() }
    }

    /// The same error, as part of a larger value.
    pub(crate) fn within(mut self, part: impl Display) -> Self {
        let rest = if self.path.is_empty() { String::new() } else { format!(".{}", self.path) };
        self.path = format!("{part}{rest}");
        self
    }
}
