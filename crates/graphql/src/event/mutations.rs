//! The mutations of events.

use async_graphql::{Context, ID, Object};
use campaigns_entity::event;

use super::record::{self, RecordEventInput, RecordEventsPayload};
use crate::{delete::DeletePayload, error::Error};

#[derive(Default)]
pub(crate) struct EventMutations;

#[Object]
impl EventMutations {
    /// Records up to 10,000 events in one transaction. If one event is invalid, none is recorded. Safe
    /// to repeat: an event with an ID that is already stored, or that the input repeats, counts as a
    /// duplicate and changes nothing. A BOUNCE that is not SOFT also sets its send to BOUNCED.
    async fn record_events(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The events to record, up to 10,000.")] input: Vec<RecordEventInput>,
    ) -> Result<RecordEventsPayload, Error> {
        record::record(ctx, input).await
    }

    /// Deletes an event. All figures change as if it had never been recorded. Requires the ADMIN role.
    async fn delete_event(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The ID of the event.")] id: ID,
    ) -> Result<DeletePayload, Error> {
        DeletePayload::delete::<event::Entity>(ctx, &id, "event").await
    }
}
