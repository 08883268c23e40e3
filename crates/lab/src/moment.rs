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
}
