//! Real World Mode, the bank's fault injection: of the withdrawals and deposits, some time out, some fail and some are answered late.
//!
//! It is kept in memory: a restart of the bank ends it.

use std::time::Duration;

use axum::http::StatusCode;
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
    /// One of the two, at random.
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
    /// The share of requests that are answered right, but late, from 0 to 1.
    pub slow_rate: f64,
    /// How long a time-out takes.
    pub timeout_seconds: f64,
    /// How late a slow answer is.
    pub slow_seconds: f64,
    /// When it strikes.
    pub strikes: Strikes,
}

impl Default for RealWorldMode {
    fn default() -> RealWorldMode {
        RealWorldMode {
            enabled: false,
            timeout_rate: 0.1,
            error_rate: 0.4,
            slow_rate: 0.0,
            timeout_seconds: 30.0,
            slow_seconds: 3.0,
            strikes: Strikes::Before,
        }
    }
}

/// A kind of fault: what it is called and how often it strikes, and what then happens.
struct Kind {
    /// The setting that holds its rate.
    rate_name: &'static str,
    /// The share of requests that it strikes, from 0 to 1.
    rate: fn(&RealWorldMode) -> f64,
    /// How long the request waits.
    wait: fn(&RealWorldMode) -> Duration,
    /// The error that is answered after that; `None` for the right answer, which is then only late.
    error: Option<(StatusCode, &'static str)>,
}

/// Every kind of fault, one a row. A request is struck by one of them at most.
const KINDS: &[Kind] = &[
    Kind {
        rate_name: "timeout_rate",
        rate: |mode| mode.timeout_rate,
        wait: |mode| Duration::from_secs_f64(mode.timeout_seconds),
        error: Some((StatusCode::GATEWAY_TIMEOUT, "the bank took too long (Real World Mode): try again")),
    },
    Kind {
        rate_name: "error_rate",
        rate: |mode| mode.error_rate,
        wait: |_| Duration::ZERO,
        error: Some((
            StatusCode::INTERNAL_SERVER_ERROR,
            "something went wrong in the bank (Real World Mode): try again",
        )),
    },
    Kind {
        rate_name: "slow_rate",
        rate: |mode| mode.slow_rate,
        wait: |mode| Duration::from_secs_f64(mode.slow_seconds),
        error: None,
    },
];

/// What strikes one request, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fault {
    /// How long the request waits.
    pub(crate) wait: Duration,
    /// The error that is answered after that; `None` for the right answer.
    pub(crate) error: Option<(StatusCode, &'static str)>,
    /// Whether the change is made before the wait.
    pub(crate) after: bool,
}

impl RealWorldMode {
    /// Draws the fault of one request, if one strikes it.
    pub(crate) fn draw(&self) -> Option<Fault> {
        if !self.enabled {
            return None;
        }
        let mut rest = fastrand::f64();
        let kind = KINDS.iter().find(|kind| {
            rest -= (kind.rate)(self);
            rest < 0.0
        })?;
        let after = match self.strikes {
            Strikes::Before => false,
            Strikes::After => true,
            Strikes::Either => fastrand::bool(),
        };
        Some(Fault { wait: (kind.wait)(self), error: kind.error, after })
    }
}

/// The settings to change: any of them.
#[derive(Debug, Deserialize)]
pub(crate) struct Change {
    enabled: Option<bool>,
    timeout_rate: Option<f64>,
    error_rate: Option<f64>,
    slow_rate: Option<f64>,
    timeout_seconds: Option<f64>,
    slow_seconds: Option<f64>,
    strikes: Option<Strikes>,
}

impl Change {
    /// The settings with this change, or a sentence on why they cannot be.
    pub(crate) fn applied_to(&self, mode: RealWorldMode) -> Result<RealWorldMode, String> {
        let changed = RealWorldMode {
            enabled: self.enabled.unwrap_or(mode.enabled),
            timeout_rate: self.timeout_rate.unwrap_or(mode.timeout_rate),
            error_rate: self.error_rate.unwrap_or(mode.error_rate),
            slow_rate: self.slow_rate.unwrap_or(mode.slow_rate),
            timeout_seconds: self.timeout_seconds.unwrap_or(mode.timeout_seconds),
            slow_seconds: self.slow_seconds.unwrap_or(mode.slow_seconds),
            strikes: self.strikes.unwrap_or(mode.strikes),
        };
        for kind in KINDS {
            if !(0.0..=1.0).contains(&(kind.rate)(&changed)) {
                return Err(format!("{} must be from 0 to 1", kind.rate_name));
            }
        }
        // Floats: 0.7 and 0.3 may come to a hair more than 1.
        if KINDS.iter().map(|kind| (kind.rate)(&changed)).sum::<f64>() > 1.0 + 1e-9 {
            let names: Vec<&str> = KINDS.iter().map(|kind| kind.rate_name).collect();
            return Err(format!("{} together must be at most 1", names.join(" and ")));
        }
        for (name, seconds) in
            [("timeout_seconds", changed.timeout_seconds), ("slow_seconds", changed.slow_seconds)]
        {
            if !(0.0..=300.0).contains(&seconds) {
                return Err(format!("{name} must be from 0 to 300"));
            }
        }
        Ok(changed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// How many of ten thousand requests are answered with a 500, time out, and are struck after
    /// the change.
    fn drawn(mode: RealWorldMode) -> (usize, usize, usize) {
        // The generator is the thread's own, so the seed makes the same draws every time.
        fastrand::seed(1);
        let faults: Vec<Fault> = (0..10_000).filter_map(|_| mode.draw()).collect();
        let timeouts = faults.iter().filter(|fault| !fault.wait.is_zero()).count();
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

    #[test]
    fn the_settings_are_those_of_the_description_and_each_can_be_changed() {
        let openapi: Value =
            serde_json::from_str(include_str!("../openapi.json")).expect("openapi.json is JSON");
        let schemas = &openapi["components"]["schemas"];
        let described = schemas["RealWorldModeChange"]["properties"].as_object().expect("properties");
        let required = schemas["RealWorldMode"]["required"].as_array().expect("required");
        let required: BTreeSet<&str> = required.iter().flat_map(Value::as_str).collect();
        let settings = serde_json::to_value(RealWorldMode::default()).expect("settings are JSON");
        let settings = settings.as_object().expect("an object");
        let names: BTreeSet<&str> = settings.keys().map(String::as_str).collect();
        assert_eq!(described.keys().map(String::as_str).collect::<BTreeSet<_>>(), names);
        assert_eq!(required, names);
        let off = RealWorldMode { timeout_rate: 0.0, error_rate: 0.0, ..RealWorldMode::default() };
        for kind in KINDS {
            let change: Change = serde_json::from_value(json!({ kind.rate_name: 0.25 })).expect("a change");
            let changed = change.applied_to(off).expect("a share");
            assert_eq!((kind.rate)(&changed), 0.25, "{}", kind.rate_name);
        }
    }
}
