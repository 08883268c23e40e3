//! A learner at the stage roll-out, with real workers of each version: what they type, and how the check judges it.

mod right;

use std::collections::BTreeMap;

use lab::{Deployment, Facts, Milestone, Next, Report, Verdict};
use serde_json::{Value, json};
use stages::Modules;
use testbed::{TestWorker, until};
use transfer_kit::{Bank, host};

use super::{Lab, fixes::activities::OtherActivities, fixes::workflow::OtherWorkflow, reached, verdicts};

pub(crate) const STAGE: &str = "roll-out";
/// The code of version 1, of Jerry's version 2, and of the shipped fix.
pub(crate) const BEFORE: Modules = Modules { workflow: "fixed", activities: "fixed" };
pub(crate) const JERRYS: Modules = Modules { workflow: "retries_by_amount", activities: "fixed" };
pub(crate) const FIX: Modules = Modules { workflow: "retries_any_amount", activities: "fixed" };
/// An amount that Jerry's version moves, and one that it fails on.
pub(crate) const SMALL: u32 = 10;
pub(crate) const LARGE: u32 = 150;
/// A learner at the stage.
pub(crate) struct Learner {
    pub(crate) lab: Lab,
    /// When the stage was entered, in the server's format.
    entered: String,
    /// The transfers that it began with.
    began_with: Vec<String>,
    /// The versions whose worker runs.
    workers: BTreeMap<u32, TestWorker>,
    started: usize,
}

impl Learner {
    /// At the stage, which has just been entered.
    pub(crate) async fn enters() -> Learner {
        let lab = Lab::start().await;
        for account in ["account_A", "account_B"] {
            lab.testbed.give(account, 10_000).await;
        }
        let mut learner = Learner {
            lab,
            entered: String::new(),
            began_with: Vec::new(),
            workers: BTreeMap::new(),
            started: 0,
        };
        learner.enter().await;
        learner
    }

    /// What leaving the stage does: workers without a version take over what is in progress.
    async fn leave(&mut self) {
        for (_, worker) in std::mem::take(&mut self.workers) {
            worker.stop().await;
        }
        let facts = self.lab.facts("").await;
        let is_running = |transfer: &&lab::Transfer| transfer.last().status == lab::Status::Running;
        let running: Vec<_> =
            facts.transfers.iter().filter(is_running).map(|transfer| &transfer.workflow_id).collect();
        if running.is_empty() {
            return;
        }
        if let Some((ramping, _)) = self.deployment().await.ramping {
            self.ramps(ramping.parse().expect("a version"), 0);
        }
        self.types(
            "worker deployment set-current-version --deployment-name money-transfer --unversioned --yes",
        );
        for id in running {
            self.types(&format!(
                "workflow update-options --workflow-id {id} --versioning-override-behavior auto_upgrade"
            ));
            if self.began_with.contains(id) {
                self.types(&format!("activity unpause --activity-id deposit --workflow-id {id}"));
            }
        }
        let worker = self.lab.worker("reset-workflows").await;
        until("the transfers to complete", || async {
            let facts = self.lab.facts("").await;
            if facts.transfers.iter().any(|transfer| is_running(&transfer)) {
                Err("some run")
            } else {
                Ok(())
            }
        })
        .await;
        worker.stop().await;
    }

    /// What `cargo xtask stage roll-out` does, also once more.
    pub(crate) async fn enter(&mut self) {
        self.leave().await;
        self.deploy(1, BEFORE).await;
        self.types(
            "worker deployment set-current-version --deployment-name money-transfer --build-id 1 --yes",
        );
        self.lab.deposits_down(true).await;
        self.began_with = Vec::new();
        for _ in 0..3 {
            let id = self.transfer(5).await;
            self.began_with.push(id);
        }
        let those = self.began_with.clone();
        self.until_they(&those, Milestone::HeldAtDeposit).await;
        for id in &those {
            self.types(&format!("activity pause --activity-id deposit --workflow-id {id}"));
        }
        self.until_they(&those, Milestone::PausedAtDeposit).await;
        self.lab.deposits_down(false).await;
        let facts = self.lab.facts("").await;
        let times = facts.transfers.iter().flat_map(|transfer| &transfer.runs).flat_map(|run| run.events());
        self.entered = times.map(|event| event.time().to_owned()).max().expect("an event");
        self.deploy(2, JERRYS).await;
        if self.deployment().await.share("2") > 0.0 {
            self.ramps(2, 0);
        }
    }

    async fn until_they(&self, ids: &[String], milestone: Milestone) {
        until(&format!("{ids:?} to reach {milestone:?}"), || async {
            let facts = self.lab.facts("").await;
            let those = facts.transfers.iter().filter(|one| ids.contains(&one.workflow_id));
            let reached = those.filter(|transfer| milestone.is_reached(transfer)).count();
            if reached == ids.len() { Ok(()) } else { Err(reached) }
        })
        .await;
    }

    /// Runs this code as that version, in place of the code that ran as it before.
    pub(crate) async fn deploy(&mut self, version: u32, code: Modules) {
        let bank = Bank::at(&self.lab.testbed.bank_url);
        self.run_as(version, code.worker_options(bank).expect("both are compiled")).await;
    }

    /// The same with the code that each transfer's Workflow Id names.
    pub(crate) async fn deploy_others(&mut self, version: u32) {
        let activities = OtherActivities::new(&self.lab.testbed.bank_url);
        let options = host::options::<OtherWorkflow, _>(activities).expect("one Workflow");
        self.run_as(version, options).await;
    }

    async fn run_as(&mut self, version: u32, mut options: temporalio_sdk::WorkerOptions) {
        self.take_down(version).await;
        host::deploy_as(&mut options, contract::DEPLOYMENT, &version.to_string());
        // As where each worker is a process of its own.
        options.client_identity_override = Some(format!("worker-{version}-{}", self.started));
        let worker = TestWorker::start(&self.lab.testbed.client, options).await;
        self.workers.insert(version, worker);
        until(&format!("the server to know version {version}"), || async {
            let deployment = self.deployment().await;
            if deployment.version(&version.to_string()).is_some() { Ok(()) } else { Err(deployment) }
        })
        .await;
    }

    /// Ends the worker of a version.
    pub(crate) async fn take_down(&mut self, version: u32) {
        if let Some(worker) = self.workers.remove(&version) {
            worker.stop().await;
        }
    }

    /// Starts a transfer of so many dollars, one in each direction by turns.
    pub(crate) async fn transfer(&mut self, dollars: u32) -> String {
        self.started += 1;
        let id = format!("transfer-{}", self.started);
        self.transfer_as(&id, dollars).await;
        id
    }

    pub(crate) async fn transfer_as(&self, id: &str, dollars: u32) {
        let accounts = ["account_A", "account_B"];
        let (from, to) = (accounts[self.started % 2], accounts[(self.started + 1) % 2]);
        let input = json!({ "from_account": from, "to_account": to, "amount": dollars });
        self.lab.testbed.start_transfer(id, input).await;
    }

    /// What `cargo xtask traffic` does: starts small and large transfers, ten at a time, until each version that takes some has taken two of
    /// each.
    pub(crate) async fn traffic(&mut self) {
        let deployment = self.deployment().await;
        let takes = |version: &&String| deployment.share(version) > 0.0;
        let taking = deployment.running.iter().filter(takes);
        let each = taking.flat_map(|version| [SMALL, LARGE].map(|amount| (version.clone(), amount)));
        let mut missing: Vec<(String, u32)> = each.collect();
        missing.extend(missing.clone());
        while !missing.is_empty() {
            let mut batch = Vec::new();
            for at in 0..10 {
                let amount = [SMALL, LARGE][at % 2];
                batch.push((self.transfer(amount).await, amount));
            }
            for (id, amount) in batch {
                let version = self.began_on(&id).await;
                if let Some(at) = missing.iter().position(|one| *one == (version.clone(), amount)) {
                    missing.remove(at);
                }
            }
        }
    }

    /// The version that a transfer began on, once it has.
    pub(crate) async fn began_on(&self, id: &str) -> String {
        until(&format!("{id} to begin on a version"), || async {
            let facts = self.lab.facts(id).await;
            let transfer = facts.transfers.iter().find(|transfer| transfer.workflow_id == id);
            let began_on = transfer.and_then(|transfer| transfer.runs[0].began_on());
            began_on.map(str::to_owned).ok_or("it has not")
        })
        .await
    }

    /// Types a command of the Temporal CLI.
    pub(crate) fn types(&self, line: &str) -> String {
        let words = words(line);
        self.lab.testbed.temporal(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    pub(crate) fn ramps(&self, version: u32, percentage: u32) {
        self.types(&format!(
            "worker deployment set-ramping-version --deployment-name money-transfer --build-id {version} \
             --percentage {percentage} --yes"
        ));
    }

    pub(crate) fn makes_current(&self, version: u32) {
        self.types(&format!(
            "worker deployment set-current-version --deployment-name money-transfer --build-id {version} --yes"
        ));
    }

    /// Pins one transfer to a version, once the Task Queue has heard of it, which is a moment after its worker polls.
    pub(crate) async fn moves(&self, id: &str, version: u32) {
        let line = format!(
            "workflow update-options --workflow-id {id} --versioning-override-behavior pinned \
             --versioning-override-deployment-name money-transfer --versioning-override-build-id {version}"
        );
        until(&format!("{id} to be moved to version {version}"), || async {
            let mut command = testbed::temporal_cli().command();
            command.args(words(&line)).env("TEMPORAL_ADDRESS", self.lab.testbed.server_address());
            let ended = command.output().expect("the Temporal CLI can be run");
            if ended.status.success() {
                Ok(())
            } else {
                Err(String::from_utf8_lossy(&ended.stderr).into_owned())
            }
        })
        .await;
    }

    /// Ramps version 2 and starts transfers, by which some are stuck, and takes the ramp back.
    pub(crate) async fn gets_some_stuck(&mut self) -> Vec<String> {
        self.ramps(2, 50);
        self.traffic().await;
        self.ramps(2, 0);
        self.until_stuck().await
    }

    /// The transfers in progress that are stuck on version 2, once there are some.
    pub(crate) async fn until_stuck(&self) -> Vec<String> {
        until("transfers that are stuck on version 2", || async {
            let facts = self.facts().await;
            let failed = |run: &lab::Run| run.events().any(|event| event.is("WorkflowTaskFailed"));
            let mut large = facts.transfers.iter().filter(|transfer| {
                transfer.last().version() == Some("2") && transfer.input()["amount"] == LARGE
            });
            match large.all(|transfer| failed(transfer.last())) {
                true => Ok(self.stuck(&facts))
                    .and_then(|stuck| if stuck.is_empty() { Err("none") } else { Ok(stuck) }),
                false => Err("one is still to fail"),
            }
        })
        .await
    }

    fn stuck(&self, facts: &Facts) -> Vec<String> {
        let failed = |run: &lab::Run| run.events().any(|event| event.is("WorkflowTaskFailed"));
        let stuck = facts
            .transfers
            .iter()
            .filter(|transfer| transfer.last().status == lab::Status::Running && failed(transfer.last()));
        stuck.map(|transfer| transfer.workflow_id.clone()).collect()
    }

    /// The stage's own transfers continue.
    pub(crate) async fn unpauses(&self) {
        for id in &self.began_with {
            self.types(&format!("activity unpause --activity-id deposit --workflow-id {id}"));
        }
    }

    /// What `cargo xtask lab retire` does once nothing is in progress on the version.
    pub(crate) async fn retires(&mut self, version: u32) {
        until(&format!("version {version} to be drained"), || async {
            let deployment = self.deployment().await;
            let version = deployment.version(&version.to_string()).expect("a version").clone();
            if version.drainage == lab::Drainage::Drained { Ok(()) } else { Err(version) }
        })
        .await;
        self.take_down(version).await;
    }

    /// The routing, as `cargo xtask check` reads it.
    pub(crate) async fn deployment(&self) -> Deployment {
        // Before its first worker has polled, the server knows no deployment.
        let answer = self.lab.testbed.ask_server_if("worker-deployments/money-transfer").await;
        let running = self.workers.keys().map(u32::to_string).collect();
        Deployment { running, ..Deployment::from_json(&answer.unwrap_or(Value::Null)) }
    }

    /// What the check judges by.
    pub(crate) async fn facts(&self) -> Facts {
        let facts = self.lab.facts("").await.of_stage(&self.entered, &self.began_with);
        Facts { deployment: Some(self.deployment().await), ..facts }
    }

    /// Waits until exactly these goals are reached, by transfers that break no rule.
    pub(crate) async fn until_reached(&self, expected: &[&str]) -> Facts {
        let goals = lab::stage(STAGE).expect("a stage").goals;
        until(&format!("{expected:?}"), || async {
            let facts = self.facts().await;
            assert_eq!(lab::wrong(&facts), []);
            let reached = reached(goals, &facts);
            if reached == expected { Ok(facts) } else { Err((reached, verdicts(goals, &facts))) }
        })
        .await
    }

    /// Waits until this goal is open, and what is next has these words.
    pub(crate) async fn until_told(&self, goal: &str, words: &str) -> Next {
        let goals = lab::stage(STAGE).expect("a stage").goals;
        until(&format!("{goal} to be open with: {words}"), || async {
            let verdicts = verdicts(goals, &self.facts().await);
            match verdicts.into_iter().find(|(name, _)| *name == goal) {
                Some((_, Verdict::Open(next))) if next.to_string().contains(words) => Ok(next),
                other => Err(other),
            }
        })
        .await
    }

    /// Types the command of the Temporal CLI that is next at this goal.
    pub(crate) async fn types_next(&self, goal: &str) {
        let next = self.until_told(goal, "cargo xtask temporal").await;
        let typed = next.to_type().and_then(|command| command.strip_prefix("cargo xtask temporal "));
        self.types(typed.expect("a command of the Temporal CLI"));
    }

    /// What is next at the first open goal; none once all are reached.
    pub(crate) async fn next(&self) -> Option<Next> {
        let facts = self.facts().await;
        let report = Report::of(lab::stage(STAGE).expect("a stage"), &facts);
        let open = report.verdicts.into_iter().find_map(|verdict| match verdict {
            Verdict::Open(next) => Some(next),
            Verdict::Reached(_) => None,
        });
        assert!(open.is_some() || report.wrong.is_empty(), "{:?}", report.wrong);
        open
    }

    /// Ends all workers.
    pub(crate) async fn leaves(self) {
        for (_, worker) in self.workers {
            worker.stop().await;
        }
    }
}

/// The goals of the stage, in their order.
pub(crate) const GOALS: [&str; 6] = [
    "ramped",
    "only-version-2-fails",
    "rolled-back",
    "moved",
    "fixed-version-is-current",
    "version-1-is-retired",
];

/// The words of a command, as a shell has them.
pub(crate) fn words(line: &str) -> Vec<String> {
    let quoted = line.split('\'').enumerate();
    quoted.fold(vec![String::new()], |mut words, (at, part)| {
        if at % 2 == 1 {
            words.last_mut().expect("one").push_str(part);
            return words;
        }
        for (at, piece) in part.split(' ').enumerate() {
            if at > 0 {
                words.push(String::new());
            }
            words.last_mut().expect("one").push_str(piece);
        }
        words.retain(|word| !word.is_empty());
        if part.ends_with(' ') || words.is_empty() {
            words.push(String::new());
        }
        words
    })
}
