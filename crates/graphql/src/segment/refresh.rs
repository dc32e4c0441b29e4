//! `refreshSegment`.

use async_graphql::{Context, ID};
use campaigns_entity::segment;
use uuid::Uuid;

use super::{Segment, SegmentPayload, rules};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    limits, rows,
};

pub(super) async fn refresh(ctx: &Context<'_>, id: &ID) -> Result<SegmentPayload, Error> {
    let path = Path::argument("id");
    let id = input::id(id, path)?;
    let segment = ctx.change(|| store(ctx, id)).await?;
    Ok(SegmentPayload { segment: Segment(rows::from_model(segment)) })
}

/// Counts while the segment is locked, so that the count matches the rules that are stored with it.
async fn store(ctx: &Context<'_>, id: Uuid) -> Result<segment::Model, Error> {
    ctx.scope()
        .transaction(async |scope| {
            let not_found = || Error::not_found("segment", "id");
            let before = scope.lock::<segment::Entity>(id).await?.ok_or_else(not_found)?;
            let rules = rules::stored_rules(&before.filter_rules.0)?;
            ctx.charge(limits::surcharge(&rules))?;
            let count = scope.number_of(rules.select(scope, ctx.now())?);
            let column = segment::Column::ContactCount;
            scope.compute::<segment::Entity>(id, column, count).await?.ok_or_else(not_found)
        })
        .await
}
