//! `createSegment`.

use async_graphql::{Context, InputObject};
use campaigns_entity::segment;
use campaigns_scope::Scope;
use sea_orm::ActiveValue::Set;
use serde_json::json;
use uuid::Uuid;

use super::{Segment, SegmentPayload, rules};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
    scalars::Json,
};

/// Input for `createSegment`.
#[derive(InputObject)]
pub(crate) struct CreateSegmentInput {
    /// The name of the segment, with 1 to 500 characters.
    name: String,
    /// What the segment is for.
    description: Option<String>,
    /// The rules, as JSON: what react-querybuilder exports, or an object with a value for each field.
    /// The default is `{}`, which selects all contacts.
    filter_rules: Option<Json>,
    /// Custom data to store, as a JSON object of up to 64 KiB.
    metadata: Option<Json>,
}

pub(crate) async fn create(
    ctx: &Context<'_>,
    input: CreateSegmentInput,
) -> Result<SegmentPayload, Error> {
    let path = Path::argument("input");
    let name = input::name(input.name, path.field("name"))?;
    let description =
        input.description.map(|text| input::text(text, path.field("description"))).transpose()?;
    let filter_rules = match input.filter_rules {
        None => json!({}),
        Some(Json(value)) => rules::parse(value, path.field("filterRules"))?.0,
    };
    let metadata = match input.metadata {
        None => json!({}),
        Some(Json(value)) => input::object(value, path.field("metadata"))?,
    };
    let row = segment::ActiveModel {
        id: Set(Uuid::now_v7()),
        name: Set(name.into()),
        description: Set(description.map(Into::into)),
        filter_rules: Set(filter_rules.into()),
        metadata: Set(Some(metadata.into())),
        ..Default::default()
    };
    let segment = ctx.change(|| store(ctx.scope(), &row)).await?;
    Ok(SegmentPayload { segment: Segment(rows::from_model(segment)) })
}

async fn store(scope: &Scope, row: &segment::ActiveModel) -> Result<segment::Model, Error> {
    scope.transaction(async |scope| Ok(scope.insert::<segment::Entity>(row.clone()).await?)).await
}
