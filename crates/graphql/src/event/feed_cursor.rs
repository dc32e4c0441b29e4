//! Cursors of the feed, which are those of a list of events in feed order.

use campaigns_scope::{KeyValue, Place, Scope};

use super::{EngagementEvent, EngagementEventOrder};
use crate::{connection::Ordering, error::Error};

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
    decoded.and_then(|cursor| cursor.place()).ok_or_else(|| {
        Error::bad_input(named_by, "This is not a cursor of your organization's feed.")
    })
}

/// The order of the feed.
fn feed(scope: &Scope) -> Result<Ordering, Error> {
    Ordering::of::<EngagementEvent>(scope, Some(&[EngagementEventOrder::FEED]))
}
