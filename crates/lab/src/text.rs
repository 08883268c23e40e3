//! The text of a stage, a Markdown file in `lab/`, and what programs read from it: its commands and its hints.
//!
//! - A block ` ```console ` has commands, each after a `$ `, and under each its output. Tests run them in order
//!   and compare. In expected output a line of only `…` matches any lines, and `…` inside a line any text;
//!   Workflow Ids, Run Ids, times, pids and ports match any value.
//! - The comment `<!-- fix -->` marks where a learner fixes the code. Tests put the shipped fix in place there.
//! - The comment `<!-- write: workflow/NAME -->` marks where a learner writes the code of that variant.
//! - The comment `<!-- settle -->`, in the text of an incident, marks where a learner corrects the accounts that are off.
//! - The comment `<!-- page until=… -->` has a task's form for the page, which tests do not play; see [`tasks`].
//! - The comment `<!-- complete: … -->` says on the page what completing the stage means.
//! - The section `## Hints` is a numbered list, from a vague hint to the line.

use crate::task::{PAGE, Task, sections, tasks};

/// The text of a stage.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    /// Its file, relative to the project's folder.
    pub file: &'static str,
    /// All of it.
    pub source: &'static str,
}

/// The text before the first stage. It belongs to no stage, so it has no goals and no hints.
pub const WITHOUT_TEMPORAL: Text =
    Text { file: "lab/00-without-temporal.md", source: include_str!("../../../lab/00-without-temporal.md") };

/// A part of a text that a program can act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// Commands to type.
    Commands(Vec<Command>),
    /// Here a learner fixes the code.
    Fix,
    /// Here a learner writes the code of this variant: its module, `workflow` or `activities`, and its name.
    Write(String, String),
    /// Here a learner corrects each account that is off.
    Settle,
}

/// A command of a text, and what it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// What is typed.
    pub typed: String,
    /// The lines that it prints; none if the text does not show them.
    pub prints: Vec<String>,
    /// The line of the text that it is on; the first is 1.
    pub line: usize,
}

/// Marks where a learner fixes the code.
const FIX: &str = "<!-- fix -->";

/// Marks where a learner corrects the accounts.
const SETTLE: &str = "<!-- settle -->";

/// Says what completing the stage means.
const COMPLETE: &str = "<!-- complete: ";

/// Marks where a learner writes the code of a variant.
const WRITE: &str = "<!-- write: ";

/// The variant that a learner writes there.
fn written(line: &str) -> Option<Block> {
    let variant = line.strip_prefix(WRITE)?.strip_suffix(" -->")?;
    let (module, name) = variant.split_once('/')?;
    Some(Block::Write(module.to_owned(), name.to_owned()))
}

impl Text {
    /// The commands and edits, in the order of the text.
    pub fn blocks(&self) -> Vec<Block> {
        blocks(self.source)
    }

    /// The tasks, in the order of the text.
    pub fn tasks(&self) -> Vec<Task> {
        tasks(self.source)
    }

    /// What completing the stage means, in a sentence or two, if it does not speak for itself.
    pub fn complete(&self) -> Option<&'static str> {
        self.source.lines().find_map(|line| line.strip_prefix(COMPLETE)?.strip_suffix(" -->"))
    }

    /// The hints, from the vaguest to the plainest.
    pub fn hints(&self) -> Vec<String> {
        hints(self.source)
    }

    /// What is below the heading of this section; empty if the text has no such section.
    pub fn section(&self, heading: &str) -> &'static str {
        let (_, sections) = sections(self.source);
        sections.into_iter().find(|(title, _)| *title == heading).map_or("", |(_, body)| body)
    }
}

/// The commands and edits of this text, in its order.
pub fn blocks(source: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut console: Option<Vec<Command>> = None;
    let mut is_for_page = false;
    for (number, line) in source.lines().enumerate() {
        if is_for_page || (console.is_none() && line.starts_with(PAGE)) {
            is_for_page = line.trim() != "-->";
            continue;
        }
        match &mut console {
            None if line.trim() == "```console" => console = Some(Vec::new()),
            None if line.trim() == FIX => blocks.push(Block::Fix),
            None if line.trim() == SETTLE => blocks.push(Block::Settle),
            None if line.starts_with(WRITE) => blocks.extend(written(line)),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(console.take().map(Block::Commands)),
            Some(commands) => match (line.strip_prefix("$ "), commands.last_mut()) {
                (Some(typed), _) => {
                    commands.push(Command { typed: typed.to_owned(), prints: Vec::new(), line: number + 1 });
                }
                // A long command continues after a backslash.
                (None, Some(last)) if last.prints.is_empty() && last.typed.ends_with('\\') => {
                    last.typed.pop();
                    last.typed.push_str(line.trim_start());
                }
                (None, Some(last)) => last.prints.push(line.to_owned()),
                (None, None) => {}
            },
        }
    }
    blocks
}

/// The hints of this text, from the vaguest to the plainest.
pub fn hints(source: &str) -> Vec<String> {
    let mut hints: Vec<String> = Vec::new();
    let section = source.lines().skip_while(|line| *line != "## Hints").skip(1);
    for line in section.take_while(|line| !line.starts_with("## ")) {
        let numbered = line.split_once(". ").filter(|(number, _)| number.parse::<u8>().is_ok());
        match (numbered, hints.last_mut()) {
            (Some((_, hint)), _) => hints.push(hint.trim().to_owned()),
            (None, Some(hint)) if !line.trim().is_empty() => {
                hint.push(' ');
                hint.push_str(line.trim());
            }
            _ => {}
        }
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: Text = Text {
        file: "lab/00-example.md",
        source: "# Example\n\n```console\n$ cargo xtask transfer a b 1\nstarted …\n\n  see it\n$ temporal workflow reset \\\n    \
                 --event-id 4\n```\n\n<!-- fix -->\n<!-- write: workflow/fixed -->\n<!-- settle -->\n\n```rust\n$ not a command\n```\n\n## Hints\n\n1. Look\n   around.\n2. Line 3.\n\n## Ask\n\n\
                 1. Why?\n",
    };

    #[test]
    fn the_commands_of_a_text_are_found_with_what_they_print() {
        let blocks = TEXT.blocks();
        let [Block::Commands(commands), Block::Fix, Block::Write(module, name), Block::Settle] = &blocks[..]
        else {
            panic!("{blocks:?}")
        };
        let [transfer, reset] = &commands[..] else { panic!("{commands:?}") };
        assert_eq!((transfer.typed.as_str(), transfer.line), ("cargo xtask transfer a b 1", 4));
        assert_eq!(transfer.prints, ["started …", "", "  see it"]);
        assert_eq!(reset.typed, "temporal workflow reset --event-id 4");
        assert!(reset.prints.is_empty());
        assert_eq!((module.as_str(), name.as_str()), ("workflow", "fixed"));
    }

    #[test]
    fn the_hints_of_a_text_are_its_numbered_list() {
        assert_eq!(TEXT.hints(), ["Look around.", "Line 3."]);
        assert_eq!((TEXT.section("Ask"), TEXT.section("Tell")), ("1. Why?", ""));
    }
}
