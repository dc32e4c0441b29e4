//! `deleteCampaign`.

use async_graphql::{Context, ID};
use campaigns_entity::campaign;

use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    schema::DeletePayload,
};

pub(crate) async fn delete(ctx: &Context<'_>, id: ID) -> Result<DeletePayload, Error> {
    let admin = ctx.admin()?;
    let path = Path::argument("id");
    let row = input::id(&id, path)?;
    if admin.delete::<campaign::Entity>(row).await? {
        Ok(DeletePayload { id: row.into() })
    } else {
        Err(Error::not_found("campaign", path))
    }
}
