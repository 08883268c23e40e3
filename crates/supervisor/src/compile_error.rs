//! The first compile error in what cargo printed.

use std::fmt;

use crate::logs::without_time;

/// Why the compiler rejects the code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileError {
    /// The compiler's message.
    pub message: String,
    /// `file:line:column`; empty where the compiler names none.
    pub place: String,
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
    /// The first error in what cargo printed.
    pub fn find(printed: &str) -> Option<CompileError> {
        let plain = without_escapes(printed);
        let mut lines = plain.lines().map(without_time);
        // `error[E0308]: mismatched types`, or `error: …`, and in a line below it ` --> file:line:column`.
        let message = lines.find_map(|line| {
            let (kind, message) = line.split_once(": ")?;
            (kind == "error" || kind.starts_with("error[")).then_some(message)
        })?;
        let place = lines
            .take_while(|line| !line.trim().is_empty())
            .find_map(|line| line.trim_start().strip_prefix("--> "));
        Some(CompileError { message: message.to_owned(), place: place.unwrap_or_default().to_owned() })
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
        let error = CompileError::find(printed).expect("there is one");
        assert_eq!(
            error.to_string(),
            "cannot find value `y` in this scope, at crates/worker/src/workflow.rs:57:9"
        );
        assert_eq!(CompileError::find("   Compiling worker\n    Finished `dev` profile\n"), None);
    }

    #[test]
    fn an_error_is_found_among_colours_and_the_bar() {
        let printed = "\x1b[1m\x1b[96m    Building\x1b[0m [==>  ] 1/2: worker\r\x1b[K\x1b[1m\x1b[91merror[E0308]\x1b[0m\x1b[1m: \
                       mismatched types\x1b[0m\n \x1b[1m\x1b[94m--> \x1b[0mcrates/worker/src/workflow.rs:1:2\n";
        let error = CompileError::find(printed).expect("there is one");
        assert_eq!(error.to_string(), "mismatched types, at crates/worker/src/workflow.rs:1:2");
    }

    #[test]
    fn an_error_without_a_place_has_none_of_another() {
        let printed = "error: linking with `cc` failed\n\nerror[E1]: other\n --> a.rs:1:1\n";
        assert_eq!(
            CompileError::find(printed).expect("there is one").to_string(),
            "linking with `cc` failed"
        );
    }
}
