//! What the lab asks its Temporal server to do by the pinned CLI, as a learner would.

use anyhow::{Context, Result, bail};
use lab_client::temporal::{Run, Server, WORKFLOW_TASK_TIMEOUT};
use serde_json::{Value, json};

use crate::{ports, temporal_cli};
use checkout::project::Project;
use lab_client::state::State;

/// The CLI of a lab, and its server.
pub struct Cli {
    project: Project,
    address: String,
    namespace: String,
    learner: Option<String>,
}

impl Cli {
    /// The CLI of this lab.
    pub fn new(project: &Project, state: &State) -> Cli {
        Cli {
            project: project.clone(),
            address: state.ports.address(ports::TEMPORAL),
            namespace: state.endpoints().namespace,
            learner: state.learner().map(str::to_owned),
        }
    }

    /// Starts a transfer. A learner's has the learner's name before its id.
    pub fn start(&self, workflow_id: &str, input: &str) -> Result<Run> {
        let workflow_id = &*contract::workflow_id_of(self.learner.as_deref(), workflow_id);
        let task_queue = &*contract::task_queue(self.learner.as_deref());
        let flags = [
            ("--type", contract::WORKFLOW_TYPE),
            ("--task-queue", task_queue),
            ("--workflow-id", workflow_id),
            // By a name that was used before it is an error, and not a second transfer.
            ("--id-reuse-policy", "RejectDuplicate"),
            ("--task-timeout", WORKFLOW_TASK_TIMEOUT),
            ("--input", input),
        ];
        let answer = self.call(&["workflow", "start", "--fail-existing"], &flags)?;
        Run::from_json(&answer).context("the Temporal CLI did not say what it started")
    }

    /// Has the next attempt of a pending activity made now. Returns whether it is still pending.
    ///
    /// A server of another version may not know how to pause an activity by the path that this one has; the CLI does.
    pub fn retry_activity(&self, server: &Server, run: &Run, activity_id: &str) -> Result<bool> {
        match server.retry_activity(run, activity_id) {
            Err(_) if !server.knows_how_to_pause()? => {
                let (id, run_id) = (&*run.workflow_id, &*run.run_id);
                let flags = [("--workflow-id", id), ("--run-id", run_id), ("--activity-id", activity_id)];
                self.call(&["activity", "reset"], &flags).map(|_| true)
            }
            answer => answer,
        }
    }

    fn call(&self, words: &[&str], flags: &[(&str, &str)]) -> Result<Value> {
        let cli = temporal_cli::provide(&self.project)?;
        let mut command = dev_server::command(&cli);
        command.args(words).args(["--namespace", &self.namespace, "--output", "json"]);
        command.args(["--address", &self.address]);
        for (flag, value) in flags {
            command.arg(format!("{flag}={value}"));
        }
        let output = command.output().with_context(|| format!("could not run {}", cli.display()))?;
        if !output.status.success() {
            let stderr = String::from_utf8_lossy(&output.stderr);
            bail!("{}", sentence(&stderr));
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_else(|_| json!({})))
    }
}

/// The CLI's last line of error without its decoration.
fn sentence(stderr: &str) -> String {
    let line = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("the Temporal CLI failed");
    line.trim().trim_start_matches("Error: ").trim_start_matches("error: ").to_owned()
}
