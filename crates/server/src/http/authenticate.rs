//! Authentication: from the headers of a request to a scope.

use campaigns_scope::{Scope, Viewer};
use http::{HeaderMap, HeaderName, StatusCode, header};

use super::headers::text;
use crate::{
    App,
    caller::{Caller, ORGANIZATION, Refusal},
};

/// [`ORGANIZATION`] as the name of a header.
const ORGANIZATION_HEADER: HeaderName = HeaderName::from_static("x-organization-id");

impl App {
    /// The caller, its viewer, and the scope of the token.
    pub(crate) async fn authenticate(
        &self,
        headers: &HeaderMap,
    ) -> Result<(Caller, Viewer, Scope), Refusal> {
        let authorization = text(headers, &header::AUTHORIZATION, "Authorization");
        let authorization = authorization.map_err(|unusable| {
            Refusal::Unauthenticated(unusable.why.replace("This", "The Authorization"))
        })?;
        let organization = text(headers, &ORGANIZATION_HEADER, ORGANIZATION);
        // the token is checked before anything else
        let caller = self.caller(authorization, organization.as_ref().ok().copied().flatten());
        let caller = caller.await?;
        organization
            .map_err(|unusable| Refusal::Refused(StatusCode::BAD_REQUEST, unusable.into()))?;
        let (viewer, scope) = self.enter(&caller).await?;
        Ok((caller, viewer, scope))
    }
}
