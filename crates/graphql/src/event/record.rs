//! `recordEvents`.

use async_graphql::{Context, ID, InputObject, Object};
use campaigns_delivery::{MAX_ROWS, NewEvent, RecordError, Recorded};
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

/// An event to be recorded.
#[derive(InputObject)]
pub(crate) struct RecordEventInput {
    /// Yours to choose, so that a retry is safe: a UUID. Made up where it is missing.
    id: Option<ID>,
    /// The send that it is of.
    send_id: ID,
    /// What happened.
    r#type: EngagementEventType,
    /// The link that was clicked; of a CLICK, which needs it, and of nothing else.
    url: Option<String>,
    /// Whether it is for good; of a BOUNCE alone. One that does not say is HARD.
    bounce_type: Option<BounceType>,
    /// When it happened; now, where it does not say. At most five minutes ahead.
    occurred_at: Option<DateTime>,
    /// Whatever you want to keep with it: a JSON object.
    metadata: Option<Json>,
}

impl RecordEventInput {
    fn event(self, now: ChronoDateTime<Utc>, path: Path<'_>) -> Result<NewEvent, Error> {
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

/// What became of the events.
pub(crate) struct RecordEventsPayload {
    recorded: Recorded,
}

/// What became of the events.
#[Object]
impl RecordEventsPayload {
    /// How many of them are new.
    async fn recorded(&self) -> usize {
        self.recorded.recorded
    }

    /// How many were stored already, or came twice.
    async fn duplicates(&self) -> usize {
        self.recorded.ids.len() - self.recorded.recorded
    }

    /// Each of them as it is stored, in the order of the input.
    async fn events(&self, ctx: &Context<'_>) -> Result<Objects<EngagementEvent>, Error> {
        let ids = &self.recorded.ids;
        let found = ctx.scope().by_ids::<event::Entity>(ids.iter().copied()).await?;
        let found = rows::by_id(rows::together::<event::Entity>(found));
        // one that was deleted meanwhile is left out
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
        return Err(Error::limit(path, format!("These may be {MAX_ROWS} at most.")));
    }
    let now = ctx.now();
    let events = input
        .into_iter()
        .enumerate()
        .map(|(index, input)| input.event(now, path.index(index)))
        .collect::<Result<Vec<_>, _>>()?;
    let intake = &ctx.live().intake;
    let recorded = ctx.changed(intake.record_events(ctx.scope(), events, now)).await;
    let recorded = recorded.map_err(|error| match error {
        RecordError::Invalid { index, field, reason } => {
            Error::bad_input(path.index(index).field(field), reason)
        }
        RecordError::SendNotFound { index } => {
            Error::not_found("send", path.index(index).field("sendId"))
        }
        RecordError::Scope(error) => error.into(),
    })?;
    ctx.live().feed.wake();
    Ok(RecordEventsPayload { recorded })
}
