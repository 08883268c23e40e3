//! Points in time as the lab writes them: UTC, RFC 3339.

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
    let seconds = rfc3339(since_1970.as_secs());
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), since_1970.subsec_millis())
}

/// Such as `2026-11-22T12:05:01Z`.
pub fn rfc3339(unix: u64) -> String {
    let (days, seconds) = (unix / 86_400, unix % 86_400);
    let (year, month, day) = date_of(days);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The same without punctuation, for names of folders.
pub fn compact(unix: u64) -> String {
    rfc3339(unix).replace(['-', ':'], "")
}

/// Such a name as the time it stands for: `20261122T120501Z` as `2026-11-22T12:05:01Z`.
pub fn from_compact(name: &str) -> Option<String> {
    let parts = [0..4, 4..6, 6..8, 8..9, 9..11, 11..13, 13..15, 15..16].map(|range| name.get(range));
    let [year, month, day, "T", hour, minute, second, "Z"] = parts.map(Option::unwrap_or_default) else {
        return None;
    };
    let time = format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z");
    (name.len() == 16 && parse_rfc3339(&time).is_some()).then_some(time)
}

/// Reads what the server writes, such as `2026-11-22T12:04:49.625148527Z`, in seconds since 1970.
pub fn parse_rfc3339(text: &str) -> Option<f64> {
    let (date, clock) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let mut clock = clock.splitn(3, ':').map(str::parse::<f64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    // A leap second is the sixty-first. What Rust calls numbers besides, such as `inf`, is in no range.
    if !(0.0..24.0).contains(&hour) || !(0.0..60.0).contains(&minute) || !(0.0..61.0).contains(&second) {
        return None;
    }
    // The zero time of Go, which stands for none at all, is before 1970.
    let days = days_of(year, month, day)?;
    Some(days as f64 * 86_400.0 + hour * 3600.0 + minute * 60.0 + second)
}

/// Year, month and day of a number of days since 1970 (Howard Hinnant's `civil_from_days`).
fn date_of(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The other way round; `None` before 1970, and where a date has more than four digits for its year.
fn days_of(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1970..10_000).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year / 400, year % 400);
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    (era * 146_097 + day_of_era).checked_sub(719_468)
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
    fn a_date_or_a_clock_beyond_what_there_is_names_no_time_and_does_not_panic() {
        for text in [
            "2026-03-00T00:00:00Z",
            "2026-03-32T00:00:00Z",
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
        assert_eq!(parse_rfc3339("2026-12-31T23:59:60Z"), parse_rfc3339("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn what_is_no_time_is_none() {
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
