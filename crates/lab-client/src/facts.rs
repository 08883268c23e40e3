//! Asking the server and the bank for what the checks go by.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use lab::{Facts, Service, Status};
use serde_json::Value;

use crate::{
    Endpoints,
    bank::Bank,
    http::{encode, is_silence},
    progress::Progress,
    side_by_side,
    temporal::{Run, Server, transfers},
    time,
};

/// So many transfers are looked at: those under way first, then those that ended last.
pub const MOST: usize = 200;
/// So many Workflow Ids one query names.
const IDS: usize = 50;

/// Reads facts, again and again; a history is read again only when there is more of it.
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

    /// The facts of a stage: of the transfers that it began with, that were under way then or were started since.
    pub fn read(&mut self, progress: &Progress, services: Vec<Service>) -> Result<Facts> {
        let closed = match progress.entered.as_str() {
            "" => "ExecutionStatus!=\"Running\"".to_owned(),
            entered => format!("CloseTime>=\"{entered}\""),
        };
        let runs = self.runs(&closed, &progress.transfers)?;
        let runs = self.histories(&runs)?;
        let transfers: BTreeSet<&str> = runs.iter().map(|(_, run)| run.original()).collect();
        let opened = self.bank.entries("limit=1")?["entries"][0]["time"].as_u64().unwrap_or_default();
        let mut entries = Vec::new();
        for transfer in transfers {
            let mut page = self.bank.entries(&format!("transfer={}", encode(transfer)))?;
            entries.extend(page["entries"].as_array_mut().map(std::mem::take).unwrap_or_default());
        }
        // The bank notes whole seconds: what was started in that one may have been before.
        let facts = Facts::new(runs, &entries, time::rfc3339(opened + 1), services);
        Ok(Facts { entered: progress.entered.clone(), ..facts })
    }

    /// Every run of the transfers that are under way or ended last.
    pub fn latest(&mut self) -> Result<Vec<(String, lab::Run)>> {
        let runs = self.runs("ExecutionStatus!=\"Running\"", &[])?;
        self.histories(&runs)
    }

    /// Every run of these transfers, of those under way, and of those that have closed in this way.
    fn runs(&self, closed: &str, started: &[String]) -> Result<Vec<Run>> {
        let all = transfers();
        let mut runs = self.server.list(&format!("{all} AND ExecutionStatus=\"Running\""), MOST)?;
        runs.extend(self.server.list(&format!("{all} AND {closed}"), MOST)?);
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

    /// The history of each of these runs, and what the server says of those that have not ended.
    fn histories(&mut self, runs: &[Run]) -> Result<Vec<(String, lab::Run)>> {
        let (server, known) = (&self.server, &self.known);
        let read = side_by_side::map(runs, |run| read_run(server, run, known.get(&run.run_id)));
        let mut histories = Vec::new();
        for (Run { workflow_id, .. }, run) in runs.iter().zip(read) {
            match run.with_context(|| format!("the history of {workflow_id} cannot be read")) {
                Ok(run) => histories.push((workflow_id.clone(), run)),
                Err(error) if is_silence(&error) => return Err(error),
                // Another client can start what no JSON can tell of; nobody is judged by that.
                Err(_) => {}
            }
        }
        // What was not asked for this time, nobody may ever ask for again.
        self.known = histories.iter().map(|(_, run)| (run.run_id.clone(), run.clone())).collect();
        Ok(histories)
    }
}

/// A text in a query: any text is a Workflow Id.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A run's history, and what the server says of its present. What was known before is not asked for again.
pub fn read_run(server: &Server, run: &Run, before: Option<&lab::Run>) -> Result<lab::Run> {
    if let Some(ended) = before.filter(|run| run.status != Status::Running) {
        return Ok(ended.clone());
    }
    // The present first: what happens between the two is in the history then.
    let description = server.describe(run)?;
    // Not by the number of events that were read: of a task that fails, the server adds some that it does not keep.
    let length = |description: &Value| description["workflowExecutionInfo"]["historyLength"].clone();
    if let Some(before) = before.filter(|before| length(&before.description) == length(&description)) {
        return Ok(lab::Run::new(run.run_id.clone(), before.events.clone(), description));
    }
    read_history(server, run, description)
}

/// The run with its history; for one that has ended no description is needed.
pub fn read_history(server: &Server, run: &Run, description: Value) -> Result<lab::Run> {
    let Value::Array(events) = server.history(run)?["events"].take() else { bail!("its events are no list") };
    Ok(lab::Run::new(run.run_id.clone(), events, description))
}

#[cfg(test)]
mod tests {
    #[test]
    fn any_workflow_id_can_be_asked_for() {
        assert_eq!(super::quoted("transfer-1"), r#""transfer-1""#);
        assert_eq!(super::quoted(r#"a"b\"#), r#""a\"b\\""#);
    }
}
