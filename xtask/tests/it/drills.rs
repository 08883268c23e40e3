//! Drills by command, in a lab without its programs: entering, what commands say on the way, the journal, and the end.

use lab::{INCIDENTS, LIVE_WORKFLOW, STAGES};
use serde_json::{Value, json};

use crate::{
    fake_lab::{FakeLab, Place},
    support::{Checkout, Outcome},
};

const MINE: &str = "// my fix";
/// The incident of these tests.
const NAME: &str = "some-never-arrive";

fn in_drill(name: &str) -> FakeLab {
    let lab = FakeLab::start(name);
    lab.checkout.run(&["drill", NAME, "--seed", "42"]).ok();
    lab
}

fn stage() -> &'static lab::Stage {
    &lab::incident(NAME).expect("an incident of the table").stage
}

/// That nothing of it says where the bug is, and nothing is about a stage.
#[track_caller]
fn assert_no_spoiler(outcome: &Outcome) {
    let spoilers = [stage().workflow.name, "lab/drills", "Explanation", "plan:", "stage 1", "next stage"];
    for part in spoilers {
        assert!(!outcome.stdout.contains(part) && !outcome.stderr.contains(part), "{part}: {outcome:#?}");
    }
}

#[test]
fn a_drill_saves_an_edit_first_and_prints_its_ticket_its_seed_and_what_to_type() {
    let lab = FakeLab::start("drill");
    lab.checkout.write(LIVE_WORKFLOW, MINE);
    let entered = lab.checkout.run(&["drill", NAME, "--seed", "42"]);
    assert_eq!(entered.code, Some(0), "{entered:#?}");
    assert_no_spoiler(&entered);
    assert!(entered.stderr.contains("your changes are saved in .lab/backup/"), "{entered:#?}");
    let backups = lab.checkout.run(&["stage", "restore", "--json"]).json();
    let id = backups["backups"][0]["id"].as_str().expect("the edit is saved").to_owned();
    assert_eq!(lab.checkout.read_text(&format!(".lab/backup/{id}/workflow.rs")), MINE);

    let said = &entered.stdout;
    let ticket = stage().text.section("Ticket");
    assert!(ticket.lines().all(|line| said.contains(line)) && !ticket.is_empty(), "{said}");
    for part in [
        format!("drill {}, seed 42", stage().heading()),
        "cargo xtask drill status".to_owned(),
        "cargo xtask lab logs worker".to_owned(),
        format!("cargo xtask drill {NAME} --seed 42"),
    ] {
        assert!(said.contains(&part), "{part}: {said}");
    }
    assert_eq!(lab.live(), [stage().workflow.source, stage().activities.source]);
    let progress = lab.progress();
    let drill = progress.drill.expect("it is ready");
    assert_eq!((progress.stage.name, drill.seed, drill.last_entry, drill.ended), (NAME, 42, 1, None));

    // The learner goes back to where the edit was made.
    let restored = lab.checkout.run(&["stage", "restore", &id]);
    assert_eq!(restored.code, Some(0), "{restored:#?}");
    assert!(restored.stderr.contains(&format!("this leaves the drill {NAME}")), "{restored:#?}");
    let progress = lab.progress();
    assert_eq!((lab.live()[0].as_str(), progress.stage.name, progress.drill), (MINE, "jerry", None));
}

#[test]
fn an_edit_that_was_made_in_a_drill_is_restored_without_ending_it() {
    let lab = in_drill("drill-restore");
    lab.checkout.write(LIVE_WORKFLOW, MINE);
    let entered = lab.checkout.run(&["drill", NAME, "--seed", "43", "--json"]).json();
    assert_eq!((&entered["seed"], &entered["number"]), (&json!(43), &Value::Null), "{entered}");
    assert_eq!(entered["ticket"].as_str(), Some(stage().text.section("Ticket")));
    let id = entered["saved"]["id"].as_str().expect("the edit is saved");
    let restored = lab.checkout.run(&["stage", "restore", id]);
    assert_eq!(restored.code, Some(0), "{restored:#?}");
    assert_no_spoiler(&restored);
    assert_eq!(lab.live()[0], MINE);
    assert_eq!(lab.progress().drill.map(|drill| drill.seed), Some(43));
}

#[test]
fn what_other_commands_say_in_a_drill_gives_nothing_away_and_names_no_stage() {
    let lab = in_drill("drill-words");
    let heading = format!("drill {}", stage().heading());
    let run = |words: &[&str]| {
        let outcome = lab.checkout.run(words);
        assert_no_spoiler(&outcome);
        outcome.stdout
    };
    let status = run(&["lab", "status"]);
    assert_eq!(status.lines().next(), Some(&*heading), "{status}");
    let json = lab.checkout.run(&["lab", "status", "--json"]).json();
    assert_eq!((&json["stage"], &json["number"]), (&json!(NAME), &Value::Null));
    for words in [&["check"][..], &["drill", "status"], &["drill"]] {
        let said = run(words);
        assert_eq!(said.lines().next(), Some(&*heading), "{said}");
        assert!(said.contains("transfers: 0 in progress, 0 hit, 0 of 5 safe"), "{said}");
        let last = said.lines().last().unwrap_or_default();
        assert!(last.ends_with(" of 5 reached; a hint: cargo xtask drill hint"), "{said}");
    }
    assert_eq!(lab.checkout.run(&["check"]).code, Some(1));
    let json = lab.checkout.run(&["drill", "status", "--json"]).json();
    let said = [&json["reached"], &json["drill"]["seed"], &json["drill"]["name"]];
    assert_eq!(said, [&json!(false), &json!(42), &json!(NAME)], "{json}");
    let listed = run(&["stage"]);
    let current = format!("the lab is in the {heading}");
    assert!(!listed.contains("* ") && listed.contains(&current), "{listed}");
    let stages = lab.checkout.run(&["stage", "--json"]).json();
    let stages = stages["stages"].as_array().expect("there is a list");
    assert!(stages.iter().all(|stage| stage["current"] == false), "{stages:?}");
    let doctor = lab.checkout.run(&["doctor", "--json"]).findings_of("drill");
    assert_eq!(doctor[0]["says"], NAME, "{doctor:?}");
}

#[test]
fn a_hint_counts_once_and_the_first_ones_can_be_read_again() {
    let lab = in_drill("drill-hints");
    let hints = stage().text.hints();
    let said = lab.checkout.run(&["drill", "hint"]).ok();
    assert!(said.contains(&hints[0]) && said.contains("costs 10 points: cargo xtask drill hint"), "{said}");
    lab.checkout.run(&["hint"]).ok();
    for _ in 0..2 {
        let again = lab.checkout.run(&["drill", "hint", "--again"]).ok();
        let has = |at: usize| again.contains(&hints[at]);
        assert!(has(0) && has(1) && !has(2), "{again}");
    }
    assert_eq!(lab.progress().hints, 2);
    let mut last = String::new();
    for _ in 2..5 {
        last = lab.checkout.run(&["drill", "hint"]).ok();
    }
    assert!(last.contains(hints.last().expect("there are some")), "{last}");
    assert!(last.contains("cargo xtask drill give-up") && !last.contains("--diff"), "{last}");
    assert_eq!(lab.progress().hints, hints.len());
}

#[test]
fn after_a_drill_every_hint_can_be_read_and_none_counts() {
    let lab = in_drill("drill-hints-after");
    lab.checkout.run(&["drill", "hint"]).ok();
    lab.checkout.run(&["drill", "give-up"]).ok();
    for words in [&["drill", "hint"][..], &["hint"], &["hint", "--again"]] {
        let said = lab.checkout.run(words).ok();
        assert!(stage().text.hints().iter().all(|hint| said.contains(hint)), "{said}");
    }
    assert_eq!(lab.progress().hints, 1);
}

#[test]
fn an_edit_that_is_saved_while_a_drill_is_being_entered_is_kept_and_not_put_over_its_code() {
    let lab = FakeLab::start("drill-saved");
    lab.world().saves = vec![(1, LIVE_WORKFLOW, MINE)];
    let shipped = [stage().workflow.source, stage().activities.source];
    let entered = lab.checkout.run(&["drill", NAME, "--seed", "42"]);
    assert_eq!(entered.code, Some(0), "{entered:#?}");
    assert_eq!(lab.live(), shipped);
    let backups = lab.checkout.run(&["stage", "restore", "--json"]).json();
    let id = backups["backups"][0]["id"].as_str().expect("the edit is saved").to_owned();
    assert_eq!(lab.checkout.read_text(&format!(".lab/backup/{id}/workflow.rs")), MINE);
    for part in ["you saved an edit while the lab was entering the drill", &format!("stage restore {id}")] {
        assert!(entered.stderr.contains(part), "{part}: {entered:#?}");
    }
    lab.checkout.run(&["drill", NAME, "--seed", "42"]).ok();
    assert_eq!(lab.live(), shipped);
}

#[test]
fn a_drill_that_was_not_made_ready_is_started_again_with_its_seed() {
    let lab = in_drill("drill-interrupted");
    let mut progress: Value = serde_json::from_str(&lab.checkout.read_text(".lab/stage.json")).expect("JSON");
    progress["drill"] = Value::Null;
    lab.checkout.write(".lab/stage.json", progress.to_string());
    let command = format!("to start it again: cargo xtask drill {NAME} --seed 42");
    let error = lab.checkout.run(&["drill", "status"]).fails_with(1);
    assert!(error.contains(&command), "{error}");
    for words in [&["check"][..], &["drill"]] {
        let told = lab.checkout.run(words);
        assert!(told.stdout.contains(&command) || told.stderr.contains(&command), "{words:?}: {told:#?}");
    }
}

#[test]
fn how_the_bank_of_an_incident_behaves_is_not_given_away() {
    let lab = FakeLab::start("drill-bank");
    let show = || lab.checkout.run(&["real-world-mode"]).ok();
    assert_eq!(show(), "Real World Mode is off\n");
    for name in ["slow-afternoon", NAME] {
        lab.checkout.run(&["drill", name, "--seed", "42"]).ok();
        assert_eq!(show(), "how the bank behaves in a drill is for you to find out\n");
        assert_eq!(lab.checkout.run(&["real-world-mode", "--json"]).json()["enabled"], Value::Null);
    }
}

#[test]
fn without_a_drill_its_commands_say_how_to_start_one() {
    let lab = FakeLab::start("no-drill");
    for words in [
        &["drill", "status"][..],
        &["drill", "hint"],
        &["drill", "finish"],
        &["drill", "give-up"],
        &["drill", "report"],
        &["adjust", "account_A", "5", "--reason", "twice"],
    ] {
        let error = lab.checkout.run(words).fails_with(1);
        assert!(error.contains("no drill is in progress; to start one: cargo xtask drill"), "{error}");
    }
    let listed = lab.checkout.run(&["drill"]).ok();
    for (number, incident) in (1..).zip(INCIDENTS) {
        let line = format!("{number:>2}  {}", incident.stage.name);
        assert!(listed.contains(&line) && listed.contains(incident.stage.title()), "{listed}");
    }
    assert_eq!(lab.checkout.run(&["drill", "--json"]).json()["drill"], Value::Null);
    // Also where the lab is down.
    let down = Checkout::without_server("no-drill-down");
    assert_eq!(down.run(&["drill"]).ok(), listed);
    let error = down.run(&["drill", "finish"]).fails_with(1);
    assert!(error.contains("no drill is in progress"), "{error}");
}

#[test]
fn a_random_drill_can_be_played_by_a_colleague() {
    let lab = FakeLab::start("drill-random");
    // An incident may begin with transfers, which this lab does not hold up: then its command ends with an error.
    lab.checkout.run(&["drill", "--random", "--json"]);
    let Some(drill) = lab.progress().drill else { return };
    let stage = lab.progress().stage;
    assert_eq!(lab::incident_of(drill.seed).stage, *stage);
    let again = lab.checkout.run(&["drill", "--seed", &drill.seed.to_string(), "--json"]).json();
    assert_eq!((&again["stage"], &again["seed"]), (&json!(stage.name), &json!(drill.seed)));
}

#[test]
fn the_journal_has_what_was_typed_to_change_something_until_the_next_drill_begins() {
    let lab = in_drill("drill-journal");
    let journal = || -> Vec<String> {
        let read = lab_client::journal::read(&lab.checkout.path(".lab"));
        read.into_iter().map(|(_, command)| command).collect()
    };
    assert_eq!(journal(), [""; 0]);
    for words in [
        &["lab", "status"][..],
        &["check"],
        &["drill", "status"],
        &["ledger"],
        &["outage"],
        &["transfer", "account_A", "account_B", "5"],
        &["drill", "hint"],
        &["adjust", "account_A", "5", "--reason", "withdrawn twice"],
        &["drill", "report"],
    ] {
        lab.checkout.run(words);
    }
    let expected = [
        "cargo xtask transfer account_A account_B 5",
        "cargo xtask drill hint",
        "cargo xtask adjust account_A 5 --reason 'withdrawn twice'",
    ];
    assert_eq!(journal(), expected);
    let report = lab.checkout.run(&["drill", "report", "--json"]).json();
    assert!(report["timeline"].to_string().contains("cargo xtask transfer"), "{report}");
    lab.checkout.run(&["drill", "give-up"]).ok();
    lab.checkout.run(&["outage", "deposits", "down"]).ok();
    let last = journal().pop();
    assert_eq!(last.as_deref(), Some("cargo xtask drill give-up"), "the drill has ended");
    lab.checkout.run(&["drill", NAME]).ok();
    assert_eq!(journal(), [""; 0]);
}

#[test]
fn a_drill_that_is_not_resolved_goes_on_and_giving_up_shows_the_explanation_and_the_fix() {
    let lab = in_drill("drill-end");
    let refused = lab.checkout.run(&["drill", "finish"]);
    assert_eq!(refused.code, Some(1), "{refused:#?}");
    assert!(refused.stdout.contains("[ ] new transfers get through by themselves"), "{refused:#?}");
    assert!(refused.stderr.contains("the drill goes on"), "{refused:#?}");
    assert_no_spoiler(&refused);
    assert_eq!(lab.progress().drill.and_then(|drill| drill.ended), None);

    lab.checkout.write(LIVE_WORKFLOW, MINE);
    let gave_up = lab.checkout.run(&["drill", "give-up"]).ok();
    let fix = lab::stage(stage().fixed_by.expect("it is fixed")).expect("a stage");
    let header = format!("{LIVE_WORKFLOW} of {}", fix.name);
    for part in ["gave up after", "score 0", "-// my fix", &header, "cargo xtask drill give-up --fix"] {
        assert!(gave_up.contains(part), "{part}: {gave_up}");
    }
    let explanation = stage().text.section("Explanation");
    let first = explanation.lines().find(|line| !line.is_empty() && !line.starts_with("<!--"));
    let is_shown = |line: &str| gave_up.contains(line.trim_start_matches('#').trim_start());
    assert!(first.is_none_or(is_shown), "{gave_up}");
    assert!(lab.progress().drill.is_some_and(|drill| drill.ended.is_some_and(|(_, gave_up)| gave_up)));
    assert_eq!(lab.live()[0], MINE, "it is only shown");

    lab.checkout.run(&["drill", "give-up", "--fix"]).ok();
    assert_eq!(lab.live(), [fix.workflow.source, fix.activities.source]);
    let backups = lab.checkout.run(&["stage", "restore", "--json"]).json();
    let id = backups["backups"][0]["id"].as_str().expect("the edit is saved");
    assert_eq!(lab.checkout.read_text(&format!(".lab/backup/{id}/workflow.rs")), MINE);
    for words in
        [&["drill", "finish"][..], &["drill", "give-up"], &["adjust", "account_A", "5", "--reason", "late"]]
    {
        let error = lab.checkout.run(words).fails_with(1);
        assert!(error.contains("the drill has ended; to start another: cargo xtask drill"), "{error}");
    }
    let report = lab.checkout.run(&["drill", "report", "--json"]).json();
    assert_eq!((&report["outcome"], &report["score"]), (&json!("gave up"), &json!(0)), "{report}");
    assert!(!lab.progress().is_done(stage()));
    let listed = lab.checkout.run(&["drill"]);
    assert!(listed.stderr.contains("its report: cargo xtask drill report"), "{listed:#?}");
}

#[test]
fn a_report_is_written_to_a_file_that_is_replaced_only_by_force() {
    let lab = in_drill("drill-report");
    let path = lab.checkout.path("report.html");
    let file = path.to_str().expect("it is text");
    let said = lab.checkout.run(&["drill", "report", "--html", file]).ok();
    assert_eq!(said, format!("wrote {file}\n"));
    assert!(lab.checkout.read_text("report.html").contains(stage().title()));
    let error = lab.checkout.run(&["drill", "report", "--html", file]).fails_with(1);
    assert!(error.contains("replace it with --force"), "{error}");
    lab.checkout.run(&["drill", "report", "--html", file, "--force"]).ok();
}

#[test]
fn an_account_is_corrected_once_although_the_bank_answers_with_errors() {
    let lab = in_drill("drill-adjust");
    lab.world().bank_errors = 2;
    let adjusted = lab.checkout.run(&["adjust", "account_A", "-5.50", "--reason", "given twice"]);
    assert_eq!(adjusted.stdout, "withdrew 5.50 from account_A, which now holds 1005.50\n", "{adjusted:#?}");
    let asked = lab.world().adjusted.clone();
    let (path, body, key) = asked[0].clone();
    assert_eq!((&*path, &*body), ("/accounts/account_A/withdraw", r#"{"amount":5.5}"#));
    assert!(key.starts_with("adjust-") && asked.len() == 3, "{asked:?}");
    assert!(asked.iter().all(|(_, _, other)| *other == key), "{asked:?}");
    let json = lab.checkout.run(&["adjust", "account_C", "7", "--reason", "lost", "--json"]).json();
    assert_eq!((&json["change"], &json["balance"]), (&json!(7), &json!(1005.5)));
    let asked = lab.world().adjusted.clone();
    assert!(asked[3].0 == "/accounts/account_C/deposit" && asked[3].2 != key, "{asked:?}");

    for (account, amount, reason, part) in [
        ("account_a", "5", "x", "did you mean account_A?"),
        ("account_A", "0", "x", "greater than zero"),
        ("account_A", "1.001", "x", "two decimals"),
        ("account_A", "much", "x", "a number"),
        ("account_A", "5", " ", "say why"),
    ] {
        let error = lab.checkout.run(&["adjust", account, amount, "--reason", reason]).fails_with(2);
        assert!(error.contains(part), "{error}");
    }
    assert_eq!(lab.world().adjusted.len(), 4);
}

#[test]
fn the_ledger_is_shown_by_transfer() {
    let lab = in_drill("drill-ledger");
    lab.world().start("transfer-1", Place::Completed);
    let shown = lab.checkout.run(&["ledger"]).ok();
    assert!(shown.contains("0 of 1 transfers have moved money"), "{shown}");
    let json = lab.checkout.run(&["ledger", "--json", "--transfer", "transfer-1"]).json();
    assert_eq!(json["transfers"][0]["status"], "completed", "{json}");
    let uneven = lab.checkout.run(&["ledger", "--json", "--uneven"]).json();
    assert_eq!((&uneven["transfers"], &uneven["differences"]), (&json!([]), &json!({})));
    let error = lab.checkout.run(&["ledger", "--transfer", "nope"]).fails_with(1);
    assert!(error.contains("the current drill has no transfer nope"), "{error}");
    let error = lab.checkout.run(&["ledger", "--account", "account_a"]).fails_with(2);
    assert!(error.contains("did you mean account_A?"), "{error}");
}

#[test]
fn no_transfer_is_deleted_in_a_drill() {
    let lab = in_drill("drill-delete");
    let refused = lab.checkout.run(&["temporal", "workflow", "delete", "--workflow-id", "t"]).fails_with(1);
    assert!(refused.contains("stays on record") && refused.contains("workflow reset --help"), "{refused}");
}

#[test]
fn a_reset_ends_a_drill() {
    let lab = in_drill("drill-reset");
    lab.checkout.run(&["reset", "--yes"]).ok();
    let progress = lab.progress();
    assert_eq!((progress.stage, progress.drill), (&STAGES[0], None));
}
