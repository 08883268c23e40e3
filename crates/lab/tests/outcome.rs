//! What an incident did to transfers whose histories and ledger are written by hand, and how its goals are judged by that.

use std::collections::BTreeSet;

use contract::Money;
use lab::{Entry, Facts, INCIDENTS, Incident, Outcome, Report, Run, SAFE, Verdict, incident};
use serde_json::{Value, json};

/// The Build IDs of the incident's code and of the learner's.
const BUG: &str = "00000000000000b0";
const FIX: &str = "00000000000000f1";
const OTHER: &str = "00000000000000c2";

/// The error of a bank that has a problem of its own, and the one of an account that it does not have.
const BANK_ERROR: &str =
    "http://127.0.0.1:5050/accounts/account_A/withdraw answered 500 Internal Server Error: try again";
const NO_ACCOUNT: &str = "Account not found";

fn time(seconds: f64) -> String {
    format!("2026-11-22T12:{:02}:{:06.3}Z", seconds as u64 / 60, seconds % 60.0)
}

/// The history of one run of a transfer from account_A to account_C, event by event.
#[derive(Clone)]
struct History {
    id: &'static str,
    run: String,
    amount: f64,
    now: f64,
    build_id: &'static str,
    events: Vec<Value>,
    description: Value,
    /// The attributes that its Activities are scheduled with, besides those that all have.
    options: Value,
}

impl History {
    /// Started at this second, with its first Workflow Task completed by this code.
    fn begin(id: &'static str, second: f64, amount: f64, build_id: &'static str) -> History {
        History::to("account_C", id, second, amount, build_id)
    }

    fn to(account: &str, id: &'static str, second: f64, amount: f64, build_id: &'static str) -> History {
        let mut history = History {
            id,
            run: format!("run-{id}"),
            amount,
            now: second,
            build_id,
            events: Vec::new(),
            description: Value::Null,
            options: json!({ "retryPolicy": { "initialInterval": "1s" } }),
        };
        let input = json!({ "from_account": "account_A", "to_account": account, "amount": amount });
        let started = json!({ "originalExecutionRunId": history.run, "input": [input], "taskQueue": { "name": "own" } });
        history.add("WORKFLOW_EXECUTION_STARTED", started);
        history
    }

    fn add(&mut self, kind: &str, attributes: Value) -> String {
        let id = self.events.len() + 1;
        self.events.push(json!({ "eventId": id.to_string(), "eventTime": time(self.now),
            "eventType": format!("EVENT_TYPE_{kind}"), "xEventAttributes": attributes }));
        // A transfer whose first Workflow Task is the first one of a deploy counts as started under it.
        if kind != "WORKFLOW_EXECUTION_STARTED" {
            self.now += 0.001;
        }
        id.to_string()
    }

    /// So many seconds later.
    fn after(mut self, seconds: f64) -> History {
        self.now += seconds;
        self
    }

    /// With this code from now on.
    fn under(mut self, build_id: &'static str) -> History {
        self.build_id = build_id;
        self
    }

    fn task_starts(mut self) -> History {
        self.add("WORKFLOW_TASK_STARTED", json!({ "workerVersion": { "buildId": self.build_id } }));
        self
    }

    /// A worker completes a Workflow Task.
    fn task(self) -> History {
        let mut history = self.task_starts();
        let version = json!({ "workerVersion": { "buildId": history.build_id } });
        history.add("WORKFLOW_TASK_COMPLETED", version);
        history
    }

    /// A worker fails it.
    fn task_fails(self, cause: &str, message: &str) -> History {
        let mut history = self.task_starts();
        let started = history.events.len().to_string();
        let failed = json!({ "cause": format!("WORKFLOW_TASK_FAILED_CAUSE_{cause}"), "startedEventId": started,
            "failure": { "message": message } });
        history.add("WORKFLOW_TASK_FAILED", failed);
        history
    }

    /// A worker takes it and does not answer.
    fn task_times_out(self) -> History {
        let mut history = self.task_starts();
        let started = history.events.len().to_string();
        let timed_out = json!({ "startedEventId": started, "timeoutType": "TIMEOUT_TYPE_START_TO_CLOSE" });
        history.add("WORKFLOW_TASK_TIMED_OUT", timed_out);
        history
    }

    /// An Activity is scheduled, and after so many seconds of its last attempt it ends so.
    fn activity(&mut self, kind: &str, input: Value, attempt: u64, took: f64, kind_of_end: &str, end: Value) {
        let mut scheduled =
            json!({ "activityType": { "name": kind }, "input": [input], "taskQueue": { "name": "own" } });
        for (name, value) in self.options.as_object().expect("an object") {
            scheduled[name] = value.clone();
        }
        let scheduled = self.add("ACTIVITY_TASK_SCHEDULED", scheduled);
        let last = if attempt > 1 { json!({ "message": BANK_ERROR }) } else { Value::Null };
        let started = json!({ "scheduledEventId": scheduled, "attempt": attempt, "lastFailure": last });
        let started = self.add("ACTIVITY_TASK_STARTED", started);
        self.now += took;
        let mut end = end;
        end["scheduledEventId"] = scheduled.into();
        end["startedEventId"] = started.into();
        self.add(kind_of_end, end);
    }

    fn answers(mut self, kind: &str, input: Value, attempt: u64, result: Value) -> History {
        self.activity(kind, input, attempt, 0.0, "ACTIVITY_TASK_COMPLETED", json!({ "result": [result] }));
        self
    }

    /// Both balances are read; the account holds so many dollars.
    fn reads(self, balance: f64) -> History {
        let to = self.events[0]["xEventAttributes"]["input"][0]["to_account"].clone();
        self.answers("check_balance", json!({ "account_id": "account_A" }), 1, json!({ "balance": balance }))
            .answers("check_balance", json!({ "account_id": to }), 1, json!({ "balance": 750 }))
    }

    fn withdraws(self, attempt: u64) -> History {
        let input = json!({ "account_id": "account_A", "amount": self.amount });
        self.answers("withdraw", input, attempt, json!({ "new_balance": 1 }))
    }

    fn deposits(self, attempt: u64) -> History {
        let input = json!({ "account_id": "account_C", "amount": self.amount });
        self.answers("deposit", input, attempt, json!({ "new_balance": 1 }))
    }

    fn completes(mut self) -> History {
        let result = json!({ "success": true, "from_account": "account_A", "to_account": "account_C",
            "amount": self.amount, "from_account_starting_balance": 1000, "to_account_starting_balance": 750 });
        self.add("WORKFLOW_EXECUTION_COMPLETED", json!({ "result": [result] }));
        self
    }

    /// An Activity fails for good, and the transfer with it.
    fn refused(mut self, kind: &str, attempt: u64, failure_type: &str, message: &str) -> History {
        let failure = json!({ "message": message, "applicationFailureInfo": { "type": failure_type } });
        let end = json!({ "failure": failure, "retryState": "RETRY_STATE_NON_RETRYABLE_FAILURE" });
        self.activity(kind, json!({}), attempt, 0.0, "ACTIVITY_TASK_FAILED", end);
        self.fails(message)
    }

    fn fails(mut self, message: &str) -> History {
        self.add("WORKFLOW_EXECUTION_FAILED", json!({ "failure": { "message": message } }));
        self
    }

    fn terminated(mut self) -> History {
        self.add("WORKFLOW_EXECUTION_TERMINATED", json!({ "reason": "reset" }));
        self
    }

    /// All of it, each movement in this attempt.
    fn whole(id: &'static str, second: f64, amount: f64, build_id: &'static str, attempt: u64) -> History {
        let begun = History::begin(id, second, amount, build_id).task().reads(1000.0);
        begun.task().withdraws(attempt).task().deposits(attempt).task().completes()
    }

    /// A Workflow Reset at this second, to before the code ran: another run of the transfer.
    fn reset(&self, second: f64) -> History {
        let mut reset = History { run: format!("{}-again", self.run), now: second, ..self.clone() };
        reset.events.truncate(1);
        reset.add("WORKFLOW_TASK_FAILED", json!({ "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW" }));
        reset
    }
}

/// A drill: what is in the server and in the ledger.
struct World {
    incident: &'static Incident,
    runs: Vec<History>,
    entries: Vec<Value>,
    corrections: Vec<Value>,
    late: BTreeSet<String>,
}

impl World {
    fn of(name: &str) -> World {
        let incident = incident(name).expect("an incident of the table");
        World {
            incident,
            runs: Vec::new(),
            entries: Vec::new(),
            corrections: Vec::new(),
            late: BTreeSet::new(),
        }
    }

    /// A run; and these entries of its transfer in the ledger, each a kind and the last letter of its account.
    fn with(mut self, history: History, entries: &[(&str, char)]) -> World {
        for (kind, account) in entries {
            let transfer = history.events[0]["xEventAttributes"]["originalExecutionRunId"].clone();
            self.entries
                .push(json!({ "id": self.entries.len() + 11, "account_number": format!("account_{account}"),
                "kind": kind, "amount": history.amount, "transfer": transfer, "time": 0 }));
        }
        self.runs.push(history);
        self
    }

    /// Transfers of 5.00 that get through with two attempts of each movement.
    fn with_safe(mut self, ids: &[&'static str], second: f64, build_id: &'static str) -> World {
        for (at, id) in ids.iter().enumerate() {
            let history = History::whole(id, second + at as f64, 5.0, build_id, 2);
            self = self.with(history, MOVED);
        }
        self
    }

    fn corrected(mut self, kind: &str, account: &str, amount: f64) -> World {
        self.corrections.push(json!({ "id": 900, "account_number": account, "kind": kind, "amount": amount,
            "transfer": null, "time": 0 }));
        self
    }

    fn facts(&self) -> Facts {
        let run = |history: &History| {
            let run = Run::new(history.run.clone(), history.events.clone(), history.description.clone());
            (history.id.to_owned(), run)
        };
        let runs = self.runs.iter().map(run).collect();
        let facts = Facts::new(runs, &self.entries, String::new(), Vec::new());
        Facts {
            met: Some(self.incident.met),
            accounts: ["account_A", "account_C"].map(str::to_owned).into(),
            corrections: self.corrections.iter().filter_map(Entry::correction).collect(),
            late: self.late.clone(),
            ..facts
        }
    }

    fn report(&self) -> Report {
        Report::of(&self.incident.stage, &self.facts())
    }

    /// The goals that are open, with what is next.
    fn open(&self) -> Vec<(&'static str, String)> {
        let report = self.report();
        let goals = report.stage.goals.iter().zip(&report.verdicts);
        let open = goals.filter_map(|(goal, verdict)| match verdict {
            Verdict::Open(next) => Some((goal.name, next.to_string())),
            Verdict::Reached(_) => None,
        });
        open.collect()
    }

    /// The names of the goals that are open.
    fn open_goals(&self) -> Vec<&'static str> {
        self.open().into_iter().map(|(name, _)| name).collect()
    }

    /// The sign by which the transfer of this id was hit.
    fn sign(&self, id: &str) -> Option<String> {
        let facts = self.facts();
        let outcome = Outcome::of(&facts);
        let hit = outcome.hits.iter().find(|hit| hit.transfer.workflow_id == id);
        hit.map(|hit| hit.sign.what.clone())
    }
}

/// The entries of a transfer that has moved its money.
const MOVED: &[(&str, char)] = &[("withdraw", 'A'), ("deposit", 'C')];
/// Five of them are enough.
const FIVE: [&str; SAFE] = ["safe-1", "safe-2", "safe-3", "safe-4", "safe-5"];

/// A transfer that the incident has hit and that is in progress: its code panics.
fn stuck() -> History {
    History::begin("stuck", 1.0, 5.0, BUG).task().reads(1000.0).task_fails(PANIC, "byte index 4")
}

const PANIC: &str = "WORKFLOW_WORKER_UNHANDLED_FAILURE";

/// The transfer that was stuck, completed by the fix.
fn rescued() -> History {
    stuck().after(60.0).under(FIX).task().withdraws(1).task().deposits(1).task().completes()
}

#[test]
fn an_incident_is_over_once_new_ones_are_safe_and_old_ones_are_rescued() {
    let world = World::of("some-never-arrive").with(stuck(), &[]);
    assert_eq!(world.open_goals(), ["new-ones-are-safe", "none-is-stuck", "none-is-lost", "ledger-is-exact"]);
    assert_eq!(world.sign("stuck").as_deref(), Some("byte index 4"));

    let world = World::of("some-never-arrive").with(rescued(), MOVED).with_safe(&FIVE, 70.0, FIX);
    assert_eq!(world.open(), []);
    assert!(world.report().is_reached());
    let facts = world.facts();
    let outcome = Outcome::of(&facts);
    assert!(outcome.is_recovered());
    assert_eq!(outcome.hits.len(), 1, "it was hit all the same");
    let builds: Vec<_> = outcome.deploys.iter().map(|deploy| deploy.build_id).collect();
    assert_eq!((builds, outcome.mitigated()), (vec![BUG, FIX], Some(outcome.deploys[1].time)));

    // One less.
    let world = World::of("some-never-arrive").with(rescued(), MOVED).with_safe(&FIVE[1..], 70.0, FIX);
    let [("new-ones-are-safe", next)] = &world.open()[..] else { panic!("{:?}", world.open()) };
    assert!(next.starts_with("4 of 5 transfers"), "{next}");
    // No other code has run this one either, but it may have been started too long before the fix ran.
    for (second, open) in [(54.0, &["new-ones-are-safe"][..]), (57.0, &[])] {
        let world = World::of("some-never-arrive").with(rescued(), MOVED).with_safe(&FIVE[1..], 70.0, FIX);
        let early = History::begin("early", second, 5.0, FIX).after(62.0 - second);
        let early = early.task().reads(1000.0).withdraws(1).deposits(1).completes();
        assert_eq!(world.with(early, MOVED).open_goals(), open, "{second}");
    }
}

/// The signs by which a transfer with this history and these entries was hit, if it was; how it is lost, and whether it is stuck.
fn judged(history: History, entries: &[(&str, char)]) -> (Option<String>, Option<&'static str>, bool) {
    let id = history.id;
    let world = World::of("some-never-arrive").with(history, entries);
    let facts = world.facts();
    let outcome = Outcome::of(&facts);
    (world.sign(id), outcome.lost.first().map(|(_, how)| *how), !outcome.stuck.is_empty())
}

fn begun() -> History {
    History::begin("one", 1.0, 5.0, BUG).task().reads(1000.0)
}

#[test]
fn each_fate_of_a_transfer_is_told_from_the_others() {
    let poor = History::begin("one", 1.0, 5000.0, BUG).task().reads(1000.0);
    let unknown = History::to("account_X", "one", 1.0, 5.0, BUG).task();
    const UNASKED: &str = "it failed, and the bank had no reason to refuse it";
    const ENDED: &str = "it was ended before it completed";
    for (history, entries, lost) in [
        (begun(), &[][..], None),
        (History::whole("one", 1.0, 5.0, BUG, 1), MOVED, None),
        (poor.refused("withdraw", 1, "InsufficientFunds", "Insufficient funds"), &[], None),
        (unknown.refused("check_balance", 1, "UnknownAccount", NO_ACCOUNT), &[], None),
        (begun().refused("withdraw", 1, "BankError", BANK_ERROR), &[], Some(UNASKED)),
        (begun().fails("no"), &[], Some(UNASKED)),
        (begun().terminated(), &[], Some(ENDED)),
    ] {
        // What is lost was hit by that, and nothing else was.
        assert_eq!(judged(history, entries), (lost.map(str::to_owned), lost, false));
    }
    // In progress, it is stuck once it was hit, or once other code is in place.
    assert!(judged(begun().task_fails(PANIC, "no"), &[]).2);
    let old = World::of("some-never-arrive").with(begun(), &[]).with_safe(&FIVE, 9.0, FIX);
    let [("none-is-stuck", next)] = &old.open()[..] else { panic!("{:?}", old.open()) };
    assert!(next.starts_with("1 in progress that should have closed, such as one: "), "{next}");
}

#[test]
fn code_that_failed_is_a_sign_and_a_task_that_the_server_failed_is_none() {
    let sign = |history: History| judged(history, &[]).0;
    assert_eq!(sign(begun()), None);
    assert_eq!(sign(begun().task_fails(PANIC, "divide by zero")).as_deref(), Some("divide by zero"));
    assert_eq!(sign(begun().task_fails("UNHANDLED_COMMAND", "something has happened")), None);
}

/// A worker that was killed, or that had to wait for the machine, does not answer once.
#[test]
fn a_task_that_nobody_answered_is_a_sign_unless_the_same_code_answered_it_later() {
    const UNANSWERED: Option<&str> = Some("a worker took its Workflow Task and did not answer");
    let sign = |history: History| judged(history, &[]).0;
    let at_attempt = |attempt: u64| {
        let description = json!({ "pendingWorkflowTask": { "attempt": attempt } });
        sign(History { description, ..begun().task_times_out() })
    };
    assert_eq!(at_attempt(2), None);
    assert_eq!(at_attempt(3).as_deref(), UNANSWERED);
    assert_eq!(sign(begun().task_times_out().task()), None);
    let answered_by_the_fix = begun().task_times_out().after(30.0).under(FIX).task();
    assert_eq!(sign(answered_by_the_fix.clone()).as_deref(), UNANSWERED);
    // The report of a drill that was given up before stays what it was.
    let facts = World::of("some-never-arrive").with(answered_by_the_fix, &[]).facts();
    let hits = |end: f64| {
        let ended = facts.clone().until(&time(end), 0);
        Outcome::of(&ended).hits.len()
    };
    assert_eq!((hits(3.0), hits(20.0)), (0, 1));
}

#[test]
fn the_time_that_an_incident_took_to_prepare_puts_no_money_at_risk() {
    let deposited = |entered_at: u64| {
        let world = World::of("some-never-arrive").with(rescued(), MOVED);
        let mut facts = world.facts();
        (facts.entries[0].time, facts.entries[1].time) = (100, 130);
        facts.entered_at = entered_at;
        Outcome::of(&facts).hits[0].at_risk
    };
    assert_eq!((deposited(90), deposited(125)), (true, false));
}

#[test]
fn a_reset_is_a_sign_unless_the_transfer_needed_none() {
    let reset = |first: History, entries: &[(&str, char)]| {
        let again = first.reset(30.0).task().reads(1000.0).task().withdraws(1).task().deposits(1).task();
        World::of("some-never-arrive").with(first, entries).with(again.completes(), &[]).sign("one")
    };
    assert_eq!(reset(begun().after(20.0).fails("no"), MOVED).as_deref(), Some("it was reset"));
    assert_eq!(reset(History::whole("one", 1.0, 5.0, BUG, 1), MOVED), None);
    // A batch of resets takes new ones in progress along; an old one had been stuck.
    assert_eq!(reset(begun().terminated(), MOVED), None);
    let old = begun().terminated();
    let again = old.reset(30.0).under(FIX).task();
    let world = World::of("some-never-arrive").with(old, &[]).with(again, &[]).with_safe(&FIVE, 40.0, FIX);
    assert_eq!(world.sign("one").as_deref(), Some("it was reset"));
}

#[test]
fn one_that_takes_far_too_long_is_hit_in_progress_and_closed() {
    for (history, entries) in [(begun(), &[][..]), (History::whole("one", 1.0, 5.0, BUG, 1), MOVED)] {
        let mut world = World::of("some-never-arrive").with(history, entries);
        assert_eq!(world.sign("one"), None);
        world.late.insert("one".to_owned());
        assert_eq!(world.sign("one").as_deref(), Some("it takes far too long"));
        let next = &world.open()[0].1;
        assert!(
            next.starts_with("one has run only under the code in place, and it takes far too long;"),
            "{next}"
        );
    }
}

/// Money, in dollars, by which the accounts differ with these entries of a transfer of 5.00.
fn differences(
    history: History,
    entries: &[(&str, char)],
    corrections: &[(&str, char)],
) -> Vec<(String, i64)> {
    let mut world = World::of("charged-twice").with(history, entries);
    for (kind, account) in corrections {
        world = world.corrected(kind, &format!("account_{account}"), 5.0);
    }
    let facts = world.facts();
    let differences = Outcome::of(&facts).differences;
    assert_eq!(
        world.open_goals().contains(&"ledger-is-exact"),
        !differences.is_empty() || history_is_open(&facts)
    );
    differences.into_iter().map(|(account, money)| (account, money.cents() / 100)).collect()
}

/// Whether no transfer has closed: then no goal about closed ones is reached.
fn history_is_open(facts: &Facts) -> bool {
    facts.transfers.iter().all(|transfer| transfer.last().close().is_none())
}

#[test]
fn accounts_differ_by_what_closed_transfers_and_corrections_leave_in_them() {
    let done = || History::whole("one", 1.0, 5.0, BUG, 2);
    let failed = || begun().fails("no");
    let a = |dollars: i64| ("account_A".to_owned(), dollars);
    let c = |dollars: i64| ("account_C".to_owned(), dollars);
    for (history, entries, corrections, expected) in [
        // A retry with the same idempotency key makes no second entry.
        (done(), MOVED, &[][..], vec![]),
        (failed(), &[], &[], vec![]),
        (failed(), &[("withdraw", 'A'), ("refund", 'A')], &[], vec![]),
        (done(), &[("withdraw", 'A'), ("refund", 'A'), ("withdraw", 'A'), ("deposit", 'C')], &[], vec![]),
        // Charged or paid twice, and settled.
        (done(), &[("withdraw", 'A'), ("withdraw", 'A'), ("deposit", 'C')], &[], vec![a(-5)]),
        (done(), &[("withdraw", 'A'), ("deposit", 'C'), ("deposit", 'C')], &[], vec![c(5)]),
        (done(), &[("withdraw", 'A'), ("withdraw", 'A'), ("deposit", 'C')], &[("deposit", 'A')], vec![]),
        (done(), &[("withdraw", 'A'), ("deposit", 'C'), ("deposit", 'C')], &[("withdraw", 'C')], vec![]),
        // Money from nowhere, and money that is in no account.
        (failed(), &[("deposit", 'C')], &[], vec![c(5)]),
        (failed(), &[("withdraw", 'A')], &[], vec![a(-5)]),
        (done(), &[], &[], vec![a(5), c(-5)]),
        // Settled in the wrong direction, twice, or where nothing was to settle.
        (failed(), &[("withdraw", 'A')], &[("withdraw", 'A')], vec![a(-10)]),
        (failed(), &[("withdraw", 'A')], &[("deposit", 'A'), ("deposit", 'A')], vec![a(5)]),
        (done(), MOVED, &[("withdraw", 'C')], vec![c(-5)]),
        // What is in progress may still become right.
        (begun(), &[("withdraw", 'A')], &[], vec![]),
    ] {
        assert_eq!(differences(history, entries, corrections), expected, "{entries:?} {corrections:?}");
    }
}

/// An account that was settled is right again, and the transfer was hit all the same.
#[test]
fn money_that_is_not_where_it_should_be_is_a_sign_that_no_correction_removes() {
    let twice = &[("withdraw", 'A'), ("withdraw", 'A'), ("deposit", 'C')];
    let hit = World::of("charged-twice").with(History::whole("one", 1.0, 5.0, BUG, 2), twice);
    let hit = hit.corrected("deposit", "account_A", 5.0).with_safe(&FIVE, 20.0, FIX);
    assert_eq!(hit.sign("one").as_deref(), Some("it closed, and its money is not where it should be"));
    assert_eq!(hit.open(), []);
    let facts = hit.facts();
    let outcome = Outcome::of(&facts);
    assert!(outcome.hits[0].at_risk);
    assert_eq!(outcome.wrong, [], "it broke the rule under earlier code");
}

/// What the same code did before other code ran in between does not count.
#[test]
fn code_that_is_deployed_again_is_another_deploy() {
    let safe = World::of("some-never-arrive").with_safe(&FIVE, 10.0, FIX);
    assert_eq!(safe.open(), []);
    let worse = safe.with(History::whole("other", 20.0, 5.0, OTHER, 1), MOVED);
    assert_eq!(worse.open_goals(), ["new-ones-are-safe"]);
    let again = worse.with(History::whole("again", 30.0, 5.0, FIX, 1), MOVED);
    let facts = again.facts();
    let outcome = Outcome::of(&facts);
    let builds: Vec<_> = outcome.deploys.iter().map(|deploy| deploy.build_id).collect();
    assert_eq!(builds, [FIX, OTHER, FIX]);
    let next = &again.open()[0].1;
    assert!(next.starts_with("1 of 5"), "what was safe before the deploy does not count: {next}");
    let after = again.with_safe(&["a", "b", "c", "d"], 31.0, FIX);
    assert_eq!(after.open(), []);
}

/// A run that meets the condition of each incident and gets through, and one that does not meet it.
fn conditions(name: &str) -> (History, Option<History>) {
    let whole = |amount, attempt| History::whole("one", 1.0, amount, FIX, attempt);
    let with = |options: Value, attempt| {
        let begun = History { options, ..History::begin("one", 1.0, 5.0, FIX) };
        begun.task().reads(1000.0).withdraws(attempt).deposits(1).completes()
    };
    let policy = |interval: &str| json!({ "retryPolicy": { "initialInterval": interval } });
    let unknown = |attempt| {
        let begun = History::to("account_X", "one", 1.0, 5.0, FIX).task();
        begun.refused("check_balance", attempt, "UnknownAccount", NO_ACCOUNT)
    };
    let poor = || History::begin("one", 1.0, 5000.0, FIX).task().reads(1000.0);
    let too_much = || poor().refused("withdraw", 1, "InsufficientFunds", "Insufficient funds");
    let took = |seconds: f64| {
        let mut history = begun();
        let end = json!({ "result": [{ "new_balance": 1 }] });
        history.activity("withdraw", json!({}), 1, seconds, "ACTIVITY_TASK_COMPLETED", end);
        history.deposits(1).completes()
    };
    match name {
        "some-never-arrive" => (whole(9.99, 1), Some(whole(10.0, 1))),
        "failed-for-good" => (whole(5.0, 2), Some(whole(5.0, 1))),
        "waiting-customers" => (unknown(2), Some(whole(5.0, 1))),
        "slow-afternoon" => (took(3.0), Some(took(2.0))),
        "fixed-but-waiting" => (with(policy("1s"), 2), Some(with(policy("3600s"), 2))),
        "no-error-anywhere" => {
            (with(json!({}), 1), Some(with(json!({ "taskQueue": { "name": "another" } }), 1)))
        }
        "nothing-moves" => (whole(40.0, 1), Some(whole(30.0, 1))),
        "works-on-retry" => (whole(5.0, 1), Some(too_much())),
        "yesterdays-transfers" => (whole(5.0, 1), None),
        "charged-twice" => (whole(5.0, 2), Some(whole(5.0, 1))),
        "too-much-money" | "fine-after-restart" => (too_much(), Some(poor().fails("Insufficient funds"))),
        other => panic!("{other} has no example here: add one"),
    }
}

#[test]
fn each_incident_has_a_condition_that_a_run_meets_or_not() {
    let run = |history: History| Run::new(history.run, history.events, Value::Null);
    for Incident { stage, met, .. } in INCIDENTS {
        let (good, bad) = conditions(stage.name);
        let beginnings = (0..good.events.len()).map(|length| good.events[..length].to_vec());
        for begun in beginnings {
            let begun = Run::new("r".to_owned(), begun, Value::Null);
            assert!(!met(&begun) || stage.name == "yesterdays-transfers", "{}: {begun:?}", stage.name);
        }
        assert!(met(&run(good)), "{}", stage.name);
        assert!(!bad.is_some_and(|bad| met(&run(bad))), "{}", stage.name);
    }
}

/// Where the bank makes no errors, no transfer shows that the code gets through one.
#[test]
fn a_bank_whose_faults_were_switched_off_shows_nothing() {
    for name in ["failed-for-good", "fixed-but-waiting", "charged-twice"] {
        let mut world = World::of(name);
        for (at, id) in FIVE.iter().enumerate() {
            world = world.with(History::whole(id, at as f64, 5.0, FIX, 1), MOVED);
        }
        let [("new-ones-are-safe", next)] = &world.open()[..] else { panic!("{name}: {:?}", world.open()) };
        assert!(next.starts_with("0 of 5"), "{next}");
        assert_eq!(World::of(name).with_safe(&FIVE, 9.0, FIX).open(), [], "{name}");
    }
}

#[test]
fn a_transfer_that_was_helped_by_a_reset_is_not_safe() {
    let mut world = World::of("some-never-arrive");
    for (at, id) in FIVE.iter().enumerate() {
        let stuck = History::begin(id, at as f64, 5.0, FIX).task().terminated();
        let again = stuck.reset(20.0).task().reads(1000.0).withdraws(1).deposits(1).completes();
        world = world.with(stuck, MOVED).with(again, &[]);
    }
    let [("new-ones-are-safe", next)] = &world.open()[..] else { panic!("{:?}", world.open()) };
    assert!(next.starts_with("0 of 5"), "{next}");
}

/// By the bank for no transfer, or under the name of the transfer.
#[test]
fn paying_back_after_each_transfer_is_no_fix() {
    let twice = [("withdraw", 'A'), ("withdraw", 'A'), ("deposit", 'C')];
    for (payment, means) in
        [(None, "Idempotency-Key"), (Some(("deposit", 'A')), "must not move any money but what")]
    {
        let mut world = World::of("charged-twice");
        for (at, id) in FIVE.iter().enumerate() {
            let entries = twice.into_iter().chain(payment).collect::<Vec<_>>();
            world = world.with(History::whole(id, at as f64, 5.0, FIX, 2), &entries);
            if payment.is_none() {
                world = world.corrected("deposit", "account_A", 5.0);
            }
        }
        let (facts, report) = (world.facts(), world.report());
        let wrong = Outcome::of(&facts).wrong;
        assert!(wrong.iter().any(|wrong| wrong.meaning.contains(means)), "{wrong:?}");
        assert_eq!(report.wrong, [], "before another deploy it would give the cause away");
        assert!(!report.is_reached());
        if payment.is_none() {
            assert_eq!(world.open_goals(), ["new-ones-are-safe"], "the accounts are right");
        }
    }
}

/// One that was hit on a busy machine does not keep a drill from its end.
#[test]
fn one_that_was_hit_is_an_exception_after_many_that_were_not() {
    const IDS: [&str; 26] = [
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t",
        "u", "v", "w", "x", "y", "z",
    ];
    let world = |after: usize| {
        let late = World::of("some-never-arrive").with_safe(&["first"], 0.0, FIX);
        let mut world =
            late.with(History::whole("late", 5.0, 5.0, FIX, 1), MOVED).with_safe(&IDS[..after], 9.0, FIX);
        world.late.insert("late".to_owned());
        world
    };
    let next = &world(24).open()[0].1;
    assert!(next.starts_with("late has run only under the code in place"), "{next}");
    assert_eq!(world(25).open(), []);
}

#[test]
fn code_that_does_not_replay_what_is_in_progress_is_named() {
    let mismatch = "[TMPRL1100] Nondeterminism error: Activity id of scheduled event 'withdraw' does not match activity id of \
                    activity command 'confirm_balance'";
    let broken = || {
        let failed = stuck().after(60.0).under(FIX);
        failed.task_fails("NON_DETERMINISTIC_ERROR", mismatch)
    };
    let world = |history| World::of("yesterdays-transfers").with(history, &[]).with_safe(&FIVE, 70.0, FIX);
    let open = world(broken()).open();
    let [("none-is-stuck", _), ("replay-is-clean", next)] = &open[..] else { panic!("{open:?}") };
    assert!(next.starts_with("the code in place does not replay stuck;"), "{next}");
    // It is clean once other code has replayed it, or the transfer has been reset.
    let rescued = broken().under(OTHER).task().withdraws(1).deposits(1).completes();
    let world = World::of("yesterdays-transfers").with(rescued, MOVED).with_safe(&FIVE, 70.0, OTHER);
    assert_eq!(world.open(), []);

    let mut facts = world.facts();
    facts.broken_replay.insert("safe-1".to_owned(), "nondeterminism".to_owned());
    let report = Report::of(&world.incident.stage, &facts);
    assert!(report.is_reached(), "it has closed: {report:?}");
}

#[test]
fn money_at_risk_is_told_from_money_that_only_waits() {
    for (entries, at_risk) in
        [(&[][..], false), (&[("withdraw", 'A')], true), (&[("withdraw", 'A'), ("refund", 'A')], false)]
    {
        let facts = World::of("some-never-arrive").with(stuck(), entries).facts();
        assert_eq!(Outcome::of(&facts).hits[0].at_risk, at_risk, "{entries:?}");
    }
    let amount = Money::from_dollars(5);
    assert_eq!(World::of("some-never-arrive").with(stuck(), MOVED).facts().entries[0].amount, amount);
}

/// A report judges all goals by one outcome.
#[test]
fn a_goal_judged_by_itself_has_the_verdict_of_the_report() {
    let twice = &[("withdraw", 'A'), ("withdraw", 'A'), ("deposit", 'C')];
    for world in [
        World::of("charged-twice"),
        World::of("charged-twice").with(stuck(), &[]),
        World::of("charged-twice").with(begun().fails("no"), twice).with_safe(&FIVE, 9.0, FIX),
    ] {
        let (facts, report) = (world.facts(), world.report());
        let by_itself: Vec<Verdict> = report.stage.goals.iter().map(|goal| (goal.check)(&facts)).collect();
        assert_eq!(by_itself, report.verdicts);
    }
}
