//! Problems that the rules find.

use std::fmt;

/// A problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file, relative to the project's folder.
    pub file: String,
    /// The line, if it is in one.
    pub line: Option<usize>,
    /// What is wrong.
    pub what: String,
    /// How to fix it.
    pub to_do: String,
}

impl Complaint {
    /// A problem of a whole file.
    pub(crate) fn of_file(
        file: impl Into<String>,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Complaint {
        Complaint { file: file.into(), line: None, what: what.into(), to_do: to_do.into() }
    }

    /// A problem in a line.
    pub(crate) fn at(
        file: &str,
        line: usize,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Complaint {
        Complaint { line: Some(line), ..Complaint::of_file(file, what, to_do) }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(f, "{}{line}: {}; {}", self.file, self.what, self.to_do)
    }
}
