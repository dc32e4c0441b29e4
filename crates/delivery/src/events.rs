//! Records events.

use std::collections::HashSet;

use campaigns_entity::{
    event::{self, EventType},
    send::{self, SendStatus},
};
use campaigns_scope::{Error, Scope};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ActiveValue::Set;
use serde_json::{Map, Value as Json};
use uuid::{ContextV7, Timestamp, Uuid};

use crate::{Intake, batcher::BatchWork};

/// The allowed difference between clocks, for events in the future.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// An event to be recorded.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its ID. The reporter chooses it, so that the report can be repeated. Generated if omitted.
    pub id: Option<Uuid>,
    /// The send that it belongs to.
    pub send_id: Uuid,
    /// Its type.
    pub event_type: EventType,
    /// The clicked link. Only for a click.
    pub url: Option<String>,
    /// `hard` or `soft`. Only for a bounce.
    pub bounce_type: Option<&'static str>,
    /// When it occurred.
    pub occurred_at: DateTime<Utc>,
    /// Custom data.
    pub metadata: Map<String, Json>,
}

impl NewEvent {
    /// The invalid field and the reason, if there is one.
    fn fault(&self, now: DateTime<Utc>) -> Option<(&'static str, &'static str)> {
        // IDs are unique across types, but checking every table would reduce the throughput by a fifth
        if self.id == Some(self.send_id) {
            return Some(("id", "This is the ID of the send. An event needs one of its own."));
        }
        let is_click = self.event_type == EventType::Click;
        match &self.url {
            None if is_click => return Some(("url", "A CLICK needs a url.")),
            Some(url) if is_click && url.trim().is_empty() => {
                return Some(("url", "This must not be blank."));
            }
            Some(_) if !is_click => return Some(("url", "Only a CLICK can have a url.")),
            _ => {}
        }
        if self.bounce_type.is_some() && self.event_type != EventType::Bounce {
            return Some(("bounceType", "Only a BOUNCE can have a bounceType."));
        }
        (self.occurred_at > now + AHEAD)
            .then_some(("occurredAt", "This is more than five minutes in the future."))
    }

    /// Whether it is a bounce that is not marked as soft.
    fn is_hard_bounce(&self) -> bool {
        let said = || self.metadata.get("bounce_type").and_then(Json::as_str);
        self.event_type == EventType::Bounce && self.bounce_type.or_else(said) != Some("soft")
    }

    pub(crate) fn row(&self, id: Uuid) -> event::ActiveModel {
        let mut metadata = self.metadata.clone();
        if let Some(bounce_type) = self.bounce_type {
            metadata.insert("bounce_type".to_owned(), bounce_type.into());
        }
        event::ActiveModel {
            id: Set(id),
            send_id: Set(self.send_id),
            event_type: Set(self.event_type),
            url: Set(self.url.clone().map(Into::into)),
            occurred_at: Set(self.occurred_at.into()),
            metadata: Set(Some(metadata.into())),
            ..Default::default()
        }
    }
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOutcome {
    /// The number of new events.
    pub recorded: usize,
    /// The ID of each event, in the order of the call.
    pub ids: Vec<Uuid>,
}

/// The reason why no event was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// An event is invalid.
    #[error("event {index}: {field}: {reason}")]
    Invalid {
        /// Its index.
        index: usize,
        /// The invalid field, as named in the API.
        field: &'static str,
        /// The reason.
        reason: &'static str,
    },
    /// The send of an event does not exist in the organization.
    #[error("event {index}: the send does not exist")]
    SendNotFound {
        /// Its index.
        index: usize,
    },
    /// An error of the scope.
    #[error(transparent)]
    Scope(#[from] Error),
}

impl Intake {
    /// Records events in order, and sets the status of sends with a hard bounce to bounced. An event whose
    /// ID the organization has already stored, or that is repeated in the call, has no effect.
    ///
    /// # Errors
    /// See [`RecordError`]. Nothing is recorded then.
    pub async fn record_events(
        &self,
        scope: &Scope,
        events: Vec<NewEvent>,
        now: DateTime<Utc>,
    ) -> Result<RecordOutcome, RecordError> {
        for (index, event) in events.iter().enumerate() {
            if let Some((field, reason)) = event.fault(now) {
                return Err(RecordError::Invalid { index, field, reason });
            }
        }
        if events.is_empty() {
            return Ok(RecordOutcome { recorded: 0, ids: Vec::new() });
        }
        let rows = with_ids(events);
        let ids: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
        let done = self.events.write(scope, rows).await?;
        let recorded = done.into_iter().filter(|is_new| *is_new).count();
        let repeated = ids.len() - recorded;
        metrics::counter!("campaigns_events_recorded_total").increment(recorded as u64);
        metrics::counter!("campaigns_events_repeated_total").increment(repeated as u64);
        Ok(RecordOutcome { recorded, ids })
    }
}

/// The events, each with its ID. Generated IDs are ascending, in the order of the events.
fn with_ids(events: Vec<NewEvent>) -> Vec<(Uuid, NewEvent)> {
    // a shared counter would reveal how many events other organizations record
    let counter = ContextV7::new();
    let new_id = || Uuid::new_v7(Timestamp::now(&counter));
    events.into_iter().map(|event| (event.id.unwrap_or_else(new_id), event)).collect()
}

/// Events, each with its ID.
pub(crate) struct Events;

impl BatchWork for Events {
    type Row = (Uuid, NewEvent);
    /// Whether it is new.
    type Done = bool;
    type Error = RecordError;

    async fn write(scope: &Scope, events: &[(Uuid, NewEvent)]) -> Result<Vec<bool>, RecordError> {
        scope.repeat(|| record(scope, events)).await
    }

    fn in_doubt(error: &RecordError) -> Option<&Error> {
        match error {
            RecordError::Scope(error @ Error::InDoubt(_)) => Some(error),
            _ => None,
        }
    }
}

/// Records the events in one transaction, and returns for each whether it is new.
async fn record(scope: &Scope, events: &[(Uuid, NewEvent)]) -> Result<Vec<bool>, RecordError> {
    // the first occurrence of a repeated event is new
    let are_new = |mut new: HashSet<Uuid>| events.iter().map(|(id, _)| new.remove(id)).collect();
    let may_bounce: HashSet<Uuid> = events
        .iter()
        .filter(|(_, event)| event.is_hard_bounce())
        .map(|(_, event)| event.send_id)
        .collect();
    if may_bounce.is_empty() {
        return Ok(are_new(insert(scope, events).await?));
    }
    scope
        .transaction(async |scope| {
            let locked = scope.lock_all::<send::Entity>(may_bounce).await?;
            let inserted = insert(scope, events).await?;
            let bounces: HashSet<Uuid> = events
                .iter()
                .filter(|(id, event)| event.is_hard_bounce() && inserted.contains(id))
                .map(|(_, event)| event.send_id)
                .filter(|send| match locked.get(send) {
                    Some(Some(send)) => send.status != SendStatus::Bounced,
                    // also a send with a status that only a newer version knows
                    Some(None) => true,
                    None => false,
                })
                .collect();
            if !bounces.is_empty() {
                let changes = bounces.into_iter().map(|id| send::ActiveModel {
                    id: Set(id),
                    status: Set(SendStatus::Bounced),
                    ..Default::default()
                });
                scope.update_all::<send::Entity>(&changes.collect::<Vec<_>>()).await?;
            }
            Ok(are_new(inserted))
        })
        .await
}

/// Inserts the events, and returns the new IDs.
pub(crate) async fn insert(
    scope: &Scope,
    events: &[(Uuid, NewEvent)],
) -> Result<HashSet<Uuid>, RecordError> {
    let rows: Vec<_> = events.iter().map(|(id, event)| event.row(*id)).collect();
    let are_chosen = events.iter().any(|(_, event)| event.id.is_some());
    match scope.insert_events(&rows, are_chosen).await {
        Err(Error::ReferenceNotFound { column, missing }) => {
            let missing: HashSet<Uuid> = missing.into_iter().collect();
            let is_missing = |(_, event): &(_, NewEvent)| missing.contains(&event.send_id);
            Err(match events.iter().position(is_missing) {
                Some(index) => RecordError::SendNotFound { index },
                None => Error::ReferenceNotFound { column, missing: Vec::new() }.into(),
            })
        }
        inserted => Ok(inserted?),
    }
}
