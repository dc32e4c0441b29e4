//! `queueSends`.

use async_graphql::{Context, ID, SimpleObject};
use campaigns_delivery::QueueError;

use crate::{
    campaign::{Campaign, CampaignStatus},
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
};

/// The result of `queueSends`. Each entry of the campaign's list counts once, in the first field
/// that applies: `alreadyQueued`, `suppressed`, `withoutAddress`, `queued`.
#[derive(SimpleObject)]
pub(crate) struct QueueSendsPayload {
    /// The campaign.
    campaign: Campaign,
    /// The number of sends that were queued.
    queued: u64,
    /// The number of contacts that already had a send of this campaign.
    already_queued: u64,
    /// The number of contacts that are suppressed.
    suppressed: u64,
    /// The number of contacts without an e-mail address. Always 0 if the campaign's channel is not
    /// `email`.
    without_address: u64,
}

pub(super) async fn queue(ctx: &Context<'_>, id: &ID) -> Result<QueueSendsPayload, Error> {
    let path = Path::argument("campaignId");
    let id = input::id(id, path)?;
    let queued = ctx.change(|| campaigns_delivery::queue_sends(ctx.scope(), id)).await;
    let (campaign, queued) = queued.map_err(|error| match error {
        QueueError::NotFound => Error::not_found("campaign", path),
        QueueError::Final(status) => Error::conflict(format!(
            "The campaign is {}: no sends can be queued.",
            CampaignStatus::from(status)
        )),
        QueueError::Scope(error) => error.into(),
    })?;
    Ok(QueueSendsPayload {
        campaign: Campaign(rows::from_model(campaign)),
        queued: queued.queued,
        already_queued: queued.already_queued,
        suppressed: queued.suppressed,
        without_address: queued.without_address,
    })
}
