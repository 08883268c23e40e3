//! Many transfers of two sizes, and which Deployment Version took each.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Error, Result, bail};
use contract::{Amount, Money};
use lab::{Event, Halt};
use serde_json::{Value, json};

use crate::{
    http::is_silence,
    new_workflow_id, side_by_side,
    stuck::{self, Stuck},
    temporal::{Run, Server, status_name, status_of},
};

/// How many transfers a batch has. Two for each account of a [ring](orders), so that each sends and receives both sizes.
pub const BATCH: usize = 10;
/// The two sizes, in dollars.
pub const SIZES: [Money; 2] = [Money::from_dollars(10), Money::from_dollars(150)];

/// The time between two starts: a shared service answers only so many requests a second.
const PACE: Duration = Duration::from_millis(100);
/// How long a service may be too busy for a start.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);
/// The time between two attempts to start a transfer on a busy service.
const BUSY_INTERVAL: Duration = Duration::from_secs(1);
/// The time until the first look at a batch; each next one comes after twice the time, up to [`LONGEST_INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_millis(250);
const LONGEST_INTERVAL: Duration = Duration::from_secs(2);

/// A transfer to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// The account to withdraw from.
    pub from: String,
    /// The account to deposit into.
    pub to: String,
    /// One of the [`SIZES`].
    pub size: Money,
}

/// A batch of orders between the five accounts with the highest balances, as the bank lists them. The sizes come in turn, and an odd
/// number of accounts stands in a ring, so each sends and receives both sizes, and when all have completed every balance is what it was.
///
/// # Errors
/// Fewer than five accounts can pay both sizes.
pub fn orders(accounts: &Value) -> Result<Vec<Order>> {
    let accounts = accounts["accounts"].as_array().into_iter().flatten();
    let balance = |account: &Value| Amount::from_json(&account["balance"].to_string()).ok();
    let both = Money::from_cents(SIZES.iter().map(|size| size.cents()).sum());
    let mut ring: Vec<(Money, &str)> = accounts
        .filter_map(|account| Some((balance(account)?.into(), account["account_number"].as_str()?)))
        .filter(|(balance, _)| *balance >= both)
        .collect();
    ring.sort_by(|a, b| b.cmp(a));
    let length = BATCH / SIZES.len();
    if ring.len() < length {
        bail!(
            "fewer than {length} accounts of the bank hold {both} or more; make transfers back to the others first, or start over with: \
             cargo xtask reset"
        );
    }
    let account = |at: usize| ring[at % length].1.to_owned();
    let order = |at: usize| Order { from: account(at), to: account(at + 1), size: SIZES[at % SIZES.len()] };
    Ok((0..BATCH).map(order).collect())
}

/// The progress of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It is in progress, and nothing holds it up.
    InProgress,
    /// It fails again and again, or something holds it up.
    Stuck,
    /// It has completed.
    Completed,
    /// It closed in another way.
    Failed,
}

/// A transfer that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Its run.
    pub run: Run,
    /// Its size.
    pub size: Money,
    /// The Build ID of the version whose worker completed its last Workflow Task; none before the first.
    pub build_id: Option<String>,
    /// Its progress.
    pub progress: Progress,
}

impl Transfer {
    /// Whether nothing more will be learned about it soon.
    fn is_settled(&self) -> bool {
        match self.progress {
            Progress::InProgress => false,
            Progress::Stuck => self.build_id.is_some(),
            Progress::Completed | Progress::Failed => true,
        }
    }
}

/// Starts these transfers, one after the other at a pace that a shared service can answer, and adds them to the others.
///
/// # Errors
/// The server does not answer, rejects one, or stays too busy; a sentence says which, and how many were started before.
pub fn start(server: &Server, orders: &[Order], transfers: &mut Vec<Transfer>) -> Result<()> {
    for Order { from, to, size } in orders {
        let amount = Amount::from_cents(size.cents())?;
        let input = json!({ "from_account": from, "to_account": to, "amount": amount });
        let run = start_one(server, &input).map_err(|error| match transfers.len() {
            0 => error,
            started => error.context(started_before(started)),
        })?;
        transfers.push(Transfer { run, size: *size, build_id: None, progress: Progress::InProgress });
        thread::sleep(PACE);
    }
    Ok(())
}

/// What an error interrupts.
fn started_before(number: usize) -> String {
    let transfers = if number == 1 { "1 transfer was" } else { &format!("{number} transfers were") };
    format!("{transfers} started before (see them with: cargo xtask lab status)")
}

fn start_one(server: &Server, input: &Value) -> Result<Run> {
    let workflow_id = new_workflow_id();
    let begin = Instant::now();
    loop {
        match server.start_transfer(&workflow_id, input) {
            Err(error) if status_of(&error) == TOO_MANY && begin.elapsed() < BUSY_TIMEOUT => {
                thread::sleep(BUSY_INTERVAL);
            }
            answer => {
                return answer.map_err(|error| Error::msg(server.why_not_started(&workflow_id, &error)));
            }
        }
    }
}

/// The HTTP status of a service that is too busy.
const TOO_MANY: u16 = 429;

/// Looks at these transfers until each has closed, or is stuck on a version; at most for so long. Returns whether that happened.
///
/// # Errors
/// The server does not answer.
pub fn settle(server: &Server, transfers: &mut [Transfer], timeout: Duration) -> Result<bool> {
    let begin = Instant::now();
    let mut interval = FIRST_INTERVAL.min(timeout);
    loop {
        thread::sleep(interval);
        interval = (2 * interval).min(LONGEST_INTERVAL);
        let open: Vec<usize> = (0..transfers.len()).filter(|&at| !transfers[at].is_settled()).collect();
        let looks = side_by_side::map(&open, |&at| look(server, &transfers[at].run));
        for (at, look) in open.into_iter().zip(looks) {
            match look {
                Ok((build_id, progress)) => {
                    transfers[at].build_id = build_id;
                    transfers[at].progress = progress;
                }
                Err(error) if is_silence(&error) => return Err(error),
                // It is too busy to tell.
                Err(_) => {}
            }
        }
        let is_settled = transfers.iter().all(Transfer::is_settled);
        if is_settled || begin.elapsed() >= timeout {
            return Ok(is_settled);
        }
    }
}

/// The Build ID of the version that a run is on, and the run's progress.
fn look(server: &Server, run: &Run) -> Result<(Option<String>, Progress)> {
    let description = server.describe(run)?;
    let info = &description["workflowExecutionInfo"];
    let build_id = info["versioningInfo"]["deploymentVersion"]["buildId"].as_str().map(str::to_owned);
    let progress = match status_name(&info["status"]) {
        "COMPLETED" => Progress::Completed,
        "RUNNING" if !is_stuck(server, run, &description) => Progress::InProgress,
        "RUNNING" => Progress::Stuck,
        _ => Progress::Failed,
    };
    Ok((build_id, progress))
}

/// How often a Workflow Task may time out before its transfer counts as stuck.
const LATE: u64 = 3;

/// Whether a run is stuck. A Workflow Task that a busy worker did not complete in time is only late at first.
fn is_stuck(server: &Server, run: &Run, description: &Value) -> bool {
    let is_of_task = |stuck: &Stuck| {
        stuck.activity.is_none() && matches!(stuck.halt, None | Some(Halt::NotAnswered { .. }))
    };
    let is_late =
        |stuck: &Stuck| is_of_task(stuck) && stuck.attempt <= LATE + 1 && has_timed_out(server, run);
    stuck::of(run, description, Vec::new).iter().any(|stuck| !is_late(stuck))
}

/// Whether the run's last Workflow Task timed out, and did not fail.
fn has_timed_out(server: &Server, run: &Run) -> bool {
    let newest_first = server.last_events(run).unwrap_or_default();
    let mut events = newest_first.iter().map(Event::new);
    events
        .find(|event| event.is("WorkflowTaskFailed") || event.is("WorkflowTaskTimedOut"))
        .is_some_and(|event| event.is("WorkflowTaskTimedOut"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::stuck::tests::server;

    fn accounts(balances: &[f64]) -> Value {
        let account = |(at, balance): (usize, &f64)| json!({ "account_number": format!("account_{at}"), "balance": balance });
        json!({ "accounts": balances.iter().enumerate().map(account).collect::<Vec<_>>() })
    }

    #[test]
    fn a_batch_has_both_sizes_in_equal_parts_and_leaves_every_balance_as_it_was() {
        let orders =
            orders(&accounts(&[160.0, 1000.0, 0.0, 400.5, 900.0, 159.99, 1500.0])).expect("five can pay");
        assert_eq!(orders.len(), BATCH);
        assert_eq!(orders.iter().filter(|order| order.size == SIZES[0]).count(), BATCH / 2);
        let mut changes: BTreeMap<&str, i64> = BTreeMap::new();
        for order in &orders {
            assert_ne!(order.from, order.to);
            *changes.entry(&order.from).or_default() -= order.size.cents();
            *changes.entry(&order.to).or_default() += order.size.cents();
        }
        let names: Vec<_> = changes.keys().copied().collect();
        assert_eq!(names, ["account_0", "account_1", "account_3", "account_4", "account_6"]);
        assert!(changes.values().all(|change| *change == 0), "{changes:?}");
    }

    #[test]
    fn accounts_that_cannot_pay_are_reported_before_anything_is_started() {
        let error = orders(&accounts(&[160.0, 160.0, 160.0, 160.0, 159.99])).expect_err("four can pay");
        assert!(
            error.to_string().starts_with("fewer than 5 accounts of the bank hold 160.00 or more; "),
            "{error}"
        );
        assert!(orders(&json!({})).is_err());
    }

    fn started(names: &[&str]) -> Vec<Transfer> {
        let run = |name: &&str| Run { workflow_id: (*name).to_owned(), run_id: "r".to_owned() };
        let transfer = |name| Transfer {
            run: run(name),
            size: SIZES[0],
            build_id: None,
            progress: Progress::InProgress,
        };
        names.iter().map(transfer).collect()
    }

    const ON_1: &str = r#"{"workflowExecutionInfo":{"status":"WORKFLOW_EXECUTION_STATUS_COMPLETED",
        "versioningInfo":{"deploymentVersion":{"deploymentName":"money-transfer","buildId":"1"}}}}"#;
    const STUCK_ON_2: &str = r#"{"workflowExecutionInfo":{"status":"WORKFLOW_EXECUTION_STATUS_RUNNING",
        "versioningInfo":{"deploymentVersion":{"deploymentName":"money-transfer","buildId":"2"}}},
        "pendingWorkflowTask":{"state":"PENDING_WORKFLOW_TASK_STATE_SCHEDULED","attempt":3}}"#;
    const NOT_TAKEN: &str = r#"{"workflowExecutionInfo":{"status":"WORKFLOW_EXECUTION_STATUS_RUNNING"}}"#;

    #[test]
    fn the_version_of_a_transfer_is_read_from_its_description() {
        let server = server(&[
            ("workflows/b/history-reverse", "200", r#"{"history":{"events":[]}}"#),
            ("workflows/a?", "200", ON_1),
            ("workflows/b?", "200", STUCK_ON_2),
        ]);
        let mut transfers = started(&["a", "b"]);
        assert!(settle(&server, &mut transfers, Duration::from_secs(60)).expect("it answers"));
        let read = |at: usize| (transfers[at].build_id.as_deref(), transfers[at].progress);
        assert_eq!((read(0), read(1)), ((Some("1"), Progress::Completed), (Some("2"), Progress::Stuck)));
    }

    #[test]
    fn a_task_that_timed_out_on_a_busy_worker_is_late_and_not_stuck() {
        const TIMED_OUT: &str =
            r#"{"history":{"events":[{"eventId":"7","eventType":"EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"}]}}"#;
        const FAILED: &str = r#"{"history":{"events":[{"eventId":"9","eventType":"EVENT_TYPE_WORKFLOW_TASK_FAILED"},
            {"eventId":"7","eventType":"EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT"}]}}"#;
        let server = server(&[
            ("workflows/a/history-reverse", "200", TIMED_OUT),
            ("workflows/b/history-reverse", "200", FAILED),
            ("workflows/a?", "200", STUCK_ON_2),
            ("workflows/b?", "200", STUCK_ON_2),
        ]);
        let runs = started(&["a", "b"]).into_iter().map(|transfer| transfer.run);
        let progress: Vec<_> = runs.map(|run| look(&server, &run).expect("it answers").1).collect();
        assert_eq!(progress, [Progress::InProgress, Progress::Stuck]);
    }

    #[test]
    fn a_transfer_that_no_worker_takes_ends_the_waiting_after_the_timeout() {
        let server = server(&[
            ("workflows/a?", "200", NOT_TAKEN),
            ("workflows/b?", "429", r#"{"message":"namespace rate limit exceeded"}"#),
        ]);
        let mut transfers = started(&["a", "b"]);
        assert!(!settle(&server, &mut transfers, Duration::from_millis(1)).expect("it answers"));
        assert!(transfers.iter().all(|transfer| transfer.build_id.is_none() && !transfer.is_settled()));
    }

    #[test]
    fn a_start_that_the_server_rejects_is_explained_with_what_was_started_before() {
        let server = server(&[("workflows/", "403", r#"{"message":"permission denied"}"#)]);
        let orders = orders(&accounts(&[200.0; 5])).expect("five can pay");
        for (mut transfers, begins) in [
            (started(&[]), "the transfer "),
            (started(&["a"]), "1 transfer was started before ("),
            (started(&["a", "b"]), "2 transfers were started before ("),
        ] {
            let error = start(&server, &orders, &mut transfers).expect_err("it is rejected");
            let error = format!("{error:#}");
            assert!(
                error.starts_with(begins) && error.ends_with(" was not started: permission denied"),
                "{error}"
            );
        }
    }
}
