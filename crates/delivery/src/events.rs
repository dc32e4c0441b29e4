//! Recording events.

use std::collections::{HashMap, HashSet};

use campaigns_entity::{
    event::{self, EventType},
    send::{self, SendStatus},
};
use campaigns_scope::{Error, Scope};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::ActiveValue::Set;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::{Intake, together::Work};

/// How far in the future an event can have occurred, since clocks differ.
const AHEAD: TimeDelta = TimeDelta::minutes(5);

/// An event to be recorded.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Its ID, chosen by the reporter so that the report can be repeated. Generated if omitted.
    pub id: Option<Uuid>,
    /// The send that it belongs to.
    pub send_id: Uuid,
    /// What happened.
    pub event_type: EventType,
    /// The clicked link. Only for a click.
    pub url: Option<String>,
    /// `hard` or `soft`. Only for a bounce.
    pub bounce_type: Option<&'static str>,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
    /// Custom data.
    pub metadata: Map<String, Json>,
}

impl NewEvent {
    /// The field at fault and the reason, if it is invalid.
    fn fault(&self, now: DateTime<Utc>) -> Option<(&'static str, &'static str)> {
        // an object of any type is found by its ID; to look in every table would cost a fifth of the
        // events that can be recorded in a second
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
    fn is_for_good(&self) -> bool {
        let said = || self.metadata.get("bounce_type").and_then(Json::as_str);
        self.event_type == EventType::Bounce && self.bounce_type.or_else(said) != Some("soft")
    }

    fn row(&self, id: Uuid) -> event::ActiveModel {
        let mut metadata = self.metadata.clone();
        if let Some(bounce_type) = self.bounce_type {
            metadata.insert("bounce_type".to_owned(), bounce_type.into());
        }
        event::ActiveModel {
            id: Set(id),
            send_id: Set(self.send_id),
            event_type: Set(self.event_type),
            url: Set(self.url.clone()),
            occurred_at: Set(self.occurred_at.into()),
            metadata: Set(Some(metadata.into())),
            ..Default::default()
        }
    }
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The number of new events.
    pub recorded: usize,
    /// The ID of each event, in the order of the call.
    pub ids: Vec<Uuid>,
}

/// Why nothing was recorded.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// An event is invalid.
    #[error("event {index}: {field}: {reason}")]
    Invalid {
        /// Its index.
        index: usize,
        /// The field at fault, as named in the API.
        field: &'static str,
        /// Why.
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
    /// Records events in order, and sets sends with a hard bounce to bounced. An event with an ID
    /// that is already stored, or that is repeated, changes nothing.
    ///
    /// # Errors
    /// See [`RecordError`]. Nothing is recorded then.
    pub async fn record_events(
        &self,
        scope: &Scope,
        events: Vec<NewEvent>,
        now: DateTime<Utc>,
    ) -> Result<Recorded, RecordError> {
        for (index, event) in events.iter().enumerate() {
            if let Some((field, reason)) = event.fault(now) {
                return Err(RecordError::Invalid { index, field, reason });
            }
        }
        if events.is_empty() {
            return Ok(Recorded { recorded: 0, ids: Vec::new() });
        }
        // IDs generated here are ascending, in the order of the events
        let rows: Vec<_> = events
            .into_iter()
            .map(|event| (event.id.unwrap_or_else(Uuid::now_v7), event))
            .collect();
        let ids: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
        let done = self.events.write(scope, rows).await?;
        let recorded = done.into_iter().filter(|is_new| *is_new).count();
        let repeated = ids.len() - recorded;
        metrics::counter!("campaigns_events_recorded_total").increment(recorded as u64);
        metrics::counter!("campaigns_events_repeated_total").increment(repeated as u64);
        Ok(Recorded { recorded, ids })
    }
}

/// Events, each with its ID.
pub(crate) struct Events;

impl Work for Events {
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

/// Records the events in one transaction, and returns which of them are new.
async fn record(scope: &Scope, events: &[(Uuid, NewEvent)]) -> Result<Vec<bool>, RecordError> {
    let rows: Vec<_> = events.iter().map(|(id, event)| event.row(*id)).collect();
    // nothing to look up before or after: IDs generated here are new
    if events.iter().all(|(_, event)| event.id.is_none() && !event.is_for_good()) {
        let mut new = insert(scope, events, &rows).await?;
        return Ok(events.iter().map(|(id, _)| new.remove(id)).collect());
    }
    scope
        .transaction(async |scope| {
            let may_bounce: HashSet<Uuid> = events
                .iter()
                .filter(|(_, event)| event.is_for_good())
                .map(|(_, event)| event.send_id)
                .collect();
            let locked: HashMap<Uuid, Option<send::Model>> = if may_bounce.is_empty() {
                HashMap::new()
            } else {
                scope.lock_all::<send::Entity>(may_bounce).await?
            };
            let inserted = match scope.insert_missing::<event::Entity>(&rows).await {
                Err(Error::ReferenceNotFound { column, missing }) => {
                    let missing: HashSet<Uuid> = missing.into_iter().collect();
                    return Err(
                        match first(events, |(_, event)| missing.contains(&event.send_id)) {
                            Some(index) => RecordError::SendNotFound { index },
                            None => Error::ReferenceNotFound { column, missing: Vec::new() }.into(),
                        },
                    );
                }
                inserted => inserted?,
            };
            refuse_ids_of_others(scope, events, &inserted).await?;
            let bounces: HashSet<Uuid> = events
                .iter()
                .filter(|(id, event)| event.is_for_good() && inserted.contains(id))
                .map(|(_, event)| event.send_id)
                .filter(|send| match locked.get(send) {
                    Some(Some(send)) => send.status != SendStatus::Bounced,
                    // whatever status a newer version gave it, it is final now
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
            // a repeated event is new the first time
            let mut new = inserted;
            Ok(events.iter().map(|(id, _)| new.remove(id)).collect())
        })
        .await
}

/// The IDs that were not stored yet.
async fn insert(
    scope: &Scope,
    events: &[(Uuid, NewEvent)],
    rows: &[event::ActiveModel],
) -> Result<HashSet<Uuid>, RecordError> {
    match scope.insert_missing::<event::Entity>(rows).await {
        Err(Error::ReferenceNotFound { column, missing }) => {
            let missing: HashSet<Uuid> = missing.into_iter().collect();
            Err(match first(events, |(_, event)| missing.contains(&event.send_id)) {
                Some(index) => RecordError::SendNotFound { index },
                None => Error::ReferenceNotFound { column, missing: Vec::new() }.into(),
            })
        }
        inserted => Ok(inserted?),
    }
}

/// An ID that was already in use must belong to one of the organization's own events.
async fn refuse_ids_of_others(
    scope: &Scope,
    events: &[(Uuid, NewEvent)],
    inserted: &HashSet<Uuid>,
) -> Result<(), RecordError> {
    let ids = events.iter().map(|(id, _)| *id);
    let taken: Vec<Uuid> = ids.filter(|id| !inserted.contains(id)).collect();
    if taken.is_empty() {
        return Ok(());
    }
    let own: HashSet<Uuid> = scope.existing::<event::Entity>(taken).await?;
    match first(events, |(id, _)| !inserted.contains(id) && !own.contains(id)) {
        None => Ok(()),
        Some(index) => {
            Err(RecordError::Invalid { index, field: "id", reason: "This ID cannot be used." })
        }
    }
}

fn first<T>(of: &[T], is: impl Fn(&T) -> bool) -> Option<usize> {
    of.iter().position(is)
}
