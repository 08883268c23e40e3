//! The clock of a drill: seconds since it began.

use lab::{Hit, Outcome};

use crate::{facts::LATE, time::parse_rfc3339};

/// Counts seconds from the start of a drill.
pub(super) struct Clock(f64);

impl Clock {
    pub(super) fn since(started: &str) -> Clock {
        Clock(parse_rfc3339(started).unwrap_or_default())
    }

    /// When the drill began, in Unix seconds.
    pub(super) fn start(&self) -> f64 {
        self.0
    }

    /// The seconds until this moment in the server's format, to one decimal.
    pub(super) fn seconds(&self, time: &str) -> Option<f64> {
        Some(self.until(parse_rfc3339(time)?))
    }

    /// The seconds until this moment in Unix seconds. The bank leaves the fraction out, so that an entry may seem to be from before.
    pub(super) fn until(&self, unix: f64) -> f64 {
        ((unix - self.0) * 10.0).round() / 10.0
    }
}

/// The first sign of the incident: the hit, and the seconds until it showed. A transfer may have become late only after the fix; that is no
/// sign of what was to be fixed.
pub(super) fn first_sign<'o>(
    clock: &Clock,
    outcome: &'o Outcome<'_>,
    mitigated: Option<f64>,
) -> Option<(&'o Hit<'o>, f64)> {
    let signs = outcome.hits.iter().filter_map(|hit| Some((hit, sign(clock, hit)?)));
    let signs = signs.filter(|(_, sign)| mitigated.is_none_or(|mitigated| *sign <= mitigated));
    signs.min_by(|a, b| a.1.total_cmp(&b.1))
}

/// The seconds until the first sign of this hit.
fn sign(clock: &Clock, hit: &Hit<'_>) -> Option<f64> {
    let seconds = clock.seconds(hit.sign.time.as_deref()?)?;
    // The sign of a transfer that takes too long is its start, which nobody could tell from that of another.
    let is_late = hit.sign.event_id == Some(1);
    Some(if is_late { seconds + LATE.as_secs_f64() } else { seconds })
}

/// A time span for a person: `8.4 s`, `4 min 12 s`, `1 h 5 min`.
pub(super) fn span(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{:.1} s", seconds.max(0.0)),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// Minutes and seconds: `4:12`.
pub(super) fn stamp(seconds: f64) -> String {
    let whole = seconds.max(0.0) as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}
