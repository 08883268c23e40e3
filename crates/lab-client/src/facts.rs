//! Reads what the checks judge by from the server and the bank.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use lab::{Deployment, Entry, Facts, Service, Status};
use serde_json::Value;

use crate::{
    Endpoints,
    bank::Bank,
    http::{encode, is_transient},
    kept_versions,
    progress::Progress,
    side_by_side,
    stuck::overdue,
    temporal::{Run, Server, status_of, transfers},
    time,
    versions::is_unavailable,
};

/// At most so many transfers are read: those in progress first, then those that closed last.
pub const MOST: usize = 200;
/// As many transfers of an incident are read: more than its traffic starts.
const MOST_OF_AN_INCIDENT: usize = 2000;
/// A transfer that takes longer than this was hit by the incident. For each attempt that failed since the bank had a problem of its own,
/// it may take half of this longer, which is as long as the shipped code waits for the next attempt.
pub const LATE: Duration = Duration::from_secs(20);
/// The HTTP status of a query that the server cannot read.
const BAD_REQUEST: u16 = 400;
/// So many Workflow Ids one query names.
const IDS: usize = 50;

/// Reads facts, again and again; a history is read again only if it has grown.
pub struct Reader {
    server: Server,
    bank: Bank,
    known: BTreeMap<String, lab::Run>,
    late: Duration,
}

impl Reader {
    /// Reads from the server and the bank that answer there.
    pub fn new(endpoints: &Endpoints) -> Reader {
        Reader {
            server: Server::new(endpoints),
            bank: Bank::new(endpoints),
            known: BTreeMap::new(),
            late: LATE,
        }
    }

    /// Reads with another limit than [`LATE`], as for a test.
    pub fn with_late(self, late: Duration) -> Reader {
        Reader { late, ..self }
    }

    /// The facts of a stage or an incident: of the transfers that it began with and those started since.
    pub fn read(&mut self, progress: &Progress, services: Vec<Service>) -> Result<Facts> {
        let since = match progress.entered.as_str() {
            "" => String::new(),
            entered => format!(" AND StartTime>=\"{entered}\""),
        };
        let incident = progress.stage.incident();
        let most = if incident.is_some() { MOST_OF_AN_INCIDENT } else { MOST };
        let runs = self.runs(&since, &progress.transfers, progress.stage.has_versions, most)?;
        let runs = self.histories(&runs)?;
        let opened = self.bank.entries("limit=1")?["entries"][0]["time"].as_u64().unwrap_or_default();
        let entries = match &progress.drill {
            Some(drill) => self.entries_after(drill.last_entry)?,
            None => self.entries_of(&runs)?,
        };
        let accounts = self.bank.accounts()?;
        let accounts = accounts["accounts"].as_array().into_iter().flatten();
        let outage = self.bank.outage()?;
        let down = [(outage.withdrawals, "withdraw"), (outage.deposits, "deposit")];
        let deployment = if progress.stage.has_versions { self.deployment(&services)? } else { None };
        let corrections = match incident {
            Some(_) => entries.iter().filter_map(Entry::correction).collect(),
            None => Vec::new(),
        };
        let now = time::now().as_secs_f64();
        let late = runs.iter().filter(|(_, run)| incident.is_some() && is_late(run, self.late, now));
        let late = late.map(|(id, _)| id.clone()).collect();
        // The bank records whole seconds: a transfer of that second may be older than the ledger.
        let facts = Facts::new(runs, &entries, time::rfc3339(opened + 1), services);
        Ok(Facts {
            accounts: accounts.filter_map(|one| Some(one["account_number"].as_str()?.to_owned())).collect(),
            outage: down.into_iter().filter_map(|(is_down, name)| is_down.then_some(name)).collect(),
            broken_replay: progress.broken_replay.clone(),
            deployment,
            met: incident.map(|incident| incident.met),
            corrections,
            late,
            overdue: overdue(),
            entered_at: time::parse_rfc3339(&progress.entered).unwrap_or_default() as u64,
            ..facts.of_stage(&progress.entered, &progress.transfers)
        })
    }

    /// The ledger's entries of the transfers with these runs.
    fn entries_of(&self, runs: &[(String, lab::Run)]) -> Result<Vec<Value>> {
        let transfers: BTreeSet<&str> = runs.iter().map(|(_, run)| run.original()).collect();
        let mut entries = Vec::new();
        for transfer in transfers {
            let mut page = self.bank.entries(&format!("transfer={}", encode(transfer)))?;
            entries.extend(page["entries"].as_array_mut().map(std::mem::take).unwrap_or_default());
        }
        Ok(entries)
    }

    /// The ledger's entries after the one with this number.
    fn entries_after(&self, mut after: u64) -> Result<Vec<Value>> {
        let mut entries = Vec::new();
        loop {
            let mut page = self.bank.entries(&format!("after={after}&limit=1000"))?;
            entries.extend(page["entries"].as_array_mut().map(std::mem::take).unwrap_or_default());
            match page["next"].as_u64() {
                Some(next) => after = next,
                None => return Ok(entries),
            }
        }
    }

    /// The lab's Worker Deployment, with the versions whose worker is among these services.
    fn deployment(&self, services: &[Service]) -> Result<Option<Deployment>> {
        let running = services.iter().filter_map(|service| kept_versions::version_of(&service.name));
        let running = running.map(|version| version.to_string()).collect();
        match self.server.deployment() {
            // Entering the stage has said so.
            Err(error) if is_unavailable(&error) => Ok(None),
            deployment => Ok(deployment?.map(|deployment| Deployment { running, ..deployment })),
        }
    }

    /// Every run of the transfers that are in progress or closed last.
    pub fn latest(&mut self) -> Result<Vec<(String, lab::Run)>> {
        let runs = self.runs("", &[], false, MOST)?;
        self.histories(&runs)
    }

    /// Every run of these transfers, and of all that have a run to which this part of a query applies. In a stage with versions, those of its
    /// first two versions do not drop out when many later ones have closed.
    fn runs(&self, since: &str, started: &[String], has_versions: bool, most: usize) -> Result<Vec<Run>> {
        let all = transfers();
        let mut runs = self.server.list(&format!("{all} AND ExecutionStatus=\"Running\"{since}"), most)?;
        let closed = self.server.list(&format!("{all} AND ExecutionStatus!=\"Running\"{since}"), most)?;
        if has_versions && closed.len() == MOST {
            let deployment = self.server.deployment_name();
            for build_id in ["1", "2"] {
                let used = format!("TemporalUsedWorkerDeploymentVersions=\"{deployment}:{build_id}\"");
                match self.server.list(&format!("{all} AND {used}{since}"), MOST) {
                    // The server of Temporal CLI 1.8 does not know that Search Attribute.
                    Err(error) if status_of(&error) == BAD_REQUEST => {}
                    listed => runs.extend(listed?),
                }
            }
        }
        runs.extend(closed);
        let ids: BTreeSet<String> =
            runs.iter().map(|run| &run.workflow_id).chain(started).map(|id| quoted(id)).collect();
        let ids: Vec<String> = ids.into_iter().collect();
        for ids in ids.chunks(IDS) {
            let query = format!("{all} AND WorkflowId IN ({})", ids.join(","));
            runs.extend(self.server.list(&query, 4 * MOST)?);
        }
        runs.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        runs.dedup();
        Ok(runs)
    }

    /// The history of each of these runs, and the server's description of those in progress.
    fn histories(&mut self, runs: &[Run]) -> Result<Vec<(String, lab::Run)>> {
        let (server, known) = (&self.server, &self.known);
        let read = side_by_side::map(runs, |run| read_run(server, run, known.get(&run.run_id)));
        let mut histories = Vec::new();
        for (Run { workflow_id, run_id }, run) in runs.iter().zip(read) {
            match run.with_context(|| format!("the history of {workflow_id} cannot be read")) {
                Ok(run) => histories.push((workflow_id.clone(), run)),
                Err(error) if is_transient(&error) => return Err(error),
                Err(error) if status_of(&error) == 500 && known.contains_key(run_id) => return Err(error),
                // Another client can start a Workflow whose history has no JSON form; it is left out.
                Err(_) => {}
            }
        }
        // A run that is not listed now may never be listed again.
        self.known = histories.iter().map(|(_, run)| (run.run_id.clone(), run.clone())).collect();
        Ok(histories)
    }
}

/// Whether a run takes or took longer than this by now, in Unix seconds, and half of it for each error of the bank's own.
pub(crate) fn is_late(run: &lab::Run, limit: Duration, now: f64) -> bool {
    let at = |event: lab::Event<'_>| time::parse_rfc3339(event.time());
    let Some(start) = run.first_own_event().and_then(at) else { return false };
    let end = run.close().and_then(at).unwrap_or(now);
    end - start > limit.as_secs_f64() * (1.0 + run.bank_errors() as f64 / 2.0)
}

/// A text in a query: any text is a Workflow Id.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A run's history and the server's description of it. A history that has not grown is not read again.
pub fn read_run(server: &Server, run: &Run, before: Option<&lab::Run>) -> Result<lab::Run> {
    if let Some(ended) = before.filter(|run| run.status != Status::Running) {
        return Ok(ended.clone());
    }
    // The description first: what happens in between is then in the history.
    let description = server.describe(run)?;
    // Not the number of events that were read: for a failing task, the server adds some that it does not keep.
    let length = |description: &Value| description["workflowExecutionInfo"]["historyLength"].clone();
    if let Some(before) = before.filter(|before| length(&before.description) == length(&description)) {
        return Ok(lab::Run::new(run.run_id.clone(), before.events.clone(), description));
    }
    read_history(server, run, description)
}

/// The run with its history; a closed one needs no description.
pub fn read_history(server: &Server, run: &Run, description: Value) -> Result<lab::Run> {
    let Value::Array(events) = server.history(run)?["events"].take() else { bail!("its events are no list") };
    Ok(lab::Run::new(run.run_id.clone(), events, description))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_transfer_is_late_if_it_takes_longer_than_the_banks_errors_explain() {
        let event = |kind: &str, second: u64, attributes: Value| {
            json!({ "eventType": format!("EVENT_TYPE_{kind}"), "eventTime": format!("2026-11-22T12:00:{second:02}Z"),
                "xEventAttributes": attributes })
        };
        let run = |second: u64, attempt: u64, failure: &str| {
            let retried = json!({ "attempt": attempt, "lastFailure": { "message": failure } });
            let events = vec![
                event("WORKFLOW_EXECUTION_STARTED", 0, json!({})),
                event("ACTIVITY_TASK_STARTED", 1, retried),
                event("WORKFLOW_EXECUTION_COMPLETED", second, json!({})),
            ];
            lab::Run::new("r".to_owned(), events, Value::Null)
        };
        let error = "http://bank/accounts/a/withdraw answered 500 Internal Server Error: no";
        for (second, attempt, failure, expected) in [
            (20, 1, "", false),
            (21, 1, "", true),
            (39, 3, error, false),
            (41, 3, error, true),
            (39, 3, "Account not found", true),
        ] {
            assert_eq!(
                is_late(&run(second, attempt, failure), LATE, 0.0),
                expected,
                "{second} {attempt} {failure}"
            );
        }
        let running = |start: u64, attempt: u64| {
            let started = json!({ "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED", "eventTime": time::rfc3339(start) });
            let pending =
                json!({ "pendingActivities": [{ "attempt": attempt, "lastFailure": { "message": error } }] });
            lab::Run::new("r".to_owned(), vec![started], pending)
        };
        assert!(is_late(&running(100, 1), LATE, 125.0));
        assert!(!is_late(&running(100, 2), LATE, 125.0));
        // A reset's run begins with the reset: what it copied may be of long ago.
        let reset = json!({ "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW" });
        for (second, expected) in [(50, false), (51, true)] {
            let events = vec![
                event("WORKFLOW_EXECUTION_STARTED", 0, json!({})),
                event("WORKFLOW_TASK_FAILED", 30, reset.clone()),
                event("WORKFLOW_EXECUTION_COMPLETED", second, json!({})),
            ];
            assert_eq!(is_late(&lab::Run::new("r".to_owned(), events, Value::Null), LATE, 0.0), expected);
        }
        assert!(!is_late(&lab::Run::new("r".to_owned(), Vec::new(), Value::Null), LATE, 125.0));
    }

    #[test]
    fn any_workflow_id_can_be_asked_for() {
        assert_eq!(quoted("transfer-1"), r#""transfer-1""#);
        assert_eq!(quoted(r#"a"b\"#), r#""a\"b\\""#);
    }

    #[test]
    fn transfers_of_the_first_versions_do_not_drop_out_in_a_stage_with_versions() {
        let list = |names: Vec<String>| {
            let run = |name: &String| json!({ "execution": { "workflowId": name, "runId": name } });
            json!({ "executions": names.iter().map(run).collect::<Vec<_>>() }).to_string()
        };
        let address = webtest::web_service(move |request| {
            let line = request.head.lines().next().unwrap_or_default();
            let used = |build_id: &str| {
                line.contains(&encode(&format!("UsedWorkerDeploymentVersions=\"money-transfer:{build_id}\"")))
            };
            let names = match line {
                _ if line.contains(&encode("ExecutionStatus!=")) => {
                    (0..MOST).map(|at| at.to_string()).collect()
                }
                _ if used("1") => vec!["on-1".to_owned()],
                _ if used("2") => vec!["moved".to_owned(), "7".to_owned()],
                _ => Vec::new(),
            };
            (200, list(names))
        });
        let reader = Reader::new(&Endpoints::own(&format!("http://{address}"), "", ""));
        let read = |has_versions| reader.runs("", &[], has_versions, MOST).expect("lists");
        assert_eq!(read(false).len(), MOST);
        let runs = read(true);
        assert_eq!(runs.len(), MOST + 2);
        assert!(["on-1", "moved"].iter().all(|id| runs.iter().any(|run| run.workflow_id == *id)));
    }

    #[test]
    fn a_server_without_the_list_of_used_versions_still_lists_the_last_transfers() {
        let run =
            |at: usize| json!({ "execution": { "workflowId": at.to_string(), "runId": at.to_string() } });
        let closed = json!({ "executions": (0..MOST).map(run).collect::<Vec<_>>() }).to_string();
        let address = webtest::web_service(move |request| {
            let line = request.head.lines().next().unwrap_or_default();
            match line {
                _ if line.contains("UsedWorkerDeploymentVersions") => {
                    (400, r#"{"message":"invalid query"}"#.to_owned())
                }
                _ if line.contains(&encode("ExecutionStatus!=")) => (200, closed.clone()),
                _ => (200, "{}".to_owned()),
            }
        });
        let reader = Reader::new(&Endpoints::own(&format!("http://{address}"), "", ""));
        assert_eq!(reader.runs("", &[], true, MOST).expect("lists").len(), MOST);
    }
}
