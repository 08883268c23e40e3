//! Reads what the checks judge by from the server and the bank.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use lab::{Deployment, Facts, Service, Status};
use serde_json::Value;

use crate::{
    Endpoints,
    bank::Bank,
    http::{encode, is_silence},
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
/// The HTTP status of a query that the server cannot read.
const BAD_REQUEST: u16 = 400;
/// So many Workflow Ids one query names.
const IDS: usize = 50;

/// Reads facts, again and again; a history is read again only if it has grown.
pub struct Reader {
    server: Server,
    bank: Bank,
    known: BTreeMap<String, lab::Run>,
}

impl Reader {
    /// Reads from the server and the bank that answer there.
    pub fn new(endpoints: &Endpoints) -> Reader {
        Reader { server: Server::new(endpoints), bank: Bank::new(endpoints), known: BTreeMap::new() }
    }

    /// The facts of a stage: of the transfers that it began with and those started since.
    pub fn read(&mut self, progress: &Progress, services: Vec<Service>) -> Result<Facts> {
        let since = match progress.entered.as_str() {
            "" => String::new(),
            entered => format!(" AND StartTime>=\"{entered}\""),
        };
        let runs = self.runs(&since, &progress.transfers, progress.stage.has_versions)?;
        let runs = self.histories(&runs)?;
        let transfers: BTreeSet<&str> = runs.iter().map(|(_, run)| run.original()).collect();
        let opened = self.bank.entries("limit=1")?["entries"][0]["time"].as_u64().unwrap_or_default();
        let mut entries = Vec::new();
        for transfer in transfers {
            let mut page = self.bank.entries(&format!("transfer={}", encode(transfer)))?;
            entries.extend(page["entries"].as_array_mut().map(std::mem::take).unwrap_or_default());
        }
        let accounts = self.bank.accounts()?;
        let accounts = accounts["accounts"].as_array().into_iter().flatten();
        let outage = self.bank.outage()?;
        let down = [(outage.withdrawals, "withdraw"), (outage.deposits, "deposit")];
        let deployment = if progress.stage.has_versions { self.deployment(&services)? } else { None };
        // The bank records whole seconds: a transfer of that second may be older than the ledger.
        let facts = Facts::new(runs, &entries, time::rfc3339(opened + 1), services);
        Ok(Facts {
            accounts: accounts.filter_map(|one| Some(one["account_number"].as_str()?.to_owned())).collect(),
            outage: down.into_iter().filter_map(|(is_down, name)| is_down.then_some(name)).collect(),
            broken_replay: progress.broken_replay.clone(),
            deployment,
            overdue: overdue(),
            ..facts.of_stage(&progress.entered, &progress.transfers)
        })
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
        let runs = self.runs("", &[], false)?;
        self.histories(&runs)
    }

    /// Every run of these transfers, and of all that have a run to which this part of a query applies. In a stage with versions, those of its
    /// first two versions do not drop out when many later ones have closed.
    fn runs(&self, since: &str, started: &[String], has_versions: bool) -> Result<Vec<Run>> {
        let all = transfers();
        let mut runs = self.server.list(&format!("{all} AND ExecutionStatus=\"Running\"{since}"), MOST)?;
        let closed = self.server.list(&format!("{all} AND ExecutionStatus!=\"Running\"{since}"), MOST)?;
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
        for (Run { workflow_id, .. }, run) in runs.iter().zip(read) {
            match run.with_context(|| format!("the history of {workflow_id} cannot be read")) {
                Ok(run) => histories.push((workflow_id.clone(), run)),
                Err(error) if is_silence(&error) => return Err(error),
                // Another client can start a Workflow whose history has no JSON form; it is left out.
                Err(_) => {}
            }
        }
        // A run that is not listed now may never be listed again.
        self.known = histories.iter().map(|(_, run)| (run.run_id.clone(), run.clone())).collect();
        Ok(histories)
    }
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
        let read = |has_versions| reader.runs("", &[], has_versions).expect("lists");
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
        assert_eq!(reader.runs("", &[], true).expect("lists").len(), MOST);
    }
}
