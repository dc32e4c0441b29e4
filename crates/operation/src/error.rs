//! The errors of an operation, as clients see them.
//!
//! **Invariant.** A response from [`seal`] contains only messages that were written for the client. Any
//! other error is logged and replaced by a request ID. async-graphql would convert any displayable error
//! into a message, including database errors.

use std::fmt;

use async_graphql::{ErrorExtensionValues, Pos, Response, ServerError, Value};
use uuid::Uuid;

/// The maximum number of reported validation errors. A document can have thousands, and reporting one
/// takes more bytes than causing it.
pub(crate) const MAX_VALIDATION_ERRORS: usize = 50;

/// Defines the codes. The documentation of a variant is the meaning of the code, in one line.
macro_rules! codes {
    ($( #[doc = $meaning:literal] $variant:ident = $code:literal, )*) => {
        /// The codes in `extensions.code`, which clients rely on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $( #[doc = $meaning] $variant, )*
        }

        impl Code {
            /// Every code.
            pub const ALL: [Self; [$($code),*].len()] = [$(Self::$variant),*];

            /// The code, as in `extensions.code`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $( Self::$variant => $code, )*
                }
            }

            /// What the code means to a client, in Markdown.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self {
                    $( Self::$variant => $meaning.trim_ascii(), )*
                }
            }
        }
    };
}

codes! {
    /// The document cannot be parsed.
    GraphqlParseFailed = "GRAPHQL_PARSE_FAILED",
    /// The document does not match the schema, or a required variable is missing.
    GraphqlValidationFailed = "GRAPHQL_VALIDATION_FAILED",
    /// The token is missing, invalid or expired, or its organization or membership does not exist.
    Unauthenticated = "UNAUTHENTICATED",
    /// The viewer's role does not allow this, or the user is not an active member of the organization that the request names.
    Forbidden = "FORBIDDEN",
    /// The viewer's organization has no object with this ID.
    NotFound = "NOT_FOUND",
    /// A value or another part of the request is invalid.
    BadUserInput = "BAD_USER_INPUT",
    /// The current state, or a constraint or trigger of the database, does not allow the change.
    Conflict = "CONFLICT",
    /// The operation exceeds a limit. With `retryable`, its organization has too much in progress.
    LimitExceeded = "LIMIT_EXCEEDED",
    /// The operation took too long and was canceled.
    Timeout = "TIMEOUT",
    /// The database cannot be reached, or the service is overloaded. The same operation may succeed later.
    Unavailable = "UNAVAILABLE",
    /// The request names a document by its hash only, and the service does not know it. Apollo Client then sends the document.
    PersistedQueryNotSupported = "PERSISTED_QUERY_NOT_SUPPORTED",
    /// The database lacks what the service needs, such as a table or a privilege. The log names it.
    Misconfigured = "MISCONFIGURED",
    /// An unexpected error. The message has a request ID, under which the log has the details.
    Internal = "INTERNAL",
}

impl Code {
    /// The code of a response's first error; `None` if there is no error.
    #[must_use]
    pub fn of(response: &Response) -> Option<Self> {
        let first = response.errors.first()?;
        let code = code_of(first);
        Some(Self::ALL.into_iter().find(|one| code == Some(one.as_str())).unwrap_or(Self::Internal))
    }
}

/// The reason why an operation is rejected before it is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Its kind.
    pub code: Code,
    /// The message for the client.
    pub message: String,
    /// The path to the invalid value, starting at the argument or variable.
    pub field: Option<String>,
    /// The locations in the document.
    pub locations: Vec<Pos>,
}

impl Error {
    pub(crate) fn new(code: Code, message: impl Into<String>, field: Option<String>) -> Self {
        Self { code, message: message.into(), field, locations: Vec::new() }
    }

    /// The error of a document that does not match the schema.
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

/// Makes a response safe to send. An error without a code is a validation error if it has neither a path
/// nor a source. Otherwise the client must not see it.
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

/// The response to an operation whose execution failed without data, for a reason that is logged.
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

/// The reason of an error as a sentence for a client: with a capital letter and a full stop.
#[must_use]
pub fn sentence(why: &dyn fmt::Display) -> String {
    let why = why.to_string();
    let mut letters = why.chars();
    let first = letters.next().map(char::to_uppercase).into_iter().flatten();
    first.chain(letters).chain(['.']).collect()
}

/// The code of an error.
#[must_use]
pub fn code_of(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}
