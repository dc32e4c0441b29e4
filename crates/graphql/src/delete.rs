//! Deletions.

use async_graphql::{Context, ID, SimpleObject};
use campaigns_scope::OrganizationOwned;

use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
};

/// The result of a deletion.
#[derive(SimpleObject)]
pub(crate) struct DeletePayload {
    /// The ID of the deleted object.
    pub(crate) id: ID,
}

impl DeletePayload {
    /// Deletes the row with the ID, for an admin. First checks whether the viewer is one.
    pub(crate) async fn delete<E: OrganizationOwned>(
        ctx: &Context<'_>,
        id: &ID,
        what: &str,
    ) -> Result<Self, Error> {
        let admin = ctx.admin()?;
        let path = Path::argument("id");
        let id = input::id(id, path)?;
        if ctx.change(|| admin.delete::<E>(id, ctx.limits().deletion)).await? {
            Ok(Self { id: id.into() })
        } else {
            Err(Error::not_found(what, path))
        }
    }
}
