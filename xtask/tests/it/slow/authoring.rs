//! docs/authoring.md, followed word for word on a copy of this checkout: its stage is there afterwards, and plays.

use std::{fs, path::Path, process::Command};

use super::story::real_checkout;
use crate::support::{Checkout, outcome};

/// What the page tells an author to do.
#[derive(Debug, PartialEq)]
enum Step {
    /// Commands to type.
    Type(String),
    /// A new file.
    Write { file: String, text: String },
    /// A change of a file, at the line that reads so.
    Change { file: String, how: How, line: String, text: String },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Before,
    After,
    InPlaceOf,
}

/// The blocks of the page that are to be done: shell commands, and what follows a comment that says where it goes.
fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut comment = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(words) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            comment = Some(words);
            continue;
        }
        let fence: String = line.chars().take_while(|&letter| letter == '`').collect();
        if fence.len() < 3 {
            continue;
        }
        let text: String =
            lines.by_ref().take_while(|line| *line != fence).map(|line| format!("{line}\n")).collect();
        match comment.take() {
            None if line == "```sh" => steps.push(Step::Type(text)),
            None => {}
            Some(words) => steps.push(step(words, text)),
        }
    }
    steps
}

fn step(words: &str, text: String) -> Step {
    if let Some(file) = words.strip_prefix("file: ") {
        return Step::Write { file: file.to_owned(), text };
    }
    let (file, change) = words.strip_prefix("in: ").and_then(|rest| rest.split_once(", ")).expect(words);
    let (how, line) = change.split_once(": ").expect(words);
    let how = match how {
        "before" => How::Before,
        "after" => How::After,
        "in place of" => How::InPlaceOf,
        _ => panic!("{words}"),
    };
    Step::Change { file: file.to_owned(), how, line: line.to_owned(), text }
}

fn change(checkout: &Checkout, file: &str, how: How, line: &str, text: &str) {
    let before = fs::read_to_string(checkout.path(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let is_there = |candidate: &&str| candidate.trim() == line;
    assert_eq!(before.lines().filter(is_there).count(), 1, "{file} should have one line {line:?}");
    let changed = before.lines().fold(String::new(), |mut changed, candidate| {
        let here = candidate.trim() == line;
        if here && how != How::After {
            changed.push_str(text);
        }
        if !here || how != How::InPlaceOf {
            changed.push_str(candidate);
            changed.push('\n');
        }
        if here && how == How::After {
            changed.push_str(text);
        }
        changed
    });
    checkout.write(file, changed);
}

#[test]
fn a_stage_added_by_the_authors_guide_is_tidy_and_plays() {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the project's folder");
    let page = fs::read_to_string(project.join("docs/authoring.md")).expect("the page is there");
    let checkout = real_checkout("authoring");
    let mut typed = 0;
    for step in steps(&page) {
        match step {
            Step::Write { file, text } => checkout.write(&file, text),
            Step::Change { file, how, line, text } => change(&checkout, &file, how, &line, &text),
            Step::Type(commands) => {
                for line in commands.lines() {
                    let mut command = Command::new("sh");
                    command.args(["-c", line]);
                    checkout.prepare(&mut command);
                    let outcome = outcome(command);
                    assert_eq!(outcome.code, Some(0), "{line}\n{}\n{}", outcome.stdout, outcome.stderr);
                    if line.contains("play") {
                        assert!(outcome.stdout.contains("ok   jerry-misspells"), "{outcome:#?}");
                    }
                    typed += 1;
                }
            }
        }
    }
    assert_eq!(typed, 3, "the page has commands to type");
    // What the copy's own program says; this one was built before there was the stage.
    let mut command = Command::new("sh");
    command.args(["-c", "cargo xtask stage --json"]);
    checkout.prepare(&mut command);
    let stages = outcome(command).json();
    assert!(
        stages["stages"].as_array().is_some_and(|stages| stages.len() == lab::STAGES.len() + 1),
        "{stages}"
    );
}
