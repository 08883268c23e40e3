//! What is next at an open goal of roll-out, with the command to type.

use super::shared::{
    DEPLOY, FAILS_FROM, FIRST, IN_A_ROW, JERRYS, STAGE, TRAFFIC, amount, fixes, follows_current, is_current,
    routing, taken,
};
use crate::{
    Deployment, Event, Facts, Next, Run, Status, Transfer,
    goals::{breaks_a_rule, fails_now, start_again, why_not_complete},
    halt::shell_word,
};

/// How to have both versions take new transfers, if they have not.
pub(super) fn next_of_ramp(facts: &Facts) -> Next {
    let deployment = match routing(facts) {
        Ok(deployment) => deployment,
        Err(next) => return next,
    };
    if !deployment.runs(JERRYS) {
        return start_again("the lab runs no worker of version 2", STAGE);
    }
    if is_current(deployment, JERRYS) {
        return back_to_first(
            deployment,
            "version 2 is current, so it takes every new transfer instead of one in five",
        );
    }
    if !is_current(deployment, FIRST) {
        return back_to_first(
            deployment,
            &format!("version 2 was never ramped, and {}", current(deployment)),
        );
    }
    if !deployment.runs(FIRST) {
        return start_again("the lab runs no worker of version 1", STAGE);
    }
    match deployment.share(FIRST) > 0.0 && deployment.share(JERRYS) > 0.0 {
        false => Next::command("send one new transfer in five to version 2: ", ramp(deployment, JERRYS, 20)),
        true => Next::command("start transfers, until each version has taken some: ", TRAFFIC),
    }
}

/// What to do if other code than Jerry's was deployed as version 2: it completes what his fails on.
pub(super) fn other_code(facts: &Facts) -> Option<Next> {
    let (transfer, amount) = taken(facts, JERRYS).find_map(|transfer| {
        let run = transfer.last();
        let completes = run.status == Status::Completed && run.ran_last_on() == Some(JERRYS);
        let amount = amount(transfer).filter(|amount| completes && *amount >= FAILS_FROM)?;
        Some((transfer, amount))
    })?;
    let why = format!(
        "{}, of {amount}, has completed on version 2, so other code than Jerry's was deployed under its Build ID",
        transfer.workflow_id
    );
    Some(start_again(&why, STAGE))
}

/// How to see a transfer fail on version 2 although it takes some, if none has.
pub(super) fn next_of_failure(facts: &Facts) -> Next {
    if let Some(next) = other_code(facts) {
        return next;
    }
    match routing(facts) {
        Err(next) => next,
        Ok(deployment) if deployment.share(JERRYS) > 0.0 => {
            Next::command("no transfer is stuck yet; start more, small and large ones: ", TRAFFIC)
        }
        Ok(deployment) => Next::command(
            "version 2 was rolled back before any transfer failed on it. Ramp it again: ",
            ramp(deployment, JERRYS, 20),
        ),
    }
}

/// What to do while version 2 takes new transfers.
pub(super) fn still_takes_some(deployment: &Deployment) -> Option<Next> {
    let share = deployment.share(JERRYS);
    if share == 0.0 {
        return None;
    }
    Some(match is_current(deployment, JERRYS) {
        true => back_to_first(deployment, "version 2 is still current and takes new transfers"),
        false => Next::command(
            format!("version 2 still takes {share}% of the new transfers. Roll it back: "),
            ramp(deployment, JERRYS, 0),
        ),
    })
}

/// What to do about these transfers, which were stuck on version 2 and have not completed on another one.
pub(super) fn next_of_move(facts: &Facts, deployment: &Deployment, open: &[&Transfer]) -> Next {
    if let Some(transfer) = open.iter().find(|transfer| transfer.runs.iter().any(continued_on_jerrys)) {
        let why = format!(
            "{} was stuck on version 2 and continued there: other code was deployed under the same Build ID, so nobody can tell which \
             code version 2 is. Deploy a fix as a new version",
            transfer.workflow_id
        );
        return start_again(&why, STAGE);
    }
    if let Some(transfer) = open.iter().find(|transfer| transfer.last().status == Status::Other) {
        let why = format!(
            "{} {} instead of being moved; on another version it would have completed",
            transfer.workflow_id,
            how_it_closed(transfer.last())
        );
        return start_again(&why, STAGE);
    }
    if let Some(next) = still_takes_some(deployment) {
        return next;
    }
    let on = |transfer: &Transfer| transfer.last().version().unwrap_or(JERRYS).to_owned();
    let Some(to) = [FIRST].into_iter().chain(fixes(deployment)).find(|build_id| deployment.runs(build_id))
    else {
        let before = "the lab runs no worker of version 1, so the stuck transfers need a fixed version; fix the code, save, and deploy it: ";
        return Next::command(before, DEPLOY);
    };
    let is_running =
        |transfer: &&&Transfer| transfer.last().status == Status::Running && !breaks_a_rule(facts, transfer);
    let stays = |transfer: &&&Transfer| {
        is_running(transfer) && on(transfer) == JERRYS && !follows_current(transfer.last())
    };
    let staying = open.iter().filter(stays).count();
    if let Some(transfer) = open.iter().find(|transfer| stays(transfer) && was_moved(transfer.last())) {
        return Next::command(
            format!("{} was pinned to version 2 again. Move it to version {to}: ", transfer.workflow_id),
            move_one(deployment, transfer, to),
        );
    }
    if staying > 0 {
        let (s, are, them) = if staying == 1 { ("", "is", "it") } else { ("s", "are", "them") };
        return Next::command(
            format!("{staying} transfer{s} {are} stuck on version 2. Move {them} to version {to}: "),
            move_all(deployment, JERRYS, to),
        );
    }
    for transfer in open.iter().filter(is_running) {
        let (id, on) = (&transfer.workflow_id, on(transfer));
        if fails_now(transfer.last()) && on == to && transfer.last().failed_on(to).next().is_none() {
            let before = format!("{id} was moved to version {to}, and has not continued there yet: ");
            return Next::command(before, "cargo xtask lab status");
        }
        if !deployment.runs(&on) {
            return Next::command(
                format!(
                    "{id} was moved to version {on}, and no worker of version {on} runs. Move it to version {to}: "
                ),
                move_one(deployment, transfer, to),
            );
        }
        if fails_now(transfer.last()) && on != to {
            return Next::command(
                format!("{id} was moved to version {on}, and fails there too. Move it to version {to}: "),
                move_one(deployment, transfer, to),
            );
        }
    }
    why_not_complete(facts, open[0], STAGE)
}

/// What to do about a version that was to be the fix and fails as well.
pub(super) fn next_of_failing_fix(deployment: &Deployment, build_id: &str, transfer: &Transfer) -> Next {
    let why = format!("{} fails on version {build_id}: it is not fixed", transfer.workflow_id);
    if is_current(deployment, build_id) {
        return back_to_first(deployment, &why);
    }
    match deployment.share(build_id) > 0.0 {
        true => Next::command(format!("{why}. Roll it back: "), ramp(deployment, build_id, 0)),
        false => {
            Next::command(format!("{why}. Fix the code, save, and deploy it as the next version: "), DEPLOY)
        }
    }
}

/// Makes version 1 take the new transfers again; starts again if its worker is gone.
fn back_to_first(deployment: &Deployment, why: &str) -> Next {
    if !deployment.runs(FIRST) {
        return start_again(&format!("{why}, and the lab runs no worker of version 1"), STAGE);
    }
    Next::command(format!("{why}. Make version 1 current again: "), make_current(deployment, FIRST))
}

/// How to see new transfers begin on version 1, once version 2 takes none any more. Where the server no longer says when that was, it
/// takes [`IN_A_ROW`] of them.
pub(super) fn next_of_rollback(deployment: &Deployment, is_known: bool) -> Next {
    let none = match is_known {
        true => "no transfer has begun on version 1 since the rollback".to_owned(),
        false => format!(
            "a later version has replaced version 2 before {IN_A_ROW} transfers in a row began on version 1, so nothing shows a rollback"
        ),
    };
    if !deployment.runs(FIRST) || !is_current(deployment, FIRST) {
        return back_to_first(deployment, &format!("{none}, and {}", current(deployment)));
    }
    match &deployment.ramping {
        Some((ramping, share)) if deployment.share(FIRST) == 0.0 => Next::command(
            format!("{none}, and version {ramping} takes {share}% of the new transfers. Ramp it to 0%: "),
            ramp(deployment, ramping, 0),
        ),
        _ => Next::command(
            "version 2 takes no new transfers now; start transfers, to see where they run: ",
            TRAFFIC,
        ),
    }
}

/// The version that is current, in words.
fn current(deployment: &Deployment) -> String {
    match &deployment.current {
        Some(build_id) => format!("version {build_id} is current"),
        None => "no version is current, so new transfers wait for an unversioned worker".to_owned(),
    }
}

/// Whether the run got stuck on version 2 and continued on it: no retry of the same code does.
fn continued_on_jerrys(run: &Run) -> bool {
    let failed = run.failed_on(JERRYS).next();
    failed.is_some_and(|failed| run.completed_on(JERRYS).any(|completed| completed.id() > failed.id()))
}

/// Whether somebody has changed which version the run is pinned to.
fn was_moved(run: &Run) -> bool {
    run.events().any(|event| event.is("WorkflowExecutionOptionsUpdated"))
}

/// How a run has closed that has neither completed nor failed.
fn how_it_closed(run: &Run) -> &'static str {
    match run.close().map(Event::kind).as_deref() {
        Some("WorkflowExecutionTerminated") => "was terminated",
        Some("WorkflowExecutionCanceled") => "was canceled",
        _ => "was closed",
    }
}

/// A command of the Temporal CLI about this version of the deployment.
fn set(deployment: &Deployment, what: &str, build_id: &str, rest: &str) -> String {
    let name = &deployment.name;
    format!(
        "cargo xtask temporal worker deployment set-{what}-version --deployment-name {name} --build-id {build_id}{rest} --yes"
    )
}

pub(super) fn ramp(deployment: &Deployment, build_id: &str, percentage: u32) -> String {
    set(deployment, "ramping", build_id, &format!(" --percentage {percentage}"))
}

pub(super) fn make_current(deployment: &Deployment, build_id: &str) -> String {
    set(deployment, "current", build_id, "")
}

/// The query for the transfers in progress on this version.
fn in_progress_on(deployment: &Deployment, build_id: &str) -> String {
    format!(
        "ExecutionStatus=\"Running\" AND TemporalWorkerDeploymentVersion=\"{}:{build_id}\"",
        deployment.name
    )
}

/// Pins the transfers in progress on one version to another one, in a batch.
pub(super) fn move_all(deployment: &Deployment, from: &str, to: &str) -> String {
    let (name, query) = (&deployment.name, in_progress_on(deployment, from));
    format!(
        "cargo xtask temporal workflow update-options --query '{query}' --versioning-override-behavior pinned \
         --versioning-override-deployment-name {name} --versioning-override-build-id {to} --yes"
    )
}

/// The same for one transfer.
fn move_one(deployment: &Deployment, transfer: &Transfer, to: &str) -> String {
    format!(
        "cargo xtask temporal workflow update-options --workflow-id {} --versioning-override-behavior pinned \
         --versioning-override-deployment-name {} --versioning-override-build-id {to}",
        shell_word(&transfer.workflow_id),
        deployment.name
    )
}
