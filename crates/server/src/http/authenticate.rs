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
        let authorization = headers.get(header::AUTHORIZATION);
        let viewer = self.viewer(authorization.and_then(|value| value.to_str().ok()))?;
        let scope = self.enter(&viewer).await?;
        Ok((viewer, scope))
    }

    /// The viewer of an authorization, `Bearer …`.
    pub(crate) fn viewer(&self, authorization: Option<&str>) -> Result<Viewer, Refusal> {
        let token = authorization.and_then(bearer).ok_or_else(|| {
            Refusal::Unauthenticated("Send a token: Authorization: Bearer …".to_owned())
        })?;
        self.verifier
            .verify(token, self.clock.now())
            .map_err(|error| Refusal::Unauthenticated(format!("{error}.")))
    }

    /// The scope of a viewer, whose organization has to exist.
    pub(crate) async fn enter(&self, viewer: &Viewer) -> Result<Scope, Refusal> {
        match self.database.enter(viewer).await {
            Ok(Some(scope)) => Ok(scope),
            Ok(None) => {
                Err(Refusal::Unauthenticated("The token's organization does not exist.".to_owned()))
            }
            Err(error) => Err(Refusal::Failed(error.into())),
        }
    }
}

/// The token of an `Authorization` (RFC 6750, section 2.1).
fn bearer(authorization: &str) -> Option<&str> {
    let (scheme, token) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
