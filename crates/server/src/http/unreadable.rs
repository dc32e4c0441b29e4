//! Requests that cannot be read.

use campaigns_graphql::Error;
use campaigns_scope::Exhausted;
use http::StatusCode;

use super::{headers::Unusable, status::status};

/// The status and error of a request that is not a valid GraphQL request.
pub(crate) struct Unreadable(pub(super) StatusCode, pub(super) Error);

/// Whether a body has more bytes than it may have.
pub(crate) fn too_large(Unreadable(status, _): &Unreadable) -> bool {
    *status == StatusCode::PAYLOAD_TOO_LARGE
}

impl From<Error> for Unreadable {
    fn from(error: Error) -> Self {
        Self(status(error.code(), error.is_retryable()), error)
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
        match exhausted {
            Exhausted::Operation => Self(StatusCode::PAYLOAD_TOO_LARGE, exhausted.into()),
            Exhausted::Organization | Exhausted::Process => Error::from(exhausted).into(),
        }
    }
}
