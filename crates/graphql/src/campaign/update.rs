//! `updateCampaign`.

use async_graphql::{Context, ID, InputObject, MaybeUndefined};
use campaigns_entity::campaign;
use campaigns_scope::Scope;
use uuid::Uuid;

use super::{Campaign, CampaignPayload};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path, set},
    rows,
    scalars::Json,
};

/// Input for `updateCampaign`. Fields that are omitted stay as they are.
#[derive(InputObject)]
pub(crate) struct UpdateCampaignInput {
    /// The ID of the campaign.
    id: ID,
    /// The name of the campaign, with 1 to 500 characters.
    name: MaybeUndefined<String>,
    /// The subject line or headline of the message.
    subject: MaybeUndefined<String>,
    /// The body of the message, up to 1 MiB.
    body: MaybeUndefined<String>,
    /// The delivery channel, such as `email`, `sms` or `push`.
    channel: MaybeUndefined<String>,
    /// Custom data to store, as a JSON object of up to 64 KiB. Replaces the previous data.
    metadata: MaybeUndefined<Json>,
}

pub(crate) async fn update(
    ctx: &Context<'_>,
    input: UpdateCampaignInput,
) -> Result<CampaignPayload, Error> {
    let path = Path::argument("input");
    let id = input::id(&input.id, path.field("id"))?;
    let name = input::required(input.name, path.field("name"))?
        .map(|name| input::name(name, path.field("name")))
        .transpose()?;
    let subject = input::nullable(input.subject, |text| input::text(text, path.field("subject")))?;
    let body = input::nullable(input.body, |text| input::content(text, path.field("body")))?;
    let channel = input::required(input.channel, path.field("channel"))?
        .map(|channel| input::name(channel, path.field("channel")))
        .transpose()?;
    let metadata = input::nullable(input.metadata, |Json(value)| {
        input::object(value, path.field("metadata"))
    })?;

    let changes_content = subject.is_some() || body.is_some() || channel.is_some();
    let changes = campaign::ActiveModel {
        name: set(name.map(Into::into)),
        subject: set(subject.map(|subject| subject.map(Into::into))),
        body: set(body.map(|body| body.map(Into::into))),
        channel: set(channel.map(Into::into)),
        metadata: set(metadata.map(|metadata| metadata.map(Into::into))),
        ..Default::default()
    };
    let campaign = ctx.change(|| store(ctx.scope(), id, &changes, changes_content)).await?;
    Ok(CampaignPayload { campaign: Campaign(rows::from_model(campaign)) })
}

/// Stores the changes of a campaign.
async fn store(
    scope: &Scope,
    id: Uuid,
    changes: &campaign::ActiveModel,
    changes_content: bool,
) -> Result<campaign::Model, Error> {
    scope
        .transaction(async |scope| {
            let not_found = || Error::not_found("campaign", "input.id");
            let before = scope.lock::<campaign::Entity>(id).await?.ok_or_else(not_found)?;
            if changes_content && before.status.fixes_content() {
                return Err(Error::conflict(format!(
                    "The campaign is {}: its subject, body and channel can no longer be changed.",
                    sea_orm::ActiveEnum::to_value(&before.status),
                )));
            }
            if *changes == campaign::ActiveModel::default() {
                return Ok(before);
            }
            scope.update::<campaign::Entity>(id, changes.clone()).await?.ok_or_else(not_found)
        })
        .await
}
