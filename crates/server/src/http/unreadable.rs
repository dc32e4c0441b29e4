//! Requests that cannot be read.

use campaigns_graphql::Error;
use campaigns_scope::Exhausted;
use http::StatusCode;

use super::headers::Unusable;

/// The status and error of a request that is not a valid GraphQL request.
pub(super) struct Unreadable(pub(super) StatusCode, pub(super) Error);

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self(StatusCode::BAD_REQUEST, error)
    }
}

impl From<campaigns_operation::Error> for Unreadable {
    fn from(error: campaigns_operation::Error) -> Self {
        Error::from(error).into()
    }
}

impl From<Unusable> for Unreadable {
    fn from(unusable: Unusable) -> Self {
        Error::from(unusable).into()
    }
}

impl From<Exhausted> for Unreadable {
    fn from(exhausted: Exhausted) -> Self {
        let status = match exhausted {
            Exhausted::Operation => StatusCode::PAYLOAD_TOO_LARGE,
            Exhausted::Organization => StatusCode::TOO_MANY_REQUESTS,
            Exhausted::Process => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, exhausted.into())
    }
}
