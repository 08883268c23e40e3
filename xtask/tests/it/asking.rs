//! What a command asks on a terminal before it replaces a learner's code or leaves transfers behind.
//!
//! `script` is the terminal: it hands on what is typed, and the end of that as Ctrl-D.

use std::{io::Write, process::Stdio};

use lab::{LIVE_ACTIVITIES, LIVE_WORKFLOW, STAGES};

use crate::{
    fake_lab::{FakeLab, Place},
    support::{Checkout, Outcome},
};

const MINE: &str = "// my fix\n";

/// Types this command on a terminal, and then this. None where there is no `script`.
fn type_in(checkout: &Checkout, arguments: &[&str], answers: &str) -> Option<Outcome> {
    let mut script = checkout.on_terminal(&checkout.xtask(arguments), "exec \"$@\"")?;
    script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = script.spawn().expect("script is there");
    let mut keyboard = child.stdin.take().expect("it is a pipe");
    keyboard.write_all(answers.as_bytes()).expect("it reads");
    drop(keyboard);
    let output = child.wait_with_output().expect("it is this test's own");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\r', "");
    Some(Outcome { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
}

#[test]
fn a_fresh_lab_asks_nothing() {
    let checkout = Checkout::without_server("ask-nothing");
    let Some(entered) = type_in(&checkout, &["stage", "fix-workflow"], "") else { return };
    assert!(!entered.stdout.contains("which code"), "{entered:?}");
    assert_eq!(entered.code, Some(0), "{entered:?}");
    assert_eq!(checkout.read(LIVE_WORKFLOW), STAGES[1].workflow.source.as_bytes());
}

#[test]
fn an_edit_is_shown_against_what_it_began_with_and_the_learner_chooses() {
    // Where the shipped code is a fix, Enter keeps the learner's; where it is new code of Jerry's, Enter takes that.
    for (stage, answer, keeps) in [
        ("fix-workflow", "\n", true),
        ("fix-workflow", "k\n", true),
        ("fix-workflow", "what?\ns\n", false),
        ("jerry-adds-step", "\n", false),
        ("jerry-adds-step", "k\n", true),
        // Entered again, a stage brings nothing new.
        ("jerry", "\n", true),
    ] {
        let checkout = Checkout::without_server("ask-edit");
        let edit = format!("{MINE}{}", STAGES[0].workflow.source);
        checkout.write(LIVE_WORKFLOW, &edit);
        let Some(entered) = type_in(&checkout, &["stage", stage], answer) else { return };
        assert_eq!(entered.code, Some(0), "{stage} {answer:?}: {entered:?}");
        let said = &entered.stdout;
        assert!(said.contains("+// my fix") && said.contains("as shipped with jerry"), "{said}");
        assert!(said.contains("either way your edit is saved in .lab/backup"), "{said}");
        let shipped = lab::stage(stage).expect("a stage of the table");
        let expected = if keeps { &*edit } else { shipped.workflow.source };
        assert_eq!(checkout.read(LIVE_WORKFLOW), expected.as_bytes(), "{stage} {answer:?}");
        assert_eq!(checkout.read(LIVE_ACTIVITIES), shipped.activities.source.as_bytes());
        let backups = checkout.run(&["stage", "restore", "--json"]).json();
        assert_eq!(backups["backups"].as_array().map(Vec::len), Some(1), "{backups}");
        // What Jerry has done this time is for the learner to find.
        assert!(stage != "jerry-adds-step" || !said.contains("check_balance"), "{said}");
    }
}

#[test]
fn without_an_answer_nothing_is_changed() {
    let lab = FakeLab::start("ask-eof");
    let checkout = &lab.checkout;
    checkout.write(LIVE_WORKFLOW, MINE);
    lab.world().start("left", Place::Deposit);
    // At the first question, and at the second.
    for answers in ["", "s\n"] {
        let Some(entered) = type_in(checkout, &["stage", "fix-workflow"], answers) else { return };
        assert_eq!(entered.code, Some(1), "{entered:?}");
        assert!(entered.stdout.contains("nothing was changed"), "{entered:?}");
        assert_eq!(checkout.read(LIVE_WORKFLOW), MINE.as_bytes());
        assert_eq!(lab.progress().stage.name, "jerry");
        assert_eq!(lab.world().builds, 0);
        assert_eq!(checkout.run(&["stage", "restore", "--json"]).json()["backups"], serde_json::json!([]));
    }
}

#[test]
fn a_drill_in_progress_is_ended_by_another_only_after_a_yes() {
    let lab = FakeLab::start("ask-drill");
    lab.checkout.run(&["drill", "some-never-arrive", "--seed", "1"]).ok();
    for (answer, seed) in [("", 1), ("n\n", 1), ("y\n", 2)] {
        let arguments = ["drill", "some-never-arrive", "--seed", "2"];
        let Some(entered) = type_in(&lab.checkout, &arguments, answer) else { return };
        let warning = "the drill some-never-arrive is in progress; another one ends it";
        assert!(entered.stdout.contains(warning), "{entered:?}");
        let drill = lab.progress().drill.expect("one is in progress");
        assert_eq!(drill.seed, seed, "{answer:?}: {entered:?}");
        assert_eq!(entered.stdout.contains("nothing was changed"), seed == 1, "{entered:?}");
    }
}

#[test]
fn keep_answers_the_question_beforehand() {
    let checkout = Checkout::without_server("ask-keep");
    checkout.write(LIVE_WORKFLOW, MINE);
    let Some(entered) = type_in(&checkout, &["stage", "jerry-adds-step", "--keep"], "") else { return };
    assert_eq!(entered.code, Some(0), "{entered:?}");
    assert!(!entered.stdout.contains("which code"), "{entered:?}");
    assert_eq!(checkout.read(LIVE_WORKFLOW), MINE.as_bytes());
}

#[test]
fn transfers_that_are_left_over_are_terminated_after_a_yes_and_no_is_the_default() {
    for (answer, place) in [("\n", Place::Deposit), ("no\n", Place::Deposit), ("y\n", Place::Terminated)] {
        let lab = FakeLab::start("ask-left");
        lab.world().start("left", Place::Deposit);
        let Some(entered) = type_in(&lab.checkout, &["stage", "jerry"], answer) else { return };
        assert_eq!(entered.code, Some(0), "{entered:?}");
        assert!(entered.stdout.contains("terminate it? [y/N]"), "{entered:?}");
        assert_eq!(lab.world().transfers[0].place, place, "{answer:?}: {entered:?}");
    }
}
