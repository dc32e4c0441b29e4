//! `updateSegment`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use campaigns_entity::segment;
use campaigns_scope::Scope;
use uuid::Uuid;

use super::{Segment, SegmentPayload, rules};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path, set},
    rows,
    scalars::Json,
};

/// Input for `updateSegment`. Fields that are omitted stay as they are.
#[derive(InputObject)]
pub(crate) struct UpdateSegmentInput {
    /// The ID of the segment.
    id: ID,
    /// The name of the segment, with 1 to 500 characters.
    name: MaybeUndefined<String>,
    /// What the segment is for.
    description: MaybeUndefined<String>,
    /// The rules, as JSON, in the same formats as for `createSegment`. Replaces the previous rules.
    filter_rules: MaybeUndefined<Json>,
    /// Custom data to store, as a JSON object of up to 64 KiB. Replaces the previous data.
    metadata: MaybeUndefined<Json>,
}

pub(crate) async fn update(
    ctx: &Context<'_>,
    input: UpdateSegmentInput,
) -> Result<SegmentPayload, Error> {
    let path = Path::argument("input");
    let id = input::id(&input.id, path.field("id"))?;
    let name = input::required(input.name, path.field("name"))?
        .map(|name| input::name(name, path.field("name")))
        .transpose()?;
    let description =
        input::nullable(input.description, |text| input::text(text, path.field("description")))?;
    let filter_rules = input::required(input.filter_rules, path.field("filterRules"))?
        .map(|Json(value)| rules::parse(value, path.field("filterRules")))
        .transpose()?
        .map(|(value, _)| value);
    let metadata = input::nullable(input.metadata, |Json(value)| {
        input::object(value, path.field("metadata"))
    })?;

    let changes = segment::ActiveModel {
        name: set(name.map(Into::into)),
        description: set(description.map(|text| text.map(Into::into))),
        filter_rules: set(filter_rules.map(Into::into)),
        metadata: set(metadata.map(|metadata| metadata.map(Into::into))),
        ..Default::default()
    };
    let segment = ctx.change(|| store(ctx.scope(), id, &changes)).await?;
    Ok(SegmentPayload { segment: Segment(rows::from_model(segment)) })
}

async fn store(
    scope: &Scope,
    id: Uuid,
    changes: &segment::ActiveModel,
) -> Result<segment::Model, Error> {
    scope
        .transaction(async |scope| {
            let not_found = || Error::not_found("segment", "input.id");
            let before = scope.lock::<segment::Entity>(id).await?.ok_or_else(not_found)?;
            if *changes == segment::ActiveModel::default() {
                return Ok(before);
            }
            scope.update::<segment::Entity>(id, changes.clone()).await?.ok_or_else(not_found)
        })
        .await
}
