//! What a learner is to reach at a stage, and how it is told.

use crate::{Event, Facts, Run, Transfer};

/// One thing to reach.
pub struct Goal {
    /// A short name that does not change, for programs.
    pub name: &'static str,
    /// What is reached, as a sentence that is true then.
    pub says: &'static str,
    /// Whether it is a failure to have seen, which is there before anything is mended.
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
    /// It is, and this is how one can tell. Never empty.
    Reached(Vec<Evidence>),
    /// Not yet: what to look at or do next.
    Open(Next),
}

impl Verdict {
    /// Reached, if there is any evidence; else this is next.
    pub fn by(evidence: Vec<Evidence>, next: impl Into<Next>) -> Verdict {
        if evidence.is_empty() { Verdict::Open(next.into()) } else { Verdict::Reached(evidence) }
    }

    /// Whether it is reached.
    pub fn is_reached(&self) -> bool {
        matches!(self, Verdict::Reached(_))
    }
}

/// What to do next for an open goal: a sentence, and the command in it, which a page can offer to copy.
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

    /// The same sentence, which goes on after the command.
    #[must_use]
    pub fn then(mut self, after: impl Into<String>) -> Next {
        self.after = after.into();
        self
    }

    /// The sentence before its command; all of it where it has none.
    pub fn before(&self) -> &str {
        self.before.trim_end_matches([':', ';', ' '])
    }

    /// The command to type, whole and nothing else.
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

/// Where in a history something can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The transfer.
    pub workflow_id: String,
    /// Its run.
    pub run_id: String,
    /// The event, where it is one.
    pub event_id: Option<u64>,
    /// When, in the server's words.
    pub time: Option<String>,
    /// What can be seen there.
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
