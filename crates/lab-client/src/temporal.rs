//! A client of a lab's Temporal server.
//!
//! It uses the server's HTTP API, whose JSON is the same as the CLI's: a request takes a few milliseconds, a call of the CLI 60.

use anyhow::{Context, Error, Result, bail};
use serde_json::{Value, json};

use crate::{
    Endpoints,
    http::{NoAnswer, Refused, encode, get_json, get_news, is_silence, post_json},
    time,
};

/// The Workflow Task Timeout of a transfer: short, so that a learner's fix takes effect soon. It is the default of the lab's dev
/// server, but not of other services, so each transfer sets it.
pub const WORKFLOW_TASK_TIMEOUT: &str = "2s";

/// The size of a page of a list, the server's maximum.
const PAGE: usize = 1000;

/// The lab's server.
#[derive(Clone, Debug)]
pub struct Server {
    http: String,
    ui: String,
    namespace: String,
    learner: Option<String>,
}

/// A run of a Workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its Workflow Id.
    pub workflow_id: String,
    /// Its Run Id.
    pub run_id: String,
}

/// A run in a list of runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// The run.
    pub run: Run,
    /// Its [status](status_name) in the list, which lags behind by a fraction of a second.
    pub status: String,
    /// When it was started, in seconds since 1970.
    pub start: f64,
    /// When it closed, if it has.
    pub close: Option<f64>,
}

impl Server {
    /// The server at these endpoints.
    pub fn new(endpoints: &Endpoints) -> Server {
        Server {
            http: endpoints.temporal_http.clone(),
            ui: endpoints.temporal_ui.clone(),
            namespace: endpoints.namespace.clone(),
            learner: endpoints.learner.clone(),
        }
    }

    /// The transfers in progress, paused ones too.
    pub fn running(&self) -> Result<Vec<Run>> {
        let query = format!("{} AND CloseTime IS NULL", transfers());
        self.list(&query, usize::MAX)
    }

    /// Those of them that are on this lab's own Task Queue: on a service that others use, theirs are not this lab's to end.
    pub fn own_running(&self) -> Result<Vec<Run>> {
        let queue = contract::task_queue(self.learner.as_deref());
        let query = format!("{} AND TaskQueue=\"{queue}\" AND CloseTime IS NULL", transfers());
        self.list(&query, usize::MAX)
    }

    /// The runs that match a query, up to a limit: running ones first, then the last closed ones.
    pub fn list(&self, query: &str, most: usize) -> Result<Vec<Run>> {
        Ok(self.listed(query, most)?.into_iter().map(|listed| listed.run).collect())
    }

    /// The same, with their data from the list.
    pub fn listed(&self, query: &str, most: usize) -> Result<Vec<Listed>> {
        let first = self.api(&format!("workflows?pageSize={}&query={}", PAGE.min(most), encode(query)));
        let (mut runs, mut page) = (Vec::new(), first.clone());
        loop {
            let list = get_json(&page)?;
            runs.extend(list["executions"].as_array().into_iter().flatten().filter_map(Listed::from_json));
            match list["nextPageToken"].as_str().filter(|token| !token.is_empty()) {
                Some(token) if runs.len() < most => {
                    page = format!("{first}&nextPageToken={}", encode(token));
                }
                _ => {
                    runs.truncate(most);
                    return Ok(runs);
                }
            }
        }
    }

    /// The number of matching runs, in total and by status, in the server's format: a different response means a change.
    pub fn counts(&self, query: &str) -> Result<Value> {
        let query = format!("{query} GROUP BY ExecutionStatus");
        get_json(&self.api(&format!("workflow-count?query={}", encode(&query))))
    }

    /// The description of a run; none if it was deleted.
    pub fn describe_if_there(&self, run: &Run) -> Result<Option<Value>> {
        match self.describe(run) {
            Err(error) if status_of(&error) == 404 => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// The description of a run.
    pub fn describe(&self, run: &Run) -> Result<Value> {
        let id = encode(&run.workflow_id);
        get_json(&self.api(&format!("workflows/{id}?execution.runId={}", encode(&run.run_id))))
    }

    /// The last events of a run's history, newest first.
    pub fn last_events(&self, run: &Run) -> Result<Vec<Value>> {
        let (id, run_id) = (encode(&run.workflow_id), encode(&run.run_id));
        let path = format!("workflows/{id}/history-reverse?execution.runId={run_id}&maximumPageSize=20");
        let mut history = get_json(&self.api(&path))?;
        match history["history"]["events"].take() {
            Value::Array(events) => Ok(events),
            _ => bail!("the server sent no Event History of {}", run.workflow_id),
        }
    }

    /// A run's whole Event History as `{"events": […]}`, with JSON payloads as values: `[{"balance": 1000}]`.
    pub fn history(&self, run: &Run) -> Result<Value> {
        let (id, run_id) = (encode(&run.workflow_id), encode(&run.run_id));
        let path = format!("workflows/{id}/history?execution.runId={run_id}&maximumPageSize={PAGE}");
        let first = self.api(&path);
        let (mut events, mut page) = (Vec::new(), first.clone());
        loop {
            let mut answer = get_json(&page)?;
            // The last page of several may be empty.
            if let Value::Array(some) = answer["history"]["events"].take() {
                events.extend(some);
            }
            match answer["nextPageToken"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => page = format!("{first}&nextPageToken={}", encode(token)),
                None if events.is_empty() => bail!("the server sent no Event History of {}", run.workflow_id),
                None => return Ok(json!({ "events": events })),
            }
        }
    }

    /// The URL of the list of Workflows in the Temporal UI; empty if the UI is unknown.
    pub fn ui_list(&self) -> String {
        if self.ui.is_empty() {
            return String::new();
        }
        format!("{}/namespaces/{}/workflows", self.ui, encode(&self.namespace))
    }

    /// The URL of a run in the Temporal UI; empty if the UI is unknown.
    pub fn ui_link(&self, run: &Run) -> String {
        let list = self.ui_list();
        if list.is_empty() {
            return list;
        }
        format!("{list}/{}/{}/history", encode(&run.workflow_id), run.run_id)
    }

    /// Starts a transfer. A learner's name is prefixed to its id.
    ///
    /// # Errors
    /// The server rejects it or does not answer; [`Server::why_not_started`] makes a message of the error.
    pub fn start_transfer(&self, workflow_id: &str, input: &Value) -> Result<Run> {
        let workflow_id = &contract::workflow_id_of(self.learner.as_deref(), workflow_id);
        let order = json!({
            "workflowType": { "name": contract::WORKFLOW_TYPE },
            "taskQueue": { "name": contract::task_queue(self.learner.as_deref()) },
            "workflowTaskTimeout": WORKFLOW_TASK_TIMEOUT,
            "input": [input],
            // A reused id is an error, not a second transfer.
            "workflowIdReusePolicy": "WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE",
        });
        let answer = post_json(&self.api(&format!("workflows/{}", encode(workflow_id))), &order)?;
        let run_id = answer["runId"].as_str().context("the server's response has no Run Id")?;
        Ok(Run { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() })
    }

    /// The message for an error of [`Server::start_transfer`].
    pub fn why_not_started(&self, workflow_id: &str, error: &Error) -> String {
        let workflow_id = contract::workflow_id_of(self.learner.as_deref(), workflow_id);
        if error.downcast_ref::<NoAnswer>().is_some_and(|silence| silence.nobody_listens) {
            return "the Temporal server does not answer, so the transfer was not started; try again once it does"
                .to_owned();
        }
        if is_silence(error) {
            // The request may have arrived, also if the gateway timed out waiting for a remote service.
            return format!(
                "the Temporal server does not answer, so it is not known whether a transfer was started; when it is \
                 back, look for {workflow_id} ({error:#})"
            );
        }
        if workflow_id.contains('/') && status_of(error) == 404 {
            return format!(
                "the transfer {workflow_id} was not started: the server's HTTP API does not support a Workflow Id with a slash"
            );
        }
        let why = error.downcast_ref::<Refused>().map(|refused| refused.why().to_owned());
        let why = why.unwrap_or_else(|| format!("{error:#}"));
        format!("the transfer {workflow_id} was not started: {why}")
    }

    /// Terminates a run. Returns whether it was running.
    pub fn terminate(&self, run: &Run, reason: &str) -> Result<bool> {
        let order = json!({
            "workflowExecution": { "workflowId": run.workflow_id, "runId": run.run_id },
            "reason": reason,
        });
        match post_json(&self.api(&format!("workflows/{}/terminate", encode(&run.workflow_id))), &order) {
            // It has closed in the meantime. The server's HTTP API also has no path for a Workflow Id with a slash.
            Err(error) if status_of(&error) == 404 && !run.workflow_id.contains('/') => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// Waits until the run has closed.
    pub fn wait_closed(&self, run: &Run) -> Result<()> {
        let (id, run_id) = (encode(&run.workflow_id), encode(&run.run_id));
        let filter = "waitNewEvent=true&historyEventFilterType=HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT";
        let path = self.api(&format!("workflows/{id}/history?execution.runId={run_id}&{filter}"));
        loop {
            let history = get_news(&path)?;
            if history["history"]["events"].as_array().is_some_and(|events| !events.is_empty()) {
                return Ok(());
            }
        }
    }

    /// The learner whose lab this is, if several share the namespace.
    pub(crate) fn learner(&self) -> Option<&str> {
        self.learner.as_deref()
    }

    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}/api/v1/namespaces/{}/{path}", self.http, encode(&self.namespace))
    }
}

impl Run {
    /// The run in this part of the server's JSON.
    pub fn from_json(value: &Value) -> Option<Run> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Run { workflow_id: text("workflowId")?, run_id: text("runId")? })
    }
}

impl Listed {
    /// The listed run in this part of the server's JSON.
    pub fn from_json(value: &Value) -> Option<Listed> {
        let time = |name: &str| value[name].as_str().and_then(time::parse_rfc3339);
        Some(Listed {
            run: Run::from_json(&value["execution"])?,
            status: status_name(&value["status"]).to_owned(),
            start: time("startTime").unwrap_or_default(),
            close: time("closeTime"),
        })
    }
}

/// The query for all runs of all transfers.
pub fn transfers() -> String {
    format!("WorkflowType=\"{}\"", contract::WORKFLOW_TYPE)
}

/// The number of those in progress, paused ones too, from [`Server::counts`].
pub fn running_of(counts: &Value) -> u64 {
    // The server encodes a status here as a payload: JSON in Base64.
    let is_running = |group: &&Value| {
        let status = &group["groupValues"][0];
        let text = status["data"].as_str().or(status.as_str());
        matches!(text, Some("IlJ1bm5pbmci" | "Running" | "IlBhdXNlZCI=" | "IlBhdXNlZCI" | "Paused"))
    };
    let groups = counts["groups"].as_array().into_iter().flatten().filter(is_running);
    groups.filter_map(|group| group["count"].as_str()?.parse::<u64>().ok()).sum()
}

/// A run's status without its prefix, such as `RUNNING`. A paused run is in progress, too: see [`lab::Halt`].
pub fn status_name(value: &Value) -> &str {
    let name = value.as_str().unwrap_or_default();
    match name.strip_prefix("WORKFLOW_EXECUTION_STATUS_").unwrap_or(name) {
        "PAUSED" => "RUNNING",
        name => name,
    }
}

/// The HTTP status of an error response; zero for any other error.
pub fn status_of(error: &Error) -> u16 {
    error.downcast_ref::<Refused>().map_or(0, |refused| refused.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stuck::tests::server;

    #[test]
    fn running_transfers_are_counted_from_the_servers_format() {
        let running = json!({ "metadata": { "type": "S2V5d29yZA==" }, "data": "IlJ1bm5pbmci" });
        let counts = json!({ "count": "7", "groups": [
            { "groupValues": ["Completed"], "count": "5" }, { "groupValues": [running], "count": "2" },
        ]});
        assert_eq!(running_of(&counts), 2);
        assert_eq!((running_of(&json!({})), running_of(&json!({ "groups": 3 }))), (0, 0));
    }

    #[test]
    fn the_error_of_a_transfer_that_was_not_started_is_explained() {
        let start = |id: &str, answers: &'static [(&str, &str, &str)]| {
            let server = server(answers);
            let error = server.start_transfer(id, &json!({})).expect_err("it is not started");
            server.why_not_started(id, &error)
        };
        assert_eq!(
            start(
                "mine",
                &[("workflows/mine", "409", r#"{"message":"Workflow execution is already running."}"#)]
            ),
            "the transfer mine was not started: Workflow execution is already running."
        );
        assert!(
            start("a/b", &[("workflows/a%2Fb", "404", "{}")])
                .ends_with("does not support a Workflow Id with a slash")
        );
        let nobody = Endpoints::own("http://127.0.0.1:1", "", "");
        let error = Server::new(&nobody).start_transfer("mine", &json!({})).expect_err("nobody listens");
        let sentence = Server::new(&nobody).why_not_started("mine", &error);
        assert!(sentence.contains("so the transfer was not started; try again"), "{sentence}");
    }

    #[test]
    fn a_history_is_read_to_its_last_page() {
        let server = server(&[
            ("workflows/none/", "200", r#"{"history":{}}"#),
            ("nextPageToken=three", "200", r#"{"history":{},"nextPageToken":null}"#),
            (
                "nextPageToken=two%3D",
                "200",
                r#"{"history":{"events":[{"eventId":"3"}]},"nextPageToken":"three"}"#,
            ),
            (
                "workflows/a%2Fb/history?execution.runId=r&",
                "200",
                r#"{"history":{"events":[{"eventId":"1"},{"eventId":"2"}]},"nextPageToken":"two="}"#,
            ),
        ]);
        let run = |id: &str| Run { workflow_id: id.to_owned(), run_id: "r".to_owned() };
        let ids = |history: Value| {
            let events = history["events"].as_array().expect("a list").clone();
            events
                .iter()
                .map(|event| event["eventId"].as_str().unwrap_or("none").to_owned())
                .collect::<String>()
        };
        assert_eq!(ids(server.history(&run("a/b")).expect("a history")), "123");
        let error = server.history(&run("none")).expect_err("no events");
        assert_eq!(error.to_string(), "the server sent no Event History of none");
    }
}
