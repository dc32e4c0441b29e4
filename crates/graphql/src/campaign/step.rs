//! The steps of a campaign: `scheduleCampaign` and its siblings.

use async_graphql::{Context, ID};
use campaigns_delivery::{Step, StepError};

use super::{Campaign, CampaignPayload, CampaignStatus};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
    scalars::DateTime,
};

/// Schedules a campaign for a time in the future.
pub(super) async fn schedule(
    ctx: &Context<'_>,
    id: &ID,
    at: &DateTime,
) -> Result<CampaignPayload, Error> {
    let at = input::future(at, ctx.now(), Path::argument("at"))?;
    step(ctx, id, Step::Schedule(at)).await
}

/// Takes a step.
pub(super) async fn step(ctx: &Context<'_>, id: &ID, step: Step) -> Result<CampaignPayload, Error> {
    let path = Path::argument("id");
    let id = input::id(id, path)?;
    let (scope, now) = (ctx.scope(), ctx.now());
    let stepped = ctx.change(|| Box::pin(campaigns_delivery::step(scope, id, step, now))).await;
    let campaign = stepped.map_err(|error| to_error(error, step, path))?;
    Ok(CampaignPayload { campaign: Campaign(rows::from_model(campaign)) })
}

fn to_error(error: StepError, step: Step, path: Path<'_>) -> Error {
    match error {
        StepError::NotFound => Error::not_found("campaign", path),
        StepError::Refused { from, to } => {
            let (from, to) = (CampaignStatus::from(from), CampaignStatus::from(to));
            Error::conflict(match step {
                Step::Resume => {
                    format!(
                        "The campaign is {from}. Only a PAUSED campaign can be resumed to {to}."
                    )
                }
                _ => format!("The campaign is {from} and cannot become {to}."),
            })
        }
        StepError::StillQueued => Error::conflict(
            "The campaign is SENDING and cannot become SENT while it has QUEUED sends.",
        ),
        StepError::Scope(error) => error.into(),
    }
}
