//! The goals of a stage, and how a verdict on one is reported.

use crate::{Event, Facts, Run, Transfer};

/// One goal.
pub struct Goal {
    /// A short name that does not change, for programs.
    pub name: &'static str,
    /// The goal, as a sentence that is true once it is reached.
    pub says: &'static str,
    /// Whether it is a failure to see, which happens before anything is fixed.
    pub is_failure: bool,
    /// Judges it.
    pub check: fn(&Facts) -> Verdict,
}

impl std::fmt::Debug for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Whether a goal is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is reached, and this shows it. Never empty.
    Reached(Vec<Evidence>),
    /// It is not reached yet: what to do next.
    Open(Next),
}

impl Verdict {
    /// Reached if there is any evidence; else this is next.
    pub fn by(evidence: Vec<Evidence>, next: impl Into<Next>) -> Verdict {
        if evidence.is_empty() { Verdict::Open(next.into()) } else { Verdict::Reached(evidence) }
    }

    /// Whether it is reached.
    pub fn is_reached(&self) -> bool {
        matches!(self, Verdict::Reached(_))
    }
}

/// What to do next for an open goal: a sentence, and its command, which a page can offer to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    before: String,
    command: Option<String>,
    after: String,
}

impl Next {
    /// A sentence that ends with a command.
    pub fn command(before: impl Into<String>, command: impl Into<String>) -> Next {
        Next { before: before.into(), command: Some(command.into()), after: String::new() }
    }

    /// The same sentence, continued after the command.
    #[must_use]
    pub fn then(mut self, after: impl Into<String>) -> Next {
        self.after = after.into();
        self
    }

    /// The sentence before its command; all of it if it has none.
    pub fn before(&self) -> &str {
        self.before.trim_end_matches([':', ';', ' '])
    }

    /// The whole command to type, and nothing else.
    pub fn to_type(&self) -> Option<&str> {
        self.command.as_deref()
    }

    /// The rest of the sentence after its command.
    pub fn after(&self) -> &str {
        self.after.trim_start_matches([';', ' '])
    }
}

impl std::fmt::Display for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}{}", self.before, self.command.as_deref().unwrap_or_default(), self.after)
    }
}

/// A sentence without a command.
impl From<String> for Next {
    fn from(before: String) -> Next {
        Next { before, command: None, after: String::new() }
    }
}

impl From<&str> for Next {
    fn from(before: &str) -> Next {
        before.to_owned().into()
    }
}

/// Where a history shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The transfer.
    pub workflow_id: String,
    /// Its run.
    pub run_id: String,
    /// The event, if it is one.
    pub event_id: Option<u64>,
    /// When, in the server's format.
    pub time: Option<String>,
    /// What it shows.
    pub what: String,
}

impl Evidence {
    /// An event of a run, and what it shows.
    pub fn event(transfer: &Transfer, run: &Run, event: Event<'_>, what: impl Into<String>) -> Evidence {
        Evidence {
            workflow_id: transfer.workflow_id.clone(),
            run_id: run.run_id.clone(),
            event_id: Some(event.id()),
            time: Some(event.time().to_owned()),
            what: what.into(),
        }
    }
}
