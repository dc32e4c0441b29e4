//! Marks clicks of a burst: of different links of one send within two seconds, as scanners make them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use campaigns_entity::{
    StoredJson,
    event::{self, EventType},
};
use campaigns_providers::machine::{BURST, BURST_WINDOW, bursts};
use campaigns_scope::{Error, Scope};
use chrono::{DateTime, Utc};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::NewEvent;

/// A click that may belong to a burst.
struct Click {
    at: DateTime<Utc>,
    url: String,
    of: Source,
}

enum Source {
    /// A new event, by its index.
    New(usize),
    /// A stored event.
    Stored(Uuid, Map<String, Json>),
}

/// Marks the new clicks that belong to a burst, and the stored ones that came before and after. The sends of the
/// clicks are locked. Clicks that other programs have recorded neither count nor are marked.
pub(super) async fn mark(scope: &Scope, new: &mut [(Uuid, NewEvent)]) -> Result<(), Error> {
    let clicks = new.iter().filter(|(_, event)| event.event_type == EventType::Click);
    let sends: BTreeSet<Uuid> = clicks.clone().map(|(_, event)| event.send_id).collect();
    let times: Vec<DateTime<Utc>> = clicks.map(|(_, event)| event.occurred_at).collect();
    let Some((first, last)) = times.iter().min().zip(times.iter().max()) else { return Ok(()) };
    let (first, last) = (*first - BURST_WINDOW, *last + BURST_WINDOW);
    let sends: Vec<Uuid> = sends.into_iter().collect();
    let stored = scope
        .find_by::<event::Entity>(event::Column::SendId, &sends)
        .filter(event::Column::EventType.eq(EventType::Click))
        .filter(event::Column::OccurredAt.between(first, last));
    let mut of_sends: BTreeMap<Uuid, Vec<Click>> = BTreeMap::new();
    let mut known = HashSet::new();
    for event in scope.all(stored).await? {
        let metadata = match event.metadata {
            Some(StoredJson(Json::Object(metadata))) => metadata,
            _ => Map::new(),
        };
        known.insert(event.chosen_id.unwrap_or(event.id));
        if let Some(url) = event.url.filter(|_| metadata.contains_key("provider")) {
            let of = Source::Stored(event.id, metadata);
            let click = Click { at: event.occurred_at.nearest(), url: url.0, of };
            of_sends.entry(event.send_id).or_default().push(click);
        }
    }
    for (index, (id, event)) in new.iter().enumerate() {
        if let (EventType::Click, Some(url), true) =
            (event.event_type, &event.url, known.insert(*id))
        {
            let click = Click { at: event.occurred_at, url: url.clone(), of: Source::New(index) };
            of_sends.entry(event.send_id).or_default().push(click);
        }
    }
    let mut changes = BTreeMap::new();
    for clicks in of_sends.into_values() {
        let of: Vec<(DateTime<Utc>, &str)> =
            clicks.iter().map(|click| (click.at, click.url.as_str())).collect();
        let are_marked = bursts(&of);
        for (click, _) in clicks.into_iter().zip(are_marked).filter(|(_, is_marked)| *is_marked) {
            match click.of {
                Source::New(index) => {
                    add_reason(&mut new[index].1.metadata);
                }
                Source::Stored(id, mut metadata) => {
                    if add_reason(&mut metadata) {
                        changes.insert(id, metadata);
                    }
                }
            }
        }
    }
    if changes.is_empty() {
        return Ok(());
    }
    // in the order of their IDs, like all that lock events
    let changes = changes.into_iter().map(|(id, metadata)| event::ActiveModel {
        id: Set(id),
        metadata: Set(Some(metadata.into())),
        ..Default::default()
    });
    scope.update_all::<event::Entity>(&changes.collect::<Vec<_>>()).await
}

/// Marks metadata of an event, and returns whether it was not marked as part of a burst before.
fn add_reason(metadata: &mut Map<String, Json>) -> bool {
    let is_machine = metadata.get("machine") == Some(&Json::Bool(true));
    let mut reasons = match metadata.get("machineReasons") {
        Some(Json::Array(reasons)) if is_machine => reasons.clone(),
        _ => Vec::new(),
    };
    if reasons.iter().any(|reason| reason == BURST) {
        return false;
    }
    reasons.push(BURST.into());
    metadata.insert("machine".to_owned(), true.into());
    metadata.insert("machineReasons".to_owned(), json!(reasons));
    true
}
