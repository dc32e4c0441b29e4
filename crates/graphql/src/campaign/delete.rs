//! `deleteCampaign`.

use async_graphql::{Context, ID};
use campaigns_entity::campaign;

use crate::{error::Error, schema::DeletePayload};

pub(crate) async fn delete(ctx: &Context<'_>, id: &ID) -> Result<DeletePayload, Error> {
    DeletePayload::delete::<campaign::Entity>(ctx, id, "campaign").await
}
