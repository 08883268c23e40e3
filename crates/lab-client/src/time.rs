//! Times in the lab's format: UTC, RFC 3339.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub fn unix_now() -> u64 {
    now().as_secs()
}

/// The time since 1970.
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Such as `2026-11-22T12:05:01.250Z`.
pub fn rfc3339_exact(since_1970: Duration) -> String {
    humantime::format_rfc3339_millis(moment(since_1970)).to_string()
}

/// Such as `2026-11-22T12:05:01Z`.
pub fn rfc3339(unix: u64) -> String {
    humantime::format_rfc3339_seconds(moment(Duration::from_secs(unix))).to_string()
}

/// The time this long after 1970, limited to the year 9999, the last one of RFC 3339.
fn moment(since_1970: Duration) -> SystemTime {
    UNIX_EPOCH + since_1970.min(Duration::from_secs(253_402_300_799))
}

/// Such as `20261122T120501Z`, for folder names.
pub fn compact(unix: u64) -> String {
    rfc3339(unix).replace(['-', ':'], "")
}

/// The time of such a name: `20261122T120501Z` is `2026-11-22T12:05:01Z`.
pub fn from_compact(name: &str) -> Option<String> {
    let parts = [0..4, 4..6, 6..8, 8..9, 9..11, 11..13, 13..15, 15..16].map(|range| name.get(range));
    let [year, month, day, "T", hour, minute, second, "Z"] = parts.map(Option::unwrap_or_default) else {
        return None;
    };
    let time = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    (name.len() == 16 && parse_rfc3339(&time).is_some()).then_some(time)
}

/// The last line of a view that is drawn again and again.
pub fn checked_now() -> String {
    format!("checked at {} UTC; Ctrl-C ends this", &rfc3339(unix_now())[11..19])
}

/// Parses the server's times, such as `2026-11-22T12:04:49.625148527Z`, to seconds since 1970. Go's zero time, which means no time,
/// is before 1970, and so none.
pub fn parse_rfc3339(text: &str) -> Option<f64> {
    let moment = humantime::parse_rfc3339(text).ok().filter(|_| text.ends_with('Z'))?;
    let since_1970 = moment.duration_since(UNIX_EPOCH).ok()?.as_secs_f64();
    // humantime treats a leap second as the previous second.
    let leap = if text.get(17..19) == Some("60") { 1.0 } else { 0.0 };
    Some(since_1970 + leap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_and_read_back() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_349_101, "2026-11-22T12:05:01Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
            assert_eq!(parse_rfc3339(text), Some(unix as f64));
        }
        assert_eq!(compact(1_795_349_101), "20261122T120501Z");
        let exact = rfc3339_exact(Duration::from_millis(1_795_349_101_050));
        assert_eq!(exact, "2026-11-22T12:05:01.050Z");
        assert_eq!(parse_rfc3339(&exact), Some(1_795_349_101.05));
        assert_eq!(from_compact("20261122T120501Z").as_deref(), Some("2026-11-22T12:05:01Z"));
    }

    #[test]
    fn an_invalid_date_or_time_is_no_time_and_does_not_panic() {
        for text in [
            "2026-03-00T00:00:00Z",
            "2026-03-32T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "18446744073709551615-03-01T00:00:00Z",
            "2026-03-18446744073709551615T00:00:00Z",
            "2026-03-01Tinf:00:00Z",
            "2026-03-01T00:nan:00Z",
            "2026-03-01T-1:00:00Z",
            "2026-03-01T24:00:00Z",
            "2026-03-01T00:00:1e300Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        assert_eq!(from_compact("20260300T000000Z"), None);
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
        assert_eq!(rfc3339_exact(Duration::MAX), "9999-12-31T23:59:59.000Z");
        assert_eq!(parse_rfc3339("2026-12-31T23:59:60Z"), parse_rfc3339("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn other_text_is_no_time() {
        for text in ["", "soon", "0001-01-01T00:00:00Z", "2026-13-01T00:00:00Z"] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
        for name in
            ["", "mine", "20261122T120501", "20261122T120501Z2", "20261322T120501Z", "2026112üT120501Z"]
        {
            assert_eq!(from_compact(name), None, "{name}");
        }
    }
}
