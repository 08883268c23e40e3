//! Checks the commands in workflows, scripts and editor settings.

use clap::Command;

use crate::{
    commands::{self, XTASK},
    complaint::Complaint,
};

/// A workflow, a script or editor settings.
pub(super) struct Script {
    /// Its path, relative to the project's folder.
    pub(super) file: String,
    /// Its whole text.
    pub(super) source: String,
}

/// The characters that end a command in a script, a string or a comment.
const ENDS: [char; 9] = ['"', '`', '|', '&', ';', '>', ')', '#', '$'];

/// The invalid commands in a file.
pub(super) fn check(script: &Script, command_line: &Command) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (number, line) in script.source.lines().enumerate() {
        let mut before = String::new();
        let mut parts = line.split(XTASK);
        before.push_str(parts.next().unwrap_or_default());
        for part in parts {
            let words = part.split(ENDS).next().unwrap_or_default();
            if is_typed(&before)
                && words.starts_with(' ')
                && let Some(wrong) = commands::wrong_with_spoken(command_line, words)
            {
                let what = format!("`{XTASK}{}` does not work: {wrong}", words.trim_end());
                let to_do = "fix it; for the list of commands: cargo xtask --help";
                complaints.push(Complaint::at(&script.file, number + 1, what, to_do));
            }
            before.push_str(XTASK);
            before.push_str(part);
        }
    }
    complaints
}

/// Whether the following text is a command rather than part of a sentence.
fn is_typed(before: &str) -> bool {
    let inside = |quote: char| before.matches(quote).count() % 2 == 1;
    match before.trim_end().chars().next_back() {
        Some('`' | '"') => true,
        _ => !inside('"') && !before.contains('#') && !inside('\''),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::example;

    #[test]
    fn an_invalid_command_is_reported_with_its_line() {
        let text = "# as `cargo xtask tset`, and cargo xtask of old\n  - run: cargo xtask lab strat\n\
                    cargo xtask lab status --json |\n  \"command\": \"cargo xtask chekc\",\n\
                    echo \"start it: cargo xtask lab start first\"\nx && cargo xtask stage jery\n\
                    cargo xtask transfer \"$from\"; cargo xtask \"$@\"; nix develop --command cargo xtask test\n";
        let reported = check(&Script { file: "ci.yml".to_owned(), source: text.to_owned() }, &example());
        let lines: Vec<usize> = reported.iter().filter_map(|complaint| complaint.line).collect();
        assert_eq!(lines, [1, 2, 4, 6], "{reported:#?}");
    }
}
