//! From every state that a stage can be in, `next` leads to its goals: learners who type nothing else get there.

use std::collections::{BTreeMap, BTreeSet};

use lab::{Facts, Milestone, Next, Precondition, Service, Stage, Status, Verdict};
use stages::Modules;
use testbed::{TestWorker, until};
use transfer_kit::Bank;

use crate::{
    checks::{Lab, roll_out::words},
    process::Process,
};

/// The fix of every bug but those of the stages that version the Workflow.
const FIXED: Modules = Modules { workflow: "fixed", activities: "fixed" };
/// More commands than any way out takes.
const MOST: usize = 25;

/// A learner at a stage, who types what `next` says and has the fix at hand.
struct Learner {
    lab: Lab,
    stage: &'static Stage,
    /// The code in place, and the right one.
    code: Modules,
    fix: Modules,
    worker: Option<TestWorker>,
    process: Option<Process>,
    /// Transfers of earlier stages and of an earlier entry.
    old: BTreeSet<String>,
    /// Those that the stage began with.
    began_with: Vec<String>,
    started: usize,
}

impl Learner {
    /// At this stage, entered with this code already in place.
    async fn at(stage: &str, code: Modules, fix: Modules) -> Learner {
        let mut learner = Learner {
            lab: Lab::start().await,
            stage: lab::stage(stage).expect("a stage"),
            code,
            fix,
            worker: None,
            process: None,
            old: BTreeSet::new(),
            began_with: Vec::new(),
            started: 0,
        };
        learner.deploy(code).await;
        learner
    }

    async fn deploy(&mut self, code: Modules) {
        self.stop().await;
        self.code = code;
        match self.stage.name {
            "pull-the-plug" => self.process = Some(Process::start(&self.lab.testbed, self.stage.name)),
            _ => self.worker = Some(self.start(code).await),
        }
    }

    async fn start(&self, code: Modules) -> TestWorker {
        let options = code.worker_options(Bank::at(&self.lab.testbed.bank_url)).expect("it is compiled");
        TestWorker::start(&self.lab.testbed.client, options).await
    }

    async fn stop(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
        self.process = None;
    }

    async fn transfer(&mut self, from: &str, to: &str, amount: f64) -> String {
        self.started += 1;
        let id = format!("transfer-{}", self.started);
        let input = serde_json::json!({"from_account": from, "to_account": to, "amount": amount});
        self.lab.testbed.start_transfer(&id, input).await;
        id
    }

    async fn start_some(&mut self, number: u32) -> Vec<String> {
        let mut ids = Vec::new();
        for _ in 0..number {
            ids.push(self.transfer("account_C", "account_D", 5.0).await);
        }
        ids
    }

    /// Waits until each of these transfers has reached the milestone.
    async fn until_they(&self, ids: &[String], milestone: impl Fn(&lab::Transfer) -> bool) {
        until(&format!("{ids:?}"), || async {
            let facts = self.lab.facts("").await;
            let those = facts.transfers.iter().filter(|one| ids.contains(&one.workflow_id) && milestone(one));
            if those.count() == ids.len() { Ok(()) } else { Err("not yet") }
        })
        .await;
    }

    /// What `cargo xtask stage NAME --keep` does: the transfers by the shipped code, then the learner's.
    async fn enter(&mut self) {
        self.stop().await;
        self.lab.deposits_down(false).await;
        self.lab.broken_replay = BTreeMap::new();
        let stage = self.stage;
        self.began_with = self.prepare(stage).await;
        let facts = self.lab.facts("").await;
        self.old = facts.transfers.iter().map(|transfer| transfer.workflow_id.clone()).collect();
        self.deploy(self.code).await;
    }

    /// The transfers that a stage begins with, with its shipped code.
    async fn prepare(&mut self, stage: &'static Stage) -> Vec<String> {
        let mut ids = match stage.precondition {
            None => Vec::new(),
            Some(Precondition { stage, transfers, milestone }) => {
                let base = lab::stage(stage).expect("a stage");
                let ids = match milestone {
                    Milestone::Broken | Milestone::RetriesExhausted => Box::pin(self.prepare(base)).await,
                    _ => {
                        self.lab.deposits_down(milestone == Milestone::HeldAtDeposit).await;
                        let worker = self.start(Modules::of(base)).await;
                        let ids = self.start_some(transfers).await;
                        self.until_they(&ids, |transfer| milestone.is_reached(transfer)).await;
                        worker.stop().await;
                        self.lab.deposits_down(false).await;
                        ids
                    }
                };
                let facts = self.lab.facts("").await;
                let is_there = |id: &String| {
                    facts.transfers.iter().any(|one| one.workflow_id == *id && milestone.is_reached(one))
                };
                ids.into_iter().filter(is_there).collect()
            }
        };
        let worker = self.start(Modules::of(stage)).await;
        if stage.deposits_down {
            self.until_they(&ids, |transfer| transfer.last().close().is_some()).await;
            self.lab.deposits_down(true).await;
        }
        // As `--keep` does: a failure that is to be seen again needs a transfer.
        let needs_one = stage.precondition.is_none() && stage.failure().is_some();
        let started = self.start_some(stage.starts.max(u32::from(needs_one))).await;
        self.until_they(&started, |transfer| stage.is_settled(transfer)).await;
        ids.extend(started);
        self.until_they(&ids, |transfer| stage.is_settled(transfer)).await;
        worker.stop().await;
        ids
    }

    /// What a check at this stage judges by.
    async fn facts(&self) -> Facts {
        let mut facts = self.lab.facts("").await;
        facts.transfers.retain(|transfer| {
            self.began_with.contains(&transfer.workflow_id) || !self.old.contains(&transfer.workflow_id)
        });
        facts
    }

    /// What is next at the first open goal; none once all are reached.
    async fn next(&self) -> Option<Next> {
        let facts = self.facts().await;
        let report = lab::Report::of(self.stage, &facts);
        let open = report.verdicts.into_iter().find_map(|verdict| match verdict {
            Verdict::Open(next) => Some(next),
            Verdict::Reached(_) => None,
        });
        assert!(open.is_some() || report.wrong.is_empty(), "{:?}", report.wrong);
        open
    }

    /// Types what is next, until all goals are reached.
    async fn follow_next(&mut self) {
        let mut typed = Vec::new();
        while let Some(next) = self.next().await {
            typed.push(next.to_string());
            assert!(typed.len() < MOST, "{} has a dead end: {typed:#?}", self.stage.name);
            self.act(&next).await;
            // The next attempt of an Activity may be seconds away.
            until(&format!("no dead end in {}: {typed:#?}", self.stage.name), || async {
                if self.next().await.as_ref() == Some(&next) { Err("the same is next") } else { Ok(()) }
            })
            .await;
        }
        println!("{}: {typed:#?}", self.stage.name);
        self.stop().await;
    }

    async fn act(&mut self, next: &Next) {
        let line = next.to_type().unwrap_or_else(|| panic!("no command: {next}"));
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let asks_for_the_fix = ["fix", "Fix", "remove", "Remove", "replace", "add", "hint"];
        if asks_for_the_fix.iter().any(|word| next.to_string().contains(word)) && self.code != self.fix {
            self.deploy(self.fix).await;
        }
        match words[2..] {
            ["transfer", from, to, amount, ..] => {
                self.transfer(from, to, amount.parse().expect("an amount")).await;
            }
            ["stage", name, "--keep"] if name == self.stage.name => self.enter().await,
            ["outage", what, "up"] => {
                self.lab.testbed.put("/outage", serde_json::json!({ what: false })).await;
            }
            ["temporal", ..] => drop(self.lab.testbed.temporal(&words[3..])),
            ["test", "--mine", "--replay"] => {
                let removed = Modules { workflow: "added_step", activities: "fixed" };
                let report = removed.replay(&self.lab.testbed.client).await.expect("the server answers");
                let broken = report.broken.into_iter().map(|broken| (broken.workflow_id, broken.why));
                self.lab.broken_replay = broken.collect();
            }
            ["lab", "status"] if next.before().starts_with("kill the service") => {
                self.kill(next.before()).await;
            }
            // To look, or to wait for the next attempt, which `retry` only hurries.
            ["lab", "status"] | ["hint"] | ["retry"] => {}
            _ => panic!("{line}"),
        }
    }

    /// Kills the service that the sentence names. A testbed's server and bank run on: that they were restarted is
    /// what the supervisor would report.
    async fn kill(&mut self, sentence: &str) {
        let name = ["temporal", "account-api", "worker"].into_iter().find(|name| sentence.contains(name));
        let facts = self.facts().await;
        let events = facts.transfers.iter().flat_map(|transfer| transfer.last().events());
        let now = events.map(|event| event.time()).max().expect("an event").to_owned();
        let service = self.lab.services.iter_mut().find(|service| Some(&*service.name) == name);
        service.expect("a service").since = now;
        if name == Some("worker") {
            self.process.as_mut().expect("its own process").signal("KILL");
            self.deploy(self.code).await;
        }
    }
}

#[test]
fn a_command_is_split_as_a_shell_does_it() {
    let line = "cargo xtask temporal --query 'A=\"b c\" AND D' --reason 'does it?'";
    assert_eq!(words(line)[3..6], ["--query", "A=\"b c\" AND D", "--reason"]);
}

/// How learners come to a state, each at the entered stage.
#[derive(Clone, Copy, Debug)]
enum State {
    /// The right code was in place before anything failed, and a transfer has completed with it.
    FixedTooEarly,
    /// Every transfer in progress was terminated.
    Terminated,
    /// Every transfer in progress was canceled.
    Canceled,
    /// The bank takes neither withdrawals nor deposits.
    OutageLeftOn,
    /// The outage of the stage was ended first.
    OutageEnded,
    /// Code that was saved before is in place: this.
    Restored(Modules),
    /// The transfers were reset to where they fail again.
    ResetTooLate,
}

async fn walk(stage: &str, fix: Modules, states: &[State]) {
    for &state in states {
        println!("{stage}, {state:?}");
        let shipped = Modules::of(lab::stage(stage).expect("a stage"));
        let mut learner = match state {
            State::FixedTooEarly => Learner::at(stage, fix, fix).await,
            State::Restored(code) => Learner::at(stage, code, fix).await,
            _ => Learner::at(stage, shipped, fix).await,
        };
        learner.lab.services = ["temporal", "account-api", "worker"]
            .map(|name| Service { name: name.to_owned(), since: "2026-01-01T00:00:00Z".to_owned() })
            .to_vec();
        if matches!(state, State::FixedTooEarly) {
            learner.transfer("account_A", "account_B", 5.0).await;
        } else {
            learner.enter().await;
        }
        let facts = learner.facts().await;
        let in_progress = facts.transfers.iter().filter(|one| one.last().status == Status::Running);
        let reset = matches!(state, State::ResetTooLate);
        for transfer in facts.transfers.iter().filter(|_| reset).chain(in_progress.filter(|_| !reset)) {
            let id = &transfer.workflow_id;
            let workflow = ["--workflow-id", id];
            let by = |command: &[&str]| {
                learner.lab.testbed.temporal(&[&["workflow"], command, &workflow].concat());
            };
            match state {
                State::Terminated => by(&["terminate"]),
                State::Canceled => by(&["cancel"]),
                State::ResetTooLate => by(&["reset", "--type", "LastWorkflowTask", "--reason", "a try"]),
                _ => {}
            }
        }
        match state {
            State::OutageLeftOn => {
                let outage = serde_json::json!({ "withdrawals": true, "deposits": true });
                learner.lab.testbed.put("/outage", outage).await;
            }
            State::OutageEnded => learner.lab.deposits_down(false).await,
            _ => {}
        }
        learner.follow_next().await;
    }
}

#[tokio::test]
async fn the_workflow_bug() {
    let restored = State::Restored(Modules { workflow: "jerry", activities: "fixed" });
    walk("jerry", FIXED, &[State::FixedTooEarly, State::Terminated, State::Canceled, restored]).await;
}

#[tokio::test]
async fn the_activity_bug() {
    let restored = State::Restored(Modules { workflow: "jerry", activities: "jerry" });
    let states = [State::FixedTooEarly, State::Terminated, State::Canceled, State::OutageLeftOn, restored];
    walk("fix-workflow", FIXED, &states).await;
}

#[tokio::test]
async fn the_error_to_classify() {
    walk("fix-activity", FIXED, &[State::FixedTooEarly, State::Terminated, State::OutageLeftOn]).await;
}

#[tokio::test]
async fn the_added_step() {
    let patched = Modules { workflow: "versioned", activities: "fixed" };
    let states = [State::FixedTooEarly, State::Terminated, State::OutageLeftOn, State::Restored(FIXED)];
    walk("jerry-adds-step", patched, &states).await;
}

#[tokio::test]
async fn the_end_of_the_patch() {
    let deprecated = Modules { workflow: "deprecated", activities: "fixed" };
    let removed = State::Restored(Modules { workflow: "added_step", activities: "fixed" });
    let states = [State::FixedTooEarly, State::OutageEnded, State::Terminated, removed];
    walk("version-workflow", deprecated, &states).await;
}

#[tokio::test]
async fn the_limit() {
    let half = State::Restored(Modules { workflow: "fixed", activities: "jerry" });
    walk("jerry-limits-retries", FIXED, &[State::FixedTooEarly, State::OutageLeftOn, half]).await;
}

#[tokio::test]
async fn the_resets() {
    walk("reset-workflows", FIXED, &[State::FixedTooEarly, State::ResetTooLate, State::OutageLeftOn]).await;
}

#[tokio::test]
async fn the_kills() {
    walk("pull-the-plug", FIXED, &[State::OutageEnded, State::Terminated, State::OutageLeftOn]).await;
}
