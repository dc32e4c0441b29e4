//! Parsers of values.

use std::time::Duration;

/// A time, longer than zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("it must be longer than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; examples: 500ms, 10s, 1h")),
    }
}

/// The lifetime of a token, whose times are whole seconds.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        short if short < Duration::from_secs(1) => Err("it must be at least 1s".to_owned()),
        long => Ok(long),
    }
}

/// The address of a database.
pub(super) fn database_url(text: &str) -> Result<String, String> {
    let known = ["postgres://", "postgresql://", "sqlite://", "sqlite:"];
    if known.iter().any(|scheme| text.starts_with(scheme)) {
        Ok(text.to_owned())
    } else {
        Err("it must begin with postgres:// or sqlite://".to_owned())
    }
}
