//! What may be done with campaigns.

use async_graphql::{Context, ID, Object};
use campaigns_delivery::Step;

use super::{CampaignPayload, create, delete, duplicate, step, update};
use crate::{error::Error, scalars::DateTime, schema::DeletePayload};

#[derive(Default)]
pub(crate) struct CampaignMutations;

#[Object]
impl CampaignMutations {
    /// Makes a campaign: a draft, or scheduled where scheduledAt is given. Its creator is you, where
    /// you are a user of the organization.
    async fn create_campaign(
        &self,
        ctx: &Context<'_>,
        input: create::CreateCampaignInput,
    ) -> Result<CampaignPayload, Error> {
        create::create(ctx, input).await
    }

    /// Changes the fields that are given; null clears one that may be null. Subject, body and channel
    /// are fixed (CONFLICT) once the campaign is sending, sent or canceled.
    async fn update_campaign(
        &self,
        ctx: &Context<'_>,
        input: update::UpdateCampaignInput,
    ) -> Result<CampaignPayload, Error> {
        update::update(ctx, input).await
    }

    /// Makes a draft with the same subject, body, channel and metadata, without list and sends.
    async fn duplicate_campaign(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(desc = "The name of the new one; Copy of … without it.")] name: Option<String>,
    ) -> Result<CampaignPayload, Error> {
        duplicate::duplicate(ctx, &id, name).await
    }

    /// Deletes a campaign with its list, its sends and their events. For admins.
    async fn delete_campaign(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload, Error> {
        delete::delete(ctx, &id).await
    }

    /// Schedules a campaign that is DRAFT or PAUSED. It becomes SCHEDULED, and a worker starts it at that
    /// time. Any other status is a CONFLICT: to reschedule, unschedule the campaign first.
    async fn schedule_campaign(
        &self,
        ctx: &Context<'_>,
        id: ID,
        #[graphql(desc = "When the campaign starts. Must be in the future.")] at: DateTime,
    ) -> Result<CampaignPayload, Error> {
        step::schedule(ctx, &id, &at).await
    }

    /// Makes a SCHEDULED campaign a DRAFT again and clears scheduledAt. Any other status is a CONFLICT.
    async fn unschedule_campaign(
        &self,
        ctx: &Context<'_>,
        id: ID,
    ) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Unschedule).await
    }

    /// Starts a campaign that is DRAFT, SCHEDULED or PAUSED. It becomes SENDING, and sends are queued for
    /// its list as by queueSends, all in one transaction. Any other status is a CONFLICT.
    async fn start_campaign(&self, ctx: &Context<'_>, id: ID) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Start).await
    }

    /// Pauses a campaign that is SCHEDULED or SENDING. It becomes PAUSED, and keeps its scheduledAt and
    /// its sends. Any other status is a CONFLICT.
    async fn pause_campaign(&self, ctx: &Context<'_>, id: ID) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Pause).await
    }

    /// Resumes a PAUSED campaign. It becomes SENDING, with the sends it has; startCampaign also queues new
    /// ones. Any other status is a CONFLICT.
    async fn resume_campaign(&self, ctx: &Context<'_>, id: ID) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Resume).await
    }

    /// Cancels a campaign that is neither SENT nor CANCELED. It becomes CANCELED, which is final. Its sends
    /// stay as they are, so a delivery worker that finds QUEUED ones looks at the campaign's status, too.
    async fn cancel_campaign(&self, ctx: &Context<'_>, id: ID) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Cancel).await
    }

    /// Completes a SENDING campaign. It becomes SENT, which is final, and sentAt is set. Any other status
    /// is a CONFLICT, and so is a send that is still QUEUED.
    async fn complete_campaign(&self, ctx: &Context<'_>, id: ID) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Complete).await
    }
}
