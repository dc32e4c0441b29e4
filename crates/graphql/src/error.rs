//! The errors that clients see.
//!
//! **Invariant.** A resolver fails with an [`Error`], which shows only text that was written for
//! the client. The engine logs every other error and shows a request ID in its place.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_graphql::{ErrorExtensionValues, Pos, Response, ServerError, Value};
use campaigns_operation::error::{code_of, seal, sentence};
use campaigns_scope::Exhausted;
use uuid::Uuid;

pub use campaigns_operation::Code;

/// Why an operation or one of its fields failed. It cannot be displayed, so that no `?` can turn it
/// into a client's message through async-graphql.
#[derive(Clone, Debug)]
pub enum Error {
    /// An error that the client sees.
    Client {
        /// Its kind.
        code: Code,
        /// The message.
        message: String,
        /// The path to the value at fault, starting at the argument.
        field: Option<String>,
        /// The locations in the document.
        locations: Vec<Pos>,
    },
    /// The organization has too much in progress. A retry may succeed later.
    TooMany(&'static str),
    /// The organization exceeds its rate limit. A retry may succeed after this time.
    RateLimited(Duration),
    /// It is not known whether changes were committed.
    InDoubt,
    /// An error for the log.
    Internal(Arc<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Its code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Client { code, .. } => *code,
            Self::TooMany(_) | Self::RateLimited(_) => Code::LimitExceeded,
            Self::InDoubt => Code::Unavailable,
            Self::Internal(_) => Code::Internal,
        }
    }

    /// Whether the organization can retry later, although it has exceeded a limit.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::TooMany(_) | Self::RateLimited(_))
    }

    fn client(code: Code, message: impl Into<String>, field: Option<String>) -> Self {
        Self::Client { code, message: message.into(), field, locations: Vec::new() }
    }

    /// An error with this code, without a field.
    pub fn of(code: Code, message: impl Into<String>) -> Self {
        Self::client(code, message, None)
    }

    /// The value at this path is invalid.
    pub fn bad_input(field: impl ToString, message: impl Into<String>) -> Self {
        Self::client(Code::BadUserInput, message, Some(field.to_string()))
    }

    /// The value at this path exceeds a limit.
    pub fn limit(field: impl ToString, message: impl Into<String>) -> Self {
        Self::client(Code::LimitExceeded, message, Some(field.to_string()))
    }

    /// No row of this kind has the ID at this path.
    pub fn not_found(what: &str, field: impl ToString) -> Self {
        Self::client(Code::NotFound, format!("The {what} does not exist."), Some(field.to_string()))
    }

    /// The feed no longer has the place of the cursor in this argument.
    #[must_use]
    pub fn went_back(argument: &str) -> Self {
        Self::bad_input(
            argument,
            "The feed no longer has the event of this cursor: the database was restored, or a \
             failover lost events. Reload your data, and continue from `feedCursor`.",
        )
    }

    /// The viewer is not an admin, and cannot do this.
    #[must_use]
    pub fn forbidden(what: &str) -> Self {
        Self::client(Code::Forbidden, format!("Only admins can {what}."), None)
    }

    /// The token is no longer valid.
    pub fn unauthenticated(message: impl Into<String>) -> Self {
        Self::client(Code::Unauthenticated, message, None)
    }

    /// The state of something does not allow it.
    pub fn conflict(message: impl Into<String>) -> Self {
        Self::client(Code::Conflict, message, None)
    }

    /// The stored value at this path does not allow it.
    pub fn stored_conflict(field: impl ToString, message: impl Into<String>) -> Self {
        Self::client(Code::Conflict, message, Some(field.to_string()))
    }

    /// The service is overloaded.
    #[must_use]
    pub fn busy() -> Self {
        let message = "The service is busy. Retry later.";
        Self::client(Code::Unavailable, message, None)
    }

    /// The error of the field at this position in the document.
    pub(crate) fn at(self, position: Pos) -> ServerError {
        async_graphql_error(self).into_server_error(position)
    }

    /// The response of an operation that ended before it produced any data.
    #[must_use]
    pub fn into_response(self) -> Response {
        let locations = match &self {
            Self::Client { locations, .. } => locations.clone(),
            // it has no location in the document
            _ => Vec::new(),
        };
        let mut error = async_graphql_error(self).into_server_error(<_>::default());
        error.locations = locations;
        seal(Response::from_errors(vec![error]), Uuid::new_v4())
    }
}

impl From<campaigns_operation::Error> for Error {
    fn from(error: campaigns_operation::Error) -> Self {
        let campaigns_operation::Error { code, message, field, locations } = error;
        Self::Client { code, message, field, locations }
    }
}

impl From<campaigns_scope::Error> for Error {
    fn from(error: campaigns_scope::Error) -> Self {
        use campaigns_scope::Error as Scope;
        match error {
            Scope::ReferenceNotFound { column, .. } => {
                Self::client(Code::NotFound, format!("{column} refers to a missing row."), None)
            }
            Scope::Busy => {
                log_refusal(&error);
                Self::busy()
            }
            Scope::Refused { by: Some(constraint) } => Self::conflict(format!(
                "The constraint {constraint} of the database does not allow this."
            )),
            Scope::Stopped { by } => {
                Self::conflict(format!("The {by} of the database does not allow this."))
            }
            Scope::Refused { by: None } => {
                Self::conflict("A trigger of the database does not allow this.")
            }
            Scope::ReadOnly(_) => {
                log_refusal(&error);
                Self::client(
                    Code::Unavailable,
                    "The database is read-only at the moment. Try again later.",
                    None,
                )
            }
            Scope::Misconfigured(_) => {
                log_refusal(&error);
                Self::client(
                    Code::Misconfigured,
                    "The database lacks what the service needs. The log of the service names it.",
                    None,
                )
            }
            Scope::Unavailable(_)
            | Scope::NoFile(_)
            | Scope::NotOpened(_)
            | Scope::Conflict(_)
            | Scope::Closed(_) => {
                log_refusal(&error);
                Self::client(
                    Code::Unavailable,
                    "The database cannot be reached. Try again later.",
                    None,
                )
            }
            Scope::InDoubt(_) => {
                tracing::warn!(%error, "the outcome of a commit is unknown");
                Self::InDoubt
            }
            Scope::Timeout(_) => timeout(),
            Scope::Unfinished => Self::client(
                Code::Timeout,
                "Time ran out before everything was deleted. Repeat the call to delete the rest.",
                None,
            ),
            Scope::TooManyWait => {
                Self::TooMany("Your organization has too many operations in progress.")
            }
            Scope::Exhausted(exhausted) => exhausted.into(),
            Scope::Claims(_) => Self::unauthenticated(sentence(&error)),
            Scope::Database(_) | Scope::Unfilable(_) => Self::Internal(Arc::new(error)),
        }
    }
}

impl From<Exhausted> for Error {
    fn from(exhausted: Exhausted) -> Self {
        match exhausted {
            Exhausted::Operation => Self::client(
                Code::LimitExceeded,
                "The operation reads or returns too many bytes. Request fewer rows or fields.",
                None,
            ),
            Exhausted::Organization => {
                Self::TooMany("The operations of your organization use too much memory at once.")
            }
            Exhausted::Process => {
                log_refusal(&exhausted);
                Self::busy()
            }
        }
    }
}

/// Logs why an operation is refused, at most once a second, since there can be thousands.
fn log_refusal(error: &(dyn std::error::Error + 'static)) {
    static LAST: Mutex<(Option<Instant>, u64)> = Mutex::new((None, 0));
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.1 += 1;
    if last.0.is_none_or(|at| at.elapsed() > Duration::from_secs(1)) {
        tracing::warn!(error, operations = last.1, "operations are refused");
        *last = (Some(Instant::now()), 0);
    }
}

/// The operation ran out of time.
#[must_use]
pub(crate) fn timeout() -> Error {
    Error::client(Code::Timeout, "The operation took too long and was canceled.", None)
}

/// The maximum number of bytes of a message, and of the path to a field. Both can quote what a client
/// has sent.
const MAX_QUOTE: usize = 1_000;

fn async_graphql_error(error: Error) -> async_graphql::Error {
    match error {
        Error::Client { code, mut message, field, .. } => {
            message.truncate(message.floor_char_boundary(MAX_QUOTE));
            let mut extensions = ErrorExtensionValues::default();
            extensions.set("code", code.as_str());
            if let Some(mut field) = field {
                field.truncate(field.floor_char_boundary(MAX_QUOTE));
                extensions.set("field", field);
            }
            async_graphql::Error { message, source: None, extensions: Some(extensions) }
        }
        Error::TooMany(message) => {
            let mut extensions = ErrorExtensionValues::default();
            extensions.set("code", Code::LimitExceeded.as_str());
            extensions.set("retryable", true);
            async_graphql::Error {
                message: message.to_owned(),
                source: None,
                extensions: Some(extensions),
            }
        }
        Error::RateLimited(wait) => {
            let seconds = (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1);
            let mut extensions = ErrorExtensionValues::default();
            extensions.set("code", Code::LimitExceeded.as_str());
            extensions.set("retryable", true);
            extensions.set(RETRY_AFTER, seconds);
            async_graphql::Error {
                message: format!("Rate limit exceeded. Retry in {seconds} s."),
                source: None,
                extensions: Some(extensions),
            }
        }
        Error::InDoubt => async_graphql_error(Error::client(
            Code::Unavailable,
            "The connection to the database was lost while the changes were being committed. \
             Check whether they are stored before you repeat them.",
            None,
        )),
        Error::Internal(source) => async_graphql::Error {
            message: source.to_string(),
            source: Some(Arc::new(source)),
            extensions: None,
        },
    }
}

impl From<Error> for async_graphql::Error {
    fn from(error: Error) -> Self {
        async_graphql_error(error)
    }
}

/// The extension with the number of seconds after which a retry may succeed.
const RETRY_AFTER: &str = "retryAfter";

/// The number of seconds after which a refused request may succeed: 1 if the response does not say.
#[must_use]
pub fn retry_after(response: &Response) -> u64 {
    let extensions = response.errors.first().and_then(|error| error.extensions.as_ref());
    match extensions.and_then(|extensions| extensions.get(RETRY_AFTER)) {
        Some(Value::Number(seconds)) => seconds.as_u64().unwrap_or(1),
        _ => 1,
    }
}

/// Whether a response has an error with a temporary cause, so that a retry may succeed.
#[must_use]
pub fn is_passing(response: &Response) -> bool {
    response.errors.iter().any(|error| {
        let extensions = error.extensions.as_ref();
        let is_retryable = extensions.and_then(|extensions| extensions.get("retryable"));
        code_of(error) == Some(Code::Unavailable.as_str()) || is_retryable.is_some()
    })
}

#[cfg(test)]
mod tests {
    /// Code that names async-graphql's error type could turn anything into one.
    #[test]
    fn no_resolver_fails_with_an_error_of_the_library() {
        let mut folders =
            vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if !path.ends_with("src/error.rs") {
                    files += 1;
                    let text = std::fs::read_to_string(&path).unwrap();
                    for name in ["Error", "Result", "FieldResult"] {
                        let imported = text
                            .split("use async_graphql::")
                            .skip(1)
                            .filter_map(|rest| rest.split(';').next())
                            .flat_map(|import| import.split(|of: char| !of.is_alphanumeric()))
                            .any(|word| word == name);
                        let qualified = text.contains(&format!("async_graphql::{name}"));
                        assert!(!imported && !qualified, "{name} in {}", path.display());
                    }
                }
            }
        }
        assert!(files > 20);
    }
}
