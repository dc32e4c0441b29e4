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

/// The contacts that rules select now.
pub(super) fn contacts(
    scope: &Scope,
    rules: &Rules,
    now: DateTime<Utc>,
) -> Scoped<contact::Entity> {
    scope.find().filter(rules.condition(scope, now))
}

/// The path of an error in rules at a path.
fn path_of(path: Path<'_>, error: &RuleError) -> String {
    if error.path.is_empty() { path.to_string() } else { format!("{path}.{}", error.path) }
}
