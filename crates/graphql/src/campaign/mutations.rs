//! What may be done with campaigns.

use async_graphql::{Context, ID, Object};

use super::{CampaignPayload, create, delete, duplicate, update};
use crate::{error::Error, schema::DeletePayload};

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
}
