//! Exact comparison of integers with any JSON number.

use serde_json::Number;

use crate::{
    operators::Test,
    rules::{Operand, Value},
};

/// A set of integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    /// The integers from the first to the last. Empty if the first is greater than the last.
    Range(i64, i64),
    /// Exactly these integers.
    In(Vec<i64>),
}

impl Whole {
    /// The integers that pass a test.
    pub(crate) fn of(test: Test, operand: &Operand) -> Self {
        match operand {
            Operand::Nothing => Self::Range(i64::MIN, i64::MAX),
            Operand::One(Value::Number(number)) => {
                let (floor, is_whole) = floor(number);
                let ceiling = if is_whole { floor } else { floor.saturating_add(1) };
                match test {
                    Test::Less => Self::Range(i64::MIN, ceiling.saturating_sub(1)),
                    Test::LessOrEqual => Self::Range(i64::MIN, floor),
                    Test::Greater => Self::Range(floor.saturating_add(1), i64::MAX),
                    Test::GreaterOrEqual => Self::Range(ceiling, i64::MAX),
                    _ => Self::Range(ceiling, floor),
                }
            }
            Operand::Range(Value::Number(from), Value::Number(to)) => {
                let (from, is_whole) = floor(from);
                let from = if is_whole { from } else { from.saturating_add(1) };
                Self::Range(from, floor(to).0)
            }
            Operand::Many(values) => Self::In(
                values
                    .iter()
                    .filter_map(|value| match value {
                        Value::Number(number) => Some(floor(number)),
                        _ => None,
                    })
                    .filter_map(|(floor, is_whole)| is_whole.then_some(floor))
                    .collect(),
            ),
            // the parser allows only numbers here
            _ => Self::In(Vec::new()),
        }
    }

    /// Whether the set contains a number.
    pub(crate) fn has(&self, number: i64) -> bool {
        match self {
            Self::Range(first, last) => (*first..=*last).contains(&number),
            Self::In(numbers) => numbers.contains(&number),
        }
    }
}

/// The largest integer that is not greater than a number, and whether they are equal. Beyond the range of
/// `i64`, the nearest `i64`, which is not equal.
fn floor(number: &Number) -> (i64, bool) {
    if let Some(whole) = number.as_i64() {
        return (whole, true);
    }
    if number.is_u64() {
        return (i64::MAX, false);
    }
    let number = number.as_f64().unwrap_or(0.0);
    #[expect(clippy::cast_possible_truncation, reason = "it saturates")]
    let floor = number.floor() as i64;
    let is_within = floor != i64::MIN && floor != i64::MAX;
    (floor, is_within && number.fract() == 0.0)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(json: serde_json::Value) -> Value {
        Value::Number(json.as_number().unwrap().clone())
    }

    fn selected(test: Test, operand: serde_json::Value) -> Whole {
        Whole::of(test, &Operand::One(number(operand)))
    }

    #[test]
    fn a_fraction_lies_between_whole_numbers() {
        assert_eq!(selected(Test::Less, json!(2.5)), Whole::Range(i64::MIN, 2));
        assert_eq!(selected(Test::LessOrEqual, json!(2.5)), Whole::Range(i64::MIN, 2));
        assert_eq!(selected(Test::Greater, json!(2.5)), Whole::Range(3, i64::MAX));
        assert_eq!(selected(Test::GreaterOrEqual, json!(2.5)), Whole::Range(3, i64::MAX));
        assert!((-5..5).all(|whole| !selected(Test::Equal, json!(2.5)).has(whole)));
        assert!(selected(Test::Less, json!(-0.5)).has(-1));
        assert!(!selected(Test::Less, json!(-0.5)).has(0));
    }

    #[test]
    fn a_whole_number_can_be_written_as_a_decimal() {
        for two in [json!(2), json!(2.0)] {
            assert_eq!(selected(Test::Less, two.clone()), Whole::Range(i64::MIN, 1));
            assert_eq!(selected(Test::Greater, two.clone()), Whole::Range(3, i64::MAX));
            assert_eq!(selected(Test::Equal, two), Whole::Range(2, 2));
        }
    }

    #[test]
    fn numbers_beyond_all_counts_are_above_or_below_them() {
        for huge in [json!(u64::MAX), json!(1e300)] {
            for count in [0, 5, i64::MAX - 1] {
                assert!(selected(Test::Less, huge.clone()).has(count));
                assert!(!selected(Test::GreaterOrEqual, huge.clone()).has(count));
                assert!(!selected(Test::Equal, huge.clone()).has(count));
            }
        }
        assert!(selected(Test::Greater, json!(-1e300)).has(0));
        assert!(!selected(Test::LessOrEqual, json!(-1e300)).has(0));
    }
}
