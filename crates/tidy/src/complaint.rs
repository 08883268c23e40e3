//! What the rules complain of.

use std::fmt;

/// Something that is missing or wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The file it is in, relative to the project's folder.
    pub file: String,
    /// The line in it, where it is in one.
    pub line: Option<usize>,
    /// What it is.
    pub what: String,
    /// What to do about it.
    pub to_do: String,
}

impl Complaint {
    /// Of a file as a whole.
    pub(crate) fn of_file(
        file: impl Into<String>,
        what: impl Into<String>,
        to_do: impl Into<String>,
    ) -> Complaint {
        Complaint { file: file.into(), line: None, what: what.into(), to_do: to_do.into() }
    }

    /// Of a line.
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
