//! Real World Mode: of the withdrawals and deposits, some time out and some fail.
//!
//! It is a thing of the moment, kept in memory: a bank that starts has it off.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// When a fault strikes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Strikes {
    /// Before the change is made: it never happens.
    #[default]
    Before,
    /// After the change is made and committed: only its answer gets lost.
    After,
    /// One of the two, by chance.
    Either,
}

/// The settings: what `GET /real-world-mode` answers.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct RealWorldMode {
    /// Whether anything is struck at all.
    pub enabled: bool,
    /// The share of requests that time out, from 0 to 1.
    pub timeout_rate: f64,
    /// The share of requests that are answered with a 500, from 0 to 1.
    pub error_rate: f64,
    /// How long a time-out takes.
    pub timeout_seconds: f64,
    /// When it strikes.
    pub strikes: Strikes,
}

impl Default for RealWorldMode {
    fn default() -> RealWorldMode {
        RealWorldMode {
            enabled: false,
            timeout_rate: 0.1,
            error_rate: 0.4,
            timeout_seconds: 30.0,
            strikes: Strikes::Before,
        }
    }
}

/// What strikes one request, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fault {
    /// How long the answer takes, for a time-out; `None` for a 500 at once.
    pub(crate) timeout: Option<Duration>,
    /// Whether the change is made before the answer gets lost.
    pub(crate) after: bool,
}

impl RealWorldMode {
    /// Draws the lot of one request.
    pub(crate) fn draw(&self) -> Option<Fault> {
        if !self.enabled {
            return None;
        }
        let lot = fastrand::f64();
        let timeout = if lot < self.timeout_rate {
            Some(Duration::from_secs_f64(self.timeout_seconds))
        } else if lot < self.timeout_rate + self.error_rate {
            None
        } else {
            return None;
        };
        let after = match self.strikes {
            Strikes::Before => false,
            Strikes::After => true,
            Strikes::Either => fastrand::bool(),
        };
        Some(Fault { timeout, after })
    }
}

/// The settings to change: any of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    enabled: Option<bool>,
    timeout_rate: Option<f64>,
    error_rate: Option<f64>,
    timeout_seconds: Option<f64>,
    strikes: Option<Strikes>,
}

impl Change {
    /// The settings with this change, or a sentence on why they cannot be.
    pub(crate) fn applied_to(&self, mode: RealWorldMode) -> Result<RealWorldMode, &'static str> {
        let changed = RealWorldMode {
            enabled: self.enabled.unwrap_or(mode.enabled),
            timeout_rate: self.timeout_rate.unwrap_or(mode.timeout_rate),
            error_rate: self.error_rate.unwrap_or(mode.error_rate),
            timeout_seconds: self.timeout_seconds.unwrap_or(mode.timeout_seconds),
            strikes: self.strikes.unwrap_or(mode.strikes),
        };
        if !(0.0..=1.0).contains(&changed.timeout_rate) {
            return Err("timeout_rate must be from 0 to 1");
        }
        if !(0.0..=1.0).contains(&changed.error_rate) {
            return Err("error_rate must be from 0 to 1");
        }
        // Floats: 0.7 and 0.3 may come to a hair more than 1.
        if changed.timeout_rate + changed.error_rate > 1.0 + 1e-9 {
            return Err("timeout_rate and error_rate together must be at most 1");
        }
        if !(0.0..=300.0).contains(&changed.timeout_seconds) {
            return Err("timeout_seconds must be from 0 to 300");
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of ten thousand requests are answered with a 500, time out, and are struck after
    /// the change.
    fn drawn(mode: RealWorldMode) -> (usize, usize, usize) {
        // The generator is the thread's own, so the seed makes the same draws every time.
        fastrand::seed(1);
        let faults: Vec<Fault> = (0..10_000).filter_map(|_| mode.draw()).collect();
        let timeouts = faults.iter().filter(|fault| fault.timeout.is_some()).count();
        let after = faults.iter().filter(|fault| fault.after).count();
        (faults.len() - timeouts, timeouts, after)
    }

    #[test]
    fn the_rates_are_the_shares_of_requests_that_are_struck() {
        let mode = RealWorldMode { enabled: true, ..RealWorldMode::default() };
        let (errors, timeouts, after) = drawn(mode);
        assert!((3800..4200).contains(&errors), "{errors}");
        assert!((900..1100).contains(&timeouts), "{timeouts}");
        assert_eq!(after, 0);
    }

    #[test]
    fn either_strikes_before_as_often_as_after() {
        let mode = RealWorldMode { enabled: true, strikes: Strikes::Either, ..Default::default() };
        let (errors, timeouts, after) = drawn(mode);
        let share = after as f64 / (errors + timeouts) as f64;
        assert!((0.45..0.55).contains(&share), "{share}");
    }

    #[test]
    fn what_is_off_strikes_nothing() {
        assert_eq!(drawn(RealWorldMode { error_rate: 0.9, ..Default::default() }), (0, 0, 0));
    }
}
