//! What the server reports of a Worker Deployment: which version takes new Workflows, and which are drained.

use contract::DEPLOYMENT;
use serde_json::Value;

/// The routing of a Worker Deployment, and its versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Deployment {
    /// Its name, such as `money-transfer`.
    pub name: String,
    /// The Build ID of the current version; none if unversioned workers take new Workflows.
    pub current: Option<String>,
    /// The Build ID of the ramping version, and the percentage of new Workflows that it takes; none at 0%.
    pub ramping: Option<(String, f64)>,
    /// The Build ID of the version that was ramped down to 0%: the server still calls it the ramping one.
    pub ramped_down: Option<String>,
    /// Its versions, as the server knows them, the oldest first.
    pub versions: Vec<Version>,
    /// The Build IDs of the versions whose worker the lab runs.
    pub running: Vec<String>,
}

/// A Deployment Version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Version {
    /// Its Build ID, which in a lab is its number: `1`.
    pub build_id: String,
    /// How far it is drained.
    pub drainage: Drainage,
    /// Since when it is the ramping version, or, if it is not, when it first took new Workflows; in the server's format, empty if never.
    pub ramping_since: String,
    /// Since when it takes no new Workflows, in the server's format; empty if it takes some, or never did.
    pub idle_since: String,
}

/// Whether a version that takes no new Workflows still has Workflows in progress.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Drainage {
    /// It takes new Workflows, or never did.
    #[default]
    None,
    /// It has Workflows in progress, or the server has not looked since.
    Draining,
    /// None is in progress on it.
    Drained,
}

impl Deployment {
    /// What `DescribeWorkerDeployment` answers, in the server's JSON; `running` is not part of it.
    pub fn from_json(answer: &Value) -> Deployment {
        let info = &answer["workerDeploymentInfo"];
        let routing = &info["routingConfig"];
        let build_id = |version: &Value| {
            Some(version["buildId"].as_str()?.to_owned()).filter(|build_id| !build_id.is_empty())
        };
        let percentage = routing["rampingVersionPercentage"].as_f64().unwrap_or_default();
        let named = build_id(&routing["rampingDeploymentVersion"]);
        let (ramping, ramped_down) = match percentage > 0.0 {
            true => (named.clone(), None),
            false => (None, named.clone()),
        };
        let summaries = info["versionSummaries"].as_array().into_iter().flatten();
        let mut versions: Vec<Version> = summaries
            .filter_map(|summary| {
                let drainage =
                    match summary["drainageStatus"].as_str().or(summary["drainageInfo"]["status"].as_str()) {
                        Some("VERSION_DRAINAGE_STATUS_DRAINING") => Drainage::Draining,
                        Some("VERSION_DRAINAGE_STATUS_DRAINED") => Drainage::Drained,
                        _ => Drainage::None,
                    };
                let build_id = build_id(&summary["deploymentVersion"])?;
                let time = |time: &Value| time.as_str().unwrap_or_default().to_owned();
                // A version that was ramped down to 0% is still the ramping one.
                let idle_since = match named.as_ref() == Some(&build_id) {
                    true if percentage > 0.0 => String::new(),
                    true => time(&routing["rampingVersionPercentageChangedTime"]),
                    false => time(&summary["lastDeactivationTime"]),
                };
                let since = &summary["rampingSinceTime"];
                let ramping_since =
                    time(if since.is_string() { since } else { &summary["firstActivationTime"] });
                Some(Version { build_id, drainage, ramping_since, idle_since })
            })
            .collect();
        versions.sort_by_key(|version| (version.build_id.len(), version.build_id.clone()));
        Deployment {
            name: info["name"].as_str().unwrap_or_default().to_owned(),
            current: build_id(&routing["currentDeploymentVersion"]),
            ramping: ramping.map(|build_id| (build_id, percentage)),
            ramped_down,
            versions,
            running: Vec::new(),
        }
    }

    /// The version with this Build ID, if the server knows it.
    pub fn version(&self, build_id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.build_id == build_id)
    }

    /// Whether the lab runs a worker of the version.
    pub fn runs(&self, build_id: &str) -> bool {
        self.running.iter().any(|running| running == build_id)
    }

    /// The percentage of new Workflows that the version takes.
    pub fn share(&self, build_id: &str) -> f64 {
        match &self.ramping {
            Some((ramping, percentage)) if ramping == build_id => *percentage,
            ramping if self.current.as_deref() == Some(build_id) => {
                100.0 - ramping.as_ref().map_or(0.0, |(_, percentage)| *percentage)
            }
            _ => 0.0,
        }
    }
}

/// A command of a text, with this name in place of `money-transfer`, the Worker Deployment of the texts.
pub fn with_deployment(typed: &str, name: &str) -> String {
    let mut parts = typed.split(DEPLOYMENT);
    let mut with = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // As a part of another name, such as that of the Task Queue, it is not the deployment.
        let is_part =
            |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '-');
        let is_other = is_part(with.chars().next_back()) || is_part(part.chars().next());
        with.push_str(if is_other { DEPLOYMENT } else { name });
        with.push_str(part);
    }
    with
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_command_of_a_text_gets_the_name_of_the_labs_deployment() {
        let typed = "set-current-version --deployment-name money-transfer --build-id 3 --yes";
        assert_eq!(with_deployment(typed, "money-transfer"), typed);
        let expected = "set-current-version --deployment-name money-transfer-ada --build-id 3 --yes";
        assert_eq!(with_deployment(typed, "money-transfer-ada"), expected);
        let query = r#"count --query 'TemporalWorkerDeploymentVersion="money-transfer:2"'"#;
        let expected = r#"count --query 'TemporalWorkerDeploymentVersion="money-transfer-ada:2"'"#;
        assert_eq!(with_deployment(query, "money-transfer-ada"), expected);
        for typed in
            ["--task-queue money-transfer-task-queue", "--name money-transfer-ada", "cargo xtask check", ""]
        {
            assert_eq!(with_deployment(typed, "money-transfer-bob"), typed);
        }
    }

    fn version(build_id: &str) -> Value {
        json!({ "buildId": build_id, "deploymentName": "money-transfer" })
    }

    /// The answer of a server of version 1.32, without times: 1 was current before 3, 2 was rolled back.
    fn routed(routing: Value) -> Value {
        let summary = |build_id: &str, drainage: Value| {
            json!({ "version": format!("money-transfer.{build_id}"), "deploymentVersion": version(build_id),
                "drainageStatus": drainage })
        };
        json!({ "conflictToken": "AQ==", "workerDeploymentInfo": {
            "name": "money-transfer",
            "versionSummaries": [
                summary("10", Value::Null),
                summary("3", Value::Null),
                summary("2", json!("VERSION_DRAINAGE_STATUS_DRAINED")),
                summary("1", json!("VERSION_DRAINAGE_STATUS_DRAINING")),
            ],
            "routingConfig": routing,
        }})
    }

    #[test]
    fn the_routing_and_the_drainage_are_read_as_the_server_sends_them() {
        let deployment = Deployment::from_json(&routed(json!({
            "currentDeploymentVersion": version("3"), "currentVersion": "money-transfer.3",
            "rampingDeploymentVersion": version("10"), "rampingVersionPercentage": 12.5,
        })));
        assert_eq!(deployment.current.as_deref(), Some("3"));
        assert_eq!(["3", "10", "1"].map(|build_id| deployment.share(build_id)), [87.5, 12.5, 0.0]);
        let versions: Vec<_> = deployment.versions.iter().map(|one| (&*one.build_id, one.drainage)).collect();
        assert_eq!(
            versions,
            [
                ("1", Drainage::Draining),
                ("2", Drainage::Drained),
                ("3", Drainage::None),
                ("10", Drainage::None)
            ]
        );
    }

    #[test]
    fn a_ramp_of_0_percent_and_unversioned_workers_leave_no_version_that_takes_new_transfers() {
        let deployment = Deployment::from_json(&routed(json!({
            "currentVersion": "__unversioned__", "rampingDeploymentVersion": version("2"),
        })));
        assert_eq!((deployment.current.clone(), deployment.ramping.clone()), (None, None));
        assert_eq!(["1", "2", "3"].map(|build_id| deployment.share(build_id)), [0.0; 3]);
        assert_eq!(Deployment::from_json(&Value::Null), Deployment::default());
    }

    #[test]
    fn a_version_is_idle_since_its_ramp_was_taken_back() {
        let with_times = |ramping: &str, percentage: Value| {
            let mut answer = routed(
                json!({ "currentDeploymentVersion": version("1"), "rampingDeploymentVersion": version(ramping),
                "rampingVersionPercentage": percentage, "rampingVersionPercentageChangedTime": "2026-11-29T11:57:00Z" }),
            );
            let summaries = &mut answer["workerDeploymentInfo"]["versionSummaries"];
            summaries[2]["lastDeactivationTime"] = json!("2026-11-29T11:58:00Z");
            summaries[2]["firstActivationTime"] = json!("2026-11-29T11:55:04Z");
            if ramping == "2" {
                summaries[2]["rampingSinceTime"] = json!("2026-11-29T11:56:00Z");
            }
            Deployment::from_json(&answer)
        };
        let since =
            |deployment: &Deployment| deployment.version("2").map(|version| version.ramping_since.clone());
        let idle = |deployment: Deployment| deployment.version("2").map(|version| version.idle_since.clone());
        let ramped = with_times("2", json!(20));
        assert_eq!((since(&ramped).as_deref(), &ramped.ramped_down), (Some("2026-11-29T11:56:00Z"), &None));
        assert_eq!(idle(ramped).as_deref(), Some(""));
        // At 0% the server still calls it the ramping version.
        let ramped_down = with_times("2", Value::Null);
        assert_eq!(ramped_down.ramped_down.as_deref(), Some("2"));
        assert_eq!(idle(ramped_down).as_deref(), Some("2026-11-29T11:57:00Z"));
        let replaced = with_times("3", json!(100));
        assert_eq!(
            (since(&replaced).as_deref(), &replaced.ramped_down),
            (Some("2026-11-29T11:55:04Z"), &None)
        );
        assert_eq!(idle(replaced).as_deref(), Some("2026-11-29T11:58:00Z"));
    }
}
