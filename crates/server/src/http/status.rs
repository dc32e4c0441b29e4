//! The HTTP statuses of error codes.

use campaigns_graphql::Code;
use http::StatusCode;

/// The status of a request that fails as a whole, with this code. A client that reads no status gets 200 for
/// [`StatusCode::BAD_REQUEST`].
pub(crate) fn status(code: Code, is_retryable: bool) -> StatusCode {
    match code {
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::LimitExceeded if is_retryable => StatusCode::TOO_MANY_REQUESTS,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::Internal | Code::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        Code::GraphqlParseFailed
        | Code::GraphqlValidationFailed
        | Code::NotFound
        | Code::BadUserInput
        | Code::Conflict
        | Code::LimitExceeded
        | Code::Timeout
        | Code::PersistedQueryNotSupported => StatusCode::BAD_REQUEST,
    }
}
