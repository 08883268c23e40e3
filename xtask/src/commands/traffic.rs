//! `traffic`: transfers of two sizes, and which version of the worker took how many.

use std::{process::ExitCode, time::Duration};

use anyhow::{Result, bail};
use checkout::project::Project;
use clap::{ArgMatches, Command};
use lab::Deployment;
use lab_client::{
    bank::Bank,
    kept_versions::version_of,
    temporal::Server,
    traffic::{self, Progress, SIZES, Transfer},
};
use serde_json::{Value, json};
use supervisor::{
    attach,
    control::{self, Request},
};
use terminal::{stderrln, stdoutln};

use crate::{
    args::{example, json_flag},
    deployment::warning,
};

/// No more transfers are started than that.
const MOST: usize = 100;
/// How many transfers of each size a version takes before the command ends.
const OF_EACH_SIZE: usize = 2;
/// How long a batch may take. A transfer that a worker takes is through in a fraction of a second.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) fn command() -> Command {
    Command::new("traffic")
        .about("Starts transfers of two sizes, and counts them by the version that took them")
        .long_about(format!(
            "Starts transfers of {} and of {}, ten at a time, until each version of the worker that takes new transfers has taken \
             two of each size, but at most {MOST}; then shows how many each version took. In a stage without versions, starts ten. \
             When all of them have completed, every account holds what it held before.",
            SIZES[0], SIZES[1]
        ))
        .arg(json_flag())
        .after_help(example(&["cargo xtask traffic", "cargo xtask traffic --json"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    control::wait_for_build(&state, "the transfers start");
    let status = control::ask(&state, &Request::Status)?;
    let server = Server::new(&state.endpoints());
    let bank = Bank::new(&state.endpoints());
    let has_versions = status["versions"].as_array().is_some_and(|versions| !versions.is_empty());
    let as_json = arguments.get_flag("json");
    if !has_versions {
        let mut transfers = Vec::new();
        traffic::start(&server, &traffic::orders(&bank.accounts()?)?, &mut transfers)?;
        // They are started anyway, and the worker may not run the code that the learner expects.
        if let Some(warning) = warning(&status) {
            stderrln!("warning: {warning}");
        }
        if as_json {
            stdoutln!("{}", report(&[], &transfers));
        } else {
            stdoutln!("started {} transfers; see them with: cargo xtask lab status", transfers.len());
        }
        return Ok(ExitCode::SUCCESS);
    }

    let takers = takers(server.deployment()?.as_ref(), &status)?;
    let (small, large) = (SIZES[0], SIZES[1]);
    stderrln!("starting transfers of {small} and {large}, until {} two of each", each_has_taken(&takers));
    let mut transfers = Vec::new();
    let mut is_settled = true;
    while is_settled && transfers.len() < MOST && !have_enough(&takers, &transfers) {
        let earlier = transfers.len();
        traffic::start(&server, &traffic::orders(&bank.accounts()?)?, &mut transfers)?;
        let settled = traffic::settle(&server, &mut transfers[earlier..], BATCH_TIMEOUT);
        is_settled =
            settled.map_err(|error| error.context(format!("{} transfers were started", transfers.len())))?;
        stderrln!("  {}", so_far(&takers, &transfers));
    }
    let versions = versions(&takers, &transfers);
    if as_json {
        stdoutln!("{}", report(&versions, &transfers));
    } else {
        versions.iter().for_each(|build_id| stdoutln!("{}", line(build_id, &transfers)));
    }
    if transfers.iter().any(|transfer| transfer.build_id.is_none()) {
        bail!("{}", why_untaken(&takers, &transfers, &control::ask(&state, &Request::Status)?));
    }
    if is_settled && !have_enough(&takers, &transfers) {
        stderrln!(
            "one command starts at most {MOST} transfers; for a version with a small percentage, run it again"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The Build IDs of the versions that take new transfers.
///
/// # Errors
/// There is none, or the worker of one does not run; the error says what to type.
fn takers(deployment: Option<&Deployment>, status: &Value) -> Result<Vec<String>> {
    let Some(deployment) = deployment else {
        bail!(
            "the Temporal server has no Worker Deployment of this lab; start the stage again: cargo xtask stage roll-out"
        );
    };
    let Some(current) = &deployment.current else {
        bail!(
            "no version is current, so no worker would take the transfers; make one current: cargo xtask temporal worker deployment \
             set-current-version --deployment-name {} --build-id 1 --yes",
            deployment.name
        );
    };
    let mut takers = vec![current.clone()];
    takers.extend(deployment.ramping.iter().map(|(build_id, _)| build_id.clone()));
    takers.retain(|build_id| deployment.share(build_id) > 0.0);
    sort(&mut takers);
    for build_id in &takers {
        let percentage = deployment.share(build_id);
        match worker_state(status, build_id) {
            None => bail!(
                "version {build_id} takes {percentage}% of the new transfers, and the lab runs no worker of it; {}",
                send_elsewhere(deployment, build_id, newest_running(status))
            ),
            Some("stopped") => bail!(
                "version {build_id} takes {percentage}% of the new transfers, and its worker is stopped; start it: cargo xtask lab \
                 restart worker@{build_id}"
            ),
            Some(_) => {}
        }
    }
    Ok(takers)
}

/// The state of the worker of a version, by the supervisor's status.
fn worker_state<'a>(status: &'a Value, build_id: &str) -> Option<&'a str> {
    let name = format!("worker@{build_id}");
    let service = status["services"].as_array()?.iter().find(|service| service["name"] == *name)?;
    service["state"].as_str()
}

/// How to send the new transfers of a version to another one.
fn send_elsewhere(deployment: &Deployment, build_id: &str, newest: Option<u32>) -> String {
    let route = match newest {
        _ if deployment.current.as_deref() != Some(build_id) => {
            format!(
                "set-ramping-version --deployment-name {} --build-id {build_id} --percentage 0",
                deployment.name
            )
        }
        Some(newest) => {
            format!("set-current-version --deployment-name {} --build-id {newest}", deployment.name)
        }
        None => return "see which versions it runs: cargo xtask lab status".to_owned(),
    };
    format!("send them to another version: cargo xtask temporal worker deployment {route} --yes")
}

/// The newest version whose worker runs, by the supervisor's status.
fn newest_running(status: &Value) -> Option<u32> {
    let services = status["services"].as_array()?.iter();
    let running = services.filter(|service| service["state"] == "running");
    running.filter_map(|service| version_of(service["name"].as_str()?)).max()
}

/// Build IDs in the order of their numbers.
fn sort(build_ids: &mut [String]) {
    build_ids.sort_by_key(|build_id| (build_id.len(), build_id.clone()));
}

fn each_has_taken(takers: &[String]) -> String {
    match takers {
        [one] => format!("version {one} has taken"),
        several => format!("versions {} have each taken", several.join(" and ")),
    }
}

/// Whether each of these versions has taken so many of each size.
fn have_enough(takers: &[String], transfers: &[Transfer]) -> bool {
    takers.iter().all(|build_id| {
        SIZES.iter().all(|size| {
            taken_by(build_id, transfers).filter(|transfer| transfer.size == *size).count() >= OF_EACH_SIZE
        })
    })
}

fn taken_by<'a>(build_id: &'a str, transfers: &'a [Transfer]) -> impl Iterator<Item = &'a Transfer> {
    transfers.iter().filter(move |transfer| transfer.build_id.as_deref() == Some(build_id))
}

/// The versions to report: those that take new transfers, and those that took one, which is another when the routing has changed.
fn versions(takers: &[String], transfers: &[Transfer]) -> Vec<String> {
    let mut versions: Vec<String> = takers.to_vec();
    versions.extend(transfers.iter().filter_map(|transfer| transfer.build_id.clone()));
    sort(&mut versions);
    versions.dedup();
    versions
}

fn so_far(takers: &[String], transfers: &[Transfer]) -> String {
    let versions = versions(takers, transfers);
    let counts = versions
        .iter()
        .map(|build_id| format!("version {build_id}: {}", taken_by(build_id, transfers).count()));
    format!("{} started, {}", transfers.len(), counts.collect::<Vec<_>>().join(", "))
}

/// How many of these transfers are at that point.
fn count(build_id: &str, transfers: &[Transfer], progress: Progress) -> usize {
    taken_by(build_id, transfers).filter(|transfer| transfer.progress == progress).count()
}

/// What a version took, in a line.
fn line(build_id: &str, transfers: &[Transfer]) -> String {
    let total = taken_by(build_id, transfers).count();
    let mut line = format!("version {build_id}: {total} transfer{}", if total == 1 { "" } else { "s" });
    for (progress, what) in [
        (Progress::Stuck, "stuck"),
        (Progress::InProgress, "still in progress"),
        (Progress::Failed, "failed"),
    ] {
        match count(build_id, transfers, progress) {
            0 => {}
            number => line.push_str(&format!(", {number} of them {what}")),
        }
    }
    line
}

/// Why no worker has taken these transfers: one is down, by the supervisor's status, or answers nothing.
fn why_untaken(takers: &[String], transfers: &[Transfer], status: &Value) -> String {
    let untaken: Vec<&Transfer> = transfers.iter().filter(|transfer| transfer.build_id.is_none()).collect();
    let suspects = takers.iter().filter_map(|build_id| {
        let state = worker_state(status, build_id).unwrap_or("not there");
        let says = match (state, taken_by(build_id, transfers).count()) {
            ("running", 0) => "has taken none".to_owned(),
            ("running", _) => return None,
            (state, _) => format!("is {state}"),
        };
        Some(format!("worker@{build_id} {says}: cargo xtask lab logs worker@{build_id}"))
    });
    let mut next: Vec<String> = suspects.collect();
    if next.is_empty() {
        next.push("cargo xtask lab status".to_owned());
    }
    let (number, first) = (untaken.len(), untaken.first().map_or("", |transfer| &transfer.run.workflow_id));
    format!(
        "no worker has taken {number} of the transfers within {} s, such as {first}; {}",
        BATCH_TIMEOUT.as_secs(),
        next.join("; ")
    )
}

/// What `--json` prints.
fn report(versions: &[String], transfers: &[Transfer]) -> Value {
    let ids = |transfers: &mut dyn Iterator<Item = &Transfer>| {
        transfers.map(|transfer| json!(transfer.run.workflow_id)).collect::<Vec<_>>()
    };
    let version = |build_id: &String| {
        json!({
            "build_id": build_id,
            "transfers": taken_by(build_id, transfers).count(),
            "stuck": count(build_id, transfers, Progress::Stuck),
            "completed": count(build_id, transfers, Progress::Completed),
            "failed": count(build_id, transfers, Progress::Failed),
            "workflow_ids": ids(&mut taken_by(build_id, transfers)),
        })
    };
    json!({
        "started": transfers.len(),
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "no_version": ids(&mut transfers.iter().filter(|transfer| transfer.build_id.is_none())),
    })
}

#[cfg(test)]
mod tests {
    use lab_client::temporal::Run;

    use super::*;

    fn transfer(size: usize, build_id: &str, progress: Progress) -> Transfer {
        let run = Run { workflow_id: format!("t-{build_id}"), run_id: "r".to_owned() };
        let build_id = Some(build_id.to_owned()).filter(|build_id| !build_id.is_empty());
        Transfer { run, size: SIZES[size], build_id, progress }
    }

    fn both() -> Vec<String> {
        ["1", "2"].map(str::to_owned).to_vec()
    }

    #[test]
    fn traffic_ends_when_each_version_has_two_transfers_of_both_sizes() {
        let mut transfers = vec![transfer(0, "1", Progress::Completed); 5];
        transfers.extend(vec![transfer(1, "1", Progress::Completed); 5]);
        assert!(have_enough(&both()[..1], &transfers) && !have_enough(&both(), &transfers));
        transfers.extend(vec![transfer(0, "2", Progress::Completed); 2]);
        transfers.push(transfer(1, "2", Progress::Stuck));
        assert!(!have_enough(&both(), &transfers));
        transfers.push(transfer(1, "2", Progress::Stuck));
        assert!(have_enough(&both(), &transfers));
    }

    #[test]
    fn each_version_has_a_line_with_the_progress_of_its_transfers() {
        let mut transfers = vec![transfer(0, "1", Progress::Completed); 3];
        transfers.extend(
            [(0, Progress::Completed), (1, Progress::Stuck), (1, Progress::Stuck)]
                .map(|(size, progress)| transfer(size, "2", progress)),
        );
        transfers.push(transfer(1, "10", Progress::Failed));
        let versions = versions(&both(), &transfers);
        let lines: Vec<String> = versions.iter().map(|build_id| line(build_id, &transfers)).collect();
        assert_eq!(
            lines,
            [
                "version 1: 3 transfers",
                "version 2: 3 transfers, 2 of them stuck",
                "version 10: 1 transfer, 1 of them failed"
            ]
        );
        assert_eq!(line("3", &transfers), "version 3: 0 transfers");
        assert_eq!(so_far(&both(), &transfers), "7 started, version 1: 3, version 2: 3, version 10: 1");
    }

    #[test]
    fn a_version_that_takes_transfers_without_a_worker_is_reported_before_anything_is_started() {
        let deployment = |current: Option<&str>, ramping: Option<(&str, f64)>| Deployment {
            name: "money-transfer-ada".to_owned(),
            current: current.map(str::to_owned),
            ramping: ramping.map(|(build_id, percentage)| (build_id.to_owned(), percentage)),
            ..Deployment::default()
        };
        let status = json!({ "services": [{ "name": "worker@1", "state": "running" }, { "name": "worker@2", "state": "restarting" },
            { "name": "worker@3", "state": "stopped" }] });
        let of = |deployment: Option<Deployment>| {
            takers(deployment.as_ref(), &status).map_err(|error| error.to_string())
        };
        assert_eq!(of(Some(deployment(Some("1"), None))), Ok(vec!["1".to_owned()]));
        assert_eq!(of(Some(deployment(Some("2"), Some(("1", 20.0))))), Ok(both()));
        assert_eq!(of(Some(deployment(Some("1"), Some(("2", 100.0))))), Ok(vec!["2".to_owned()]));
        for (deployment, says) in [
            (None, "cargo xtask stage roll-out"),
            (Some(deployment(None, Some(("2", 20.0)))), "no version is current"),
            (
                Some(deployment(Some("1"), Some(("3", 20.0)))),
                "version 3 takes 20% of the new transfers, and its worker is stopped",
            ),
            (
                Some(deployment(Some("1"), Some(("4", 5.0)))),
                "--deployment-name money-transfer-ada --build-id 4 --percentage 0 --yes",
            ),
            (
                Some(deployment(Some("4"), None)),
                "set-current-version --deployment-name money-transfer-ada --build-id 1 --yes",
            ),
        ] {
            let error = of(deployment).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn transfers_that_no_worker_takes_are_reported_with_the_worker_that_takes_none() {
        let transfers = [transfer(0, "1", Progress::Completed), transfer(0, "", Progress::InProgress)];
        let status = |state: &str| json!({ "services": [{ "name": "worker@1", "state": "running" }, { "name": "worker@2", "state": state }] });
        let says = |state: &str| why_untaken(&both(), &transfers, &status(state));
        assert!(
            says("restarting").ends_with("such as t-; worker@2 is restarting: cargo xtask lab logs worker@2")
        );
        assert!(says("running").ends_with("; worker@2 has taken none: cargo xtask lab logs worker@2"));
        let says = why_untaken(&both()[..1], &transfers, &status("running"));
        assert!(says.ends_with("; cargo xtask lab status"), "{says}");
        assert_eq!(report(&both(), &transfers)["no_version"], json!(["t-"]));
    }
}
