//! Times, in each format that a provider writes.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

/// From this number on, a number counts milliseconds: as seconds it would be the year 5138.
const MILLISECONDS: f64 = 1e11;

/// Parses a time: RFC 3339 with any number of digits, with a space instead of the `T`, with a short offset
/// or none (then it is UTC), or a number of seconds or milliseconds since 1970.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    let time = if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        from_number(text)?
    } else if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        time.to_utc()
    } else {
        let text = text.replacen(' ', "T", 1);
        match DateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f%#z") {
            Ok(time) => time.to_utc(),
            Err(_) => NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok()?.and_utc(),
        }
    };
    // a time outside of these years is no time of an event, and databases do not take all of them
    (1990..2200).contains(&time.year()).then_some(time)
}

fn from_number(text: &str) -> Option<DateTime<Utc>> {
    let number: f64 = text.parse().ok()?;
    let seconds = if number >= MILLISECONDS { number / 1e3 } else { number };
    // microseconds are what databases keep, and more than the digits of a float
    let microseconds = (seconds * 1e6).round();
    if !(0.0..1e17).contains(&microseconds) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
    DateTime::from_timestamp_micros(microseconds as i64)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn each_format_is_the_same_time() {
        let at = |text: &str| parse(text).map(|time| time.to_rfc3339());
        let expected = Some("2026-08-29T11:58:02+00:00".to_owned());
        for text in [
            "1788004682",
            "1788004682.0",
            "1788004682000",
            "2026-08-29T11:58:02Z",
            "2026-08-29T11:58:02.0000000Z",
            "2026-08-29T07:58:02-04:00",
            "2026-08-29 11:58:02+00",
            "2026-08-29 13:58:02+0200",
            "2026-08-29T11:58:02",
        ] {
            assert_eq!(at(text), expected, "{text}");
        }
        assert_eq!(at("1788004681.75").as_deref(), Some("2026-08-29T11:58:01.750+00:00"));
        assert_eq!(
            at("2026-08-29 11:58:00.89471+00").as_deref(),
            Some("2026-08-29T11:58:00.894710+00:00")
        );
    }

    #[test]
    fn other_text_is_not_a_time() {
        for text in [
            "",
            ".",
            "0",
            "-1",
            "99999999999999999999",
            "1e9",
            "soon",
            "2026-13-01T00:00:00Z",
            "9999-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
