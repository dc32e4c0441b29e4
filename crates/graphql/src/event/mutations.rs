//! What may be done with events.

use async_graphql::{Context, ID, Object};
use campaigns_entity::event;

use super::record::{self, RecordEventInput, RecordEventsPayload};
use crate::{error::Error, schema::DeletePayload};

#[derive(Default)]
pub(crate) struct EventMutations;

#[Object]
impl EventMutations {
    /// Records events, 10,000 at most, in one transaction: all of them, or none where one cannot be
    /// taken. Safe to repeat: an event whose id is stored already, or comes twice, is a duplicate and
    /// changes nothing. A BOUNCE that is not SOFT also sets its send to BOUNCED.
    async fn record_events(
        &self,
        ctx: &Context<'_>,
        input: Vec<RecordEventInput>,
    ) -> Result<RecordEventsPayload, Error> {
        record::record(ctx, input).await
    }

    /// Deletes an event, as if it had never been. For admins.
    async fn delete_event(&self, ctx: &Context<'_>, id: ID) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<event::Entity>(ctx, &id, "event").await
    }
}
