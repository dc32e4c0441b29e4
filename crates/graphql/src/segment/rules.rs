//! The rules of a segment, as they are sent and as they are stored.

use campaigns_entity::contact;
use campaigns_scope::{Scope, Scoped};
use campaigns_segments::{RuleError, Rules};
use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use crate::{
    error::Error,
    input::{self, Path},
};

/// Rules that a client sends.
pub(super) fn sent(value: Json, path: Path<'_>) -> Result<(Json, Rules), Error> {
    let rules = Rules::parse(&value)
        .map_err(|error| Error::bad_input(place(path, &error), error.message.clone()))?;
    // what the rules do not use is stored with them
    Ok((input::rules(value, path)?, rules))
}

/// The rules of a stored segment.
///
/// # Errors
/// [`unusable`], if another program has stored rules that cannot be read.
pub(super) fn stored_rules(value: &Json) -> Result<Rules, Error> {
    Rules::parse(value).map_err(|error| unusable(&error))
}

/// The stored rules of a segment cannot be read: CONFLICT, with the path starting at `filterRules`.
pub(crate) fn unusable(error: &RuleError) -> Error {
    let message = format!("The segment's rules cannot be used: {}", error.message);
    Error::stored_conflict(place(Path::argument("filterRules"), error), message)
}

/// The contacts that rules select now.
pub(super) fn contacts(
    scope: &Scope,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Scoped<contact::Entity> {
    scope.find().filter(rules.condition(scope, now))
}

/// The path of an error in rules at a path.
fn place(path: Path<'_>, error: &RuleError) -> String {
    if error.path.is_empty() { path.to_string() } else { format!("{path}.{}", error.path) }
}
