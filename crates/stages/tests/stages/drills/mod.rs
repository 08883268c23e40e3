//! Drills on a real server: how the judge sees each incident that is left alone, that is repaired, and whose repair is wrong.
//!
//! Each incident has a file here with its name, and in it:
//!
//! - the incident is left alone, which does not end it; then comes the shipped fix, first without its repairs where it needs some;
//! - in the module `slow`, another right way out of it;
//! - in the module `slow`, wrong fixes, one after the other, each of which the judge names for a reason of its own.
//!
//! A test begins a [`Drill`], [deploys](Drill::deploy) code as a learner does, either a pair of shipped [`Modules`] or a [`Code`] with some
//! of its fields changed, repairs by the commands of a learner, and then waits for what the judge says: [`Drill::until_recovered`],
//! [`Drill::stays_open`] or [`Drill::until_wrong`]. `some_never_arrive.rs` is the example.
//!
//! The traffic is that of a real drill but for its pace: a burst of five of each kind when the drill begins and after each deploy.

mod charged_twice;
mod code;
mod failed_for_good;
mod fine_after_restart;
mod fixed_but_waiting;
mod no_error_anywhere;
mod nothing_moves;
mod slow_afternoon;
mod some_never_arrive;
mod too_much_money;
mod waiting_customers;
mod works_on_retry;
mod yesterdays_transfers;

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lab::{Facts, Outcome, Report, Status, Verdict, Wrong};
use lab_client::{
    Endpoints, bank,
    drill_traffic::{BURST, Order},
    facts::Reader,
    progress::{self, Progress},
    temporal::{Run, Server},
    time,
};
use serde_json::{Value, json};
use stages::Modules;
use tempfile::TempDir;
use testbed::{TestWorker, Testbed, until};

use crate::{checks::roll_out::words, process::Process};

pub(crate) use code::{Balances, Code, Confirms, Does, Finals, Key, OnFailure};

/// The seed of the traffic.
const SEED: u64 = 7;
/// Other than in a real drill, a transfer that takes so long is late: a test waits for it.
const LATE: Duration = Duration::from_secs(15);
/// The same where a test waits for the opposite, on a machine that may be busy.
const VERY_LATE: Duration = Duration::from_secs(90);
/// The time between two looks at the facts, each of which asks the server about every transfer in progress.
const PACE: Duration = Duration::from_millis(500);
/// The goal that new transfers are safe.
pub(crate) const NEW_ONES: &str = "new-ones-are-safe";
/// How long a worker in a process of its own may take to leave, in steps of 20 ms.
const GRACE_STEPS: usize = 150;

/// A drill in progress.
pub(crate) struct Drill {
    pub(crate) testbed: Testbed,
    /// The incident's name, which the Workflow Ids of its traffic begin with.
    name: String,
    progress: Progress,
    endpoints: Endpoints,
    reader: Arc<Mutex<Reader>>,
    server: Server,
    workers: Vec<Worker>,
    started: u32,
}

/// Code that a test can deploy.
#[derive(Clone, Debug)]
pub(crate) enum Deployed {
    /// A pair of shipped modules.
    Shipped(Modules),
    /// Code of the test's own.
    Own(Box<Code>),
}

impl From<Modules> for Deployed {
    fn from(modules: Modules) -> Deployed {
        Deployed::Shipped(modules)
    }
}

impl From<Code> for Deployed {
    fn from(code: Code) -> Deployed {
        Deployed::Own(Box::new(code))
    }
}

/// A worker that runs. Shipped code has a process of its own, which can be ended even while it blocks.
enum Worker {
    Process(Process, TempDir),
    Here(TestWorker),
}

/// The modules of a stage, or of an incident.
pub(crate) fn modules(stage: &str) -> Modules {
    Modules::of(lab::stage(stage).expect("a stage of the table"))
}

impl Drill {
    /// What `cargo xtask drill NAME` does: its code runs, the bank has its faults, and its traffic has begun.
    pub(crate) async fn begin(name: &str) -> Drill {
        let incident = lab::incident(name).expect("an incident of the table");
        let testbed = Testbed::start().await;
        let endpoints = Endpoints::own(&testbed.server.http_url, "", &testbed.bank_url);
        let bank = bank::Bank::new(&endpoints);
        let last_entry = blocking(move || bank.last_entry()).await.expect("the bank answers");
        // The ledger is not judged for transfers of the second in which it was opened: they may be older.
        let opened = testbed.get::<Value>("/entries?limit=1").await["entries"][0]["time"].as_u64();
        let opened = opened.expect("an entry of each account's opening");
        until("the second after the ledger's first", || async {
            let now = time::now().as_secs();
            if now > opened { Ok(()) } else { Err((opened, now)) }
        })
        .await;
        let stage = &incident.stage;
        let mut drill = Drill {
            testbed,
            // A number, since several tests of an incident run in one process.
            name: format!("{name}-{}", fastrand::u32(..)),
            progress: Progress { entered: String::new(), ..Progress::begin(stage) },
            reader: Arc::new(Mutex::new(Reader::new(&endpoints).with_late(LATE))),
            server: Server::new(&endpoints),
            endpoints,
            workers: Vec::new(),
            started: 0,
        };
        if let Some(precondition) = &stage.precondition {
            drill.run(modules(precondition.stage).into()).await;
            drill.put("/outage", json!({ "deposits": true })).await;
            for number in 0..precondition.transfers {
                let id = format!("{}.before-{number}", drill.name);
                let input = json!({ "from_account": "account_E", "to_account": "account_G", "amount": 5 });
                drill.testbed.start_transfer(&id, input).await;
                drill.progress.transfers.push(id);
            }
            let milestone = precondition.milestone;
            drill
                .until("the transfers that the incident begins with", |facts| {
                    let there = |transfer: &lab::Transfer| milestone.is_reached(transfer);
                    facts.transfers.iter().all(there).then_some(()).ok_or("not there yet")
                })
                .await;
        }
        drill.run(Modules::of(stage).into()).await;
        drill.progress = Progress {
            transfers: std::mem::take(&mut drill.progress.transfers),
            drill: Some(progress::Drill { seed: SEED, last_entry, ended: None }),
            ..Progress::begin(stage)
        };
        if stage.precondition.is_some() {
            drill.put("/outage", json!({ "deposits": stage.deposits_down })).await;
            drill.retry().await;
        }
        if let Some(settings) = incident.bank {
            drill.put("/real-world-mode", serde_json::from_str(settings).expect("JSON")).await;
        }
        drill.burst().await;
        drill
    }

    /// Runs this code in place of what runs, with new traffic. A shipped fix is `deploy(modules(STAGE))`.
    pub(crate) async fn deploy(&mut self, code: impl Into<Deployed>) {
        self.run(code.into()).await;
        self.burst().await;
    }

    /// Runs this code, without new traffic.
    async fn run(&mut self, code: Deployed) {
        self.stop().await;
        match code {
            Deployed::Shipped(modules) => {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let (workflow, activities) = sources(modules);
                fs::write(folder.path().join("workflow.rs"), workflow).expect("a writable folder");
                fs::write(folder.path().join("activities.rs"), activities).expect("a writable folder");
                let arguments = ["--modules", ".", "--ready-file", "ready"];
                let process = Process::start_with_log(&self.testbed, folder.path(), &arguments);
                until("the worker to poll", || async {
                    let log = || fs::read_to_string(folder.path().join("log"));
                    if folder.path().join("ready").exists() { Ok(()) } else { Err(log()) }
                })
                .await;
                self.workers.push(Worker::Process(process, folder));
            }
            Deployed::Own(code) => {
                for queue in [contract::TASK_QUEUE].iter().chain(code.polls) {
                    let mut options = code.put_in_place(&self.name, &self.testbed.bank_url);
                    options.task_queue = (*queue).to_owned();
                    let worker = TestWorker::start(&self.testbed.client, options).await;
                    self.workers.push(Worker::Here(worker));
                }
            }
        }
    }

    /// Ends the worker. What is in progress waits.
    pub(crate) async fn stop(&mut self) {
        code::leave(&self.name);
        for worker in self.workers.drain(..) {
            match worker {
                Worker::Here(worker) => worker.stop().await,
                Worker::Process(mut process, _folder) => {
                    process.signal("TERM");
                    for _ in 0..GRACE_STEPS {
                        if process.has_ended() {
                            break;
                        }
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                }
            }
        }
    }

    /// Starts five transfers of each kind.
    pub(crate) async fn burst(&mut self) {
        for number in self.started..self.started + BURST {
            let id = format!("{}.{number}", self.name);
            self.testbed.start_transfer(&id, Order::of(SEED, number).input()).await;
        }
        self.started += BURST;
    }

    /// What the judge judges by, once every transfer of the drill is in it.
    pub(crate) async fn facts(&self) -> Facts {
        let expected = self.started as usize + self.progress.transfers.len();
        until("the server to list every transfer", || async {
            let (reader, progress) = (self.reader.clone(), self.progress.clone());
            let read =
                move || reader.lock().unwrap_or_else(PoisonError::into_inner).read(&progress, Vec::new());
            let why_not = match blocking(read).await {
                Ok(facts) if facts.transfers.len() >= expected => return Ok(facts),
                Ok(facts) => format!("{} of {expected}", facts.transfers.len()),
                Err(error) => format!("{error:#}"),
            };
            tokio::time::sleep(PACE).await;
            Err(why_not)
        })
        .await
    }

    /// From now on, a transfer that takes longer than [`LATE`] is not late yet: the code in place is expected to have none that are.
    pub(crate) fn expect_none_late(&self) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        *reader = Reader::new(&self.endpoints).with_late(VERY_LATE);
    }

    /// Waits until the facts are so.
    pub(crate) async fn until<T, E: std::fmt::Debug>(
        &self,
        what: &str,
        judge: impl Fn(&Facts) -> Result<T, E>,
    ) -> T {
        let judge = &judge;
        until(what, || async move {
            let judged = judge(&self.facts().await);
            if judged.is_err() {
                tokio::time::sleep(PACE).await;
            }
            judged
        })
        .await
    }

    /// What `cargo xtask check` reports.
    pub(crate) fn report(&self, facts: &Facts) -> Report {
        Report::of(self.progress.stage, facts)
    }

    /// Waits until the incident has hit a transfer.
    pub(crate) async fn until_hit(&self) {
        self.until("a transfer to be hit", |facts| {
            let hits = Outcome::of(facts).hits.len();
            if hits > 0 { Ok(()) } else { Err("none is") }
        })
        .await;
    }

    /// Waits until no transfer is in progress.
    pub(crate) async fn until_closed(&self) {
        self.until("no transfer to be in progress", |facts| match in_progress(facts) {
            running if running.is_empty() => Ok(()),
            running => Err(running.iter().map(|run| run.workflow_id.clone()).collect::<Vec<_>>()),
        })
        .await;
    }

    /// Waits until every goal is reached and no rule is broken. As in a real drill, more transfers are started: few of those so far may have
    /// met the condition of the incident, or one of them may have been late since the machine was busy.
    pub(crate) async fn until_recovered(&mut self) -> Facts {
        self.expect_none_late();
        for _ in 0..4 {
            let (facts, report) = self
                .until("the lab to recover", |facts| {
                    let report = self.report(facts);
                    let needs_more = in_progress(facts).is_empty() && !Outcome::of(facts).is_mitigated();
                    assert_eq!(report.wrong, []);
                    if report.is_reached() || needs_more {
                        Ok((facts.clone(), report))
                    } else {
                        Err(report.to_json()["goals"].to_string())
                    }
                })
                .await;
            if report.is_reached() {
                assert!(Outcome::of(&facts).is_recovered());
                return facts;
            }
            self.burst().await;
        }
        let report = self.report(&self.facts().await);
        panic!("too few transfers met the condition and got through: {}", report.to_json())
    }

    /// Waits until the transfers of the code in place have closed, and makes sure that none of them counts as safe.
    pub(crate) async fn none_is_safe(&self) {
        self.until("the new transfers to close", |facts| {
            let outcome = Outcome::of(facts);
            let running = in_progress(facts).into_iter().filter(|transfer| outcome.is_new(transfer));
            let running: Vec<_> = running.map(|transfer| transfer.workflow_id.clone()).collect();
            let has_new = facts.transfers.iter().any(|transfer| outcome.is_new(transfer));
            assert!(outcome.safe.is_empty() && !outcome.is_recovered(), "{:?}", outcome.safe);
            if has_new && running.is_empty() { Ok(()) } else { Err(running) }
        })
        .await;
    }

    /// Waits until this goal is open with these words in what is next, and it is certain that the code in place does not reach it: one of its
    /// own transfers was hit, or broke a rule, or all of them have closed. The judge names one of the transfers that were hit, such as one that
    /// was late on a busy machine; the words may be about any of them.
    pub(crate) async fn stays_open(&self, goal: &str, words: &str) {
        self.until(&format!("{goal} to stay open with: {words}"), |facts| {
            let report = self.report(facts);
            let outcome = Outcome::of(facts);
            let is_certain = outcome.still_hit().is_some()
                || !outcome.wrong.is_empty()
                || facts
                    .transfers
                    .iter()
                    .all(|transfer| transfer.last().status != Status::Running || !outcome.is_new(transfer));
            let goals = report.stage.goals.iter().zip(&report.verdicts);
            let verdict = goals.clone().find(|(known, _)| known.name == goal).map(|(_, verdict)| verdict);
            let hits = outcome.hits.iter().filter(|hit| goal == NEW_ONES && outcome.is_new(hit.transfer));
            let mut signs = hits.map(|hit| hit.sign.what.as_str());
            match verdict.expect("a goal of incidents") {
                Verdict::Open(next)
                    if is_certain
                        && (next.to_string().contains(words) || signs.any(|sign| sign.contains(words))) =>
                {
                    assert!(!report.is_reached() && !outcome.is_recovered());
                    Ok(())
                }
                _ => Err((is_certain, report.to_json().to_string())),
            }
        })
        .await;
    }

    /// Waits until a transfer has broken a rule under the code in place, in these words or with this meaning.
    pub(crate) async fn until_wrong(&self, words: &str) -> Wrong {
        self.until(&format!("a broken rule with: {words}"), |facts| {
            let report = self.report(facts);
            assert!(!report.is_reached());
            let mut wrong = Outcome::of(facts).wrong.into_iter();
            let found =
                wrong.find(|wrong| wrong.evidence.what.contains(words) || wrong.meaning.contains(words));
            found.ok_or_else(|| report.to_json().to_string())
        })
        .await
    }

    /// Types a command of the Temporal CLI, again until it succeeds: the server's lists lag behind.
    pub(crate) async fn type_in(&self, line: &str) -> String {
        until(line, || async {
            let mut command = testbed::temporal_cli().command();
            command.args(words(line)).env("TEMPORAL_ADDRESS", self.testbed.server_address());
            let ended = blocking(move || command.output()).await.expect("the Temporal CLI can be run");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            if ended.status.success() { Ok(text(&ended.stdout)) } else { Err(text(&ended.stderr)) }
        })
        .await
    }

    /// Resets the transfers that failed, without those that the bank refuses, in one batch; the type is such as `FirstWorkflowTask`.
    pub(crate) async fn reset_failed(&self, kind: &str) {
        let query =
            r#"ExecutionStatus = "Failed" AND to_account != "account_X" AND from_account != "account_I""#;
        let failed = Outcome::of(&self.facts().await).lost.len();
        until("the failed transfers to be listed", || async {
            let count = self.testbed.client.count_workflows(query, Default::default()).await;
            let count = count.expect("the server counts").count();
            if count >= failed { Ok(()) } else { Err(count) }
        })
        .await;
        self.type_in(&format!("workflow reset --query '{query}' --type {kind} --reason fixed --yes")).await;
    }

    /// Resets all transfers that are in progress in one batch.
    pub(crate) async fn reset_running(&self, kind: &str) {
        let query = r#"ExecutionStatus = "Running""#;
        self.type_in(&format!("workflow reset --query '{query}' --type {kind} --reason fixed --yes")).await;
    }

    /// Resets one transfer.
    pub(crate) async fn reset(&self, workflow_id: &str, kind: &str) {
        self.type_in(&format!("workflow reset --workflow-id {workflow_id} --type {kind} --reason fixed"))
            .await;
    }

    /// Terminates one transfer.
    pub(crate) async fn terminate(&self, workflow_id: &str) {
        self.type_in(&format!("workflow terminate --workflow-id {workflow_id} --reason stuck")).await;
    }

    /// Terminates one of the transfers that were hit and are in progress.
    pub(crate) async fn terminate_one_that_is_stuck(&self) {
        let stuck = self.stuck().await;
        self.terminate(stuck.first().expect("a transfer that was hit is in progress")).await;
    }

    /// The transfers that were hit and are in progress.
    pub(crate) async fn stuck(&self) -> Vec<String> {
        let facts = self.facts().await;
        let hit = Outcome::of(&facts).hits.into_iter().map(|hit| hit.transfer);
        let stuck = hit.filter(|transfer| transfer.last().status == Status::Running);
        stuck.map(|transfer| transfer.workflow_id.clone()).collect()
    }

    /// What `cargo xtask retry` does: each pending Activity is retried right away.
    pub(crate) async fn retry(&self) {
        for (run, activity) in self.pending().await {
            let server = self.server.clone();
            blocking(move || server.retry_activity(&run, &activity)).await.expect("the server retries it");
        }
    }

    /// The Activities that are pending, each by its run and its id.
    async fn pending(&self) -> Vec<(Run, String)> {
        let facts = self.facts().await;
        let mut pending = Vec::new();
        for transfer in in_progress(&facts) {
            let run =
                Run { workflow_id: transfer.workflow_id.clone(), run_id: transfer.last().run_id.clone() };
            let activities =
                transfer.last().description["pendingActivities"].as_array().into_iter().flatten();
            let ids = activities.filter_map(|activity| Some(activity["activityId"].as_str()?.to_owned()));
            pending.extend(ids.map(|id| (run.clone(), id)));
        }
        pending
    }

    /// What `cargo xtask adjust` does: the bank moves so many cents to the account, or from it, for no transfer.
    pub(crate) async fn adjust(&self, account: &str, cents: i64) {
        let movement = if cents < 0 { "withdraw" } else { "deposit" };
        let url = format!("{}/accounts/{account}/{movement}", self.testbed.bank_url);
        let amount = contract::Money::from_cents(cents.abs());
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        // One for each correction: the same amount may be moved again.
        let key = format!("adjust-{}", fastrand::u64(..));
        until("the bank to move it", || async {
            let request = client.post(&url).header("Idempotency-Key", &key);
            let answer = request.json(&json!({ "amount": amount })).send().await.expect("the bank answers");
            if answer.status().is_success() { Ok(()) } else { Err(answer.text().await) }
        })
        .await;
    }

    /// Adjusts each account by what it holds too much or too little, once all transfers have closed.
    pub(crate) async fn settle(&self) {
        self.until_closed().await;
        for (account, money) in Outcome::of(&self.facts().await).differences {
            self.adjust(&account, -money.cents()).await;
        }
    }

    /// Switches Real World Mode off, which is no fix of the code.
    pub(crate) async fn end_faults(&self) {
        self.put("/real-world-mode", json!({ "enabled": false })).await;
    }

    async fn put(&self, path: &str, body: Value) {
        self.testbed.put(path, body).await;
    }
}

impl Drop for Drill {
    fn drop(&mut self) {
        // Code that blocks would keep its thread.
        code::leave(&self.name);
    }
}

/// The transfers that are in progress.
pub(crate) fn in_progress(facts: &Facts) -> Vec<&lab::Transfer> {
    facts.transfers.iter().filter(|transfer| transfer.last().status == Status::Running).collect()
}

/// The texts of these modules.
fn sources(Modules { workflow, activities }: Modules) -> (&'static str, &'static str) {
    let find = |mut variants: Box<dyn Iterator<Item = &'static lab::Variant>>, name: &str| {
        variants.find(|variant| variant.name == name).expect("a variant of the table").source
    };
    (
        find(Box::new(lab::workflow_variants()), workflow),
        find(Box::new(lab::activities_variants()), activities),
    )
}

/// A call that blocks, on a thread of its own.
async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call).await.expect("it does not panic")
}
