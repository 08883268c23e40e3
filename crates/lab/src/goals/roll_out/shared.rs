//! What the goals of roll-out and their next steps share: the stage's versions, and which transfers they took.

use contract::Money;

use crate::{Deployment, Facts, Next, Run, Transfer, goals::start_again, moment::Moment, money};

/// The stage of these goals.
pub(super) const STAGE: &str = "roll-out";
/// The Build ID of the version that the stage's transfers begin on, and that of Jerry's.
pub(super) const FIRST: &str = "1";
pub(super) const JERRYS: &str = "2";
/// From this amount on, Jerry's version fails.
pub(super) const FAILS_FROM: Money = Money::from_dollars(100);
/// Starts transfers of both sizes until each version that takes some has taken some of each size.
pub(super) const TRAFFIC: &str = "cargo xtask traffic";
/// So many transfers in a row on version 1 show a rollback where the server no longer does: as many as `traffic` starts at least, and more
/// than it starts after the last one that a ramped version takes.
pub(super) const IN_A_ROW: usize = 10;
pub(super) const DEPLOY: &str = "cargo xtask lab deploy";

/// The version that the transfer began on, by its first run: a reset may have begun it on another one once more.
pub(super) fn began_on(transfer: &Transfer) -> Option<&str> {
    transfer.runs.first()?.began_on()
}

/// The transfers that were started since the stage was entered and began on this version, the oldest first.
pub(super) fn taken<'a>(
    facts: &'a Facts,
    build_id: &'a str,
) -> impl DoubleEndedIterator<Item = &'a Transfer> {
    let entered = Moment::of(&facts.entered);
    let new = facts.transfers.iter().filter(move |transfer| transfer.start() >= entered);
    new.filter(move |transfer| began_on(transfer) == Some(build_id))
}

pub(super) fn amount(transfer: &Transfer) -> Option<Money> {
    money(&transfer.input()["amount"])
}

/// The routing, or what to do if there is none.
pub(super) fn routing(facts: &Facts) -> Result<&Deployment, Next> {
    let none = || start_again("the server knows no version of this lab's worker", STAGE);
    facts.deployment.as_ref().ok_or_else(none)
}

pub(super) fn is_current(deployment: &Deployment, build_id: &str) -> bool {
    deployment.current.as_deref() == Some(build_id)
}

/// Whether the run is to follow the current version with its next Workflow Task.
pub(super) fn follows_current(run: &Run) -> bool {
    let last = run.events().rfind(|event| event.is("WorkflowExecutionOptionsUpdated"));
    last.is_some_and(|last| last.attributes()["versioningOverride"]["autoUpgrade"] == true)
}

/// The Build IDs of the versions that came after Jerry's and run, the newest first.
pub(super) fn fixes(deployment: &Deployment) -> impl Iterator<Item = &str> {
    let running = deployment.running.iter().map(String::as_str);
    let mut fixes: Vec<&str> = running.filter(|build_id| ![FIRST, JERRYS].contains(build_id)).collect();
    fixes.sort_by_key(|build_id| (build_id.len(), *build_id));
    fixes.into_iter().rev()
}
