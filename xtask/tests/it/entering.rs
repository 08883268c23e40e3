//! Entering a stage, and restoring an edit on the page, without losing a learner's code, an edit saved meanwhile, or money in transfers from earlier stages.

use std::fs::File;

use checkout::Project;
use lab::{LIVE_ACTIVITIES, LIVE_WORKFLOW, STAGES};
use lab_client::{progress::ENTERING, state::State};
use nix::sys::signal::Signal;
use serde_json::Value;
use supervisor::saved_edits;

use crate::{
    fake_lab::{FakeLab, NO_RUST, Place},
    held::{Running, signal},
    support::eventually,
};

/// Code of the learner's that lets transfers go on.
const MINE: &str = "// my fix";

/// The lines that say what was done, but for ids and times.
fn assert_no_line_twice(text: &str) {
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("building and")).collect();
    for (at, line) in lines.iter().enumerate() {
        assert!(!lines[..at].contains(line), "{line:?} twice in {text}");
    }
}

#[test]
fn a_stage_says_what_it_will_do_then_what_it_does_and_nothing_twice() {
    let lab = FakeLab::start("plan");
    let entered = lab.checkout.run(&["stage", "fix-workflow"]);
    assert_eq!(entered.code, Some(0), "{entered:#?}");
    let said = &entered.stderr;
    assert!(
        said.starts_with("plan: 1. with the code of jerry: start 1 transfer, and wait until it is stuck\n"),
        "{said}"
    );
    assert!(said.contains("\n      2. put the code of fix-workflow in place and build it\n"), "{said}");
    assert_no_line_twice(said);
    assert!(entered.stdout.contains("stage 2: A bug in an Activity (fix-workflow)"), "{}", entered.stdout);
    assert_eq!(lab.live(), [STAGES[1].workflow.source, STAGES[1].activities.source]);
    // A lab without an edit has nothing to keep.
    assert_eq!(lab.checkout.run(&["stage", "restore", "--json"]).json()["backups"], serde_json::json!([]));
}

#[test]
fn a_service_without_worker_versioning_is_reported_before_anything_changes() {
    let lab = FakeLab::start("no-versions");
    lab.world().lacks_versioning = true;
    lab.checkout.write(LIVE_WORKFLOW, MINE);
    let (live, progress) = (lab.live(), lab.progress());
    let refused = lab.checkout.run(&["stage", "roll-out"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    for part in
        ["roll-out needs Worker Versioning", "nothing was changed", "cargo xtask stage jerry-limits-retries"]
    {
        assert!(refused.stderr.contains(part), "{}", refused.stderr);
    }
    assert_eq!((lab.live(), lab.progress()), (live, progress));
    let world = lab.world();
    assert_eq!((world.builds, world.transfers.len()), (0, 0));
    drop(world);
    // Other stages need none.
    let entered = lab.checkout.run(&["stage", "fix-workflow"]);
    assert_eq!(entered.code, Some(0), "{entered:#?}");
}

#[test]
fn with_keep_the_failure_of_the_shipped_code_is_there_and_then_the_learners_code_runs_again() {
    for (stage, builds) in [("jerry", 2), ("fix-workflow", 3)] {
        let lab = FakeLab::start(&format!("keep-{stage}"));
        lab.checkout.write(LIVE_WORKFLOW, MINE);
        lab.checkout.write(LIVE_ACTIVITIES, MINE);
        let entered = lab.checkout.run(&["stage", stage, "--keep", "--json"]).json();
        let said = ["kept", "newer_in_place", "build_failed"].map(|field| entered[field] == true);
        assert_eq!(said, [true, false, false], "{entered}");
        assert!(entered["saved"]["id"].as_str().is_some_and(|id| id.ends_with("-jerry")), "{entered}");
        assert_eq!(lab.live(), [MINE, MINE]);
        let world = lab.world();
        assert_eq!((world.builds, &world.built), (builds, &[MINE.to_owned(), MINE.to_owned()]));
        let [transfer] = &world.transfers[..] else { panic!("{:?}", world.transfers) };
        assert_eq!(transfer.place, Place::Completed);
        assert_eq!(transfer.has_failed_to_withdraw, stage == "fix-workflow");
        assert_eq!(lab.progress().stage.name, stage);
        assert_eq!(lab.progress().kept, None);
    }
}

#[test]
fn a_fix_that_is_the_shipped_one_to_the_byte_is_no_less_the_learners() {
    let lab = FakeLab::start("keep-exact");
    lab.checkout.write(LIVE_WORKFLOW, STAGES[1].workflow.source);
    lab.checkout.run(&["stage", "jerry", "--keep"]).ok();
    assert_eq!(lab.live(), [STAGES[1].workflow.source, STAGES[0].activities.source]);
}

#[test]
fn without_keep_and_without_a_terminal_the_edit_is_saved_and_the_shipped_code_is_used() {
    let lab = FakeLab::start("shipped");
    lab.checkout.write(LIVE_WORKFLOW, MINE);
    let entered = lab.checkout.run(&["stage", "jerry"]);
    assert!(entered.stderr.contains("your changes are saved in .lab/backup/"), "{entered:#?}");
    assert_eq!(lab.live(), [STAGES[0].workflow.source, STAGES[0].activities.source]);
}

#[test]
fn wherever_keeping_is_killed_the_same_command_finishes_it() {
    for at in 1..=3 {
        let lab = FakeLab::start(&format!("keep-killed-{at}"));
        let checkout = &lab.checkout;
        checkout.write(LIVE_WORKFLOW, MINE);
        checkout.write(LIVE_ACTIVITIES, MINE);
        let hold = format!("build-{at}");
        checkout.hold(&hold);
        // For what the command prints.
        checkout.write("target/there", "");
        let mut command =
            Running::start(checkout, checkout.xtask(&["stage", "fix-workflow", "--keep"]), "keep");
        checkout.wait_for_held(&hold);
        assert!(signal(command.child.id(), Signal::SIGKILL));
        command.wait("it was killed");
        checkout.let_go();
        eventually("that build is over", || !checkout.path(&format!("hold/{hold}")).exists());
        // Also without the flag, as after an answer on a terminal.
        let flags: &[&str] =
            if at == 2 { &["stage", "fix-workflow"] } else { &["stage", "fix-workflow", "--keep"] };
        checkout.run(flags).ok();
        assert_eq!(lab.live(), [MINE, MINE], "killed at build {at}");
        assert_eq!(lab.progress().kept, None);
        let world = lab.world();
        assert_eq!(world.built, [MINE, MINE]);
        assert!(world.transfers.iter().any(|transfer| transfer.has_failed_to_withdraw));
    }
}

#[test]
fn a_reset_forgets_the_code_that_an_interrupted_command_keeps() {
    let lab = FakeLab::start("keep-reset");
    let checkout = &lab.checkout;
    checkout.write(LIVE_WORKFLOW, MINE);
    checkout.hold("build-1");
    // For what the command prints.
    checkout.write("target/there", "");
    let mut command =
        Running::start(checkout, checkout.xtask(&["stage", "fix-workflow", "--keep"]), "keep-reset");
    checkout.wait_for_held("build-1");
    assert!(signal(command.child.id(), Signal::SIGKILL));
    command.wait("it was killed");
    checkout.let_go();
    eventually("that build is over", || !checkout.path("hold/build-1").exists());
    checkout.run(&["reset", "--yes"]).ok();
    checkout.run(&["stage", "fix-workflow"]).ok();
    assert_eq!(lab.live(), [STAGES[1].workflow.source, STAGES[1].activities.source]);
}

#[test]
fn while_a_stage_is_being_entered_no_other_command_changes_the_code() {
    let lab = FakeLab::start("entering-alone");
    let checkout = &lab.checkout;
    checkout.write(LIVE_WORKFLOW, MINE);
    checkout.run(&["stage", "jerry"]).ok();
    let list = checkout.run(&["stage", "restore", "--json"]).json();
    let backup = list["backups"][0]["id"].as_str().expect("an edit is saved").to_owned();
    checkout.hold("build-2");
    // For what the command prints.
    checkout.write("target/there", "");
    let mut command = Running::start(checkout, checkout.xtask(&["stage", "fix-workflow"]), "entering-alone");
    checkout.wait_for_held("build-2");
    let (live, progress) = (lab.live(), lab.progress());
    for typed in [&["stage", "restore", &backup][..], &["stage", "jerry", "--bare"], &["reset", "--yes"]] {
        let refused = checkout.run(typed);
        assert!(refused.stderr.contains("another command is entering a stage"), "{typed:?}: {refused:#?}");
        assert_eq!((lab.live(), lab.progress()), (live.clone(), progress.clone()), "{typed:?}");
    }
    checkout.let_go();
    command.wait("the stage is entered");
    assert_eq!(lab.live(), [STAGES[1].workflow.source, STAGES[1].activities.source]);
}

#[test]
fn an_edit_that_is_saved_while_a_stage_is_being_entered_is_put_back_once_its_failure_was_seen() {
    // While the code of the stage before is built, and while its own is.
    for at in [1, 2] {
        let lab = FakeLab::start(&format!("saved-{at}"));
        lab.world().saves = vec![(at, LIVE_ACTIVITIES, MINE)];
        // So that the code of the stage before has to be built, too.
        lab.checkout.write(LIVE_WORKFLOW, "// an edit that is replaced");
        let entered = lab.checkout.run(&["stage", "fix-workflow"]);
        assert_eq!(entered.code, Some(0), "{entered:#?}");
        assert!(
            entered.stderr.contains("you saved an edit while the lab was entering the stage"),
            "{entered:#?}"
        );
        assert_eq!(lab.live(), [STAGES[1].workflow.source, MINE], "saved during build {at}");
        let of_the_stage = lab.progress().transfers;
        let world = lab.world();
        let seen =
            |id: &String| world.transfers.iter().any(|one| one.id == *id && one.has_failed_to_withdraw);
        assert!(of_the_stage.iter().any(seen), "saved during build {at}: {:?}", world.transfers);
    }
}

#[test]
fn an_edit_that_is_saved_meanwhile_does_not_hide_the_one_that_was_there_before() {
    // While the code of the stage before is built, and while its own is.
    for (at, flags) in [(1, &["--json"][..]), (1, &["--json", "--keep"]), (2, &["--json", "--keep"])] {
        let lab = FakeLab::start(&format!("before-{at}-{}", flags.len()));
        lab.checkout.write(LIVE_ACTIVITIES, "// before");
        lab.world().saves = vec![(at, LIVE_ACTIVITIES, MINE)];
        let entered = lab.checkout.run(&[&["stage", "fix-workflow"], flags].concat()).json();
        let said = (&entered["kept"], &entered["newer_in_place"]);
        assert_eq!(said, (&true.into(), &true.into()), "{entered}");
        assert_eq!(lab.live(), [STAGES[1].workflow.source, MINE]);
        let id = entered["saved"]["id"].as_str().expect("the edit before is saved");
        assert_eq!(lab.checkout.read_text(&format!(".lab/backup/{id}/activities.rs")), "// before");
    }
}

#[test]
fn the_page_restores_an_edit_at_the_current_stage_unless_one_is_being_entered() {
    let lab = FakeLab::start("page-restore");
    lab.checkout.write(LIVE_ACTIVITIES, MINE);
    let entered = lab.checkout.run(&["stage", "fix-workflow", "--json"]).json();
    let id = entered["saved"]["id"].as_str().expect("the edit is saved");
    let project = Project { root: lab.checkout.root.clone(), lab: lab.checkout.path(".lab") };
    let mut state = State::read(&project.lab).expect("the lab runs");
    let before = lab.progress();

    let held = File::open(project.in_lab(ENTERING)).expect("a stage was entered");
    held.lock().expect("nobody is entering one");
    let error = saved_edits::restore(&project, &state, id).expect_err("a stage is being entered");
    assert!(error.to_string().starts_with("another command is entering a stage"), "{error:#}");
    assert_eq!(lab.live()[1], STAGES[1].activities.source);
    drop(held);

    let restored = saved_edits::restore(&project, &state, id).expect("it can be restored");
    let said = (&restored["stage"], &restored["saved"], &restored["build_failed"]);
    assert_eq!(said, (&"fix-workflow".into(), &Value::Null, &false.into()), "{restored}");
    assert_eq!(lab.live(), [STAGES[1].workflow.source, MINE]);
    assert_eq!(lab.world().built, lab.live());
    assert_eq!(lab.progress(), before, "the stage is not entered again");

    lab.checkout.write(LIVE_WORKFLOW, NO_RUST);
    let saved = lab.checkout.run(&["stage", "fix-workflow", "--json"]).json();
    let broken = saved["saved"]["id"].as_str().expect("the edit is saved");
    let restored = saved_edits::restore(&project, &state, broken).expect("it can be restored");
    assert_eq!(restored["build_failed"], true, "{restored}");

    // Not every error is one of the compiler's.
    state.token = "another".to_owned();
    saved_edits::restore(&project, &state, id).expect_err("the lab does not build for this request");
}

#[test]
fn kept_code_that_does_not_compile_stays_in_place_while_the_shipped_code_runs() {
    let lab = FakeLab::start("keep-no-rust");
    lab.checkout.write(LIVE_WORKFLOW, NO_RUST);
    let error = lab.checkout.run(&["stage", "jerry", "--keep"]).fails_with(1);
    assert!(
        error.contains("your code does not compile, so the worker runs the shipped code of jerry"),
        "{error}"
    );
    assert_eq!(lab.live()[0], NO_RUST);
    assert_eq!(lab.world().built[0], STAGES[0].workflow.source);
}

#[test]
fn transfers_from_earlier_stages_are_named_and_terminated_only_if_that_is_asked_for() {
    let lab = FakeLab::start("leftovers");
    lab.world().start("left", Place::Deposit);
    let entered = lab.checkout.run(&["stage", "jerry"]);
    assert_eq!(entered.code, Some(0), "{entered:#?}");
    let line =
        "  left: the Activity deposit fails, attempt 3; 5.00 is withdrawn from account_C and not deposited";
    assert!(entered.stderr.contains(line), "{entered:#?}");
    assert!(entered.stderr.contains("cargo xtask stage jerry --keep --clean"), "{entered:#?}");
    assert_eq!(lab.world().transfers[0].place, Place::Deposit);
    let listed = lab.checkout.run(&["stage", "jerry", "--json"]).json();
    assert_eq!(listed["leftovers"][0]["workflow_id"], "left");

    let cleaned = lab.checkout.run(&["stage", "jerry", "--clean", "--json"]).json();
    assert_eq!(cleaned["terminated"], serde_json::json!(["left"]));
    assert_eq!(lab.world().transfers[0].place, Place::Terminated);
}

#[test]
fn a_transfer_of_another_learner_is_neither_named_nor_terminated() {
    let lab = FakeLab::start("leftovers-theirs");
    lab.world().start("ada-1", Place::Deposit);
    let entered = lab.checkout.run(&["stage", "jerry", "--clean", "--json"]).json();
    let none = serde_json::json!([]);
    assert_eq!((&entered["terminated"], &entered["leftovers"]), (&none, &none));
    assert_eq!(lab.world().transfers[0].place, Place::Deposit);
}

#[test]
fn a_transfer_that_the_stage_begins_with_is_not_left_over() {
    let lab = FakeLab::start("no-leftovers");
    lab.world().start("stuck", Place::Task);
    let entered = lab.checkout.run(&["stage", "fix-workflow", "--json"]).json();
    assert_eq!(entered["leftovers"], serde_json::json!([]));
    assert_eq!(entered["transfers"], serde_json::json!(["stuck"]));
}

#[test]
fn a_stage_that_is_left_with_its_goals_reached_is_listed_as_done_until_a_reset() {
    let lab = FakeLab::start("done");
    lab.world().start("first", Place::Task);
    // It has gone on under code that works.
    lab.checkout.write(LIVE_WORKFLOW, MINE);
    lab.checkout.run(&["stage", "jerry", "--keep"]).ok();
    lab.checkout.run(&["check"]).ok();
    let listed = || lab.checkout.run(&["stage"]).ok();
    let line = |number: &str| listed().lines().find(|line| line[2..].starts_with(number)).map(str::to_owned);
    assert_eq!(
        line("1").as_deref().map(|line| (line.starts_with("* 1  jerry "), line.ends_with("  done"))),
        Some((true, true))
    );
    lab.checkout.run(&["stage", "fix-workflow"]).ok();
    assert!(
        line("1").is_some_and(|line| line.starts_with("  1  jerry ") && line.ends_with("  done")),
        "{}",
        listed()
    );
    assert!(
        line("2").is_some_and(|line| line.starts_with("* 2  fix-workflow ") && !line.ends_with("done")),
        "{}",
        listed()
    );
    let json = lab.checkout.run(&["stage", "--json"]).json();
    assert_eq!((&json["stages"][0]["done"], &json["stages"][1]["done"]), (&true.into(), &false.into()));
}
