//! `deleteSegment`.

use async_graphql::{Context, ID};
use campaigns_entity::segment;

use crate::{error::Error, schema::DeletePayload};

pub(crate) async fn delete(ctx: &Context<'_>, id: &ID) -> Result<DeletePayload, Error> {
    DeletePayload::delete::<segment::Entity>(ctx, id, "segment").await
}
