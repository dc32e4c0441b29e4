//! The errors of an operation, as clients see them.
//!
//! **Invariant.** A response that leaves [`seal`] shows only messages that were written for the
//! client. Everything else is logged and replaced by a request ID. async-graphql would turn
//! anything that can be displayed into a message, including a database error.

use std::fmt;

use async_graphql::{ErrorExtensionValues, Pos, Response, ServerError, Value};
use uuid::Uuid;

/// The codes that clients rely on, in `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The document cannot be parsed.
    GraphqlParseFailed,
    /// The document does not fit the schema, or lacks a required variable.
    GraphqlValidationFailed,
    /// There is no valid token.
    Unauthenticated,
    /// The viewer's role does not allow it.
    Forbidden,
    /// The row does not exist in the viewer's organization.
    NotFound,
    /// A value is invalid.
    BadUserInput,
    /// The state does not allow it.
    Conflict,
    /// Too deep, too complex, too many at once.
    LimitExceeded,
    /// It took too long.
    Timeout,
    /// The database cannot be reached.
    Unavailable,
    /// A document is named by its hash alone, and is not known.
    PersistedQueryNotSupported,
    /// Anything else.
    Internal,
}

impl Code {
    /// Every code.
    pub const ALL: [Self; 12] = [
        Self::GraphqlParseFailed,
        Self::GraphqlValidationFailed,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::BadUserInput,
        Self::Conflict,
        Self::LimitExceeded,
        Self::Timeout,
        Self::Unavailable,
        Self::PersistedQueryNotSupported,
        Self::Internal,
    ];

    /// The code of a response's first error; `None` if there is no error.
    #[must_use]
    pub fn of(response: &Response) -> Option<Self> {
        let first = response.errors.first()?;
        let code = code_of(first);
        Some(Self::ALL.into_iter().find(|one| code == Some(one.as_str())).unwrap_or(Self::Internal))
    }

    /// The code, as in `extensions.code`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GraphqlParseFailed => "GRAPHQL_PARSE_FAILED",
            Self::GraphqlValidationFailed => "GRAPHQL_VALIDATION_FAILED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::NotFound => "NOT_FOUND",
            Self::BadUserInput => "BAD_USER_INPUT",
            Self::Conflict => "CONFLICT",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::Timeout => "TIMEOUT",
            Self::Unavailable => "UNAVAILABLE",
            Self::PersistedQueryNotSupported => "PERSISTED_QUERY_NOT_SUPPORTED",
            Self::Internal => "INTERNAL",
        }
    }
}

/// Why an operation is rejected before anything is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its kind.
    pub code: Code,
    /// The message for the client.
    pub message: String,
    /// The path to the value at fault, starting at the argument or variable.
    pub field: Option<String>,
    /// The places in the document.
    pub locations: Vec<Pos>,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>, field: Option<String>) -> Self {
        Self { code, message: message.into(), field, locations: Vec::new() }
    }

    /// The document does not fit the schema.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::GraphqlValidationFailed, message, None)
    }

    pub(crate) fn bad_input(field: impl fmt::Display, message: impl Into<String>) -> Self {
        Self::new(Code::BadUserInput, message, Some(field.to_string()))
    }

    pub(crate) fn limit(field: &str, message: impl Into<String>) -> Self {
        Self::new(Code::LimitExceeded, message, Some(field.to_owned()))
    }
}

/// Makes a response safe to send. An error without a code came from validation if it has neither a
/// path nor a source; otherwise the client must not see it.
#[must_use]
pub fn seal(mut response: Response, request_id: Uuid) -> Response {
    for error in &mut response.errors {
        if code_of(error).is_none() {
            let mut extensions = ErrorExtensionValues::default();
            if error.path.is_empty() && error.source.is_none() {
                extensions.set("code", Code::GraphqlValidationFailed.as_str());
            } else {
                tracing::error!(%request_id, path = ?error.path, error = error.message, "internal error");
                error.message = in_the_log(request_id);
                error.source = None;
                extensions.set("code", Code::Internal.as_str());
            }
            error.extensions = Some(extensions);
        }
    }
    response
}

/// The response to an operation whose execution ended before it produced any data, for a reason that the
/// log has.
#[must_use]
pub fn internal(request_id: Uuid) -> Response {
    let mut error = ServerError::new(in_the_log(request_id), None);
    let mut extensions = ErrorExtensionValues::default();
    extensions.set("code", Code::Internal.as_str());
    error.extensions = Some(extensions);
    Response::from_errors(vec![error])
}

fn in_the_log(request_id: Uuid) -> String {
    format!("Something went wrong. The log has the details under {request_id}.")
}

/// The code of an error.
#[must_use]
pub fn code_of(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}
