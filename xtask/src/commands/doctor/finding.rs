//! The result of one check of `doctor`.

/// The severity of a finding.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Grade {
    /// All right.
    Good,
    /// Not a problem, but worth knowing.
    Note,
    /// The lab does not work without it.
    Missing,
    /// The lab does not work because of it.
    Broken,
}

impl Grade {
    /// Its name in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Grade::Good => "ok",
            Grade::Note => "note",
            Grade::Missing => "missing",
            Grade::Broken => "broken",
        }
    }
}

/// The result of one check.
pub(super) struct Finding {
    pub(super) name: String,
    pub(super) grade: Grade,
    pub(super) says: String,
    /// What to type or do.
    pub(super) remedy: Option<String>,
}

/// All right.
pub(super) fn good(name: &str, says: impl Into<String>) -> Finding {
    Finding { name: name.to_owned(), grade: Grade::Good, says: says.into(), remedy: None }
}

/// Worth knowing, with what to do.
pub(super) fn note(name: &str, says: impl Into<String>, remedy: &str) -> Finding {
    Finding { name: name.to_owned(), grade: Grade::Note, says: says.into(), remedy: Some(remedy.to_owned()) }
}

/// The lab does not work without it.
pub(super) fn missing(name: &str, says: impl Into<String>, remedy: &str) -> Finding {
    Finding {
        name: name.to_owned(),
        grade: Grade::Missing,
        says: says.into(),
        remedy: Some(remedy.to_owned()),
    }
}

/// The lab does not work because of it.
pub(super) fn broken(name: &str, says: impl Into<String>, remedy: &str) -> Finding {
    Finding { grade: Grade::Broken, ..missing(name, says, remedy) }
}
