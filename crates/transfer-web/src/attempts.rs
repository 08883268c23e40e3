//! When the attempts of a failing task were made, to show the growing backoff.
//!
//! The server reports only the present: the next attempt, and when the previous one ended. Each look adds what is new.
//! Attempts before the first look or between two looks are estimated from the retry policy, and marked as such.

use std::collections::BTreeMap;

use lab_client::time::parse_rfc3339;
use serde_json::{Value, json};

/// The number of attempts reported, the latest ones.
const MOST: usize = 40;

/// The failed attempts of one task.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Attempts {
    /// The task: an Activity's id and the event that scheduled it, or the Workflow Task after an event.
    subject: String,
    /// When each observed attempt failed, by its number, in seconds since 1970.
    seen: BTreeMap<u64, f64>,
    /// The id of the Activity that failed last, and its failure.
    failure: Option<(String, Value)>,
}

/// How the gaps between the attempts of an Activity grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Backoff {
    first: f64,
    coefficient: f64,
    longest: f64,
}

impl Attempts {
    /// Starts over if this is another task.
    pub(crate) fn of(&mut self, subject: &str) {
        if self.subject != subject {
            self.subject = subject.to_owned();
            self.seen.clear();
        }
    }

    /// Gives a pending Activity the last failure observed. A manual retry clears it in the server's response until that attempt
    /// has failed as well, but the Activity is still failing in the meantime.
    pub(crate) fn recall_failure(&mut self, pending: &mut Value) {
        let id = pending["activityId"].as_str().unwrap_or_default();
        if pending["lastFailure"].is_object() {
            self.failure = Some((id.to_owned(), pending["lastFailure"].clone()));
        } else if pending["attempt"].as_u64() > Some(1)
            && let Some((_, failure)) = self.failure.as_ref().filter(|(failed, _)| failed == id)
        {
            pending["lastFailure"] = failure.clone();
        }
    }

    /// Records when attempt `number` failed.
    pub(crate) fn failed(&mut self, number: u64, time: f64) {
        if number > 0 {
            self.seen.entry(number).or_insert(time);
            while self.seen.len() > MOST {
                self.seen.pop_first();
            }
        }
    }

    /// Every failed attempt up to `last`, none of them before `begin`.
    pub(crate) fn all(&self, last: u64, begin: f64, backoff: Option<Backoff>) -> Value {
        let from = last.saturating_sub(MOST as u64 - 1).max(1);
        let mut times: BTreeMap<u64, (f64, bool)> =
            self.seen.range(from..).map(|(&number, &time)| (number, (time, true))).collect();
        for number in (from..=last).rev() {
            if times.contains_key(&number) {
                continue;
            }
            // Estimated from the nearest known attempt: backwards by the policy, or evenly if there is none.
            let after = times.range(number..).next().map(|(&n, &(time, _))| (n, time));
            let before = self.seen.range(..number).next_back().map(|(&n, &time)| (n, time));
            let time = match (after, backoff) {
                (Some((next, time)), Some(backoff)) => time - backoff.gap_after(next - 1),
                (Some((next, time)), None) => {
                    let (n, start) = before.unwrap_or((0, begin));
                    start + (time - start) * (number - n) as f64 / (next - n) as f64
                }
                (None, _) => continue,
            };
            times.insert(number, (time.max(begin), false));
        }
        let attempts = times.into_iter().filter(|(number, _)| *number <= last);
        attempts
            .map(|(number, (time, seen))| json!({ "number": number, "time": time, "seen": seen }))
            .collect()
    }
}

impl Backoff {
    /// The backoff of a retry policy, as the event that scheduled an Activity has it.
    pub(crate) fn of(policy: &Value) -> Option<Backoff> {
        Some(Backoff {
            first: seconds(&policy["initialInterval"])?,
            coefficient: policy["backoffCoefficient"].as_f64()?,
            longest: seconds(&policy["maximumInterval"])?,
        })
    }

    /// The backoff between this attempt and the next.
    fn gap_after(self, number: u64) -> f64 {
        let power = i32::try_from(number.saturating_sub(1)).unwrap_or(i32::MAX);
        (self.first * self.coefficient.powi(power)).min(self.longest)
    }
}

/// A duration in protobuf's JSON, such as `1.5s`.
pub(crate) fn seconds(value: &Value) -> Option<f64> {
    value.as_str()?.strip_suffix('s')?.parse().ok()
}

/// A point in time in seconds since 1970.
pub(crate) fn time_of(value: &Value) -> Option<f64> {
    value.as_str().and_then(parse_rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(attempts: &Value) -> Vec<(u64, f64, bool)> {
        let attempts = attempts.as_array().expect("a list");
        let one = |a: &Value| (a["number"].as_u64(), a["time"].as_f64(), a["seen"].as_bool());
        attempts
            .iter()
            .map(|a| match one(a) {
                (Some(number), Some(time), Some(seen)) => (number, time, seen),
                odd => panic!("{odd:?}"),
            })
            .collect()
    }

    #[test]
    fn attempts_that_were_not_observed_are_estimated_from_the_policy() {
        let policy = json!({ "initialInterval": "1s", "backoffCoefficient": 2, "maximumInterval": "100s" });
        let backoff = Backoff::of(&policy);
        let mut attempts = Attempts::default();
        attempts.of("withdraw");
        attempts.failed(4, 107.0);
        attempts.failed(5, 115.1);
        let all = times(&attempts.all(5, 99.0, backoff));
        assert_eq!(
            all,
            [(1, 100.0, false), (2, 101.0, false), (3, 103.0, false), (4, 107.0, true), (5, 115.1, true)]
        );
        // Another task starts with no attempts.
        attempts.of("deposit");
        assert_eq!(times(&attempts.all(5, 99.0, backoff)), []);
    }

    #[test]
    fn an_activity_that_is_retried_manually_keeps_its_last_failure() {
        let mut attempts = Attempts::default();
        let mut recalled = |id: &str, attempt: u64, failure: Value| {
            let mut pending = json!({ "activityId": id, "attempt": attempt, "lastFailure": failure });
            attempts.recall_failure(&mut pending);
            pending["lastFailure"].take()
        };
        assert_eq!(recalled("withdraw", 2, Value::Null), Value::Null, "no failure was observed");
        assert_eq!(recalled("withdraw", 3, json!({ "message": "refused" })), json!({ "message": "refused" }));
        assert_eq!(recalled("withdraw", 4, Value::Null), json!({ "message": "refused" }));
        assert_eq!(recalled("withdraw", 4, json!({ "message": "late" })), json!({ "message": "late" }));
        assert_eq!(recalled("deposit", 2, Value::Null), Value::Null, "another Activity");
        assert_eq!(recalled("withdraw", 1, Value::Null), Value::Null, "a first attempt");
    }

    #[test]
    fn no_gap_exceeds_the_maximum_interval_and_no_attempt_is_before_the_first() {
        let backoff = Some(Backoff { first: 1.0, coefficient: 10.0, longest: 20.0 });
        let mut attempts = Attempts::default();
        attempts.failed(4, 50.0);
        assert_eq!(
            times(&attempts.all(4, 25.0, backoff)),
            [(1, 25.0, false), (2, 25.0, false), (3, 30.0, false), (4, 50.0, true)]
        );
    }

    #[test]
    fn without_a_policy_attempts_that_were_not_observed_are_spread_evenly() {
        let mut attempts = Attempts::default();
        attempts.failed(1, 10.0);
        attempts.failed(4, 16.0);
        assert_eq!(
            times(&attempts.all(4, 9.0, None)),
            [(1, 10.0, true), (2, 12.0, false), (3, 14.0, false), (4, 16.0, true)]
        );
    }

    #[test]
    fn of_many_attempts_the_latest_are_reported() {
        let mut attempts = Attempts::default();
        (1..=1000).for_each(|number| attempts.failed(number, number as f64));
        let all = times(&attempts.all(1000, 0.0, None));
        assert_eq!((all.len(), all[0].0, all[39].0), (MOST, 961, 1000));
    }
}
