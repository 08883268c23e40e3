//! Points in time, as the server writes them.

/// A point in time, for comparing: `2026-11-22T12:04:49.625Z`, split at the decimal point.
/// In UTC, as all of the server's times are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment<'a>(&'a str, &'a str);

impl<'a> Moment<'a> {
    /// The point in time in this text. A text without one comes before all others.
    pub(crate) fn of(text: &'a str) -> Moment<'a> {
        let text = text.trim_end_matches('Z');
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
        Moment(seconds, fraction.trim_end_matches('0'))
    }

    /// How many seconds after the other it is, if that is less than a day.
    pub(crate) fn seconds_since(self, earlier: Moment<'_>) -> Option<f64> {
        Some((self.of_its_day()? - earlier.of_its_day()?).rem_euclid(24.0 * 60.0 * 60.0))
    }

    /// How many seconds of its day have passed.
    fn of_its_day(self) -> Option<f64> {
        let (_, time) = self.0.split_once('T')?;
        let whole = time.split(':').try_fold(0.0, |whole, part| {
            let part: u32 = part.parse().ok()?;
            Some(whole * 60.0 + f64::from(part))
        })?;
        Some(whole + format!("0.{}", self.1).parse::<f64>().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::Moment;

    #[test]
    fn moments_are_in_the_order_of_time_however_many_digits_they_have() {
        let texts = [
            "",
            "2026-11-22T12:04:49Z",
            "2026-11-22T12:04:49.59Z",
            "2026-11-22T12:04:49.6Z",
            "2026-11-22T12:04:50Z",
        ];
        for pair in texts.windows(2) {
            assert!(Moment::of(pair[0]) < Moment::of(pair[1]), "{pair:?}");
        }
        assert_eq!(Moment::of("2026-11-22T12:04:49.600Z"), Moment::of("2026-11-22T12:04:49.6Z"));
    }

    #[test]
    fn the_seconds_between_two_moments_are_counted_over_midnight_too() {
        let between = |earlier, later| Moment::of(later).seconds_since(Moment::of(earlier));
        assert_eq!(between("2026-11-22T12:04:49Z", "2026-11-22T13:05:50.5Z"), Some(3661.5));
        assert_eq!(between("2026-11-22T23:59:59.25Z", "2026-11-23T00:00:02.75Z"), Some(3.5));
        assert_eq!(between("", "2026-11-22T13:05:50Z"), None);
        assert_eq!(between("2026-11-22T1x:05:50Z", "2026-11-22T13:05:50Z"), None);
    }
}
