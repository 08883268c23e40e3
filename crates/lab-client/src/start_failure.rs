//! The error of a program that did not start, for the program that started it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// Why a program did not start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailure {
    /// The error with its causes; it may have several lines.
    pub error: String,
}

impl StartFailure {
    /// The file for a program's failure, derived from its ready file.
    pub fn file_beside(ready_file: &Path) -> PathBuf {
        ready_file.with_extension("failure.json")
    }

    /// Reads the failure from a file, if there is one.
    pub fn read(file: &Path) -> Option<StartFailure> {
        StartFailure::parse(&fs::read_to_string(file).ok()?)
    }

    /// Parses a failure from JSON.
    pub fn parse(text: &str) -> Option<StartFailure> {
        let value: Value = serde_json::from_str(text).ok()?;
        Some(StartFailure { error: value["error"].as_str()?.to_owned() })
    }

    /// The failure as JSON.
    pub fn to_json(&self) -> Value {
        json!({ "error": self.error })
    }

    /// The lines that the program itself prints on standard error.
    pub fn lines(&self) -> Vec<String> {
        format!("error: {}", self.error).lines().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_read_as_it_was_written() {
        let failure =
            StartFailure { error: "there is no namespace spring; ask for:\n  temporal …".to_owned() };
        assert_eq!(StartFailure::parse(&failure.to_json().to_string()), Some(failure.clone()));
        assert_eq!(failure.lines(), ["error: there is no namespace spring; ask for:", "  temporal …"]);
        for text in ["", "{", "error: no", "{}"] {
            assert_eq!(StartFailure::parse(text), None, "{text}");
        }
        let beside = StartFailure::file_beside(Path::new("/lab/run/temporal.ready"));
        assert_eq!(beside, Path::new("/lab/run/temporal.failure.json"));
    }
}
