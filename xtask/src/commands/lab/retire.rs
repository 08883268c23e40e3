//! `lab retire VERSION`.

use std::{
    process::ExitCode,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use lab_client::{
    kept_versions::service_of,
    state::State,
    supervisor::versions,
    temporal::Server,
    versions::{VersionRow, rows, status_of_version},
};

use super::versioned;
use crate::args::example;
use checkout::project::Project;
use supervisor::{
    attach,
    control::{self, Request},
    stage_entry,
};
use terminal::{duration, stderrln, stdoutln};

/// How often we ask the lab's own server whether the version is drained.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// The same of a remote service.
const REMOTE_POLL_INTERVAL: Duration = Duration::from_secs(5);
/// The server looks at a version for the first time 3 minutes after it stopped taking transfers, then every 3 minutes, where nobody has changed that.
const DRAINED_WITHIN: Duration = Duration::from_secs(10 * 60);
/// How often we show that we still wait.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(15);

pub(crate) fn command() -> Command {
    Command::new("retire")
        .about("In a stage with versions: waits until a version is drained, and shuts down its worker")
        .long_about(
            "In a stage with versions: waits until the server reports a version as drained, and shuts down its worker. A version that \
             is current or ramping still takes new transfers, and one with transfers in progress still needs its worker: the \
             command refuses to retire such a version.",
        )
        .arg(
            Arg::new("version")
                .value_name("VERSION")
                .required(true)
                .value_parser(value_parser!(u32).range(1..))
                .help("The number of the version, which is its Build ID"),
        )
        .after_help(example(&["cargo xtask lab retire 1"]))
}

pub(crate) fn run(project: &Project, arguments: &ArgMatches) -> Result<ExitCode> {
    let state = attach::attach_running(project)?;
    stage_entry::require_no_entry(project)?;
    let version = *arguments.get_one::<u32>("version").context("the version is required")?;
    let status = control::ask(&state, &Request::Status)?;
    let deployed = versions(&status);
    if deployed.is_empty() {
        return Err(versioned::no_versions());
    }
    if !deployed.contains(&version) {
        let deployed: Vec<String> = deployed.iter().map(u32::to_string).collect();
        bail!("no version {version} is deployed; there are: {}", deployed.join(", "));
    }
    wait_until_drained(&state, version)?;
    // That may have taken minutes.
    stage_entry::require_no_entry(project)?;
    control::ask(&state, &Request::Retire(version))?;
    stdoutln!("retired version {version}: its worker, {}, was shut down", service_of(version));
    Ok(ExitCode::SUCCESS)
}

/// Waits until no transfer needs the version.
///
/// # Errors
/// It takes new transfers or has some in progress, or the server does not report it drained.
fn wait_until_drained(state: &State, version: u32) -> Result<()> {
    let server = Server::new(&state.endpoints());
    // To look at the transfers takes many requests, so while we wait, we ask only for the version's status.
    loop {
        let status = control::ask(state, &Request::Status)?;
        let rows = rows(&server, &status)?;
        let row = rows.iter().find(|row| row.version == version);
        let row = row.with_context(|| format!("version {version} is not deployed any more"))?;
        if let Some(why) = still_needed(row, &rows) {
            bail!("{why}");
        }
        if row.status != "draining" {
            return Ok(());
        }
        wait_while_draining(&server, version, state.remote_service.is_some())?;
    }
}

/// Waits until the server reports something else than that the version is draining.
///
/// # Errors
/// The server does not answer, or reports it for too long.
fn wait_while_draining(server: &Server, version: u32, is_remote: bool) -> Result<()> {
    let (interval, how_long) = match is_remote {
        true => (REMOTE_POLL_INTERVAL, ", which may take up to 6 minutes"),
        false => (POLL_INTERVAL, ""),
    };
    stderrln!("waiting until the server reports version {version} as drained{how_long}");
    let build_id = version.to_string();
    let begin = Instant::now();
    let mut shown = Duration::ZERO;
    loop {
        let waited = begin.elapsed();
        let reported = server.deployment();
        match reported.map(|deployment| status_of_version(&deployment.unwrap_or_default(), &build_id)) {
            Ok(status) if status != "draining" => return Ok(()),
            Err(error) if waited > DRAINED_WITHIN => return Err(error),
            // A busy service may answer the next time.
            Ok(_) | Err(_) => {}
        }
        if waited > DRAINED_WITHIN {
            bail!(
                "the server has not reported version {version} as drained within {}; see: cargo xtask temporal worker deployment \
                 describe --name {}",
                duration(DRAINED_WITHIN.as_secs_f64()),
                server.deployment_name()
            );
        }
        if waited >= shown + PROGRESS_INTERVAL {
            stderrln!("  still draining after {}", duration(waited.as_secs_f64()));
            shown = waited;
        }
        thread::sleep(interval);
    }
}

/// Why a version cannot be retired yet, and what to type; none if no transfer needs it.
fn still_needed(row: &VersionRow, rows: &[VersionRow]) -> Option<String> {
    let (version, deployment) = (row.version, &row.deployment);
    if row.status == "current" {
        let others = rows.iter().filter(|other| other.version != version && other.state == "running");
        let newest = others.filter(|other| other.failing == 0).map(|other| other.version).max();
        let first = match newest {
            Some(other) => {
                format!("make another version current first: {}", versioned::make_current(deployment, other))
            }
            None => "deploy another version first: cargo xtask lab deploy".to_owned(),
        };
        return Some(format!("version {version} is current, so it takes new transfers; {first}"));
    }
    if row.status == "ramping" && row.percentage > 0.0 {
        return Some(format!(
            "version {version} is ramping, so it takes {}% of the new transfers; roll it back first: {}",
            row.percentage,
            versioned::ramp(deployment, version, 0)
        ));
    }
    let (transfers, them) = match row.in_progress {
        0 => return None,
        1 => ("1 transfer in progress is".to_owned(), "it"),
        many => (format!("{many} transfers in progress are"), "them"),
    };
    let current = rows.iter().find(|row| row.status == "current");
    let moved = current.map_or_else(String::new, |current| {
        format!(", or move {them}: {}", versioned::move_all(deployment, version, current.version))
    });
    Some(format!(
        "{transfers} on version {version}, and only its worker can continue {them}; wait for {them}{moved}"
    ))
}

#[cfg(test)]
mod tests {
    use lab_client::Endpoints;

    use super::*;

    fn row(version: u32, status: &'static str, percentage: f64, in_progress: usize) -> VersionRow {
        VersionRow {
            deployment: "money-transfer-ada".to_owned(),
            version,
            status,
            percentage,
            in_progress,
            failing: 0,
            service: service_of(version),
            state: "running".to_owned(),
            pid: None,
        }
    }

    #[test]
    fn a_version_that_transfers_need_is_not_retired_and_the_reason_says_what_to_type() {
        let of = |status: &'static str, percentage: f64, in_progress: usize| {
            let rows = [row(1, status, percentage, in_progress), row(3, "current", 80.0, 0)];
            still_needed(&rows[0], &rows).unwrap_or_default()
        };
        assert!(
            of("current", 100.0, 0)
                .contains("set-current-version --deployment-name money-transfer-ada --build-id 3 --yes")
        );
        let mut failing = row(2, "inactive", 0.0, 4);
        failing.failing = 4;
        let rows = [row(1, "current", 100.0, 0), failing];
        let says = still_needed(&rows[0], &rows).unwrap_or_default();
        assert!(says.ends_with("; deploy another version first: cargo xtask lab deploy"), "{says}");
        assert!(of("ramping", 20.0, 0).contains("takes 20% of the new transfers"));
        assert!(of("ramping", 20.0, 0).contains("--build-id 1 --percentage 0"));
        assert!(of("draining", 0.0, 1).starts_with("1 transfer in progress is on version 1"));
        assert!(
            of("draining", 0.0, 2)
                .contains("wait for them, or move them: cargo xtask temporal workflow update-options")
        );
        for (status, percentage) in [("draining", 0.0), ("drained", 0.0), ("inactive", 0.0), ("ramping", 0.0)]
        {
            assert_eq!(of(status, percentage, 0), "", "{status}");
        }
    }

    #[test]
    fn while_a_version_is_draining_only_its_status_is_asked_for() {
        let mut statuses = ["DRAINING", "DRAINED"].into_iter();
        let address = webtest::web_service(move |request| {
            let line = request.head.lines().next().unwrap_or_default();
            assert!(line.contains("/worker-deployments/money-transfer "), "{line}");
            let status = statuses.next().expect("nobody asks for a drained version again");
            let deployment = serde_json::json!({ "workerDeploymentInfo": { "name": "money-transfer", "versionSummaries": [{
                "deploymentVersion": { "buildId": "1", "deploymentName": "money-transfer" },
                "drainageStatus": format!("VERSION_DRAINAGE_STATUS_{status}"),
            }] } });
            (200, deployment.to_string())
        });
        let server = Server::new(&Endpoints::own(&format!("http://{address}"), "", ""));
        wait_while_draining(&server, 1, false).expect("it is drained in the end");
    }
}
