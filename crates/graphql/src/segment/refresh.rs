//! `refreshSegment`.

use async_graphql::{Context, ID};
use campaigns_entity::segment;
use campaigns_scope::Scope;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Segment, SegmentPayload, rules};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
};

pub(super) async fn refresh(ctx: &Context<'_>, id: &ID) -> Result<SegmentPayload, Error> {
    let path = Path::argument("id");
    let id = input::id(id, path)?;
    let segment = ctx.change(|| store(ctx.scope(), id, ctx.now())).await?;
    Ok(SegmentPayload { segment: Segment(rows::from_model(segment)) })
}

/// Counts while the segment is locked, so that the count matches the rules that are stored with it.
async fn store(scope: &Scope, id: Uuid, now: DateTime<Utc>) -> Result<segment::Model, Error> {
    scope
        .transaction(async |scope| {
            let not_found = || Error::not_found("segment", "id");
            let before = scope.lock::<segment::Entity>(id).await?.ok_or_else(not_found)?;
            let rules = rules::stored_rules(&before.filter_rules.0)?;
            let count = scope.number_of(rules::contacts(scope, &rules, now));
            let column = segment::Column::ContactCount;
            scope.compute::<segment::Entity>(id, column, count).await?.ok_or_else(not_found)
        })
        .await
}
