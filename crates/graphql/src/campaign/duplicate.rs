//! `duplicateCampaign`.

use async_graphql::{Context, ID};
use campaigns_entity::campaign::{self, CampaignStatus};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{Campaign, CampaignPayload};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows, viewer,
};

pub(crate) async fn duplicate(
    ctx: &Context<'_>,
    id: &ID,
    name: Option<String>,
) -> Result<CampaignPayload, Error> {
    let id = input::id(id, Path::argument("id"))?;
    let name = name.map(|name| input::name(name, Path::argument("name"))).transpose()?;

    let campaign = ctx.change(|| copy(ctx, id, name.as_deref())).await?;
    Ok(CampaignPayload { campaign: Campaign(rows::from_model(campaign)) })
}

async fn copy(ctx: &Context<'_>, id: Uuid, name: Option<&str>) -> Result<campaign::Model, Error> {
    ctx.scope()
        .transaction(async |scope| {
            let original = scope
                .one(scope.find::<campaign::Entity>().id(id))
                .await?
                .ok_or_else(|| Error::not_found("campaign", Path::argument("id")))?;
            let creator = viewer::user_of(scope, ctx.viewer()).await?;
            // a new column is copied or not, but not forgotten
            let campaign::Model {
                id: _,
                org_id: _,
                creator_id: _,
                name: original_name,
                subject,
                body,
                channel,
                status: _,
                scheduled_at: _,
                sent_at: _,
                created_at: _,
                updated_at: _,
                metadata,
            } = original;
            let row = campaign::ActiveModel {
                id: Set(Uuid::now_v7()),
                creator_id: Set(creator.map(|user| user.id)),
                name: Set(name.map_or_else(|| copy_of(&original_name).into(), Into::into)),
                subject: Set(subject),
                body: Set(body),
                channel: Set(channel),
                status: Set(CampaignStatus::Draft),
                metadata: Set(metadata),
                ..Default::default()
            };
            Ok(scope.insert::<campaign::Entity>(row).await?)
        })
        .await
}

/// The name of a copy, shortened to the maximum length of a name.
fn copy_of(name: &str) -> String {
    format!("Copy of {name}").chars().take(500).collect()
}
