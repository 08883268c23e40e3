use super::*;

#[test]
fn the_counts_are_read_from_the_line_that_has_them() {
    let line =
        "test result: FAILED. 4 passed; 8 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9s";
    assert_eq!(counts(line), Some((4, 8)));
    let line = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9s";
    assert_eq!(counts(line), Some((12, 0)));
    for line in ["", "running 12 tests", "test result: ok. nonsense", "test a ... ok"] {
        assert_eq!(counts(line), None, "{line}");
    }
}

/// All tests of a lab, of which so many failed.
fn all(failed: u64, replay: Replay) -> Outcome {
    Outcome {
        success: failed == 0,
        tests: Some((12 - failed, failed)),
        replay: Some(replay),
        lab: true,
        replay_only: false,
    }
}

/// The replay alone.
fn alone(failed: u64, replay: Replay) -> Outcome {
    Outcome { tests: Some((1 - failed, failed)), replay_only: true, ..all(failed, replay) }
}

fn broken(ids: &[&str]) -> Vec<Broken> {
    let broken = |id: &&str| Broken { workflow_id: (*id).to_owned(), why: "divide by zero".to_owned() };
    ids.iter().map(broken).collect()
}

/// So many in progress, all replayed, of which these break.
fn in_progress(count: u64, ids: &[&str]) -> Replay {
    Replay { replayed: count, in_progress: count, broken: broken(ids), ..Replay::default() }
}

/// The same with so many completed ones, of which these do not replay.
fn and_completed(replay: Replay, replayed: u64, ids: &[&str]) -> Replay {
    let completed = Completed { replayed, broken: broken(ids), ..Completed::default() };
    Replay { completed, ..replay }
}

#[track_caller]
fn says(outcome: &Outcome, is_ok: bool, sentence: &str) {
    assert_eq!((outcome.sentence().as_str(), outcome.is_ok()), (sentence, is_ok));
    assert_eq!(outcome.to_json()["ok"], is_ok);
}

#[test]
fn a_change_that_replays_is_told_with_what_was_replayed() {
    says(
        &all(0, in_progress(3, &[])),
        true,
        "your change is fit to deploy: 12 tests passed, 3 transfers in progress replay",
    );
    says(
        &all(0, and_completed(in_progress(1, &[]), 5, &[])),
        true,
        "your change is fit to deploy: 12 tests passed, 1 transfer in progress and 5 completed replay",
    );
    says(
        &all(0, and_completed(in_progress(0, &[]), 1, &[])),
        true,
        "your change is fit to deploy: 12 tests passed, none in progress, 1 completed transfer replays",
    );
    says(
        &alone(0, in_progress(1, &[])),
        true,
        "your change breaks nothing in progress: 1 transfer in progress replays",
    );
    says(
        &alone(0, and_completed(in_progress(0, &[]), 5, &[])),
        true,
        "your change breaks nothing: none in progress, 5 completed transfers replay",
    );
}

#[test]
fn what_was_left_out_is_told_with_the_reason() {
    let completed = Completed { replayed: 60, other_build: 40, over_limit: 1, ..Completed::default() };
    says(
        &alone(0, Replay { replayed: 500, in_progress: 812, completed, ..Replay::default() }),
        true,
        "your change breaks nothing in progress: 500 of the 812 transfers in progress and 60 completed replay\n  \
         not replayed: 40 completed transfers that other code ran, wholly or in part, 1 completed transfer older than \
         the newest 100, 312 transfers in progress beyond the first 500",
    );
}

#[test]
fn transfers_that_were_not_read_are_not_said_to_run_the_change_for_they_may_be_pinned() {
    let pinned = Pinned { replayed: 500, broken: Vec::new() };
    says(
        &alone(0, Replay { in_progress: 312, pinned, ..Replay::default() }),
        true,
        "your change breaks nothing: none of the first 500 transfers in progress will run it\n  500 transfers in progress are \
         pinned to their versions and will not run your change; they could be moved to it\n  not replayed: 312 transfers in \
         progress beyond the first 500",
    );
}

#[test]
fn where_nothing_was_replayed_nothing_is_called_unbroken() {
    says(
        &alone(0, Replay::default()),
        false,
        "nothing was replayed, so this says nothing of your change: no transfer is in progress, and the deployed code \
         has completed none\n  start one, then test again: cargo xtask transfer account_A account_B 10",
    );
    let completed = Completed { other_build: 2, ..Completed::default() };
    says(
        &all(0, Replay { completed, ..Replay::default() }),
        true,
        "12 tests passed, but nothing was replayed: no transfer is in progress, and the deployed code has completed \
         none\n  not replayed: 2 completed transfers that other code ran, wholly or in part\n  start one, then test \
         again: cargo xtask transfer account_A account_B 10",
    );
    says(
        &Outcome { replay: None, lab: false, ..all(0, Replay::default()) },
        true,
        "12 tests passed, but nothing was replayed: no lab runs",
    );
}

#[test]
fn a_change_that_breaks_transfers_in_progress_names_them() {
    says(
        &all(1, in_progress(2, &["a"])),
        false,
        "this change breaks 1 transfer in progress: a; deployed, it makes its Workflow Tasks fail\n  divide by zero",
    );
    says(
        &all(3, in_progress(9, &["a", "b", "c", "d", "e", "f", "g"])),
        false,
        "this change breaks 7 transfers in progress: a, b, c, d, e and 2 more; deployed, it makes their Workflow Tasks \
         fail; 2 more tests fail too\n  divide by zero",
    );
    says(
        &all(4, in_progress(2, &[])),
        false,
        "your change is not fit to deploy: 4 tests fail, 8 passed; see above why",
    );
}

#[test]
fn completed_transfers_decide_only_where_none_is_in_progress() {
    says(
        &alone(1, and_completed(in_progress(0, &[]), 2, &["a"])),
        false,
        "this change does not replay 1 completed transfer of the deployed code: a; one like that in progress would \
         break\n  divide by zero",
    );
    says(
        &alone(0, and_completed(in_progress(3, &[]), 2, &["a", "b"])),
        true,
        "your change breaks nothing in progress: 3 transfers in progress replay\n  note: 2 completed transfers of the \
         deployed code do not replay: a, b; one like that in progress would break\n  divide by zero",
    );
}

#[test]
fn what_is_pinned_to_a_version_does_not_run_the_change() {
    let pinned = Pinned { replayed: 3, broken: Vec::new() };
    let completed = Completed { pinned: 7, ..Completed::default() };
    says(
        &alone(0, Replay { pinned, completed, ..Replay::default() }),
        true,
        "your change breaks nothing: no transfer in progress will run it\n  3 transfers in progress are pinned to their \
         versions and will not run your change; they could be moved to it\n  not replayed: 7 completed transfers that were \
         pinned to a version",
    );
    let pinned = Pinned { replayed: 1, broken: broken(&["a"]) };
    says(
        &all(0, Replay { pinned, ..in_progress(2, &[]) }),
        true,
        "your change is fit to deploy: 12 tests passed, 2 transfers in progress replay\n  1 transfer in progress is pinned to \
         its version and will not run your change; moved to it, 1 would break: a",
    );
}

#[test]
fn what_was_not_tested_is_not_fit() {
    let outcome = Outcome { success: false, lab: true, ..Outcome::default() };
    assert!(!outcome.is_ok() && outcome.sentence().contains("was not tested"));
    // A filter that fits no test.
    let outcome = Outcome { success: true, tests: Some((0, 0)), ..Outcome::default() };
    assert!(!outcome.is_ok() && !outcome.sentence().contains("passed, but"), "{}", outcome.sentence());
}

#[test]
fn a_report_is_read_as_the_tests_write_it() {
    let file = std::env::temp_dir().join(format!("replay report {}", std::process::id()));
    let report = json!({
        "replayed": 1, "in_progress": 2, "broken": [], "pinned": { "replayed": 6, "broken": [] },
        "completed": { "build_id": "b", "replayed": 3, "other_build": 4, "pinned": 7, "over_limit": 5,
                       "broken": [{ "workflow_id": "a", "run_id": "r", "why": "divide by zero" }] },
    });
    fs::write(&file, report.to_string()).expect("temporary files can be written");
    let replay = Replay::read(&file).expect("it is a report");
    let completed =
        Completed { replayed: 3, other_build: 4, pinned: 7, over_limit: 5, broken: broken(&["a"]) };
    let pinned = Pinned { replayed: 6, broken: Vec::new() };
    assert_eq!(replay, Replay { replayed: 1, in_progress: 2, broken: Vec::new(), pinned, completed });
    fs::remove_file(file).expect("it is there");
}
