//! Executes docs/authoring.md on copies of this checkout: its stage and its incident play, its goal is judged, its command works, its service
//! runs, and its fault occurs.

use std::{fs, path::Path, process::Command};

use super::story::real_checkout;
use crate::support::{Checkout, Outcome, eventually, outcome, service};

/// A step of the page.
#[derive(Debug, PartialEq)]
enum Step {
    /// Commands to type.
    Type(String),
    /// A new file.
    Write { file: String, text: String },
    /// Text to append to a file.
    Append { file: String, text: String },
    /// A change of a file at this line, or at the line that starts with it if it ends with `…`.
    Change { file: String, how: How, line: String, text: String },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Before,
    After,
    InPlaceOf,
}

/// The steps below a heading of the page: shell commands, and blocks after a comment that names their place.
fn steps(page: &str, heading: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut is_here = false;
    let mut comment = None;
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("# ") {
            is_here = title == heading;
        }
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
            _ if !is_here => {}
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
    if let Some(file) = words.strip_prefix("at the end of: ") {
        return Step::Append { file: file.to_owned(), text };
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
    let is_there = |candidate: &&str| match line.strip_suffix('…') {
        Some(begin) => candidate.trim().starts_with(begin),
        None => candidate.trim() == line,
    };
    assert_eq!(before.lines().filter(is_there).count(), 1, "{file} should have one line {line:?}");
    let changed = before.lines().fold(String::new(), |mut changed, candidate| {
        let here = is_there(&candidate);
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

/// Executes sections of the page in this checkout: first all changes of files, so that cargo builds them once, and then what cargo does with
/// them. Returns the outcomes of cargo's commands.
fn follow(checkout: &Checkout, titles: &[&str]) -> Vec<Outcome> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in the project's folder");
    let page = fs::read_to_string(project.join("docs/authoring.md")).expect("the page is there");
    let run = |line: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", line]);
        checkout.prepare(&mut command);
        let outcome = outcome(command);
        assert_eq!(outcome.code, Some(0), "{line}\n{}\n{}", outcome.stdout, outcome.stderr);
        outcome
    };
    let mut of_cargo = Vec::new();
    for step in titles.iter().flat_map(|title| steps(&page, title)) {
        match step {
            Step::Write { file, text } => checkout.write(&file, text),
            Step::Append { file, text } => {
                let before = fs::read_to_string(checkout.path(&file)).expect("the page names a file");
                checkout.write(&file, before + &text);
            }
            Step::Change { file, how, line, text } => change(checkout, &file, how, &line, &text),
            Step::Type(commands) => {
                for line in commands.lines() {
                    if line.starts_with("cargo ") {
                        of_cargo.push(line.to_owned());
                    } else {
                        run(line);
                    }
                }
            }
        }
    }
    of_cargo.iter().map(|line| run(line)).collect()
}

#[test]
fn a_stage_a_goal_and_a_command_added_by_the_authors_guide_play_are_judged_and_work() {
    let checkout = real_checkout("authoring");
    let typed = follow(&checkout, &["Adding a stage", "A goal", "A command"]);
    let [_tidy, played, tested, help, goals, _tidy_again] = &typed[..] else {
        panic!("the sections have six commands to type: {typed:?}")
    };
    assert!(played.stdout.contains("ok   jerry-misspells"), "{}", played.stdout);
    let test = "goals::withdrawal::deposit_tests::a_deposit_counts_after_a_withdrawal_that_had_failed ... ok";
    assert!(tested.stdout.contains(test), "{}", tested.stdout);
    assert!(help.stdout.contains("Lists the goals of the current stage"), "{}", help.stdout);
    let expected: Vec<&str> = lab::STAGES[0].goals.iter().map(|goal| goal.says).collect();
    assert_eq!(goals.stdout.lines().collect::<Vec<_>>(), expected);
    // The copy's own program, because this one was built before the stage was added.
    let mut command = Command::new("sh");
    command.args(["-c", "cargo xtask stage --json"]);
    checkout.prepare(&mut command);
    let stages = outcome(command).json();
    assert!(
        stages["stages"].as_array().is_some_and(|stages| stages.len() == lab::STAGES.len() + 1),
        "{stages}"
    );
}

#[test]
fn an_incident_and_a_fault_added_by_the_authors_guide_play_and_occur() {
    let checkout = real_checkout("authoring-incident");
    let typed = follow(&checkout, &["An incident", "A fault of the bank"]);
    let [_tidy, played, tested] = &typed[..] else {
        panic!("the sections have three commands to type: {typed:?}")
    };
    assert!(played.stdout.contains("ok   stuck-half-way"), "{}", played.stdout);
    let tested = &tested.stdout;
    assert!(tested.contains("a_bank_that_is_busy_says_so ... ok"), "{tested}");
    assert!(
        tested.contains("the_settings_are_those_of_the_description_and_each_can_be_changed ... ok"),
        "{tested}"
    );
}

#[test]
fn a_service_added_by_the_authors_guide_starts_and_has_a_log() {
    let checkout = real_checkout("authoring-service");
    let typed = follow(&checkout, &["A service"]);
    assert_eq!(typed.len(), 3, "the page has commands to type");
    assert!(typed[2].stdout.contains("clock, temporal, account-api, worker or transfer-web"), "{typed:#?}");
    // The other services are stand-ins, because building them takes minutes and their rows have not changed.
    let lab = Checkout::new("authoring-service");
    let manifest = "[package]\nname = \"clock\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    lab.write("crates/clock/Cargo.toml", manifest);
    lab.write("crates/clock/src/main.rs", checkout.read("crates/clock/src/main.rs"));
    let mut lock = Command::new("cargo");
    lock.args(["update", "--workspace", "--offline"]);
    lab.prepare(&mut lock);
    assert_eq!(outcome(lock).code, Some(0));
    let xtask = |arguments: &[&str]| {
        let mut command = Command::new(checkout.path("target/debug/xtask"));
        command.args(arguments);
        lab.prepare(&mut command);
        command.env("CARGO_MANIFEST_DIR", lab.path("xtask"));
        command
    };
    let mut start = xtask(&["lab", "start", "--detach"]);
    start.args(lab.port_flags());
    outcome(start).ok();
    let status = outcome(xtask(&["lab", "status", "--json"])).json();
    assert_eq!(service(&status, "clock")["state"], "running", "{status}");
    eventually("it writes the time", || {
        outcome(xtask(&["lab", "logs", "clock"])).stdout.contains("SystemTime")
    });
    outcome(xtask(&["lab", "restart", "clock"])).ok();
    outcome(xtask(&["lab", "stop"])).ok();
}
