//! Asking the server and the bank for what the checks go by.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, anyhow, bail};
use lab::{Facts, Service, Status};
use serde_json::Value;

use crate::{
    bank::Bank,
    http::encode,
    ports::Ports,
    progress::Progress,
    temporal::{Run, Server},
    time,
};

/// So many transfers are looked at: those under way first, then those that ended last.
pub(crate) const MOST: usize = 200;
/// So many are asked for side by side.
const SIDE_BY_SIDE: usize = 8;
/// So many Workflow Ids one query names.
const IDS: usize = 50;

/// Reads facts, again and again; the history of a run that has ended is read once.
pub(crate) struct Reader {
    server: Server,
    bank: Bank,
    ended: BTreeMap<String, lab::Run>,
}

impl Reader {
    /// Reads from the server and the bank on these ports.
    pub(crate) fn new(ports: &Ports) -> Reader {
        Reader { server: Server::new(ports), bank: Bank::new(ports), ended: BTreeMap::new() }
    }

    /// The facts of a stage: of the transfers that it began with, that were under way then or were started since.
    pub(crate) fn read(&mut self, progress: &Progress, services: Vec<Service>) -> Result<Facts> {
        let runs = self.histories(&self.runs_of(progress)?)?;
        let transfers: BTreeSet<&str> = runs.iter().map(|(_, run)| run.original()).collect();
        let opened = self.bank.entries("limit=1")?["entries"][0]["time"].as_u64().unwrap_or_default();
        let mut entries = Vec::new();
        for transfer in transfers {
            let mut page = self.bank.entries(&format!("transfer={}", encode(transfer)))?;
            entries.extend(page["entries"].as_array_mut().map(std::mem::take).unwrap_or_default());
        }
        Ok(Facts::new(runs, &entries, time::rfc3339(opened), services))
    }

    /// Every run of the transfers that belong to the stage.
    fn runs_of(&self, progress: &Progress) -> Result<Vec<Run>> {
        let mut query = "ExecutionStatus=\"Running\"".to_owned();
        match progress.entered.as_str() {
            "" => query.push_str(" OR ExecutionStatus!=\"Running\""),
            entered => query.push_str(&format!(" OR CloseTime>=\"{entered}\"")),
        }
        let transfers = format!("WorkflowType=\"{}\"", contract::WORKFLOW_TYPE);
        let of_now = self.server.list(&format!("{transfers} AND ({query})"), MOST)?;
        let ids: BTreeSet<&str> = of_now
            .iter()
            .map(|run| &*run.workflow_id)
            .chain(progress.transfers.iter().map(|id| &**id))
            .collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        let mut runs = of_now.clone();
        for ids in ids.chunks(IDS) {
            let names: Vec<String> =
                ids.iter().map(|id| format!("\"{}\"", id.replace('"', "\\\""))).collect();
            let query = format!("{transfers} AND WorkflowId IN ({})", names.join(","));
            runs.extend(self.server.list(&query, 4 * MOST)?);
        }
        runs.sort_by(|a, b| a.run_id.cmp(&b.run_id));
        runs.dedup();
        Ok(runs)
    }

    /// The history of each of these runs, and what the server says of those that have not ended.
    fn histories(&mut self, runs: &[Run]) -> Result<Vec<(String, lab::Run)>> {
        let next = AtomicUsize::new(0);
        let (server, ended) = (&self.server, &self.ended);
        let read_some = || {
            let next = || runs.get(next.fetch_add(1, Ordering::Relaxed));
            let read = |run: &Run| match ended.get(&run.run_id) {
                Some(known) => Ok(known.clone()),
                None => read_run(server, run),
            };
            iter::from_fn(next).map(|run| (run.workflow_id.clone(), read(run))).collect::<Vec<_>>()
        };
        let read: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..SIDE_BY_SIDE).map(|_| scope.spawn(read_some)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().map_err(|_| anyhow!("reading a history broke off")))
                .collect()
        });
        let mut histories = Vec::new();
        for some in read {
            for (workflow_id, run) in some? {
                let run = run.with_context(|| format!("the history of {workflow_id} cannot be read"))?;
                if run.status != Status::Running {
                    self.ended.insert(run.run_id.clone(), run.clone());
                }
                histories.push((workflow_id, run));
            }
        }
        Ok(histories)
    }
}

/// A run's history, and what the server says of its present.
fn read_run(server: &Server, run: &Run) -> Result<lab::Run> {
    // The present first: what happens between the two is in the history then.
    let description = server.describe(run)?;
    let Value::Array(events) = server.history(run)?["events"].take() else { bail!("its events are no list") };
    Ok(lab::Run::new(run.run_id.clone(), events, description))
}
