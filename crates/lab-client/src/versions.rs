//! Worker Versioning: the routing of the lab's Worker Deployment, the version that a transfer is on, and the versions that the lab runs.

use anyhow::{Context, Error, Result};
use lab::{Deployment, Drainage, STAGE_IDENTITY};
use serde_json::{Value, json};

use crate::{
    http::{Refused, encode, get_json, post_json},
    side_by_side,
    temporal::{Run, Server, running_of, status_of, transfers},
};

/// Of so many transfers in progress we look at each. Of more, the server only counts those of each version.
const MOST: usize = 200;

/// A version that the lab runs, with what the server reports of it.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRow {
    /// The name of the Worker Deployment.
    pub deployment: String,
    /// The number of the version, which is also its Build ID.
    pub version: u32,
    /// `current`, `ramping`, `inactive`, `draining` or `drained`. A version that ramps at 0 % is inactive.
    pub status: &'static str,
    /// The percentage of new transfers that it takes.
    pub percentage: f64,
    /// How many transfers in progress are on it.
    pub in_progress: usize,
    /// How many of them fail: a Workflow Task or an Activity waits for its next attempt.
    pub failing: usize,
    /// The service that runs it, such as `worker@2`.
    pub service: String,
    /// The state of that service: `running`, `starting`, `restarting` or `stopped`.
    pub state: String,
    /// The process id of that service, while it runs.
    pub pid: Option<u32>,
}

impl VersionRow {
    /// For a program.
    pub fn to_json(&self) -> Value {
        json!({
            "deployment": self.deployment,
            "build_id": self.version.to_string(),
            "version": self.version,
            "status": self.status,
            "percentage": self.percentage,
            "in_progress": self.in_progress,
            "failing": self.failing,
            "service": self.service,
            "state": self.state,
            "pid": self.pid,
        })
    }
}

impl Server {
    /// The name of the lab's Worker Deployment; in a class, the learner's.
    pub fn deployment_name(&self) -> String {
        contract::deployment(self.learner())
    }

    /// The lab's Worker Deployment; none before a worker of it has polled. [`Deployment::running`] is empty.
    ///
    /// # Errors
    /// The server does not answer, or it has no Worker Versioning: see [`is_unavailable`].
    pub fn deployment(&self) -> Result<Option<Deployment>> {
        match get_json(&self.of_deployment("")) {
            Ok(answer) => Ok(Some(Deployment::from_json(&answer))),
            Err(error) if status_of(&error) == 404 && !is_unavailable(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a version the current one, which takes new transfers; an empty Build ID stands for workers without Worker Versioning. A
    /// version that ramps keeps ramping, unless it is this one.
    ///
    /// # Errors
    /// The server does not know the version, no worker of it polls, or the server does not answer.
    pub fn set_current(&self, build_id: &str) -> Result<()> {
        let order = json!({ "buildId": build_id, "identity": STAGE_IDENTITY });
        post_json(&self.of_deployment("/set-current-version"), &order).map(drop)
    }

    /// Sends this percentage of the new transfers to a version; an empty Build ID ends the ramp.
    ///
    /// # Errors
    /// The server does not know the version, the version is the current one, or the server does not answer.
    pub fn set_ramp(&self, build_id: &str, percentage: f64) -> Result<()> {
        let order = json!({ "buildId": build_id, "percentage": percentage, "identity": STAGE_IDENTITY });
        post_json(&self.of_deployment("/set-ramping-version"), &order).map(drop)
    }

    /// Has the current version continue a transfer, or workers without Worker Versioning where no version is current.
    ///
    /// # Errors
    /// The server rejects it or does not answer.
    pub fn unpin(&self, run: &Run) -> Result<()> {
        let order = json!({
            "workflowExecution": { "workflowId": run.workflow_id, "runId": run.run_id },
            "workflowExecutionOptions": { "versioningOverride": { "autoUpgrade": true } },
            "updateMask": "versioningOverride",
            "identity": STAGE_IDENTITY,
        });
        match post_json(&self.api(&format!("workflows/{}/update-options", encode(&run.workflow_id))), &order)
        {
            // It has closed in the meantime.
            Err(error) if status_of(&error) == 404 => Ok(()),
            answer => answer.map(drop),
        }
    }

    /// The number of transfers in progress on a version, by the server's list, which lags behind by a fraction of a second.
    ///
    /// # Errors
    /// The server does not answer.
    pub fn in_progress_on(&self, build_id: &str) -> Result<u64> {
        let version = on_version(&self.deployment_name(), build_id);
        self.counts(&format!("{} AND {version}", transfers())).map(|counts| running_of(&counts))
    }

    fn of_deployment(&self, path: &str) -> String {
        self.api(&format!("worker-deployments/{}{path}", encode(&self.deployment_name())))
    }
}

/// The condition of a query for transfers that are on this version.
pub fn on_version(deployment: &str, build_id: &str) -> String {
    format!("TemporalWorkerDeploymentVersion=\"{deployment}:{build_id}\"")
}

/// Whether an error of [`Server::deployment`] means that the service has no Worker Versioning: an operator has switched it off, or its
/// version is too old.
pub fn is_unavailable(error: &Error) -> bool {
    let Some(refused) = error.downcast_ref::<Refused>() else { return false };
    match refused.status {
        // The route or the method is unknown. "no Worker Deployment found" and an unknown namespace are also 404, with other words.
        404 => refused.why().eq_ignore_ascii_case("not found") || refused.why().starts_with("not found: "),
        405 | 501 => true,
        403 => refused.why().contains("disabled"),
        _ => false,
    }
}

/// The Build ID of the version that a transfer of this description is on: the one it was moved to, or else the one that completed its
/// last Workflow Task. None if it is not pinned to a version.
pub fn version_of(description: &Value) -> Option<&str> {
    let info = &description["workflowExecutionInfo"]["versioningInfo"];
    let version = match &info["versioningOverride"] {
        Value::Null => &info["deploymentVersion"],
        moved => &moved["pinned"]["version"],
    };
    version["buildId"].as_str().filter(|build_id| !build_id.is_empty())
}

/// The versions that the lab runs by the supervisor's status, the oldest first. Without any, the server is not asked.
///
/// # Errors
/// The server does not answer, or it has no Worker Versioning.
pub fn rows(server: &Server, status: &Value) -> Result<Vec<VersionRow>> {
    if running_versions(status).next().is_none() {
        return Ok(Vec::new());
    }
    let deployment = server.deployment()?.unwrap_or_default();
    let running = server.running()?;
    let looked_at = &running[..running.len().min(MOST)];
    let descriptions = side_by_side::try_map(looked_at, |run| server.describe_if_there(run))?;
    let mut rows = rows_of(&deployment, status, descriptions.iter().flatten());
    if running.len() > looked_at.len() {
        count(server, &mut rows)?;
    }
    for row in &mut rows {
        row.deployment = server.deployment_name();
    }
    Ok(rows)
}

/// Has the server count the transfers in progress on each version, where not all of them were described.
///
/// # Errors
/// The server does not answer.
pub fn count(server: &Server, rows: &mut [VersionRow]) -> Result<()> {
    for row in rows {
        let in_progress = server.in_progress_on(&row.version.to_string())?;
        row.in_progress = usize::try_from(in_progress).context("the number of transfers in progress")?;
    }
    Ok(())
}

/// The rows of [`rows`] from the server's answers: its Worker Deployment, and the descriptions of the transfers in progress.
pub fn rows_of<'a>(
    deployment: &Deployment,
    status: &Value,
    descriptions: impl IntoIterator<Item = &'a Value>,
) -> Vec<VersionRow> {
    let services = || status["services"].as_array().into_iter().flatten();
    let mut rows: Vec<VersionRow> = running_versions(status)
        .map(|(version, name)| {
            let build_id = version.to_string();
            let service = services().find(|service| service["name"] == *name);
            let pid = service.and_then(|service| service["pid"].as_u64());
            VersionRow {
                deployment: deployment.name.clone(),
                version,
                status: status_of_version(deployment, &build_id),
                percentage: deployment.share(&build_id),
                in_progress: 0,
                failing: 0,
                service: name.to_owned(),
                state: service.and_then(|one| one["state"].as_str()).unwrap_or("stopped").to_owned(),
                pid: pid.and_then(|pid| u32::try_from(pid).ok()),
            }
        })
        .collect();
    rows.sort_by_key(|row| row.version);
    for description in descriptions {
        let version = version_of(description).and_then(|build_id| build_id.parse::<u32>().ok());
        if let Some(row) = rows.iter_mut().find(|row| Some(row.version) == version) {
            row.in_progress += 1;
            row.failing += usize::from(is_failing(description));
        }
    }
    rows
}

/// The numbers of the versions in the supervisor's status, with their services.
fn running_versions(status: &Value) -> impl Iterator<Item = (u32, &str)> {
    let versions = status["versions"].as_array().into_iter().flatten();
    versions.filter_map(|one| Some((u32::try_from(one["version"].as_u64()?).ok()?, one["service"].as_str()?)))
}

/// The status of a version, as in [`VersionRow::status`].
pub fn status_of_version(deployment: &Deployment, build_id: &str) -> &'static str {
    let is_ramping = deployment.ramping.as_ref().is_some_and(|(ramping, _)| ramping == build_id);
    if deployment.current.as_deref() == Some(build_id) {
        return "current";
    }
    if is_ramping {
        return "ramping";
    }
    let version = deployment.versions.iter().find(|version| version.build_id == build_id);
    match version.map_or(Drainage::None, |version| version.drainage) {
        Drainage::None => "inactive",
        Drainage::Draining => "draining",
        Drainage::Drained => "drained",
    }
}

/// Whether a transfer of this description waits for another attempt of a Workflow Task or of an Activity. One that somebody has paused
/// does not fail.
fn is_failing(description: &Value) -> bool {
    let mut activities = description["pendingActivities"].as_array().into_iter().flatten();
    description["pendingWorkflowTask"]["attempt"].as_u64() > Some(1)
        || activities.any(|activity| activity["lastFailure"].is_object() && activity["paused"] != true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stuck::tests::server;

    const DEPLOYMENT: &str = r#"{"workerDeploymentInfo":{"name":"money-transfer","versionSummaries":[
        {"version":"money-transfer.2","status":"WORKER_DEPLOYMENT_VERSION_STATUS_RAMPING","deploymentVersion":
          {"buildId":"2","deploymentName":"money-transfer"}},
        {"version":"money-transfer.1","status":"WORKER_DEPLOYMENT_VERSION_STATUS_CURRENT","deploymentVersion":
          {"buildId":"1","deploymentName":"money-transfer"},"drainageInfo":{"lastCheckedTime":"2026-11-29T11:47:46Z"}}],
        "routingConfig":{"currentDeploymentVersion":{"buildId":"1","deploymentName":"money-transfer"},"rampingDeploymentVersion":
          {"buildId":"2","deploymentName":"money-transfer"},"rampingVersionPercentage":20}}}"#;

    /// A transfer in progress that completed its last Workflow Task on a version, at this attempt of its next one.
    fn description(build_id: &str, attempt: u64) -> Value {
        json!({
            "workflowExecutionInfo": { "versioningInfo": {
                "behavior": "VERSIONING_BEHAVIOR_PINNED", "deploymentVersion": version(build_id),
            } },
            "pendingWorkflowTask": { "attempt": attempt },
        })
    }

    fn version(build_id: &str) -> Value {
        json!({ "buildId": build_id, "deploymentName": "money-transfer" })
    }

    #[test]
    fn a_transfer_is_on_the_version_that_it_was_moved_to() {
        let mut one = description("2", 1);
        assert_eq!(version_of(&one), Some("2"));
        let info = &mut one["workflowExecutionInfo"]["versioningInfo"];
        info["versioningOverride"] = json!({ "pinned": { "version": version("1") } });
        assert_eq!(version_of(&one), Some("1"));
        one["workflowExecutionInfo"]["versioningInfo"]["versioningOverride"] = json!({ "autoUpgrade": true });
        assert_eq!(version_of(&one), None);
        assert_eq!(version_of(&json!({})), None);
    }

    #[test]
    fn each_version_that_the_lab_runs_has_a_row() {
        let deployment = Deployment::from_json(&serde_json::from_str(DEPLOYMENT).expect("JSON"));
        let status = json!({
            "versions": [{ "version": 2, "service": "worker@2" }, { "version": 1, "service": "worker@1" },
                { "version": 3, "service": "worker@3" }],
            "services": [{ "name": "worker@1", "state": "running", "pid": 7 },
                { "name": "worker@2", "state": "restarting", "pid": null }],
        });
        let mut paused = description("1", 0);
        paused["pendingActivities"] = json!([{ "paused": true, "lastFailure": { "message": "no" } }]);
        let descriptions = [description("2", 4), description("2", 1), paused, description("9", 4)];
        let rows = rows_of(&deployment, &status, &descriptions);
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.version, row.status, row.percentage, row.in_progress, row.failing))
            .collect();
        assert_eq!(
            told,
            [(1, "current", 80.0, 1, 0), (2, "ramping", 20.0, 2, 1), (3, "inactive", 0.0, 0, 0)]
        );
        assert_eq!(
            rows[1].to_json(),
            json!({ "deployment": "money-transfer", "build_id": "2", "version": 2, "status": "ramping", "percentage": 20.0,
                "in_progress": 2, "failing": 1, "service": "worker@2", "state": "restarting", "pid": null })
        );
        assert_eq!((rows[0].pid, &*rows[2].state), (Some(7), "stopped"));
    }

    #[test]
    fn a_deployment_that_no_worker_has_begun_differs_from_a_service_without_worker_versioning() {
        const NONE: &str = r#"{"code":5,"message":"no Worker Deployment found with name 'money-transfer'"}"#;
        const OFF: &str =
            r#"{"code":7,"message":"Worker Deployment Versions are disabled on this namespace."}"#;
        let deployment = |answers: &'static [(&str, &str, &str)]| server(answers).deployment();
        assert_eq!(
            deployment(&[("worker-deployments/money-transfer", "404", NONE)]).expect("an answer"),
            None
        );
        let there = deployment(&[("worker-deployments/money-transfer", "200", DEPLOYMENT)]);
        assert_eq!(there.expect("an answer").and_then(|there| there.current).as_deref(), Some("1"));
        let old = deployment(&[("worker-deployments/", "404", r#"{"code":5,"message":"Not Found"}"#)]);
        assert!(is_unavailable(&old.expect_err("it is too old")));
        let off = deployment(&[("worker-deployments/", "403", OFF)]);
        assert!(is_unavailable(&off.expect_err("it is off")));
        let down = deployment(&[("worker-deployments/", "503", "{}")]);
        assert!(!is_unavailable(&down.expect_err("it does not answer")));
    }

    #[test]
    fn the_server_counts_what_is_in_progress_on_each_version() {
        let server = server(&[
            (
                "money-transfer%3A1",
                "200",
                r#"{"groups":[{"groupValues":[{"data":"IlJ1bm5pbmci"}],"count":"3"}]}"#,
            ),
            ("money-transfer%3A2", "200", "{}"),
        ]);
        let status = json!({ "versions": [{ "version": 1, "service": "worker@1" }, { "version": 2, "service": "worker@2" }] });
        let mut rows = rows_of(&Deployment::default(), &status, &[description("2", 1)]);
        count(&server, &mut rows).expect("it answers");
        assert_eq!(rows.iter().map(|row| row.in_progress).collect::<Vec<_>>(), [3, 0]);
    }
}
