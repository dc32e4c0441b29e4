//! `createCampaign`.

use async_graphql::{Context, InputObject};
use campaigns_entity::campaign::{self, CampaignStatus};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

use super::{Campaign, CampaignPayload};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
    scalars::{DateTime, Json},
    viewer,
};

/// A campaign to be made.
#[derive(InputObject)]
pub(crate) struct CreateCampaignInput {
    /// What people are to call it: 1 to 500 characters.
    name: String,
    /// The subject or headline of the message.
    subject: Option<String>,
    /// The message.
    body: Option<String>,
    /// How it is to be delivered: email, sms, push, …
    #[graphql(default = "email")]
    channel: String,
    /// When it is to be sent; in the future.
    scheduled_at: Option<DateTime>,
    /// Whatever you want to keep with it: a JSON object.
    metadata: Option<Json>,
}

pub(crate) async fn create(
    ctx: &Context<'_>,
    input: CreateCampaignInput,
) -> Result<CampaignPayload, Error> {
    let path = Path::argument("input");
    let name = input::name(input.name, path.field("name"))?;
    let subject = input.subject.map(|text| input::text(text, path.field("subject"))).transpose()?;
    let body = input.body.map(|text| input::content(text, path.field("body"))).transpose()?;
    let channel = input::name(input.channel, path.field("channel"))?;
    let scheduled_at = input
        .scheduled_at
        .map(|time| input::future(&time, ctx.now(), path.field("scheduledAt")))
        .transpose()?;
    let metadata = input
        .metadata
        .map(|Json(value)| input::object(value, path.field("metadata")))
        .transpose()?;

    let row = campaign::ActiveModel {
        name: Set(name),
        subject: Set(subject),
        body: Set(body),
        channel: Set(channel),
        status: Set(match scheduled_at {
            Some(_) => CampaignStatus::Scheduled,
            None => CampaignStatus::Draft,
        }),
        scheduled_at: Set(scheduled_at),
        metadata: Set(Some(metadata.unwrap_or_else(|| serde_json::json!({})))),
        ..Default::default()
    };
    let campaign = ctx.change(|| store(ctx, &row)).await?;
    Ok(CampaignPayload { campaign: Campaign(rows::alone(campaign)) })
}

/// Stores a new campaign, which the viewer's user made.
async fn store(ctx: &Context<'_>, row: &campaign::ActiveModel) -> Result<campaign::Model, Error> {
    ctx.scope()
        .transaction(async |scope| {
            let creator = viewer::user_of(scope, ctx.viewer()).await?;
            let row = campaign::ActiveModel {
                id: Set(Uuid::now_v7()),
                creator_id: Set(creator.map(|user| user.id)),
                ..row.clone()
            };
            Ok(scope.insert::<campaign::Entity>(row).await?)
        })
        .await
}
