//! Questions to a lab's Temporal server, and what it is asked to do.
//!
//! Over the server's own HTTP API, whose JSON is that of the CLI: an answer takes a few milliseconds, where
//! each call of the CLI takes 60.

use anyhow::{Context, Error, Result, bail};
use serde_json::{Value, json};

use crate::{
    Endpoints,
    http::{NoAnswer, Refused, encode, get_json, get_news, is_silence, post_json},
    time,
};

/// How long a Workflow Task of a transfer may take before the server gives it to another worker: short, so that a learner's
/// fix shows soon. The dev server of a lab has it as its default and another service does not, so each transfer carries it.
pub const WORKFLOW_TASK_TIMEOUT: &str = "2s";

/// So many a page of a list has; the server gives no more.
const PAGE: usize = 1000;

/// Where the server's HTTP API pauses an Activity: since version 1.30 of the server, and before. In this order, since by the
/// second path a newer server starts an Activity of its own.
const ACTIVITIES: [&str; 2] = ["activities-deprecated", "activities"];
/// By which statuses the server says that it has no such path. The first one it also says of an Activity that has ended.
const NO_PATH: [u16; 3] = [404, 405, 501];

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

/// A run as a list of runs has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Which.
    pub run: Run,
    /// Its [status](status_name) when the list was made, which lags behind by a fraction of a second.
    pub status: String,
    /// When it was started, in seconds since 1970.
    pub start: f64,
    /// When it ended, if it has.
    pub close: Option<f64>,
}

impl Server {
    /// The server that answers there.
    pub fn new(endpoints: &Endpoints) -> Server {
        Server {
            http: endpoints.temporal_http.clone(),
            ui: endpoints.temporal_ui.clone(),
            namespace: endpoints.namespace.clone(),
            learner: endpoints.learner.clone(),
        }
    }

    /// The transfers that have not ended.
    pub fn running(&self) -> Result<Vec<Run>> {
        let query = format!("{} AND ExecutionStatus=\"Running\"", transfers());
        self.list(&query, usize::MAX)
    }

    /// The runs that match, at most so many: those that run first, then those that ended last.
    pub fn list(&self, query: &str, most: usize) -> Result<Vec<Run>> {
        Ok(self.listed(query, most)?.into_iter().map(|listed| listed.run).collect())
    }

    /// The same, with what a list tells of each.
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

    /// How many runs match, in all and by status, as the server puts it: another answer means that something has changed.
    pub fn counts(&self, query: &str) -> Result<Value> {
        let query = format!("{query} GROUP BY ExecutionStatus");
        get_json(&self.api(&format!("workflow-count?query={}", encode(&query))))
    }

    /// Everything that the server knows of a run's present; nothing of one that was deleted.
    pub fn describe_if_there(&self, run: &Run) -> Result<Option<Value>> {
        match self.describe(run) {
            Err(error) if status_of(&error) == 404 => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Everything that the server knows of a run's present.
    pub fn describe(&self, run: &Run) -> Result<Value> {
        let id = encode(&run.workflow_id);
        get_json(&self.api(&format!("workflows/{id}?execution.runId={}", encode(&run.run_id))))
    }

    /// The last events of a run's history, the newest first.
    pub fn last_events(&self, run: &Run) -> Result<Vec<Value>> {
        let (id, run_id) = (encode(&run.workflow_id), encode(&run.run_id));
        let path = format!("workflows/{id}/history-reverse?execution.runId={run_id}&maximumPageSize=20");
        let mut history = get_json(&self.api(&path))?;
        match history["history"]["events"].take() {
            Value::Array(events) => Ok(events),
            _ => bail!("the server sent no history of {}", run.workflow_id),
        }
    }

    /// A run's whole Event History, as `{"events": […]}`, with payloads of JSON in short: `[{"balance": 1000}]`.
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
                None if events.is_empty() => bail!("the server sent no history of {}", run.workflow_id),
                None => return Ok(json!({ "events": events })),
            }
        }
    }

    /// The page of a run in the Temporal UI; empty where nobody knows of one.
    pub fn ui_link(&self, run: &Run) -> String {
        if self.ui.is_empty() {
            return String::new();
        }
        let (ui, namespace, id) = (&self.ui, encode(&self.namespace), encode(&run.workflow_id));
        format!("{ui}/namespaces/{namespace}/workflows/{id}/{}/history", run.run_id)
    }

    /// Starts a transfer. A learner's has the learner's name before its id.
    ///
    /// # Errors
    /// The server refuses, or does not answer: [`Server::why_not_started`] says it in a sentence.
    pub fn start_transfer(&self, workflow_id: &str, input: &Value) -> Result<Run> {
        let workflow_id = &contract::workflow_id_of(self.learner.as_deref(), workflow_id);
        let order = json!({
            "workflowType": { "name": contract::WORKFLOW_TYPE },
            "taskQueue": { "name": contract::task_queue(self.learner.as_deref()) },
            "workflowTaskTimeout": WORKFLOW_TASK_TIMEOUT,
            "input": [input],
            // By a name that was used before it is an error, and not a second transfer.
            "workflowIdReusePolicy": "WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE",
        });
        let answer = post_json(&self.api(&format!("workflows/{}", encode(workflow_id))), &order)?;
        let run_id = answer["runId"].as_str().context("the server did not say what it started")?;
        Ok(Run { workflow_id: workflow_id.to_owned(), run_id: run_id.to_owned() })
    }

    /// Why [`Server::start_transfer`] did not start this transfer, as a sentence for a person.
    pub fn why_not_started(&self, workflow_id: &str, error: &Error) -> String {
        let workflow_id = contract::workflow_id_of(self.learner.as_deref(), workflow_id);
        if error.downcast_ref::<NoAnswer>().is_some_and(|silence| silence.nobody_listens) {
            return "the Temporal server does not answer, so nothing was started: try again when it does"
                .to_owned();
        }
        if is_silence(error) {
            // It may have arrived all the same: also where the gateway has waited in vain for a remote service.
            return format!(
                "the Temporal server does not answer, so it is not known whether a transfer was started; when it is \
                 back, look for {workflow_id} ({error:#})"
            );
        }
        if workflow_id.contains('/') && status_of(error) == 404 {
            return format!(
                "the transfer {workflow_id} was not started: the server's HTTP API takes no Workflow Id with a slash"
            );
        }
        let why = error.downcast_ref::<Refused>().map(|refused| refused.why().to_owned());
        let why = why.unwrap_or_else(|| format!("{error:#}"));
        format!("the transfer {workflow_id} was not started: {why}")
    }

    /// Ends a run where it stands. Returns whether it was under way.
    pub fn terminate(&self, run: &Run, reason: &str) -> Result<bool> {
        let order = json!({
            "workflowExecution": { "workflowId": run.workflow_id, "runId": run.run_id },
            "reason": reason,
        });
        match post_json(&self.api(&format!("workflows/{}/terminate", encode(&run.workflow_id))), &order) {
            // It has ended meanwhile. The server's HTTP API also knows no path for a Workflow Id with a slash in it.
            Err(error) if status_of(&error) == 404 && !run.workflow_id.contains('/') => Ok(false),
            answer => answer.map(|_| true),
        }
    }

    /// Returns once the run has ended.
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

    /// Has the next attempt of a pending activity made now. Returns whether it is still pending.
    ///
    /// By a pause and its end, since a reset of the activity would begin anew with its first attempt, and its history
    /// would not tell of the others. A pause that is not ended, as this was killed in between, the next retry ends.
    pub fn retry_activity(&self, run: &Run, activity_id: &str) -> Result<bool> {
        let which = json!({ "workflowId": run.workflow_id, "runId": run.run_id });
        let order = json!({ "execution": which, "id": activity_id });
        for activities in ACTIVITIES {
            let ask = |what: &str| post_json(&self.api(&format!("{activities}/{what}")), &order);
            match ask("pause").and_then(|_| ask("unpause")) {
                Err(error) if NO_PATH.contains(&status_of(&error)) => {
                    if self.can_pause_by(activities)? {
                        // Its attempt has succeeded, or its transfer has ended, meanwhile.
                        return Ok(false);
                    }
                }
                answer => return answer.map(|_| true),
            }
        }
        bail!("this Temporal server has no path to pause an Activity by")
    }

    /// Whether the server has these paths to pause an Activity by: then it finds more wrong with an empty request than that
    /// the path is not there.
    fn can_pause_by(&self, activities: &str) -> Result<bool> {
        match post_json(&self.api(&format!("{activities}/pause")), &json!({})) {
            Err(error) if is_silence(&error) => Err(error),
            Err(error) => Ok(!NO_PATH.contains(&status_of(&error))),
            Ok(_) => Ok(true),
        }
    }

    pub(crate) fn api(&self, path: &str) -> String {
        format!("{}/api/v1/namespaces/{}/{path}", self.http, encode(&self.namespace))
    }
}

impl Run {
    /// The run that this part of the server's JSON names.
    pub fn from_json(value: &Value) -> Option<Run> {
        let text = |name: &str| value[name].as_str().map(str::to_owned);
        Some(Run { workflow_id: text("workflowId")?, run_id: text("runId")? })
    }
}

impl Listed {
    /// The run that this part of the server's JSON tells of.
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

/// The query that every run of every transfer matches.
pub fn transfers() -> String {
    format!("WorkflowType=\"{}\"", contract::WORKFLOW_TYPE)
}

/// How many run, by [`Server::counts`].
pub fn running_of(counts: &Value) -> u64 {
    // The server puts a status here as it keeps it: JSON, in Base64.
    let is_running = |group: &&Value| {
        let status = &group["groupValues"][0];
        status["data"] == "IlJ1bm5pbmci" || *status == "Running"
    };
    let groups = counts["groups"].as_array().into_iter().flatten().filter(is_running);
    groups.filter_map(|group| group["count"].as_str()?.parse::<u64>().ok()).sum()
}

/// A run's status in one word, such as `RUNNING`.
pub fn status_name(value: &Value) -> &str {
    let name = value.as_str().unwrap_or_default();
    name.strip_prefix("WORKFLOW_EXECUTION_STATUS_").unwrap_or(name)
}

/// The HTTP status of a refusal; zero for any other error.
pub fn status_of(error: &Error) -> u16 {
    error.downcast_ref::<Refused>().map_or(0, |refused| refused.status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stuck::tests::server;

    #[test]
    fn those_that_run_are_counted_as_the_server_puts_it() {
        let running = json!({ "metadata": { "type": "S2V5d29yZA==" }, "data": "IlJ1bm5pbmci" });
        let counts = json!({ "count": "7", "groups": [
            { "groupValues": ["Completed"], "count": "5" }, { "groupValues": [running], "count": "2" },
        ]});
        assert_eq!(running_of(&counts), 2);
        assert_eq!((running_of(&json!({})), running_of(&json!({ "groups": 3 }))), (0, 0));
    }

    #[test]
    fn an_activity_is_retried_by_the_path_that_the_server_has() {
        let run = Run { workflow_id: "t".to_owned(), run_id: "r".to_owned() };
        let retried = |answers: &'static [(&str, &str, &str)]| {
            server(answers).retry_activity(&run, "withdraw").map_err(|error| error.to_string())
        };
        assert_eq!(retried(&[("activities-deprecated/", "200", "{}")]), Ok(true));
        assert_eq!(
            retried(&[("activities-deprecated/", "404", "{}"), ("/activities/", "200", "{}")]),
            Ok(true)
        );
        let error = retried(&[("/activities", "400", r#"{"message":"no"}"#)]).expect_err("it is refused");
        assert!(error.ends_with("answered 400: no"), "{error}");
        let error = retried(&[("/activities", "404", "{}")]).expect_err("there is no path");
        assert_eq!(error, "this Temporal server has no path to pause an Activity by");
    }

    #[test]
    fn what_keeps_a_transfer_from_being_started_is_said() {
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
            start("a/b", &[("workflows/a%2Fb", "404", "{}")]).ends_with("takes no Workflow Id with a slash")
        );
        let nobody = Endpoints::own("http://127.0.0.1:1", "", "");
        let error = Server::new(&nobody).start_transfer("mine", &json!({})).expect_err("nobody listens");
        let sentence = Server::new(&nobody).why_not_started("mine", &error);
        assert!(sentence.contains("so nothing was started: try again"), "{sentence}");
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
        assert_eq!(error.to_string(), "the server sent no history of none");
    }
}
