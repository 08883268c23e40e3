//! A report as the service has it.

use serde_json::Value;

use super::{
    report::{LONGEST_NAME, Report},
    text::clean,
};
use crate::time;

/// The prefix of the Workflow Id of a learner's report.
const PREFIX: &str = "learner-";

/// The Workflow Id of a learner's reports.
pub fn workflow_id(learner: &str) -> String {
    format!("{PREFIX}{learner}")
}

/// A report as the service has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// Its run.
    pub run_id: String,
    /// Its content.
    pub report: Report,
    /// When the service received it, in seconds since 1970, by the service's clock.
    pub taken: f64,
}

impl Held {
    /// The report in this part of the server's JSON.
    pub(super) fn from_json(execution: &Value) -> Option<Held> {
        let id = execution["execution"]["workflowId"].as_str()?;
        // From the id, not from the memo: each id exists once at a time.
        let learner = clean(id.strip_prefix(PREFIX)?, LONGEST_NAME);
        let report = Report::from_json(&execution["memo"]["fields"]["report"]);
        Some(Held {
            run_id: execution["execution"]["runId"].as_str()?.to_owned(),
            report: Report { learner, ..report },
            taken: execution["startTime"].as_str().and_then(time::parse_rfc3339)?,
        })
    }

    /// How many seconds the learner's clock is ahead of the service's, negative if behind, where it certainly is: the report has the
    /// learner's time from just before it was sent, and sending takes a while.
    pub fn clock_ahead(&self) -> Option<f64> {
        const LONGEST_SENDING: f64 = 30.0;
        let ahead = time::parse_rfc3339(&self.report.time)? - self.taken;
        (!(-LONGEST_SENDING..=2.0).contains(&ahead)).then_some(ahead)
    }

    /// A time in the report, converted to the service's clock, because a learner's clock may be wrong.
    pub(super) fn by_service(&self, time: f64) -> f64 {
        let reported = time::parse_rfc3339(&self.report.time).unwrap_or(self.taken);
        time + (self.taken - reported)
    }
}
