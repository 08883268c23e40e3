//! Transfers that are still in progress from earlier stages, and stuck: the stage that is entered does not need them, and its
//! goals may wait for them in vain.

use std::fmt;

use anyhow::Result;
use contract::Money;
use lab::{Facts, Milestone, Stage, Transfer};
use lab_client::{
    bank::Bank,
    http::encode,
    stuck,
    temporal::{Run, Server},
};
use serde_json::{Value, json};

use crate::roll_out::is_freed_by_leaving;

/// What is recorded as the reason for a termination.
const REASON: &str = "left over from an earlier stage of the lab";

/// A transfer that is left over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    run: Run,
    /// What it is stuck on.
    what: String,
    /// What is wrong with it.
    words: String,
    /// The attempt that is made or comes next.
    attempt: u64,
    /// What the bank has withdrawn for it and neither deposited nor given back, and from which account.
    withdrawn: Option<(Money, String)>,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, attempt {}", self.run.workflow_id, self.words, self.attempt)?;
        match &self.withdrawn {
            None => Ok(()),
            Some((amount, account)) => write!(
                f,
                "; {amount} is withdrawn from {account} and not deposited: if you terminate it, no account has that money"
            ),
        }
    }
}

impl Leftover {
    /// For a program.
    pub fn to_json(&self) -> Value {
        json!({
            "workflow_id": self.run.workflow_id,
            "run_id": self.run.run_id,
            "stuck_on": self.what,
            "attempt": self.attempt,
            "withdrawn": self.withdrawn.as_ref().map(|(amount, _)| amount.to_string()),
        })
    }

    /// Its Workflow Id.
    pub fn workflow_id(&self) -> &str {
        &self.run.workflow_id
    }

    /// Terminates it. Returns whether it was still in progress.
    pub(crate) fn terminate(&self, server: &Server) -> Result<bool> {
        server.terminate(&self.run, REASON)
    }
}

/// The transfers that are stuck and not what this stage begins with. Those that only wait for an outage to end, or that are pinned to a
/// version, are not left over: entering a stage ends the outage and frees them. On a service that others use, only those of this learner's Task Queue count.
pub(crate) fn find(
    server: &Server,
    bank: &Bank,
    stage: &Stage,
    learner: Option<&str>,
    transfers: impl FnOnce() -> Result<Vec<Transfer>>,
) -> Result<Vec<Leftover>> {
    let stuck = stuck::find(server, usize::MAX)?.stuck;
    if stuck.is_empty() {
        return Ok(Vec::new());
    }
    let outage = bank.outage()?;
    let transfers = transfers()?;
    let mut found: Vec<Leftover> = Vec::new();
    for stuck in stuck {
        let is_it = |transfer: &&Transfer| transfer.last().run_id == stuck.run.run_id;
        let Some(transfer) = transfers.iter().find(is_it) else { continue };
        let is_held = outage.deposits && Milestone::HeldAtDeposit.is_reached(transfer)
            || outage.withdrawals && Milestone::FailsToWithdraw.is_reached(transfer);
        let is_known = found.iter().any(|known| known.run == stuck.run);
        // Entering a stage leaves all versions.
        let is_freed = is_freed_by_leaving(&transfer.last().description);
        if is_known || is_held || is_freed || !is_this_labs(transfer, learner) || is_needed(stage, transfer) {
            continue;
        }
        let withdrawn = withdrawn(bank, &transfer.original_run)?;
        let (what, words) = (stuck.what(), stuck.words());
        found.push(Leftover { what, words, attempt: stuck.attempt, run: stuck.run, withdrawn });
    }
    Ok(found)
}

/// Whether the stage begins with transfers like this one.
fn is_needed(stage: &Stage, transfer: &Transfer) -> bool {
    stage.precondition.is_some_and(|precondition| precondition.milestone.is_reached(transfer))
}

fn is_this_labs(transfer: &Transfer, learner: Option<&str>) -> bool {
    let own = contract::task_queue(learner);
    let started = transfer.last().events().find(|event| event.is("WorkflowExecutionStarted"));
    started.is_some_and(|started| started.attributes()["taskQueue"]["name"] == *own)
}

fn withdrawn(bank: &Bank, original_run: &str) -> Result<Option<(Money, String)>> {
    let page = bank.entries(&format!("transfer={}", encode(original_run)))?;
    let entries = page["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
    let entries = Facts::new(Vec::new(), entries, String::new(), Vec::new()).entries;
    let taken = entries.iter().find(|entry| entry.kind == "withdraw");
    let left = lab::in_transit(&entries);
    Ok(taken.filter(|_| left > Money::ZERO).map(|taken| (left, taken.account.clone())))
}
