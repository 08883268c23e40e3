//! Worker Versioning: a bad version takes some transfers and is rolled back, and those that got stuck on it are moved.
//!
//! What a learner has done is judged from the Event Histories, so it stays done whatever comes after. Of the routing, only what must
//! hold until the end counts: version 2 takes nothing, and a fixed version is current.

mod next;
mod shared;

use super::{breaks_a_rule, completed_exactly, fails_now, start_again, why_not_complete};
use crate::{
    Deployment, Drainage, Event, Evidence, Facts, Goal, Next, Run, Status, Transfer, Verdict, Version,
    moment::Moment,
};
use next::{
    make_current, move_all, next_of_failing_fix, next_of_failure, next_of_move, next_of_ramp,
    next_of_rollback, other_code, ramp, still_takes_some,
};
use shared::{
    DEPLOY, FIRST, IN_A_ROW, JERRYS, STAGE, TRAFFIC, amount, began_on, fixes, follows_current, is_current,
    routing, taken,
};

pub(crate) const GOALS: &[Goal] = &[
    Goal {
        name: "ramped",
        says: "version 2 has taken some of the new transfers, and version 1 the others",
        is_failure: false,
        check: ramped,
    },
    Goal {
        name: "only-version-2-fails",
        says: "transfers are stuck on version 2, and none has ever failed on version 1",
        is_failure: true,
        check: only_version_2_fails,
    },
    Goal {
        name: "rolled-back",
        says: "version 2 takes no new transfers, and those started since the rollback run on version 1",
        is_failure: false,
        check: rolled_back,
    },
    Goal {
        name: "moved",
        says: "every transfer that was stuck on version 2 was moved to another version and has completed",
        is_failure: false,
        check: moved,
    },
    Goal {
        name: "fixed-version-is-current",
        says: "a fixed version is current, and completes transfers as large as the stuck ones",
        is_failure: false,
        check: fixed_version_is_current,
    },
    Goal {
        name: "version-1-is-retired",
        says: "version 1 is drained, and its worker was shut down",
        is_failure: false,
        check: version_1_is_retired,
    },
];

/// That a transfer began on this version.
fn taken_evidence<'a>(transfer: &'a Transfer, build_id: &'a str) -> Option<Evidence> {
    let run = transfer.runs.first()?;
    let first = run.completed_on(build_id).next()?;
    Some(Evidence::event(transfer, run, first, format!("began on version {build_id}")))
}

/// The first Workflow Task of a transfer that failed on this version.
fn failed_on<'a>(transfer: &'a Transfer, build_id: &'a str) -> Option<(&'a Run, Event<'a>)> {
    transfer.runs.iter().find_map(|run| Some((run, run.failed_on(build_id).next()?)))
}

/// The transfers that got stuck on Jerry's version, each with the failure.
fn stuck_ones(facts: &Facts) -> impl Iterator<Item = (&Transfer, &Run, Event<'_>)> {
    let all = facts.transfers.iter();
    all.filter_map(|transfer| failed_on(transfer, JERRYS).map(|(run, failed)| (transfer, run, failed)))
}

fn ramped(facts: &Facts) -> Verdict {
    let (new, old) = (taken(facts, JERRYS).next(), taken(facts, FIRST).next());
    let evidence = [(new, JERRYS), (old, FIRST)]
        .into_iter()
        .filter_map(|(transfer, build_id)| taken_evidence(transfer?, build_id))
        .collect();
    match (new, old) {
        (Some(_), Some(_)) if was_ramped(facts) => Verdict::Reached(evidence),
        _ => Verdict::Open(next_of_ramp(facts)),
    }
}

/// Whether version 1 took a transfer while version 2 took some too: between two that version 2 took, or by the server's times between
/// the ramp and its end.
fn was_ramped(facts: &Facts) -> bool {
    let starts = |build_id| taken(facts, build_id).map(Transfer::start);
    let between = starts(JERRYS).next().zip(starts(JERRYS).next_back());
    let version = facts.deployment.as_ref().and_then(|deployment| deployment.version(JERRYS));
    let ramp = version
        .map(|version| (Moment::of(&version.ramping_since), Moment::of(&version.idle_since)))
        .filter(|(since, _)| *since > Moment::of(""));
    starts(FIRST).any(|start| {
        between.is_some_and(|(first, last)| first < start && start < last)
            || ramp.is_some_and(|(since, idle)| since < start && (idle == Moment::of("") || start < idle))
    })
}

/// What is next while no transfer has failed on version 2.
fn why_none_failed(facts: &Facts) -> Next {
    match ramped(facts) {
        Verdict::Open(next) => next,
        Verdict::Reached(_) => next_of_failure(facts),
    }
}

fn only_version_2_fails(facts: &Facts) -> Verdict {
    let of_first = |transfer: &&Transfer| began_on(transfer) == Some(FIRST);
    let failed = |transfer: &&Transfer| failed_on(transfer, FIRST).is_some();
    if let Some(transfer) = facts.transfers.iter().filter(of_first).find(failed) {
        let why = format!(
            "{} has failed on version 1, so version 1 does not have the fixed code",
            transfer.workflow_id
        );
        return Verdict::Open(start_again(&why, STAGE));
    }
    let seen = stuck_ones(facts).map(|(transfer, run, failed)| {
        Evidence::event(transfer, run, failed, format!("on version 2: {}", failed.failure()))
    });
    Verdict::by(seen.collect(), why_none_failed(facts))
}

fn rolled_back(facts: &Facts) -> Verdict {
    let Some(last) = taken(facts, JERRYS).next_back() else { return Verdict::Open(next_of_ramp(facts)) };
    let deployment = match routing(facts) {
        Ok(deployment) => deployment,
        Err(next) => return Verdict::Open(next),
    };
    if let Some(next) = still_takes_some(deployment) {
        return Verdict::Open(next);
    }
    let since = rolled_back_at(deployment);
    let last = last.start();
    let began: Vec<&Transfer> = taken(facts, FIRST)
        .filter(|transfer| transfer.start() > since.map_or(last, |since| since.max(last)))
        .collect();
    if since.is_none() && began.len() < IN_A_ROW {
        return Verdict::Open(next_of_rollback(deployment, false));
    }
    let evidence = began.into_iter().filter_map(|transfer| taken_evidence(transfer, FIRST));
    Verdict::by(evidence.collect(), next_of_rollback(deployment, true))
}

/// When version 2 was rolled back. Not known if a later version may have ended its ramp: then the server no longer says whether that was at
/// 0 % already.
fn rolled_back_at(deployment: &Deployment) -> Option<Moment<'_>> {
    let idle_since = deployment.version(JERRYS).map_or(Moment::of(""), |two| Moment::of(&two.idle_since));
    let may_have_ended_it = |version: &Version| {
        ![FIRST, JERRYS].contains(&&*version.build_id)
            && !version.ramping_since.is_empty()
            && Moment::of(&version.ramping_since) <= idle_since
    };
    let is_known = deployment.ramped_down.as_deref() == Some(JERRYS)
        || !deployment.versions.iter().any(may_have_ended_it);
    is_known.then_some(idle_since)
}

fn moved(facts: &Facts) -> Verdict {
    let (mut evidence, mut refused, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for (transfer, ..) in stuck_ones(facts) {
        let run = transfer.last();
        let on = run.ran_last_on().filter(|on| *on != JERRYS);
        match (completed_exactly(facts, transfer), on) {
            (Some(close), Some(on)) => {
                let what = format!("moved to version {on}, then completed");
                evidence.push(Evidence::event(transfer, run, close, what));
            }
            // Such as one that the bank refused, because another one has emptied the account meanwhile.
            (None, Some(_)) if run.status == Status::Failed && !breaks_a_rule(facts, transfer) => {
                refused.push(transfer);
            }
            _ => open.push(transfer),
        }
    }
    if evidence.is_empty() {
        open.extend(refused);
    }
    if open.is_empty() {
        return match other_code(facts) {
            Some(next) => Verdict::Open(next),
            None => Verdict::by(evidence, why_none_failed(facts)),
        };
    }
    Verdict::Open(match routing(facts) {
        Ok(deployment) => next_of_move(facts, deployment, &open),
        Err(next) => next,
    })
}

/// A transfer that began on this version and has completed, of at least as much as the least of those that were stuck.
fn completed_like_those<'a>(facts: &'a Facts, build_id: &'a str) -> impl Iterator<Item = Evidence> {
    let least = stuck_ones(facts).filter_map(|(transfer, ..)| amount(transfer)).min();
    taken(facts, build_id).filter_map(move |transfer| {
        let amount = amount(transfer).filter(|amount| least.is_some_and(|least| *amount >= least))?;
        let close = completed_exactly(facts, transfer)?;
        let what = format!("a transfer of {amount} completed on version {build_id}");
        Some(Evidence::event(transfer, transfer.last(), close, what))
    })
}

/// Whether a transfer has failed on this version. Of one that has yet to complete a Workflow Task there, the server says on which version
/// it is tried, or else it is the one that takes all new transfers.
fn fails_on(facts: &Facts, transfer: &Transfer, build_id: &str) -> bool {
    let run = transfer.last();
    let takes_all =
        || facts.deployment.as_ref().is_some_and(|deployment| deployment.share(build_id) == 100.0);
    let is_tried = || match run.version() {
        Some(version) => version == build_id && (run.began_on().is_none() || follows_current(run)),
        None => run.began_on().is_none() && takes_all(),
    };
    failed_on(transfer, build_id).is_some() || fails_now(run) && is_tried()
}

fn fixed_version_is_current(facts: &Facts) -> Verdict {
    let deployment = match routing(facts) {
        Ok(deployment) => deployment,
        Err(next) => return Verdict::Open(next),
    };
    if stuck_ones(facts).next().is_none() {
        return Verdict::Open(why_none_failed(facts));
    }
    let failed = |build_id: &str| facts.transfers.iter().find(|transfer| fails_on(facts, transfer, build_id));
    let current = deployment.current.as_deref();
    let fixed = current.filter(|build_id| fixes(deployment).any(|fix| fix == *build_id));
    if let Some(build_id) = fixed.filter(|build_id| failed(build_id).is_none()) {
        if let Some(next) = next_of_stuck_elsewhere(facts, deployment, build_id) {
            return Verdict::Open(next);
        }
        let evidence = completed_like_those(facts, build_id).collect();
        let next = format!(
            "version {build_id} is current, but has not completed a transfer as large as the stuck ones yet; start transfers: "
        );
        return Verdict::by(evidence, Next::command(next, TRAFFIC));
    }
    let Some(newest) = fixes(deployment).next() else {
        let before = "fix the code, save, and deploy it as a version of its own: ";
        return Verdict::Open(Next::command(before, DEPLOY));
    };
    if let Some(transfer) = failed(newest) {
        return Verdict::Open(next_of_failing_fix(deployment, newest, transfer));
    }
    let done = completed_like_those(facts, newest).next().is_some();
    Verdict::Open(match deployment.share(newest) > 0.0 {
        _ if done => Next::command(
            format!("version {newest} completes what version 2 could not. Make it current: "),
            make_current(deployment, newest),
        ),
        true => {
            Next::command(format!("start transfers, to see them complete on version {newest}: "), TRAFFIC)
        }
        false => Next::command(
            format!("version {newest} runs and takes no new transfers yet. Send all new transfers to it: "),
            ramp(deployment, newest, 100),
        ),
    })
}

/// What to do about transfers that are stuck on another version than the fixed one; those on version 2 are of another goal.
fn next_of_stuck_elsewhere(facts: &Facts, deployment: &Deployment, fixed: &str) -> Option<Next> {
    let stuck_on = |transfer: &Transfer| {
        let on = transfer.last().version().filter(|on| ![JERRYS, fixed].contains(on))?.to_owned();
        (fails_now(transfer.last()) && failed_on(transfer, &on).is_some()).then_some(on)
    };
    let on = facts.transfers.iter().find_map(stuck_on)?;
    let count = facts.transfers.iter().filter(|transfer| stuck_on(transfer).as_ref() == Some(&on)).count();
    let stuck = if count == 1 { "1 transfer is".to_owned() } else { format!("{count} transfers are") };
    Some(Next::command(
        format!("{stuck} stuck on version {on}. Move what is in progress on it to version {fixed}: "),
        move_all(deployment, &on, fixed),
    ))
}

fn version_1_is_retired(facts: &Facts) -> Verdict {
    let deployment = match routing(facts) {
        Ok(deployment) => deployment,
        Err(next) => return Verdict::Open(next),
    };
    // Until a fix is current, version 1 is what a rollback goes to.
    let is_fix_current = fixes(deployment).any(|fix| is_current(deployment, fix));
    if !is_fix_current || deployment.share(FIRST) > 0.0 {
        return Verdict::Open(match fixed_version_is_current(facts) {
            Verdict::Open(next) => next,
            Verdict::Reached(_) => Next::from("version 1 still takes new transfers"),
        });
    }
    let on_first = |transfer: &&Transfer| transfer.last().version() == Some(FIRST);
    let is_new = |transfer: &Transfer| transfer.start() >= Moment::of(&facts.entered);
    let runs = deployment.runs(FIRST);
    let mut evidence = Vec::new();
    for transfer in facts.transfers.iter().filter(|transfer| began_on(transfer) == Some(FIRST)) {
        let run = transfer.last();
        match completed_exactly(facts, transfer) {
            Some(close) => {
                let on = run.ran_last_on().unwrap_or(FIRST);
                evidence.push(Evidence::event(transfer, run, close, format!("completed on version {on}")));
            }
            None if !runs && run.status == Status::Running && on_first(&transfer) => {
                let to = deployment.current.as_deref().unwrap_or(FIRST);
                let before = format!(
                    "{} is pinned to version 1, whose worker was shut down too early. Move the transfers that are left on it to version {to}: ",
                    transfer.workflow_id
                );
                return Verdict::Open(Next::command(before, move_all(deployment, FIRST, to)));
            }
            // Of the learner's own ones, one may have ended in another way, such as one that the bank refused.
            None if run.status != Status::Running && is_new(transfer) && !breaks_a_rule(facts, transfer) => {}
            None => return Verdict::Open(why_not_complete(facts, transfer, STAGE)),
        }
    }
    let is_drained = deployment.version(FIRST).is_none_or(|version| version.drainage == Drainage::Drained);
    let retire = "cargo xtask lab retire 1";
    if runs {
        let before = match is_drained {
            true => "version 1 is drained. Retire it: ",
            false => {
                "no transfer is in progress on version 1, but the server does not report it as drained yet. To wait for that and retire it: "
            }
        };
        return Verdict::Open(Next::command(before, retire));
    }
    if !is_drained {
        let before = "version 1 has no worker any more, but the server does not report it as drained yet; to see when it does: ";
        return Verdict::Open(Next::command(before, "cargo xtask lab status"));
    }
    Verdict::by(evidence, start_again("no transfer began on version 1", STAGE))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(id: u64, kind: &str, attributes: Value) -> Value {
        json!({ "eventId": id, "eventTime": format!("2026-11-29T12:00:{id:02}Z"), "eventType": format!("EVENT_TYPE_{kind}"),
            "xEventAttributes": attributes })
    }

    fn completed(id: u64, build_id: &str) -> Value {
        event(id, "WORKFLOW_TASK_COMPLETED", json!({ "deploymentVersion": { "buildId": build_id } }))
    }

    fn started(id: u64, amount: u32) -> Value {
        event(id, "WORKFLOW_EXECUTION_STARTED", json!({ "input": [{ "amount": amount }] }))
    }

    /// A learner's lab at the stage, with these transfers in progress.
    fn facts(transfers: &[&[Value]], deployment: Deployment) -> Facts {
        let run = |(at, events): (usize, &&[Value])| {
            let id = format!("t{at}");
            (id.clone(), Run::new(id, events.to_vec(), Value::Null))
        };
        let runs = transfers.iter().enumerate().map(run).collect();
        Facts { deployment: Some(deployment), ..Facts::new(runs, &[], String::new(), Vec::new()) }
    }

    fn deployment(ramping: Option<f64>) -> Deployment {
        Deployment {
            name: "money-transfer-ada".to_owned(),
            current: Some("1".to_owned()),
            ramping: ramping.map(|percentage| ("2".to_owned(), percentage)),
            running: vec!["1".to_owned(), "2".to_owned()],
            ..Deployment::default()
        }
    }

    fn next(verdict: Verdict) -> Next {
        match verdict {
            Verdict::Open(next) => next,
            Verdict::Reached(evidence) => panic!("{evidence:?}"),
        }
    }

    #[test]
    fn a_command_names_the_learners_own_deployment() {
        let begin = facts(&[], deployment(None));
        assert_eq!(
            next(ramped(&begin)).to_type(),
            Some(
                "cargo xtask temporal worker deployment set-ramping-version --deployment-name money-transfer-ada --build-id 2 \
                 --percentage 20 --yes"
            )
        );
        let stuck: &[Value] = &[started(2, 150), completed(4, "2"), failed(9)];
        let fine: &[Value] = &[started(3, 150), completed(5, "1")];
        let last: &[Value] = &[started(4, 10), completed(6, "2")];
        let ramps = facts(&[stuck, fine, last], deployment(Some(20.0)));
        assert!(ramped(&ramps).is_reached() && only_version_2_fails(&ramps).is_reached());
        for verdict in [rolled_back(&ramps), moved(&ramps)] {
            let command = next(verdict).to_type().map(str::to_owned).unwrap_or_default();
            assert!(command.ends_with("money-transfer-ada --build-id 2 --percentage 0 --yes"), "{command}");
        }
        let taken_back = facts(&[stuck, fine, last], deployment(None));
        assert_eq!(next(rolled_back(&taken_back)).to_type(), Some(TRAFFIC));
        assert_eq!(
            next(moved(&taken_back)).to_type(),
            Some(
                "cargo xtask temporal workflow update-options --query 'ExecutionStatus=\"Running\" AND \
                 TemporalWorkerDeploymentVersion=\"money-transfer-ada:2\"' --versioning-override-behavior pinned \
                 --versioning-override-deployment-name money-transfer-ada --versioning-override-build-id 1 --yes"
            )
        );
        let since: &[Value] = &[started(12, 10), completed(14, "1")];
        assert!(rolled_back(&facts(&[stuck, fine, last, since], deployment(None))).is_reached());
    }

    fn failed(id: u64) -> Value {
        event(id, "WORKFLOW_TASK_FAILED", json!({ "failure": { "message": "no such entry" } }))
    }

    fn at(second: u32) -> String {
        format!("2026-11-29T12:00:{second:02}Z")
    }

    #[test]
    fn version_2_at_100_percent_is_no_ramp() {
        let before: &[Value] = &[started(1, 10), completed(2, "1")];
        let (bad, worse): (&[Value], &[Value]) =
            (&[started(4, 10), completed(5, "2")], &[started(6, 150), completed(7, "2")]);
        let ramp = |percentage: f64, since: u32| {
            let two = Version { build_id: "2".to_owned(), ramping_since: at(since), ..Version::default() };
            Deployment { versions: vec![two], ..deployment(Some(percentage)) }
        };
        let took_all = next(ramped(&facts(&[before, bad, worse], ramp(100.0, 3))));
        assert!(took_all.to_type().is_some_and(|command| command.contains("--percentage 20")), "{took_all}");
        let of_both: &[Value] = &[started(8, 10), completed(9, "1")];
        assert!(ramped(&facts(&[before, bad, worse, of_both], ramp(20.0, 3))).is_reached());
        let mut over = ramp(0.0, 3);
        over.versions[0].idle_since = at(8);
        assert!(!ramped(&facts(&[before, bad, worse, of_both], over.clone())).is_reached());
        let between: &[Value] = &[started(5, 10), completed(6, "1")];
        assert!(ramped(&facts(&[before, bad, worse, between], over)).is_reached());
    }

    /// The server then reports the moment at which version 3 was ramped as the end of the ramp of version 2, whatever was before.
    #[test]
    fn a_ramp_that_a_later_version_has_replaced_is_no_rollback() {
        let bad: &[Value] = &[started(2, 150), completed(3, "2"), failed(4)];
        let later = |count: u64| (0..count).map(|i| vec![started(5 + i, 10), completed(20, "1")]).collect();
        let version = |build_id: &str, ramping: u32, idle_since: String| Version {
            build_id: build_id.to_owned(),
            ramping_since: at(ramping),
            idle_since,
            ..Version::default()
        };
        let judged = |count, deployment: &Deployment| {
            let later: Vec<Vec<Value>> = later(count);
            let all: Vec<&[Value]> = [bad].into_iter().chain(later.iter().map(Vec::as_slice)).collect();
            rolled_back(&facts(&all, deployment.clone()))
        };
        let mut replaced = Deployment {
            ramping: Some(("3".to_owned(), 100.0)),
            versions: vec![version("2", 1, at(30)), version("3", 30, String::new())],
            ..deployment(None)
        };
        replaced.running.push("3".to_owned());
        let next = next(judged(9, &replaced));
        assert!(
            next.to_type().is_some_and(|command| command.ends_with("--build-id 3 --percentage 0 --yes")),
            "{next}"
        );
        assert!(judged(10, &replaced).is_reached(), "as many as traffic starts after a rollback");
        // Version 3 was rolled back too, and retired.
        let retired = Deployment { ramping: None, ramped_down: Some("3".to_owned()), ..replaced.clone() };
        let retired = Deployment { running: vec!["1".to_owned(), "2".to_owned()], ..retired };
        assert!(judged(10, &retired).is_reached() && !judged(9, &retired).is_reached());
        // While it is known, one is enough: version 3 became current without a ramp, or has taken nothing yet.
        let known = |versions, ramped_down: Option<&str>| Deployment {
            ramping: None,
            ramped_down: ramped_down.map(str::to_owned),
            versions,
            ..replaced.clone()
        };
        let current = known(vec![version("2", 1, at(4)), version("3", 3, String::new())], Some("2"));
        let idle = Version { build_id: "3".to_owned(), ..Version::default() };
        let deployed = known(vec![version("2", 1, at(4)), idle], None);
        assert!(judged(1, &current).is_reached() && judged(1, &deployed).is_reached());
    }

    #[test]
    fn a_transfer_that_fails_where_it_was_moved_to_does_not_accuse_version_1() {
        let pin = |id, to: &str| {
            let pinned = json!({ "pinned": { "version": { "buildId": to } } });
            event(id, "WORKFLOW_EXECUTION_OPTIONS_UPDATED", json!({ "versioningOverride": pinned }))
        };
        let moved: &[Value] = &[started(1, 150), completed(2, "2"), failed(3), pin(4, "1"), failed(5)];
        assert!(only_version_2_fails(&facts(&[moved], deployment(None))).is_reached());
        let of_first: &[Value] = &[started(1, 150), completed(2, "1"), failed(3)];
        let next = next(only_version_2_fails(&facts(&[moved, of_first], deployment(None))));
        assert!(next.to_string().contains("t1 has failed on version 1"), "{next}");
    }

    #[test]
    fn a_command_quotes_a_workflow_id_that_is_no_plain_word() {
        let pin = json!({ "pinned": { "version": { "buildId": "2" } } });
        let moved_to_2 = event(4, "WORKFLOW_EXECUTION_OPTIONS_UPDATED", json!({ "versioningOverride": pin }));
        let stuck: &[Value] = &[started(1, 150), completed(2, "2"), failed(3), moved_to_2];
        let mut facts = facts(&[stuck], deployment(None));
        facts.transfers[0].workflow_id = "it's mine".to_owned();
        let next = next(moved(&facts));
        assert!(
            next.to_type().is_some_and(|command| command.contains(r"--workflow-id 'it'\''s mine' ")),
            "{next}"
        );
    }

    #[test]
    fn without_a_deployment_the_stage_is_to_be_entered() {
        let facts = Facts::default();
        for goal in GOALS {
            let next = next((goal.check)(&facts));
            assert_eq!(next.to_type(), Some("cargo xtask stage roll-out --keep"), "{goal:?}");
        }
    }
}
