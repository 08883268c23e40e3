//! Entering and leaving a stage whose worker has versions: which of them take new transfers, and what becomes of the transfers that are
//! pinned to one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Error, Result, bail};
use lab::{STAGE_IDENTITY, STAGES, Stage};
use lab_client::{
    http::{Refused, is_silence},
    progress::is_entering,
    side_by_side, supervisor,
    temporal::{Run, Server, status_name},
    versions::{is_unavailable, version_of},
};
use serde_json::Value;

use crate::{
    control::{self, Request},
    log_tail::follow,
    preparation::{Preparation, Prepared, SETTLED_WITHIN},
    supervised::FIRST_DELAY,
};
use checkout::project::Project;
use lab_client::state::State;

/// How long the server may take to know a version whose worker polls.
const KNOWN_WITHIN: Duration = Duration::from_secs(15);
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// The longest delay between two attempts to end the routing to versions.
const LONGEST_DELAY: Duration = Duration::from_secs(10);

/// The step at which a stage holds the transfers that it begins with.
const HELD_STEP: &str = "deposit";

/// Checks that a stage that has versions can have them here.
///
/// # Errors
/// The Temporal Service has no Worker Versioning, or does not answer.
pub(crate) fn require_versioning(server: &Server, stage: &Stage) -> Result<()> {
    let Err(error) = (if stage.has_versions { server.deployment().map(drop) } else { Ok(()) }) else {
        return Ok(());
    };
    if !is_unavailable(&error) {
        return Err(error);
    }
    let why = error.downcast_ref::<Refused>().map_or("", Refused::why).trim_end_matches('.');
    let next = stage
        .number()
        .and_then(|number| STAGES.get(number))
        .map_or(String::new(), |next| format!("; to skip {}: cargo xtask stage {}", stage.name, next.name));
    bail!(
        "{} needs Worker Versioning, which this Temporal Service does not have ({why}); nothing was changed: ask whoever runs the \
         service to enable it (system.enableDeploymentVersions=true, Temporal Server 1.29 or later){next}",
        stage.name
    )
}

/// Sends new transfers to the worker without a version, and has it continue those that are pinned to one. Activities that a stage has
/// paused are unpaused. Returns the transfers that had to be freed. Harmless where no version takes transfers.
///
/// # Errors
/// The server does not answer.
pub fn end_versions(server: &Server) -> Result<Vec<Run>> {
    if !stop_routing(server)? {
        return Ok(Vec::new());
    }
    let query = format!(
        "{} AND TemporalWorkerDeployment=\"{}\" AND CloseTime IS NULL",
        lab_client::temporal::transfers(),
        server.deployment_name()
    );
    let on_versions = server.list(&query, usize::MAX)?;
    let freed = side_by_side::try_map(&on_versions, |run| free(server, run))?;
    Ok(on_versions.into_iter().zip(freed).filter_map(|(run, is_freed)| is_freed.then_some(run)).collect())
}

/// Does what [`end_versions`] does, as soon as that succeeds, for as long as it is wanted. Who enters a stage does it too, so it waits for
/// that. `note` writes to the lab's journal.
pub(crate) fn end_versions_in_time(
    project: &Project,
    server: &Server,
    is_wanted: &AtomicBool,
    note: impl Fn(&str),
) {
    let (mut delay, mut is_told) = (FIRST_DELAY, false);
    while is_wanted.load(Ordering::Relaxed) {
        if !is_entering(&project.lab) {
            match end_versions(server) {
                Ok(_) => return,
                Err(error) if !is_told && !is_silence(&error) => {
                    note(&format!(
                        "could not end the routing to versions that do not run, so transfers may wait for one: {error:#}; retrying"
                    ));
                    is_told = true;
                }
                Err(_) => {}
            }
        }
        thread::sleep(delay);
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// Sends new transfers to the worker without a version. Returns whether there is a Worker Deployment at all.
///
/// # Errors
/// The server does not answer.
fn stop_routing(server: &Server) -> Result<bool> {
    let deployment = match server.deployment() {
        // What is switched off routes nothing, and what this learner may not see, this lab has not routed.
        Err(error) if is_unavailable(&error) || is_for_good(&error) => None,
        deployment => deployment?,
    };
    let Some(deployment) = deployment else { return Ok(false) };
    if deployment.current.is_some() || deployment.ramping.is_some() {
        // First the ramp, which would continue by itself.
        server.set_ramp("", 0.0)?;
        server.set_current("")?;
    }
    Ok(true)
}

/// Whether the service, or a proxy before it, rejects a request for another reason than that it is busy or broken.
fn is_for_good(error: &Error) -> bool {
    let is_busy = |status| matches!(status, 408 | 429 | 499..);
    error.downcast_ref::<Refused>().is_some_and(|refused| !is_busy(refused.status))
}

/// Unpins a transfer, and unpauses what a stage has paused. Returns whether either was so.
fn free(server: &Server, run: &Run) -> Result<bool> {
    let Some(description) = server.describe_if_there(run)? else { return Ok(false) };
    let is_pinned = version_of(&description).is_some();
    if is_pinned {
        server.unpin(run)?;
    }
    let paused = paused_by_stage(&description).map(str::to_owned);
    if let Some(activity) = &paused {
        server.unpause_activity(run, activity)?;
    }
    Ok(is_pinned || paused.is_some())
}

/// The id of a pending Activity that a stage has paused.
fn paused_by_stage(description: &Value) -> Option<&str> {
    let mut pending = description["pendingActivities"].as_array().into_iter().flatten();
    let pending = pending.find(|one| one["pauseInfo"]["manual"]["identity"] == STAGE_IDENTITY)?;
    pending["activityId"].as_str()
}

/// Whether leaving the versions changes a transfer of this description: it is pinned to one, or a stage has paused it.
pub(crate) fn is_freed_by_leaving(description: &Value) -> bool {
    version_of(description).is_some() || paused_by_stage(description).is_some()
}

/// The stage whose code is version 1 of a stage that has versions: with it, every transfer of that stage can complete.
fn base() -> Option<&'static Stage> {
    let stage = STAGES.iter().find(|stage| stage.has_versions)?;
    lab::stage(stage.precondition?.stage)
}

impl Preparation<'_> {
    /// Goes back to one worker without Worker Versioning, by code with which the transfers of all versions can complete, and waits for
    /// those. Nothing happens where the lab runs no versions and the server routes to none.
    pub(crate) fn leave_versions(&self, entered: &mut Prepared) -> Result<()> {
        let status = control::ask(self.state, &Request::Status)?;
        if !supervisor::versions(&status).is_empty()
            && let Some(base) = base()
        {
            self.tell(format_args!("leaving Worker Versioning: the lab runs one worker again"));
            self.place(base, entered)?;
        }
        let freed = end_versions(&self.server)?;
        if freed.is_empty() {
            return Ok(());
        }
        self.tell(format_args!(
            "this worker continues {}",
            match freed.len() {
                1 => "1 transfer that was pinned to a version".to_owned(),
                several => format!("{several} transfers that were pinned to versions"),
            }
        ));
        self.watch.wait_until(SETTLED_WITHIN, |_| {
            let closed =
                freed.iter().map(|run| is_closed(&self.server, run)).collect::<Result<Vec<bool>>>()?;
            Ok(closed.into_iter().all(|is_closed| is_closed))
        })
    }

    /// Puts a stage's modules in place and runs them as one more version, which takes no new transfers yet.
    pub(crate) fn place_as_version(&self, stage: &'static Stage, entered: &mut Prepared) -> Result<String> {
        self.put_in_place(stage, entered)?;
        let version = deploy_version(self.project, self.state, self.quiet)?;
        entered.worker_restarted = true;
        self.tell(format_args!("the code of {} runs as version {version}", stage.name));
        Ok(version)
    }

    /// Sends all new transfers to this version.
    pub(crate) fn make_current(&self, version: &str) -> Result<()> {
        let begin = Instant::now();
        let route = || self.server.set_ramp("", 0.0).and_then(|()| self.server.set_current(version));
        loop {
            match route() {
                Err(_) if begin.elapsed() < KNOWN_WITHIN => thread::sleep(POLL_INTERVAL),
                routed => {
                    routed.with_context(|| {
                        format!("version {version} runs, but it could not be made the current one")
                    })?;
                    self.tell(format_args!("version {version} is current: it takes all new transfers"));
                    return Ok(());
                }
            }
        }
    }

    /// Pauses the deposits of these transfers.
    pub(crate) fn pause_deposits(&self, transfers: &[String]) -> Result<()> {
        for run in self.server.running()?.iter().filter(|run| transfers.contains(&run.workflow_id)) {
            self.server
                .pause_activity(run, HELD_STEP)
                .with_context(|| format!("could not pause the deposit of {}", run.workflow_id))?;
        }
        Ok(())
    }
}

fn is_closed(server: &Server, run: &Run) -> Result<bool> {
    let description = server.describe_if_there(run)?.unwrap_or_default();
    Ok(status_name(&description["workflowExecutionInfo"]["status"]) != "RUNNING")
}

/// Has the lab build the code in place and run it as one more version. Returns its Build ID.
fn deploy_version(project: &Project, state: &State, quiet: bool) -> Result<String> {
    let deploy = || control::ask(state, &Request::DeployVersion(None));
    let answer = if quiet { deploy() } else { follow(project, deploy) };
    let answer = answer.context("the code is in place, but no version of it runs")?;
    let version = answer["version"].as_u64().context("the supervisor's response names no version")?;
    Ok(version.to_string())
}

#[cfg(test)]
mod tests {
    use std::{
        cell::RefCell,
        sync::{Arc, atomic::AtomicU32},
    };

    use lab_client::Endpoints;
    use serde_json::json;

    use super::*;

    #[test]
    fn leaving_frees_what_is_pinned_or_paused_by_a_stage_and_nothing_else() {
        let pinned = json!({ "workflowExecutionInfo": { "versioningInfo": { "deploymentVersion":
            { "deploymentName": "money-transfer", "buildId": "2" } } } });
        let paused = |by: &str| {
            json!({ "pendingActivities": [{ "activityId": "withdraw" },
                { "activityId": "deposit", "paused": true, "pauseInfo": { "manual": { "identity": by } } }] })
        };
        assert!(is_freed_by_leaving(&pinned));
        assert_eq!(paused_by_stage(&paused(STAGE_IDENTITY)), Some("deposit"));
        assert!(is_freed_by_leaving(&paused(STAGE_IDENTITY)));
        assert!(!is_freed_by_leaving(&paused("somebody")) && !is_freed_by_leaving(&json!({})));
    }

    #[test]
    fn the_routing_to_versions_ends_although_the_server_does_not_answer_at_first() {
        let asked = Arc::new(AtomicU32::new(0));
        let address = webtest::web_service({
            let asked = Arc::clone(&asked);
            move |_| match asked.fetch_add(1, Ordering::Relaxed) {
                0 => (500, "{}".to_owned()),
                1 => (503, "{}".to_owned()),
                _ => (404, r#"{"message":"no Worker Deployment found"}"#.to_owned()),
            }
        });
        let server = Server::new(&Endpoints::own(&format!("http://{address}"), "", ""));
        let project = Project { root: "/nowhere".into(), lab: "/nowhere".into() };
        let notes = RefCell::new(Vec::new());
        let end = |is_wanted: bool| {
            end_versions_in_time(&project, &server, &AtomicBool::new(is_wanted), |words| {
                notes.borrow_mut().push(words.to_owned());
            });
        };
        end(false);
        assert_eq!(asked.load(Ordering::Relaxed), 0);
        end(true);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert!(matches!(&notes.borrow()[..], [note] if note.ends_with("; retrying")), "{notes:?}");
    }

    #[test]
    fn a_service_that_shows_no_worker_deployments_blocks_no_stage_but_a_busy_one_is_asked_again() {
        let ended = |status: u16| {
            let answer = r#"{"message":"Request unauthorized."}"#;
            let address = webtest::web_service(move |_| (status, answer.to_owned()));
            end_versions(&Server::new(&Endpoints::own(&format!("http://{address}"), "", "")))
        };
        for status in [400, 401, 403, 404, 501] {
            assert_eq!(ended(status).expect("there is nothing to end"), [], "{status}");
        }
        for status in [429, 500, 503] {
            ended(status).expect_err("it may have versions");
        }
    }

    #[test]
    fn the_code_of_version_1_is_that_of_another_stage() {
        let base = base().expect("a stage has versions");
        assert!(!base.has_versions, "{}", base.name);
    }
}
