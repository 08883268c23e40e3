//! Two versions of the worker, which share the transfers of a chaos run.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::shadow::Shadow;
use supervisor::control::{self, Request};

/// Deploys the code in place as two versions, each of which takes half of the new transfers.
///
/// # Errors
/// One is not deployed, or the server does not route to it.
pub(super) fn deploy(shadow: &Shadow) -> Result<()> {
    let deploy = || -> Result<String> {
        let deployed = control::ask(&shadow.state()?, &Request::DeployVersion(None))?;
        Ok(deployed["version"].as_u64().context("the lab named no version")?.to_string())
    };
    let (current, ramping) = (deploy()?, deploy()?);
    route(shadow, &["set-current-version", "--build-id", &current])?;
    route(shadow, &["set-ramping-version", "--build-id", &ramping, "--percentage", "50"])
}

/// Changes which version takes new transfers.
fn route(shadow: &Shadow, words: &[&str]) -> Result<()> {
    let routing = ["temporal", "worker", "deployment"];
    let words = [&routing, words, &["--deployment-name", contract::DEPLOYMENT, "--yes"]].concat();
    let changed = shadow.xtask(&words)?;
    if !changed.ok {
        bail!("could not route transfers to a version:\n  {}", changed.lines.join("\n  "));
    }
    Ok(())
}

/// How many transfers each version took, of these runs.
///
/// # Errors
/// A transfer was not on one version from its start to its end, or a version took none.
pub(super) fn check(runs: &[(String, lab::Run)]) -> Result<BTreeMap<String, usize>> {
    let mut taken = BTreeMap::new();
    for (workflow_id, run) in runs {
        let version = run.began_on().with_context(|| format!("{workflow_id} ran on no version"))?;
        let mut tasks = run.events().filter(|event| event.is("WorkflowTaskCompleted"));
        let build_id = |event: lab::Event<'_>| {
            event.attributes()["deploymentVersion"]["buildId"].as_str().unwrap_or_default().to_owned()
        };
        if let Some(other) = tasks.find(|event| build_id(*event) != version) {
            bail!(
                "{workflow_id} is pinned to version {version}, and version {} completed its event {}",
                build_id(other),
                other.id()
            );
        }
        *taken.entry(version.to_owned()).or_insert(0) += 1;
    }
    if taken.len() != 2 {
        bail!("two versions share the transfers, and those that took some are {taken:?}");
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A transfer whose Workflow Tasks these versions completed.
    fn transfer(id: &str, versions: &[&str]) -> (String, lab::Run) {
        let task = |(at, build_id): (usize, &&str)| {
            json!({ "eventId": at + 1, "eventTime": "2026-11-22T12:00:00Z", "eventType": "EVENT_TYPE_WORKFLOW_TASK_COMPLETED",
                "workflowTaskCompletedEventAttributes": { "deploymentVersion": { "buildId": build_id } } })
        };
        let events = versions.iter().enumerate().map(task).collect();
        (id.to_owned(), lab::Run::new("r".to_owned(), events, Value::Null))
    }

    #[test]
    fn transfers_are_counted_by_the_version_that_they_stay_on() {
        let runs = [transfer("a", &["1", "1"]), transfer("b", &["2", "2", "2"]), transfer("c", &["1"])];
        let taken = check(&runs).expect("each stays on one");
        assert_eq!(taken, BTreeMap::from([("1".to_owned(), 2), ("2".to_owned(), 1)]));
    }

    #[test]
    fn a_pinned_transfer_that_another_version_continued_is_detected() {
        let error = check(&[transfer("a", &["1"]), transfer("b", &["2", "1"])]).expect_err("it has moved");
        assert_eq!(error.to_string(), "b is pinned to version 2, and version 1 completed its event 2");
        for (runs, says) in
            [(vec![transfer("a", &[])], "ran on no version"), (vec![transfer("a", &["1"])], "two versions")]
        {
            let error = check(&runs).expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
