//! A service that ends again and again: how often, why, and its last lines.

use serde_json::{Value, json};

/// From so many ends in a row on, a service is failing: one or two may be a learner who kills it.
const MANY: u32 = 4;
/// So many of its last lines are shown.
pub(crate) const LINES: usize = 5;
/// None of them is longer.
pub(crate) const LONGEST: usize = 300;

/// How a service has ended lately.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    /// How often in a row; none once it has run for a while.
    in_a_row: u32,
    /// Why the last time.
    why: String,
    /// The last lines that it wrote then.
    log: Vec<String>,
}

impl Ends {
    /// Adds an end. Returns whether the service is failing from this one on.
    pub(crate) fn add(&mut self, why: String, log: Vec<String>) -> bool {
        *self = Ends { in_a_row: self.in_a_row + 1, why, log };
        self.in_a_row == MANY
    }

    /// Forgets them: it runs, or something was changed. Returns whether there were any.
    pub(crate) fn forget(&mut self) -> bool {
        std::mem::take(self).in_a_row > 0
    }

    /// What a status says of a service that is failing.
    pub(crate) fn to_json(&self) -> Option<Value> {
        let is_failing = self.in_a_row >= MANY;
        is_failing.then(|| json!({ "in_a_row": self.in_a_row, "why": self.why, "log": self.log }))
    }

    /// The same for the lab's own log.
    pub(crate) fn sentence(&self, name: &str) -> String {
        let log = if self.log.is_empty() { "" } else { "; its last lines:\n  " };
        format!(
            "{name} is failing: it {}, {} times in a row{log}{}",
            self.why,
            self.in_a_row,
            self.log.join("\n  ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_fails_when_it_ends_again_and_again_and_no_longer_when_it_has_run() {
        let mut ends = Ends::default();
        for _ in 1..MANY {
            assert!(!ends.add("ended".to_owned(), Vec::new()) && ends.to_json().is_none());
        }
        assert!(ends.add("ended (exit code 101)".to_owned(), vec!["the moon".to_owned()]));
        assert_eq!(ends.to_json().expect("it fails")["log"], json!(["the moon"]));
        assert!(ends.sentence("worker").contains("it ended (exit code 101), 4 times in a row"));
        assert!(!ends.add("ended".to_owned(), Vec::new()) && ends.to_json().is_some());
        assert!(ends.forget() && ends.to_json().is_none() && !ends.forget());
    }
}
