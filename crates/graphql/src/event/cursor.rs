//! Cursors of the feed: those of a list of events in feed order.

use campaigns_scope::{KeyValue, Scope};
use uuid::Uuid;

use super::{EngagementEvent, EngagementEventOrder};
use crate::{connection::Ordering, cursor, error::Error};

/// The cursor of the event at this position, with this id.
pub(crate) fn encode(scope: &Scope, (position, id): (i64, Uuid)) -> Result<String, Error> {
    let ordering = feed(scope)?;
    Ok(cursor::encode(&ordering.name, &[KeyValue::Integer(position), KeyValue::Id(id)]))
}

/// The position in a cursor of the feed.
pub(crate) fn position(scope: &Scope, cursor: &str) -> Result<i64, Error> {
    let ordering = feed(scope)?;
    let keys = cursor::decode(cursor, &ordering.name, &ordering.order);
    match keys.as_deref() {
        Some([KeyValue::Integer(position), _]) => Ok(*position),
        _ => Err(Error::bad_input("after", "This is no cursor of your organization's feed.")),
    }
}

fn feed(scope: &Scope) -> Result<Ordering, Error> {
    Ordering::of::<EngagementEvent>(scope, Some(&[EngagementEventOrder::FEED]))
}
