//! The mutations of campaigns.

use async_graphql::{Context, ID, Object};
use campaigns_delivery::Step;
use campaigns_entity::campaign;

use super::{CampaignPayload, create, duplicate, step, update};
use crate::{delete::DeletePayload, error::Error, scalars::DateTime};

#[derive(Default)]
pub(crate) struct CampaignMutations;

#[Object]
impl CampaignMutations {
    /// Creates a campaign. It is a DRAFT, or SCHEDULED if `scheduledAt` is given. You are its creator
    /// if you are a user of the organization.
    async fn create_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The campaign to create.")] input: create::CreateCampaignInput,
    ) -> Result<CampaignPayload, Error> {
        create::create(ctx, input).await
    }

    /// Updates the fields that are given. Null clears a field that can be null. `CONFLICT` if
    /// `subject`, `body` or `channel` is given for a campaign that is SENDING, SENT or CANCELED.
    async fn update_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "The campaign, and the fields to change. Omitted fields stay as they are."
        )]
        input: update::UpdateCampaignInput,
    ) -> Result<CampaignPayload, Error> {
        update::update(ctx, input).await
    }

    /// Creates a DRAFT with the subject, body, channel and metadata of this campaign. The list and the
    /// sends are not copied.
    async fn duplicate_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
        #[graphql(
            desc = "The name of the new campaign. The default is `Copy of` followed by the original name."
        )]
        name: Option<String>,
    ) -> Result<CampaignPayload, Error> {
        duplicate::duplicate(ctx, &id, name).await
    }

    /// Deletes a campaign with its list, its sends and their events. Requires the ADMIN role. A large
    /// campaign is deleted in steps: after a `TIMEOUT`, repeat the call to delete the rest.
    async fn delete_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<campaign::Entity>(ctx, &id, "campaign").await
    }

    /// Schedules a campaign that is DRAFT or PAUSED. It becomes SCHEDULED, and a worker starts it at
    /// that time. Any other status is a `CONFLICT`. To reschedule a campaign, unschedule it first.
    async fn schedule_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
        #[graphql(desc = "When the campaign starts. Must be in the future.")] at: DateTime,
    ) -> Result<CampaignPayload, Error> {
        step::schedule(ctx, &id, &at).await
    }

    /// Unschedules a SCHEDULED campaign. It becomes a DRAFT again, and `scheduledAt` is cleared. Any
    /// other status is a `CONFLICT`.
    async fn unschedule_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Unschedule).await
    }

    /// Starts a campaign that is DRAFT, SCHEDULED or PAUSED. It becomes SENDING, and sends are queued
    /// for its list as by `queueSends`, all in one transaction. Any other status is a `CONFLICT`.
    async fn start_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Start).await
    }

    /// Pauses a campaign that is SCHEDULED or SENDING. It becomes PAUSED, and keeps its `scheduledAt`
    /// and its sends. Any other status is a `CONFLICT`.
    async fn pause_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Pause).await
    }

    /// Resumes a PAUSED campaign. It becomes SENDING, with the sends that it has. To queue new sends as
    /// well, use `startCampaign` instead. Any other status is a `CONFLICT`.
    async fn resume_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Resume).await
    }

    /// Cancels a campaign that is neither SENT nor CANCELED. It becomes CANCELED, which is final. Its
    /// sends stay as they are, so a delivery program must check the campaign's status before it
    /// delivers QUEUED sends. Any other status is a `CONFLICT`.
    async fn cancel_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Cancel).await
    }

    /// Completes a SENDING campaign. It becomes SENT, which is final, and `sentAt` is set. `CONFLICT`
    /// if the campaign has any other status, or if any of its sends is still QUEUED.
    async fn complete_campaign(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the campaign.")] id: ID,
    ) -> Result<CampaignPayload, Error> {
        step::step(ctx, &id, Step::Complete).await
    }
}
