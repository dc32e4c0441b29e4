//! Cursors of the feed: those of a list of events in feed order.

use campaigns_scope::{KeyValue, Place, Scope};

use super::{EngagementEvent, EngagementEventOrder};
use crate::{connection::Ordering, cursor::Cursor, error::Error};

/// The cursor of a place.
pub(crate) fn encode(scope: &Scope, place: &Place) -> Result<String, Error> {
    let keys = [KeyValue::Integer(place.position), KeyValue::Id(place.id)];
    feed(scope)?.cursor(scope, &keys, Some(&place.incarnation))
}

/// The place in a cursor of the feed, which an argument or a header names.
///
/// # Errors
/// If it is not one of the organization's feed.
pub fn place(scope: &Scope, named_by: &str, cursor: &str) -> Result<Place, Error> {
    let decoded = feed(scope)?.read(scope, cursor)?;
    decoded.as_ref().and_then(place_of).ok_or_else(|| {
        Error::bad_input(named_by, "This is not a cursor of your organization's feed.")
    })
}

/// The place in a cursor in an order that starts with the feed.
pub(crate) fn place_of(cursor: &Cursor) -> Option<Place> {
    match (cursor.keys.first(), cursor.keys.last()) {
        (Some(KeyValue::Integer(position)), Some(KeyValue::Id(id))) => Some(Place {
            position: *position,
            id: *id,
            incarnation: cursor.incarnation.as_deref().unwrap_or_default().into(),
            is_authentic: cursor.is_sealed,
        }),
        _ => None,
    }
}

/// The feed no longer has the place of a cursor.
pub(crate) fn went_back(argument: &str) -> Error {
    Error::bad_input(
        argument,
        "The feed no longer has the event of this cursor: the database was restored, or a failover \
         lost events. Reload your data, and continue from `feedCursor`.",
    )
}

fn feed(scope: &Scope) -> Result<Ordering, Error> {
    Ordering::of::<EngagementEvent>(scope, Some(&[EngagementEventOrder::FEED]))
}
