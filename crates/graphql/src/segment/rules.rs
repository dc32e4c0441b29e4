//! The rules of a segment, as they are sent and as they are stored.

use campaigns_entity::contact;
use campaigns_scope::{Reservation, Scope, Scoped, Selects};
use campaigns_segments::{RuleError, Rules};
use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::{
    error::Error,
    input::{self, Path},
    limits,
};

/// Parses rules from a client. Returns them as JSON to store as well.
pub(super) fn parse(value: Json, path: Path<'_>) -> Result<(Json, Rules), Error> {
    let rules = Rules::parse(&value)
        .map_err(|error| Error::bad_input(path_of(path, &error), error.message.clone()))?;
    // members of the JSON that are not rules are stored as well
    Ok((input::rules(value, path)?, rules))
}

/// The rules of a stored segment.
///
/// # Errors
/// [`unusable_rules`], if another program has stored rules that cannot be read.
pub(super) fn stored_rules(value: &Json) -> Result<Rules, Error> {
    Rules::parse(value).map_err(|error| unusable_rules(&error))
}

/// The stored rules of a segment cannot be read: CONFLICT, with the path starting at `filterRules`.
pub(crate) fn unusable_rules(error: &RuleError) -> Error {
    let message = format!("The segment's rules cannot be used: {}", error.message);
    Error::stored_conflict(path_of(Path::argument("filterRules"), error), message)
}

/// The contacts of segments that are loaded together. The rules are held, and compiled while their
/// contacts are read.
pub(super) struct SegmentContacts {
    segments: Vec<(Uuid, Rules)>,
    now: DateTime<Utc>,
    /// The cost of the rules in addition to the price that was assumed.
    pub(super) surcharge: usize,
    /// The memory of the rules.
    _reservation: Reservation,
}

impl SegmentContacts {
    /// The contacts of these segments, with their stored rules, now. A segment whose rules cannot be
    /// read is left out.
    pub(super) fn of(
        scope: &Scope,
        stored: impl Iterator<Item = (Uuid, Result<Rules, Error>)>,
        now: DateTime<Utc>,
    ) -> Result<Self, Error> {
        let mut reservation = scope.drawn_from().empty_reservation();
        let (mut segments, mut surcharge) = (Vec::new(), 0_usize);
        for (id, rules) in stored {
            let Ok(rules) = rules else { continue };
            reservation.grow(rules.weight())?;
            surcharge = surcharge.saturating_add(limits::surcharge(&rules));
            segments.push((id, rules));
        }
        Ok(Self { segments, now, surcharge, _reservation: reservation })
    }
}

impl Selects<contact::Entity> for SegmentContacts {
    fn ids(&self) -> Vec<Uuid> {
        self.segments.iter().map(|(id, _)| *id).collect()
    }

    fn select(
        &self,
        scope: &Scope,
        index: usize,
    ) -> Result<Scoped<contact::Entity>, campaigns_scope::Error> {
        Ok(self.segments[index].1.select(scope, self.now)?)
    }
}

/// The path of an error in rules at a path.
fn path_of(path: Path<'_>, error: &RuleError) -> String {
    if error.path.is_empty() { path.to_string() } else { format!("{path}.{}", error.path) }
}
