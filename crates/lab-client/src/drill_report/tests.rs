//! Reports of drills whose histories and ledger are written by hand.

use std::time::Duration;

use lab::{Entry, INCIDENTS, Run};

use super::{
    clock::{span, stamp},
    *,
};
use crate::{progress::Drill, time::rfc3339_exact};

/// When the drills begin, in Unix seconds.
const START: u64 = 1_795_348_800;
/// The Build IDs of the incident's code and of two of the learner's.
const BUG: &str = "00000000000000b0";
const FIRST_TRY: &str = "00000000000000c1";
const FIX: &str = "00000000000000f1";

fn at(seconds: f64) -> String {
    rfc3339_exact(Duration::from_secs_f64(START as f64 + seconds))
}

/// A run's history, event by event.
#[derive(Clone)]
struct History {
    workflow_id: String,
    run_id: String,
    amount: f64,
    events: Vec<Value>,
}

impl History {
    /// A transfer that was started at this second and whose first Workflow Task went to this code.
    fn begin(workflow_id: &str, seconds: f64, amount: f64, build_id: &str) -> History {
        let run_id = format!("run-of-{workflow_id}");
        let mut history = History { workflow_id: workflow_id.to_owned(), run_id, amount, events: Vec::new() };
        let input = json!({ "from_account": "account_A", "to_account": "account_C", "amount": amount });
        let started = json!({ "originalExecutionRunId": history.run_id, "input": { "payloads": [input] } });
        history.add(seconds, "WORKFLOW_EXECUTION_STARTED", started);
        history.task(seconds, build_id);
        history
    }

    fn add(&mut self, seconds: f64, kind: &str, attributes: Value) {
        let id = self.events.len() + 1;
        self.events.push(json!({ "eventId": id.to_string(), "eventTime": at(seconds),
            "eventType": format!("EVENT_TYPE_{kind}"), "xEventAttributes": attributes }));
    }

    /// A worker with this code takes a Workflow Task.
    fn task(&mut self, seconds: f64, build_id: &str) {
        self.add(seconds, "WORKFLOW_TASK_STARTED", json!({ "workerVersion": { "buildId": build_id } }));
    }

    /// A worker with this code takes a Workflow Task and completes it.
    fn whole_task(&mut self, seconds: f64, build_id: &str) {
        self.task(seconds, build_id);
        self.add(seconds, "WORKFLOW_TASK_COMPLETED", json!({}));
    }

    /// The code fails.
    fn fails(mut self, seconds: f64, message: &str) -> History {
        self.add(seconds, "WORKFLOW_TASK_FAILED", json!({ "failure": { "message": message } }));
        self
    }

    /// An Activity completes.
    fn step(&mut self, seconds: f64, activity: &str, input: Value, result: Value) {
        let scheduled = self.events.len() + 1;
        let named = json!({ "activityType": { "name": activity }, "input": { "payloads": [input] } });
        self.add(seconds, "ACTIVITY_TASK_SCHEDULED", named);
        let done = json!({ "scheduledEventId": scheduled.to_string(), "result": { "payloads": [result] } });
        self.add(seconds, "ACTIVITY_TASK_COMPLETED", done);
    }

    /// The steps up to the withdrawal.
    fn withdraws(mut self, seconds: f64, build_id: &str) -> History {
        self.whole_task(seconds, build_id);
        for account in ["account_A", "account_C"] {
            let balance = json!({ "account_id": account, "balance": 1000 });
            self.step(seconds, "check_balance", json!({ "account_id": account }), balance);
        }
        self.step(
            seconds,
            "withdraw",
            json!({ "account_id": "account_A", "amount": self.amount }),
            json!({}),
        );
        self
    }

    /// The deposit and the result.
    fn deposits(mut self, seconds: f64, build_id: &str) -> History {
        self.task(seconds, build_id);
        self.step(seconds, "deposit", json!({ "account_id": "account_C", "amount": self.amount }), json!({}));
        let result = json!({ "success": true, "from_account": "account_A", "to_account": "account_C",
            "amount": self.amount, "from_account_starting_balance": 1000, "to_account_starting_balance": 1000 });
        self.add(seconds, "WORKFLOW_EXECUTION_COMPLETED", json!({ "result": { "payloads": [result] } }));
        self
    }

    /// A Workflow Reset to before the code ran, which starts another run of the transfer.
    fn reset(&self, seconds: f64) -> History {
        let mut reset = History { run_id: format!("{}-again", self.run_id), ..self.clone() };
        reset.events.truncate(2);
        reset.add(
            seconds,
            "WORKFLOW_TASK_FAILED",
            json!({ "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW" }),
        );
        reset
    }
}

/// A drill and what is in the server and in the ledger.
struct Scene {
    progress: Progress,
    histories: Vec<History>,
    entries: Vec<Entry>,
    corrections: Vec<Entry>,
    journal: Vec<(String, String)>,
    /// The second at which the facts are read.
    now: f64,
}

impl Scene {
    fn new(now: f64) -> Scene {
        let progress = Progress {
            entered: at(0.0),
            drill: Some(Drill { seed: 7, last_entry: 10, ended: None }),
            ..Progress::begin(&INCIDENTS[0].stage)
        };
        Scene {
            progress,
            histories: Vec::new(),
            entries: Vec::new(),
            corrections: Vec::new(),
            journal: Vec::new(),
            now,
        }
    }

    fn entry(&self, kind: &str, account: &str, cents: i64, transfer: &str, second: u64) -> Entry {
        Entry {
            id: 11 + (self.entries.len() + self.corrections.len()) as u64,
            account: account.to_owned(),
            kind: kind.to_owned(),
            amount: Money::from_cents(cents),
            transfer: transfer.to_owned(),
            run: None,
            time: START + second,
        }
    }

    /// The ledger has a withdrawal or a deposit of this transfer.
    fn moves(&mut self, history: &History, kind: &str, second: u64) {
        let account = if kind == "withdraw" { "account_A" } else { "account_C" };
        let cents = (history.amount * 100.0).round() as i64;
        let transfer = format!("run-of-{}", history.workflow_id);
        self.entries.push(self.entry(kind, account, cents, &transfer, second));
    }

    fn correct(&mut self, kind: &str, account: &str, cents: i64, second: u64) {
        self.corrections.push(self.entry(kind, account, cents, "", second));
    }

    fn add(&mut self, history: History) {
        self.histories.push(history);
    }

    /// A transfer of $5 from this second on, which gets through at once.
    fn gets_through(&mut self, workflow_id: &str, second: u64, build_id: &str) {
        let seconds = second as f64;
        let history = History::begin(workflow_id, seconds, 5.0, build_id);
        let history = history.withdraws(seconds + 0.2, build_id).deposits(seconds + 0.5, build_id);
        self.moves(&history, "withdraw", second);
        self.moves(&history, "deposit", second);
        self.add(history);
    }

    /// As many safe ones as mitigation takes, one a second from this second on.
    fn five_get_through(&mut self, second: u64, build_id: &str) {
        for at in 0..SAFE as u64 {
            self.gets_through(&format!("safe-{second}-{at}"), second + at, build_id);
        }
    }

    /// A transfer of $5 on whose code the incident's bug panics, at this second.
    fn hit(&self, workflow_id: &str, second: f64) -> History {
        History::begin(workflow_id, second, 5.0, BUG).fails(second + 0.4, "byte index 4 is out of bounds")
    }

    fn type_command(&mut self, second: f64, command: &str) {
        self.journal.push((at(second), command.to_owned()));
    }

    fn end(&mut self, second: f64, gave_up: bool) {
        self.progress.drill = Some(Drill { seed: 7, last_entry: 10, ended: Some((at(second), gave_up)) });
    }

    fn report(&self) -> DrillReport {
        let runs = self.histories.iter().map(|history| {
            let run = Run::new(history.run_id.clone(), history.events.clone(), Value::Null);
            (history.workflow_id.clone(), run)
        });
        let facts = Facts::new(runs.collect(), &[], at(-60.0), Vec::new());
        let facts = Facts {
            entries: self.entries.clone(),
            corrections: self.corrections.clone(),
            met: Some(INCIDENTS[0].met),
            ..facts.of_stage(&self.progress.entered, &[])
        };
        let facts = with_late(facts, START as f64 + self.now);
        DrillReport::of(&self.progress, &facts, &self.journal)
    }

    /// A drill with three hit transfers, fixed at 60 s, and recovered when the last of those completes, at 252 s.
    fn recovered() -> Scene {
        let mut scene = Scene::new(300.0);
        for (at, id) in ["hit-1", "hit-2", "hit-3"].into_iter().enumerate() {
            let history = scene.hit(id, 3.0 + at as f64);
            let done = 62 + 95 * at as u64;
            let history = history.withdraws(done as f64, FIX).deposits(done as f64, FIX);
            scene.moves(&history, "withdraw", done);
            scene.moves(&history, "deposit", done);
            scene.add(history);
        }
        scene.five_get_through(60, FIX);
        scene
    }
}

fn whats(report: &DrillReport) -> Vec<String> {
    report.timeline.iter().map(|moment| format!("{} {}", stamp(moment.seconds), moment.words())).collect()
}

#[test]
fn a_drill_that_nobody_has_touched_is_neither_mitigated_nor_recovered() {
    let mut scene = Scene::new(30.0);
    for (at, id) in ["hit-1", "hit-2"].into_iter().enumerate() {
        scene.add(scene.hit(id, 3.0 + at as f64));
    }
    let report = scene.report();
    let json = report.to_json();
    assert_eq!((report.transfers, report.hits, report.first_sign), (2, 2, Some(3.4)));
    for unknown in ["mitigated_seconds", "recovered_seconds", "score", "explanation", "ended_seconds"] {
        assert!(json[unknown].is_null(), "{unknown}: {json}");
    }
    assert_eq!((&json["outcome"], &json["seed"]), (&json!("in progress"), &json!(7)));
    assert_eq!((&json["money_at_risk"], &json["at_risk_seconds"]), (&json!(0), &json!(0.0)));
    let lines = report.lines().join("\n");
    assert!(lines.contains("in progress: not yet mitigated") && lines.contains("not yet\n"), "{lines}");
    assert!(lines.contains("money at risk  none") && lines.contains("✗ no transfer is stuck"), "{lines}");
    assert!(!lines.contains("good answer"), "{lines}");
}

#[test]
fn a_drill_is_mitigated_before_the_money_of_old_transfers_has_arrived() {
    let mut scene = Scene::new(120.0);
    let waiting = History::begin("waits", 2.0, 12.5, BUG).withdraws(2.5, BUG).fails(3.0, "a panic");
    scene.moves(&waiting, "withdraw", 2);
    scene.add(waiting);
    scene.five_get_through(60, FIX);
    let report = scene.report();
    assert_eq!((report.mitigated, report.recovered, report.score()), (Some(60.0), None, None));
    assert_eq!((report.money_at_risk, report.at_risk), ((Money::from_cents(12_50), 1), None));
    let lines = report.lines().join("\n");
    assert!(lines.contains("mitigated after 1 min 0 s, not yet recovered"), "{lines}");
    assert!(lines.contains("$12.50 in 1 transfer, and not all of it is settled yet"), "{lines}");
}

#[test]
fn a_drill_is_recovered_when_the_last_of_its_goals_is() {
    let mut scene = Scene::recovered();
    scene.progress.hints = 2;
    let report = scene.report();
    assert_eq!((report.first_sign, report.mitigated, report.recovered), (Some(3.4), Some(60.0), Some(252.0)));
    assert_eq!(report.score(), Some(76), "two hints and four minutes");
    let headline = "recovered after 4 min 12 s, score 76 (2 hints); end the drill: cargo xtask drill finish";
    assert_eq!(report.lines()[1], headline);
    scene.end(255.5, false);
    let report = scene.report();
    assert_eq!((report.recovered, report.ended), (Some(252.0), Some(255.5)));
    assert_eq!(report.lines()[1], "recovered after 4 min 12 s, score 76 (2 hints)");
    assert!(report.to_json()["goals"].as_array().expect("goals").iter().all(|goal| goal["reached"] == true));
    assert!(report.explanation().is_some());
    assert!(report.lines().len() <= 40, "{:#?}", report.lines());
    let timeline = whats(&report);
    assert_eq!(timeline.last().map(String::as_str), Some("4:15 the drill was ended"), "{timeline:#?}");
    // The fifth transfer that shows it gets through only then.
    scene.histories.retain(|history| history.workflow_id.starts_with("safe"));
    assert_eq!(scene.report().recovered, Some(64.5));
}

#[test]
fn what_the_lab_does_after_a_drill_changes_no_report() {
    let mut scene = Scene::recovered();
    scene.end(255.5, false);
    let before = scene.report();
    scene.now = 900.0;
    scene.add(scene.hit("later", 400.0));
    scene.correct("deposit", "account_A", 100, 500);
    let after = scene.report();
    assert_eq!(after.to_json(), before.to_json());
}

#[test]
fn a_drill_that_was_given_up_has_no_score_and_explains_itself() {
    let mut scene = Scene::recovered();
    scene.end(100.0, true);
    let report = scene.report();
    assert_eq!((report.recovered, report.score(), report.ended), (None, Some(0), Some(100.0)));
    assert_eq!((report.mitigated, report.conclusion), (Some(60.0), Conclusion::GaveUp));
    assert_eq!(report.lines()[1], "gave up after 1 min 40 s, score 0");
    assert!(report.lines().iter().any(|line| line == "what a good answer looks like"));
    assert!(report.review().contains("The drill was given up after 1 min 40 s."), "{}", report.review());
}

#[test]
fn money_is_at_risk_until_it_is_corrected() {
    let mut scene = Scene::recovered();
    for (id, second) in [("twice-1", 10), ("twice-2", 11)] {
        let seconds = second as f64;
        let history = History::begin(id, seconds, 20.0, BUG).withdraws(seconds, BUG);
        let history = history.deposits(seconds + 1.0, BUG);
        for kind in ["withdraw", "withdraw", "deposit"] {
            scene.moves(&history, kind, second);
        }
        scene.add(history);
    }
    let report = scene.report();
    assert_eq!((report.money_at_risk, report.at_risk), ((Money::from_cents(40_00), 2), None));
    assert_eq!(report.recovered, None);
    for second in [270, 280] {
        scene.type_command(second as f64 + 0.4, "cargo xtask adjust account_A 20 --reason 'charged twice'");
        scene.correct("deposit", "account_A", 20_00, second);
    }
    let report = scene.report();
    assert_eq!((report.at_risk, report.recovered, report.corrections), (Some(270.0), Some(280.4), 2));
    let lines = report.lines().join("\n");
    assert!(lines.contains("$40.00 in 2 transfers, for 4 min 30 s"), "{lines}");
    let timeline = whats(&report);
    let folded = [
        "4:30 $ cargo xtask adjust account_A 20 --reason 'charged twice' (×2), until 4:40",
        "4:30 2 corrections by the bank: $40.00 added, $0.00 taken, until 4:40",
    ];
    assert!(folded.iter().all(|line| timeline.iter().any(|moment| moment == line)), "{timeline:#?}");
}

#[test]
fn many_resets_are_one_line_and_a_second_reset_does_not_count_the_first_again() {
    let mut scene = Scene::new(300.0);
    for at in 0..12 {
        let first = scene.hit(&format!("hit-{at}"), 3.0);
        let mut second = first.reset(70.0 + at as f64);
        if at == 0 {
            let mut third = second.clone();
            third.run_id += "-again";
            third.add(
                90.0,
                "WORKFLOW_TASK_FAILED",
                json!({ "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW" }),
            );
            scene.add(second);
            second = third;
        }
        let history = second.withdraws(95.0, FIX).deposits(95.0, FIX);
        scene.moves(&history, "withdraw", 95);
        scene.moves(&history, "deposit", 95);
        scene.add(first);
        scene.add(history);
    }
    scene.five_get_through(60, FIX);
    let report = scene.report();
    let resets: Vec<&Moment> =
        report.timeline.iter().filter(|moment| moment.what.contains("Workflow Reset")).collect();
    let [resets] = resets[..] else { panic!("{:#?}", report.timeline) };
    assert_eq!((resets.words().as_str(), resets.count), ("13 Workflow Resets, until 1:30", 13));
    assert_eq!(resets.to_json()["until_seconds"], 90.0);
    assert_eq!(report.recovered, Some(95.0));
}

#[test]
fn of_two_deploys_the_one_that_helped_mitigates() {
    let mut scene = Scene::recovered();
    let wrong = History::begin("hit-4", 30.0, 5.0, FIRST_TRY).fails(30.4, "another panic");
    let wrong = wrong.withdraws(61.0, FIX).deposits(61.0, FIX);
    scene.moves(&wrong, "withdraw", 61);
    scene.moves(&wrong, "deposit", 61);
    scene.add(wrong);
    for second in [25.0, 26.0, 27.0] {
        scene.type_command(second, "cargo xtask lab restart worker");
    }
    let report = scene.report();
    assert_eq!((report.mitigated, report.hits), (Some(60.0), 4));
    let timeline = whats(&report);
    let expected = [
        format!("0:03 the worker runs the code with Build ID {BUG}"),
        "0:03 first sign: byte index 4 is out of bounds (hit-1)".to_owned(),
        "0:25 $ cargo xtask lab restart worker (×3), until 0:27".to_owned(),
        format!("0:30 the worker runs the code with Build ID {FIRST_TRY}"),
        format!("1:00 the worker runs the code with Build ID {FIX}"),
        "1:00 mitigated: from here on, new transfers get through by themselves".to_owned(),
        "4:12 recovered: every goal is reached".to_owned(),
    ];
    assert_eq!(timeline, expected);
}

#[test]
fn the_sign_of_a_transfer_that_takes_too_long_is_that_it_has_taken_too_long() {
    let mut scene = Scene::new(60.0);
    scene.add(History::begin("silent", 2.0, 5.0, BUG));
    assert_eq!(scene.report().first_sign, Some(22.0));
}

#[test]
fn a_long_time_line_keeps_its_beginning_and_its_end() {
    let mut scene = Scene::recovered();
    for second in 0..50 {
        scene.type_command(
            70.0 + second as f64,
            ["cargo xtask lab restart worker", "cargo xtask retry"][second % 2],
        );
    }
    let report = scene.report();
    let lines = report.lines();
    assert!(lines.len() <= 40, "{lines:#?}");
    assert!(lines.iter().any(|line| line.ends_with(" more")), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("recovered: every goal")), "{lines:#?}");
    assert!(report.timeline.len() > 50);
}

#[test]
fn an_explanation_says_what_a_good_answer_looks_like_below_a_heading_or_in_a_paragraph() {
    for text in [
        "It broke.\n\n### A good answer\n\nRoll back first.\n\n### Prevent\n\nTest.",
        "It broke.\n\n### What a good answer looks like\nRoll back first.",
        "It broke.\n\nRoll back first. It is a good answer.\nMore.",
        "Roll back first.",
    ] {
        assert!(good_answer(text).starts_with("Roll back first."), "{text}: {}", good_answer(text));
    }
}

/// Panics unless each element that is opened is closed, in order.
fn assert_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    // The style has no markup in it.
    let (head, rest) = html.split_once("<style>").expect("it has a style");
    let (_, body) = rest.split_once("</style>").expect("the style ends");
    for part in [head, body].iter().flat_map(|text| text.split('<').skip(1)) {
        let (tag, text) = part.split_once('>').unwrap_or_else(|| panic!("it ends in a tag: <{part}"));
        assert!(!text.contains('>'), "{text:?} is not escaped");
        assert!(tag.matches('"').count().is_multiple_of(2), "<{tag}>");
        let name = tag.split(' ').next().unwrap_or_default();
        match name.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "it is closed"),
            None if ["!doctype", "meta"].contains(&name) => {}
            None => open.push(name),
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed");
}

#[test]
fn the_page_is_whole_and_loads_nothing() {
    let mut scene = Scene::recovered();
    scene.end(255.5, false);
    for html in [scene.report().html(), Scene::new(1.0).report().html()] {
        assert_well_formed(&html);
        for outside in ["http://", "https://", "src=", "<link", "@import", "url(", "<script"] {
            assert!(!html.contains(outside), "it loads {outside}");
        }
    }
    let html = scene.report().html();
    for part in
        ["recovered after 4 min 12 s", "<h2>Explanation</h2>", "____", "prefers-color-scheme: dark", "@page"]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
}

#[test]
fn markup_in_an_id_a_failure_or_a_command_is_only_text() {
    let mut scene = Scene::recovered();
    let id = "<img src=x onerror=\"alert(1)\">&\u{1b}[2J";
    scene.add(History::begin(id, 1.0, 5.0, BUG).fails(1.2, "</td><script>alert(1)</script>"));
    scene.type_command(5.0, "cargo xtask adjust account_A 1 --reason '<b>\u{202e}'");
    scene.correct("deposit", "<i>account", 1, 6);
    let report = scene.report();
    let html = report.html();
    assert_well_formed(&html);
    assert!(!["<img", "<script", "<b>\u{202e}", "<i>"].iter().any(|markup| html.contains(markup)), "{html}");
    assert!(html.contains("&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;"), "{html}");
    let lines = report.lines().join("\n");
    assert!(!lines.contains('\u{1b}') && !lines.contains('\u{202e}'), "{lines}");
    assert!(!report.review().contains('\u{1b}'));
}

#[test]
fn a_time_span_is_in_the_units_that_a_person_would_use() {
    for (seconds, text) in [(8.42, "8.4 s"), (252.9, "4 min 12 s"), (7500.0, "2 h 5 min"), (-1.0, "0.0 s")] {
        assert_eq!(span(seconds), text);
    }
}
