//! Rates.

/// The number of decimals of a rate, up to [`Decimals::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimals(u32);

impl Decimals {
    /// The maximum number.
    pub const MAX: i32 = 6;

    /// This number of decimals, or `None` if it is negative or larger than [`Decimals::MAX`].
    #[must_use]
    pub fn new(number: i32) -> Option<Self> {
        u32::try_from(number).ok().filter(|_| number <= Self::MAX).map(Self)
    }
}

/// `part` of `whole` as a percentage, rounded half away from zero to this number of decimals, or `None` if
/// `whole` is 0. The computation uses integers, because rounding a double would round its binary value. The
/// result is the double nearest to the decimal, so its shortest text is that decimal.
#[must_use]
pub fn percentage(part: i64, whole: i64, decimals: Decimals) -> Option<f64> {
    if whole == 0 {
        return None;
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    let unit = 10_i128.pow(decimals.0);
    let units = (200 * unit * part + whole) / (2 * whole);
    // both are integers below 2^53, unless part is millions of times whole, so only the quotient is rounded
    #[expect(clippy::cast_precision_loss, reason = "a percentage times 10^6 is below 2^53")]
    Some(units as f64 / unit as f64)
}

#[cfg(test)]
mod tests {
    use super::{Decimals, percentage};

    fn rounded(part: i64, whole: i64, decimals: i32) -> Option<f64> {
        percentage(part, whole, Decimals::new(decimals).unwrap())
    }

    #[test]
    fn a_half_is_rounded_away_from_zero() {
        assert_eq!(rounded(1, 16, 1), Some(6.3)); // 6.25
        assert_eq!(rounded(1, 80, 1), Some(1.3)); // 1.25
        assert_eq!(rounded(3, 2_000, 1), Some(0.2)); // 0.15
        assert_eq!(rounded(1, 3, 1), Some(33.3));
        assert_eq!(rounded(2, 3, 1), Some(66.7));
        assert_eq!(rounded(7, 7, 1), Some(100.0));
        assert_eq!(rounded(0, 7, 1), Some(0.0));
        assert_eq!(rounded(3, 2, 1), Some(150.0));
        assert_eq!(rounded(1, 200, 0), Some(1.0)); // 0.5
        assert_eq!(rounded(1, 800, 2), Some(0.13)); // 0.125
        assert_eq!(rounded(1, 200_000_000, 6), Some(0.000_001)); // 0.0000005
        assert_eq!(rounded(23, 8_063, 3), Some(0.285));
    }

    #[test]
    fn the_text_of_a_rate_is_the_decimal_that_long_division_gives() {
        for whole in (1..2_000).chain([8_063, 999_983, 1_234_567_890, i64::MAX / 4]) {
            for part in [0, 1, 2, whole / 3, whole / 2, whole - 1, whole] {
                for decimals in 0..=Decimals::MAX {
                    // digit by digit: the integer part, the decimals, and the remainder that rounds
                    let (mut rest, mut digits) = (i128::from(part) * 100, 0);
                    let whole = i128::from(whole);
                    for place in 0..=decimals {
                        if place > 0 {
                            rest *= 10;
                        }
                        digits = digits * 10 + rest / whole;
                        rest %= whole;
                    }
                    digits += i128::from(2 * rest >= whole);
                    let places = usize::try_from(decimals).unwrap();
                    let text = format!("{digits:0>width$}", width = places + 1);
                    let (integer, fraction) = text.split_at(text.len() - places);
                    let expected: f64 = format!("{integer}.{fraction}0").parse().unwrap();
                    let whole = i64::try_from(whole).unwrap();
                    assert_eq!(rounded(part, whole, decimals), Some(expected), "{part}/{whole}");
                }
            }
        }
    }

    #[test]
    fn a_part_of_zero_has_no_rate() {
        assert_eq!(rounded(0, 0, 1), None);
        assert_eq!(rounded(5, 0, 6), None);
    }

    #[test]
    fn the_number_of_decimals_is_bounded() {
        assert_eq!([-1, 7, i32::MAX, i32::MIN].map(Decimals::new), [None; 4]);
    }
}
