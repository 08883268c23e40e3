//! The compile errors in what cargo printed.

use std::fmt;

use serde_json::{Value, json};

use crate::logs::without_time;

/// The maximum number of errors; later ones often follow from the first.
const MOST: usize = 3;
/// The maximum number of lines in an excerpt.
const LINES: usize = 40;
/// The maximum number of characters in a line.
const WIDTH: usize = 240;
/// The summaries that cargo and rustc print after the errors.
const SUMMARIES: [&str; 2] = ["could not compile `", "aborting due to "];

/// Why the compiler rejects the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The compiler's message.
    pub message: String,
    /// `file:line:column`; empty where the compiler names none.
    pub place: String,
    /// The message as the compiler prints it, with the code.
    pub excerpt: String,
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place.as_str() {
            "" => f.write_str(&self.message),
            place => write!(f, "{}, at {place}", self.message),
        }
    }
}

impl CompileError {
    /// The first errors in what cargo printed, each once.
    pub fn find(printed: &str) -> Vec<CompileError> {
        let plain = without_escapes(printed);
        let lines: Vec<&str> = plain.lines().map(without_time).collect();
        // An empty line ends each message.
        let messages = lines.split(|line| line.trim().is_empty());
        let mut found: Vec<CompileError> = Vec::new();
        for error in messages.filter_map(CompileError::parse) {
            if found.len() < MOST && !found.contains(&error) {
                found.push(error);
            }
        }
        let is_summary =
            |error: &CompileError| SUMMARIES.iter().any(|start| error.message.starts_with(start));
        if !found.iter().all(is_summary) {
            found.retain(|error| !is_summary(error));
        }
        found
    }

    /// The error in these lines, if there is one: `error[E0308]: mismatched types`, or `error: …`, and in a line below it
    /// ` --> file:line:column`.
    fn parse(lines: &[&str]) -> Option<CompileError> {
        let is_error = |line: &&str| line.starts_with("error: ") || line.starts_with("error[");
        let lines = &lines[lines.iter().position(is_error)?..];
        let (_, message) = lines.first()?.split_once(": ")?;
        let place = lines.iter().find_map(|line| line.trim_start().strip_prefix("--> "));
        let mut excerpt: Vec<String> = lines.iter().take(LINES).map(|line| cut(line)).collect();
        if lines.len() > LINES {
            excerpt.push("…".to_owned());
        }
        Some(CompileError {
            message: message.to_owned(),
            place: place.unwrap_or_default().to_owned(),
            excerpt: excerpt.join("\n"),
        })
    }

    /// For a program.
    pub fn to_json(&self) -> Value {
        json!({ "message": self.message, "place": self.place, "excerpt": self.excerpt })
    }
}

/// The line, cut where it is too long.
fn cut(line: &str) -> String {
    match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// The text without the escape sequences of a terminal; cargo's bar, which it draws over itself, as lines.
pub(crate) fn without_escapes(text: &str) -> String {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            // `ESC [`, parameters, and a letter that ends it.
            '\x1b' => {
                characters.by_ref().find(|&next| next.is_ascii_alphabetic());
            }
            '\r' => plain.push('\n'),
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_is_found_with_its_place() {
        let printed = "   Compiling worker v0.1.0 (/lab/crates/worker)\n\
                       warning: unused variable: `x`\n --> crates/worker/src/activities.rs:1:2\n\n\
                       error[E0425]: cannot find value `y` in this scope\n   --> crates/worker/src/workflow.rs:57:9\n    |\n\n\
                       error: could not compile `worker` (lib) due to 1 previous error\n";
        let errors = CompileError::find(printed);
        assert_eq!(errors.len(), 1, "neither the warning nor the summary: {errors:?}");
        assert_eq!(
            errors[0].to_string(),
            "cannot find value `y` in this scope, at crates/worker/src/workflow.rs:57:9"
        );
        assert_eq!(
            errors[0].excerpt,
            "error[E0425]: cannot find value `y` in this scope\n   --> crates/worker/src/workflow.rs:57:9\n    |"
        );
        assert_eq!(CompileError::find("   Compiling worker\n    Finished `dev` profile\n"), []);
    }

    #[test]
    fn the_first_errors_are_kept_each_once_and_cut_to_a_readable_size() {
        let error = |number: usize| {
            format!("error: number {number}\n --> a.rs:{number}:1\n{}\n", "  | x\n".repeat(100))
        };
        let printed: String = [1, 1, 2, 3, 4].map(error).concat();
        let errors = CompileError::find(&printed);
        assert_eq!(
            errors.iter().map(|error| &*error.place).collect::<Vec<_>>(),
            ["a.rs:1:1", "a.rs:2:1", "a.rs:3:1"]
        );
        assert_eq!(errors[0].excerpt.lines().count(), LINES + 1);
        let long = CompileError::find(&format!("error: {}", "ä".repeat(2 * WIDTH)));
        assert_eq!(long[0].excerpt.chars().count(), WIDTH + 1);
        let summary = CompileError::find("error: could not compile `worker` (lib)\n");
        assert_eq!(summary.len(), 1, "there is nothing better");
    }

    #[test]
    fn an_error_is_found_among_colours_and_the_bar() {
        let printed = "\x1b[1m\x1b[96m    Building\x1b[0m [==>  ] 1/2: worker\r\x1b[K\x1b[1m\x1b[91merror[E0308]\x1b[0m\x1b[1m: \
                       mismatched types\x1b[0m\n \x1b[1m\x1b[94m--> \x1b[0mcrates/worker/src/workflow.rs:1:2\n";
        let errors = CompileError::find(printed);
        assert_eq!(errors[0].to_string(), "mismatched types, at crates/worker/src/workflow.rs:1:2");
    }

    #[test]
    fn an_error_without_a_place_has_none_of_another() {
        let printed = "error: linking with `cc` failed\n\nerror[E1]: other\n --> a.rs:1:1\n";
        assert_eq!(CompileError::find(printed)[0].to_string(), "linking with `cc` failed");
    }
}
