//! The numbers that parsing a request rounds. [`scan`](crate::scan) finds them.
//!
//! The parsers of JSON and of documents read integers beyond 64 bits and decimals with many digits as the
//! nearest double. For a `Float`, which is a double, this loses nothing. In a value of the scalar `JSON`,
//! which is stored unchanged, it would silently change the number.
//!
//! **Invariant.** An accepted value of `JSON` has the same numbers as its text: 64-bit signed integers, and
//! doubles with up to 17 significant digits.

use async_graphql_value::Value;
use serde_json::Number;

/// The number of significant digits that a double always preserves.
const SAFE_DIGITS: usize = 15;
/// The number of significant digits that identify every double.
const MAX_DIGITS: usize = 17;
/// The maximum number of tracked numbers.
const MAX_NUMBERS: usize = 1_000;

/// The numbers in JSON or a document that parsing rounds.
#[derive(Clone, Debug, Default)]
pub struct RoundedNumbers {
    /// The bits of the rounded doubles, in order.
    numbers: Vec<u64>,
    /// Whether there are more than [`MAX_NUMBERS`], so that any double counts as rounded.
    are_more: bool,
}

impl RoundedNumbers {
    /// Adds a number in text, if parsing rounds it.
    pub(crate) fn note(&mut self, text: &str) {
        let text = text.strip_prefix('-').unwrap_or(text);
        if !is_rounded(text) {
            return;
        }
        // parsed like the parser of requests does
        let Some(number) = serde_json::from_str::<f64>(text).ok() else { return };
        let bits = number.to_bits();
        let Err(place) = self.numbers.binary_search(&bits) else { return };
        if self.numbers.len() < MAX_NUMBERS {
            self.numbers.insert(place, bits);
        } else {
            self.are_more = true;
        }
    }

    fn has(&self, number: &Number) -> bool {
        if number.as_i64().is_some() || self.numbers.is_empty() {
            return false;
        }
        let bits = number.as_f64().map(|number| number.abs().to_bits());
        self.are_more || bits.is_some_and(|bits| self.numbers.binary_search(&bits).is_ok())
    }

    /// Whether a value contains a rounded number.
    pub(crate) fn is_in(&self, value: &Value) -> bool {
        if self.numbers.is_empty() {
            return false;
        }
        match value {
            Value::Number(number) => self.has(number),
            Value::List(values) => values.iter().any(|value| self.is_in(value)),
            Value::Object(fields) => fields.values().any(|value| self.is_in(value)),
            _ => false,
        }
    }
}

/// Whether parsing rounds a number without a sign.
fn is_rounded(text: &str) -> bool {
    if text.len() <= SAFE_DIGITS || text.parse::<i64>().is_ok() {
        return false;
    }
    let given = significant(text);
    let is_decimal = text.contains(['.', 'e', 'E']);
    if given.len() <= SAFE_DIGITS || (is_decimal && given.len() <= MAX_DIGITS) {
        return false;
    }
    // compared with the shortest text of the double
    text.parse::<f64>().map_or(true, |number| significant(&format!("{number:e}")) != given)
}

/// The significant digits of a number.
fn significant(text: &str) -> String {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    digits.trim_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;
    use crate::scan;

    fn rounded(text: &str) -> RoundedNumbers {
        scan::json(text.as_bytes(), 0).unwrap()
    }

    fn refuses(text: &str) -> bool {
        let json: Json = serde_json::from_str(text).unwrap();
        rounded(text).is_in(&Value::from_json(json).unwrap())
    }

    #[test]
    fn numbers_that_parsing_changes_are_found() {
        for number in [
            "18446744073709551615",
            "9223372036854775808",
            "-9223372036854775809",
            "12345678901234567890123",
            "0.1234567890123456789",
            "3.14159265358979323846",
            "-1.00000000000000000001",
            "1234567890123456789.5",
            "123456789.123456789",
            "123456789012345678901e5",
        ] {
            assert!(refuses(number), "{number}");
            assert!(refuses(&format!("{{ \"a\": [true, {{ \"b\": {number} }}] }}")), "{number}");
        }
    }

    #[test]
    fn numbers_that_stay_the_same_are_accepted() {
        for number in [
            "0",
            "-1",
            "9007199254740993",
            "9223372036854775807",
            "-9223372036854775808",
            "0.1",
            "0.30000000000000004",
            "0.10000000000000001",
            "1e20",
            "100000000000000000000",
            "-1.5e300",
            "0.000000000000000000001",
            "1.0000000000000000000",
            "5e-324",
        ] {
            assert!(!refuses(number), "{number}");
        }
        assert!(!refuses(
            "{ \"a12345678901234567890123\": 1.5, \"b\": \"12345678901234567890123\" }"
        ));
    }

    #[test]
    fn numbers_beyond_those_tracked_count_as_rounded() {
        let many: Vec<String> = (0..2_000).map(|at| format!("{at}.12345678901234567891")).collect();
        assert!(many.iter().all(|number| refuses(number)));
        let rounded = rounded(&many.join(" "));
        assert_eq!(rounded.numbers.len(), MAX_NUMBERS);
        let last: Json = serde_json::from_str(&many[1_999]).unwrap();
        assert!(rounded.is_in(&Value::from_json(last).unwrap()));
        assert!(!rounded.is_in(&Value::Number(7.into())));
    }
}
