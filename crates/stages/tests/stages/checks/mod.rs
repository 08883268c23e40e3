//! The goals of the stages, on a real server: the shipped story reaches them, so does any right fix, and a wrong one
//! is reported.

pub(crate) mod fixes;
mod nondeterministic;
mod right;
pub(crate) mod roll_out;
mod shipped;
mod wrong;

use std::collections::BTreeMap;

use lab::{Facts, Goal, Run, STAGES, Service, Transfer, Verdict};
use serde_json::Value;
use testbed::{TestWorker, Testbed, until};
use transfer_kit::host;

use fixes::{activities::OtherActivities, workflow::OtherWorkflow};

/// A testbed, and what the checks judge by besides.
pub(crate) struct Lab {
    pub(crate) testbed: Testbed,
    pub(crate) services: Vec<Service>,
    pub(crate) broken_replay: BTreeMap<String, String>,
}

impl Lab {
    pub(crate) async fn start() -> Lab {
        Lab { testbed: Testbed::start().await, services: Vec::new(), broken_replay: BTreeMap::new() }
    }

    async fn worker(&self, stage: &str) -> TestWorker {
        crate::worker(&self.testbed, stage).await
    }

    /// A worker that runs each transfer with the fix that its Workflow Id names.
    async fn other_worker(&self) -> TestWorker {
        let activities = OtherActivities::new(&self.testbed.bank_url);
        let options = host::options::<OtherWorkflow, _>(activities).expect("one Workflow");
        TestWorker::start(&self.testbed.client, options).await
    }

    /// Starts [`example`](crate::example)'s transfer under each of these Workflow Ids.
    async fn transfer(&self, ids: &[&str]) {
        for id in ids {
            self.testbed.start_transfer(id, crate::example()).await;
        }
    }

    pub(crate) async fn deposits_down(&self, down: bool) {
        self.testbed.put("/outage", serde_json::json!({ "deposits": down })).await;
    }

    /// The facts of the transfers whose Workflow Id begins like this, as `cargo xtask check` reads them: first
    /// the runs, then what the bank has of them.
    pub(crate) async fn facts(&self, ids: &str) -> Facts {
        let list = self.testbed.ask_server("workflows").await;
        let mut runs = Vec::new();
        for listed in list["executions"].as_array().into_iter().flatten() {
            let name = |name: &str| listed["execution"][name].as_str().expect("a name").to_owned();
            let (id, run_id) = (name("workflowId"), name("runId"));
            if id.starts_with(ids) {
                let run = format!("execution.runId={run_id}");
                let description = self.testbed.ask_server(&format!("workflows/{id}?{run}")).await;
                let mut history = self.testbed.ask_server(&format!("workflows/{id}/history?{run}")).await;
                let Value::Array(events) = history["history"]["events"].take() else { panic!("{history}") };
                runs.push((id, Run::new(run_id, events, description)));
            }
        }
        let entries: Value = self.testbed.get("/entries").await;
        let entries = entries["entries"].as_array().expect("entries");
        let accounts: Value = self.testbed.get("/accounts").await;
        let accounts = accounts["accounts"].as_array().expect("accounts");
        let outage: Value = self.testbed.get("/outage").await;
        let down = [("withdraw", "withdrawals"), ("deposit", "deposits")];
        // The ledger is older than every transfer here.
        let facts = Facts::new(runs, entries, String::new(), self.services.clone());
        Facts {
            accounts: accounts
                .iter()
                .map(|account| account["account_number"].as_str().expect("a number").to_owned())
                .collect(),
            outage: down.into_iter().filter(|(_, name)| outage[name] == true).map(|(name, _)| name).collect(),
            broken_replay: self.broken_replay.clone(),
            ..facts
        }
    }

    /// Waits until exactly these goals of the stage are reached, by transfers whose Workflow Id begins like this and
    /// that never break a rule.
    async fn until_reached(&self, ids: &str, stage: &str, expected: &[&str]) -> Facts {
        let goals = lab::stage(stage).expect("a stage of the table").goals;
        until(&format!("{ids} to reach {expected:?} of {stage}"), || async {
            let facts = self.facts(ids).await;
            assert_eq!(lab::wrong(&facts), []);
            let reached = reached(goals, &facts);
            if reached == expected { Ok(facts) } else { Err(verdicts(goals, &facts)) }
        })
        .await
    }

    /// The same for all of its goals.
    async fn until_all_reached(&self, ids: &str, stage: &str) -> Facts {
        let goals: Vec<_> = lab::stage(stage).expect("a stage").goals.iter().map(|goal| goal.name).collect();
        self.until_reached(ids, stage, &goals).await
    }
}

fn verdicts(goals: &[Goal], facts: &Facts) -> Vec<(&'static str, Verdict)> {
    goals.iter().map(|goal| (goal.name, (goal.check)(facts))).collect()
}

/// The goals that are reached, each by evidence that is really there.
fn reached(goals: &[Goal], facts: &Facts) -> Vec<&'static str> {
    let mut reached = Vec::new();
    for (goal, verdict) in verdicts(goals, facts) {
        match verdict {
            Verdict::Open(next) => assert!(!next.to_string().is_empty(), "{goal}"),
            Verdict::Reached(evidence) => {
                assert!(!evidence.is_empty(), "{goal}");
                for evidence in evidence {
                    let transfer = facts.transfers.iter().find(|one| one.workflow_id == evidence.workflow_id);
                    let runs = &transfer.expect("a transfer of these").runs;
                    let run = runs.iter().find(|run| run.run_id == evidence.run_id).expect("one of its runs");
                    let event = run.event(evidence.event_id.expect("an event")).expect("one of its events");
                    assert_eq!(Some(event.time()), evidence.time.as_deref());
                    let (kinds, kind) = (kinds(goal), event.kind());
                    assert!(kinds.is_empty() || kinds.contains(&kind.as_str()), "{goal}: {evidence:?}");
                    assert!(!evidence.what.is_empty(), "{goal}: {evidence:?}");
                }
                reached.push(goal);
            }
        }
    }
    reached
}

/// The kinds of events by which a goal is reached; of a goal that is not listed, any.
fn kinds(goal: &str) -> &'static [&'static str] {
    match goal {
        "workflow-task-fails" | "history-does-not-fit" | "one-is-reset" => &["WorkflowTaskFailed"],
        "goes-on" | "new-ones-make-the-step" | "both-at-once" => &["ActivityTaskScheduled"],
        "none-is-stuck" => &["ActivityTaskScheduled"],
        "withdraw-fails" => &["ActivityTaskScheduled", "ActivityTaskStarted"],
        "withdraw-succeeds" | "withdrawn-once" => &["ActivityTaskCompleted"],
        "refusal-is-final" | "error-classified" | "out-of-attempts" => &["ActivityTaskFailed"],
        "removal-caught" | "patch-deprecated" => &["MarkerRecorded"],
        "ramped" | "rolled-back" => &["WorkflowTaskCompleted"],
        "only-version-2-fails" => &["WorkflowTaskFailed"],
        "no-money-lost" => &["WorkflowExecutionFailed"],
        "server-killed" | "bank-killed" => &["WorkflowExecutionStarted"],
        "another-worker" => &["WorkflowTaskCompleted", "ActivityTaskStarted", "ActivityTaskScheduled"],
        "transfer-completes"
        | "stuck-ones-complete"
        | "old-ones-complete"
        | "new-ones-complete"
        | "all-are-reset"
        | "patched-ones-complete"
        | "moved"
        | "fixed-version-is-current"
        | "version-1-is-retired"
        | "nothing-is-lost" => &["WorkflowExecutionCompleted"],
        _ => &[],
    }
}

/// Asserts that no prefix of these good histories breaks a rule, and judges all goals by each prefix.
fn assert_beginnings_are_good(facts: &Facts) {
    for transfer in &facts.transfers {
        for (at, run) in transfer.runs.iter().enumerate() {
            for length in 0..=run.events.len() {
                let begun = Run::new(run.run_id.clone(), run.events[..length].to_vec(), Value::Null);
                let runs = transfer.runs[..at].iter().cloned().chain([begun]).collect();
                let transfers = vec![Transfer { runs, ..transfer.clone() }];
                let facts = Facts { transfers, ..facts.clone() };
                assert_eq!(lab::wrong(&facts), [], "{length} events of {}", transfer.workflow_id);
                for stage in STAGES {
                    reached(stage.goals, &facts);
                }
            }
        }
    }
}
