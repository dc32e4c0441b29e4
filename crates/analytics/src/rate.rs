//! Rates.

/// `part` of `whole` as a percentage, rounded half away from zero to one decimal, or `None` if
/// `whole` is 0. Computed with integers: a double would be rounded by its binary value, not by the
/// decimal that it stands for.
#[must_use]
pub fn percentage(part: i64, whole: i64) -> Option<f64> {
    if whole == 0 {
        return None;
    }
    let (part, whole) = (i128::from(part), i128::from(whole));
    let tenths = (2_000 * part + whole) / (2 * whole);
    #[expect(clippy::cast_precision_loss, reason = "a count times 1,000 is below 2^53")]
    Some(tenths as f64 / 10.0)
}

#[cfg(test)]
mod tests {
    use super::percentage;

    #[test]
    fn a_half_is_rounded_away_from_zero() {
        assert_eq!(percentage(1, 16), Some(6.3)); // 6.25
        assert_eq!(percentage(1, 80), Some(1.3)); // 1.25
        assert_eq!(percentage(3, 2_000), Some(0.2)); // 0.15
        assert_eq!(percentage(1, 3), Some(33.3));
        assert_eq!(percentage(2, 3), Some(66.7));
        assert_eq!(percentage(7, 7), Some(100.0));
        assert_eq!(percentage(0, 7), Some(0.0));
        assert_eq!(percentage(3, 2), Some(150.0));
    }

    #[test]
    fn nothing_has_no_rate() {
        assert_eq!(percentage(0, 0), None);
        assert_eq!(percentage(5, 0), None);
    }
}
