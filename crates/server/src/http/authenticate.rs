//! Who asks: from the header to the scope.

use campaigns_graphql::Error;
use campaigns_scope::{Scope, Viewer};
use http::{HeaderMap, header};

use crate::App;

/// Why a request has no scope.
pub(crate) enum Refusal {
    /// No token, or not a valid one; why, for the bearer.
    Unauthenticated(String),
    /// The database cannot say whether the organization exists.
    Failed(Error),
}

impl App {
    /// The viewer of a request and the scope that the token gives.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
    ) -> Result<(Viewer, Scope), Refusal> {
        let token = bearer(headers).ok_or_else(|| {
            Refusal::Unauthenticated("Send a token: Authorization: Bearer …".to_owned())
        })?;
        let viewer = self
            .verifier
            .verify(token, self.clock.now())
            .map_err(|error| Refusal::Unauthenticated(format!("{error}.")))?;
        match self.database.enter(&viewer).await {
            Ok(Some(scope)) => Ok((viewer, scope)),
            Ok(None) => {
                Err(Refusal::Unauthenticated("The token's organization does not exist.".to_owned()))
            }
            Err(error) => Err(Refusal::Failed(error.into())),
        }
    }
}

/// The token of an `Authorization` header (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
