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

/// Input for `createCampaign`.
#[derive(InputObject)]
pub(crate) struct CreateCampaignInput {
    /// The name of the campaign, with 1 to 500 characters.
    name: String,
    /// The subject line or headline of the message.
    subject: Option<String>,
    /// The body of the message, up to 1 MiB.
    body: Option<String>,
    /// The delivery channel, such as `email`, `sms` or `push`.
    #[graphql(default = "email")]
    channel: String,
    /// When to start the campaign. Must be in the future. If given, the campaign is SCHEDULED.
    scheduled_at: Option<DateTime>,
    /// Custom data to store, as a JSON object of up to 64 KiB.
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
        name: Set(name.into()),
        subject: Set(subject.map(Into::into)),
        body: Set(body.map(Into::into)),
        channel: Set(channel.into()),
        status: Set(match scheduled_at {
            Some(_) => CampaignStatus::Scheduled,
            None => CampaignStatus::Draft,
        }),
        scheduled_at: Set(scheduled_at.map(Into::into)),
        metadata: Set(Some(metadata.unwrap_or_else(|| serde_json::json!({})).into())),
        ..Default::default()
    };
    let campaign = ctx.change(|| store(ctx, &row)).await?;
    Ok(CampaignPayload { campaign: Campaign(rows::from_model(campaign)) })
}

/// Stores a new campaign, created by the viewer's user.
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
