//! Callers: from a token to a viewer and a scope.

use campaigns_graphql::{Code, Error};
use campaigns_operation::error::sentence;
use campaigns_scope::{Bearer, Error as ScopeError, InvalidToken, NoViewer, Scope, Viewer};
use http::StatusCode;
use uuid::Uuid;

use crate::App;

/// The header that names the organization if the token does not, in its usual spelling.
pub(crate) const ORGANIZATION: &str = "X-Organization-Id";

/// Why a request has no scope.
pub(crate) enum Refusal {
    /// No token, or an invalid one, with the reason for the bearer.
    Unauthenticated(String),
    /// The token is valid, but another part of the request is not. With a status.
    Refused(StatusCode, Error),
    /// The scope cannot be determined now.
    Failed(Error),
}

/// A caller with a valid token, who can name an organization.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) bearer: Bearer,
    named: Option<Uuid>,
}

impl Caller {
    /// The same caller, fixed to this organization.
    pub(crate) fn staying_in(self, organization: Uuid) -> Self {
        Self { named: Some(organization), ..self }
    }
}

impl App {
    /// The caller for an authorization, `Bearer …`, and the name of an organization.
    pub(crate) async fn caller(
        &self,
        authorization: Option<&str>,
        organization: Option<&str>,
    ) -> Result<Caller, Refusal> {
        let token = authorization.and_then(bearer).ok_or_else(|| {
            Refusal::Unauthenticated("Send a token: Authorization: Bearer …".to_owned())
        })?;
        let bearer = self.keys.bearer(token, &self.clock).await.map_err(|error| match error {
            InvalidToken::NoKeys => {
                Refusal::Failed(Error::of(Code::Unavailable, "The keys cannot be fetched."))
            }
            invalid => Refusal::Unauthenticated(sentence(&invalid)),
        })?;
        let named = match organization {
            // the token's own claim takes precedence
            Some(id) if self.memberships.is_some() && bearer.viewer().is_none() => {
                Some(Uuid::try_parse(id).map_err(|_| misnamed("This is not a UUID."))?)
            }
            _ => None,
        };
        Ok(Caller { bearer, named })
    }

    /// The current viewer for a caller, and the scope of the organization, which must exist.
    pub(crate) async fn enter(&self, caller: &Caller) -> Result<(Viewer, Scope), Refusal> {
        let viewer = match (&self.memberships, caller.bearer.viewer()) {
            (_, Some(viewer)) => viewer,
            (Some(memberships), None) => {
                memberships.viewer(&caller.bearer, caller.named).await.map_err(refusal)?
            }
            (None, None) => {
                let message = sentence(&self.keys.verifier().lacks_organization());
                return Err(Refusal::Unauthenticated(message));
            }
        };
        match self.database.enter(&viewer).await {
            Ok(Some(scope)) => Ok((viewer, scope)),
            Ok(None) => {
                Err(Refusal::Unauthenticated("The token's organization does not exist.".to_owned()))
            }
            Err(refused @ ScopeError::Claims(_)) => {
                Err(Refusal::Unauthenticated(sentence(&refused)))
            }
            Err(error) => Err(Refusal::Failed(error.into())),
        }
    }
}

fn refusal(why: NoViewer) -> Refusal {
    match why {
        NoViewer::NoMembership => Refusal::Unauthenticated(sentence(&why)),
        NoViewer::Several => misnamed("You belong to several organizations. Name one."),
        NoViewer::NotAMember => {
            let message = "You are not an active member of this organization.";
            Refusal::Refused(StatusCode::FORBIDDEN, Error::of(Code::Forbidden, message))
        }
        NoViewer::Failed(error) => Refusal::Failed(error.into()),
    }
}

/// The name of the organization is missing or invalid.
fn misnamed(message: &str) -> Refusal {
    let error = Error::bad_input(ORGANIZATION, message);
    Refusal::Refused(StatusCode::BAD_REQUEST, error)
}

/// The token of an `Authorization` (RFC 6750, section 2.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
