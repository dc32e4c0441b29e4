//! `recordEvents`.

use async_graphql::{Context, ID, InputObject, Object};
use campaigns_delivery::{MAX_ROWS, NewEvent, RecordError, RecordOutcome};
use campaigns_entity::event;
use campaigns_operation::object::Objects;
use chrono::{DateTime as ChronoDateTime, Utc};
use serde_json::Map;

use super::object::{BounceType, EngagementEvent, EngagementEventType};
use crate::{
    context::RequestContext,
    error::Error,
    input::{self, Path},
    rows,
    scalars::{DateTime, Json},
};

/// An event for `recordEvents`.
#[derive(InputObject)]
pub(crate) struct RecordEventInput {
    /// A UUID that you choose, so that retries are safe. Generated if omitted.
    id: Option<ID>,
    /// The ID of the send that the event belongs to.
    send_id: ID,
    /// The type of the event.
    r#type: EngagementEventType,
    /// The URL of the clicked link. Required for a CLICK, and not allowed for other types.
    url: Option<String>,
    /// Whether the bounce is permanent. Allowed for a BOUNCE only. The default is HARD.
    bounce_type: Option<BounceType>,
    /// When the event happened. The default is now. Can be up to five minutes in the future.
    occurred_at: Option<DateTime>,
    /// Custom data to store, as a JSON object of up to 64 KiB.
    metadata: Option<Json>,
}

impl RecordEventInput {
    fn into_event(self, now: ChronoDateTime<Utc>, path: Path<'_>) -> Result<NewEvent, Error> {
        let metadata = match self.metadata {
            None => Map::new(),
            Some(Json(value)) => {
                let path = path.field("metadata");
                match input::object(value, path)? {
                    serde_json::Value::Object(metadata) => metadata,
                    _ => return Err(Error::bad_input(path, "This must be a JSON object.")),
                }
            }
        };
        Ok(NewEvent {
            id: self.id.map(|id| input::id(&id, path.field("id"))).transpose()?,
            send_id: input::id(&self.send_id, path.field("sendId"))?,
            event_type: self.r#type.into(),
            url: self.url.map(|url| input::text(url, path.field("url"))).transpose()?,
            bounce_type: self.bounce_type.map(|bounce| match bounce {
                BounceType::Hard => "hard",
                BounceType::Soft => "soft",
            }),
            occurred_at: match self.occurred_at {
                None => now,
                Some(time) => input::time(&time, path.field("occurredAt"))?,
            },
            metadata,
        })
    }
}

/// The result of `recordEvents`.
pub(crate) struct RecordEventsPayload {
    outcome: RecordOutcome,
}

/// The result of `recordEvents`.
#[Object]
impl RecordEventsPayload {
    /// The number of events that are new.
    async fn recorded(&self) -> usize {
        self.outcome.recorded
    }

    /// The number of events that were already stored, or that the input repeats.
    async fn duplicates(&self) -> usize {
        self.outcome.ids.len() - self.outcome.recorded
    }

    /// The events as stored, in the order of the input.
    async fn events(&self, ctx: &Context<'_>) -> Result<Objects<EngagementEvent>, Error> {
        let ids = &self.outcome.ids;
        let found = ctx.scope().by_shown_ids::<event::Entity>(ids.iter().copied()).await?;
        let found = rows::by_shown_id(rows::from_models::<event::Entity>(found))?;
        // skip rows that were deleted in the meantime
        let events = ids.iter().filter_map(|id| found.get(id).cloned()).map(EngagementEvent);
        Ok(Objects(events.collect()))
    }
}

pub(super) async fn record(
    ctx: &Context<'_>,
    input: Vec<RecordEventInput>,
) -> Result<RecordEventsPayload, Error> {
    let path = Path::argument("input");
    if input.len() > MAX_ROWS {
        return Err(Error::limit(path, format!("This can have at most {MAX_ROWS} elements.")));
    }
    let now = ctx.now();
    let events = input
        .into_iter()
        .enumerate()
        .map(|(index, input)| input.into_event(now, path.index(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let intake = &ctx.live().intake;
    let outcome = ctx.change_once(intake.record_events(ctx.scope(), events, now)).await;
    let outcome = outcome.map_err(|error| match error {
        RecordError::Invalid { index, field, reason } => {
            Error::bad_input(path.index(index).field(field), reason)
        }
        RecordError::SendNotFound { index } => {
            Error::not_found("send", path.index(index).field("sendId"))
        }
        RecordError::Scope(error) => error.into(),
    })?;
    ctx.live().feed.wake();
    Ok(RecordEventsPayload { outcome })
}
