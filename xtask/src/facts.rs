//! Asking the server and the bank for what the checks go by.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use anyhow::{Context, Result, anyhow};
use contract::{Amount, Money};
use lab::{Entry, Event, Facts, Service, Status, Transfer};
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
        let runs = self.runs_of(progress)?;
        let mut transfers: BTreeMap<String, Transfer> = BTreeMap::new();
        for (workflow_id, run) in self.histories(&runs)? {
            let original_run = original_run(&run);
            let transfer = transfers.entry(original_run.clone()).or_insert_with(|| Transfer {
                workflow_id,
                original_run,
                runs: Vec::new(),
            });
            transfer.runs.push(run);
        }
        let mut transfers: Vec<Transfer> = transfers.into_values().collect();
        for transfer in &mut transfers {
            transfer.runs.sort_by_key(|run| time::parse_rfc3339(began(run)).map(|time| (time * 1e6) as u64));
        }
        transfers.sort_by(|a, b| began(&a.runs[0]).cmp(began(&b.runs[0])));
        let (entries, books_since) = self.ledger(&transfers)?;
        Ok(Facts { transfers, entries, books_since, services })
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

    /// The ledger's entries of these transfers, and when the books were opened.
    fn ledger(&self, transfers: &[Transfer]) -> Result<(Vec<Entry>, String)> {
        let opened = self.bank.entries("limit=1")?["entries"][0]["time"].as_u64().unwrap_or_default();
        let mut entries = Vec::new();
        for transfer in transfers {
            let answer = self.bank.entries(&format!("transfer={}", encode(&transfer.original_run)))?;
            entries.extend(answer["entries"].as_array().into_iter().flatten().filter_map(entry));
        }
        Ok((entries, time::rfc3339(opened)))
    }
}

/// A run's history, and what the server says of its present.
fn read_run(server: &Server, run: &Run) -> Result<lab::Run> {
    // The present first: what happens between the two is in the history then.
    let description = server.describe(run)?;
    let events = server.events(run)?;
    let status = events.last().map_or(Status::Running, |last| Status::after(Event::new(last)));
    let description = if status == Status::Running { description } else { Value::Null };
    Ok(lab::Run { run_id: run.run_id.clone(), status, events, description })
}

/// The id of the first run of a run's transfer, which a Workflow Reset hands on.
fn original_run(run: &lab::Run) -> String {
    let first = run.events.first().map(|first| Event::new(first).text("originalExecutionRunId"));
    first.filter(|id| !id.is_empty()).unwrap_or(&run.run_id).to_owned()
}

/// When a run began: a reset copies the first events, so it is the first that is its own.
fn began(run: &lab::Run) -> &str {
    let reset = run.events.iter().map(Event::new).rfind(|event| {
        event.is("WorkflowTaskFailed") && event.text("cause") == "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW"
    });
    reset.or(run.events.first().map(Event::new)).map_or("", Event::time)
}

fn entry(json: &Value) -> Option<Entry> {
    let text = |name: &str| json[name].as_str().map(str::to_owned);
    let amount = Amount::from_json(&json["amount"].to_string()).ok()?;
    Some(Entry {
        id: json["id"].as_u64()?,
        account: text("account_number")?,
        kind: text("kind")?,
        amount: Money::from(amount),
        transfer: text("transfer")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_that_is_of_no_transfer_is_left_out() {
        let opened = json!({ "id": 1, "account_number": "account_A", "kind": "open", "amount": 1000, "transfer": null });
        assert_eq!(entry(&opened), None);
        let withdrawn = json!({ "id": 11, "account_number": "account_A", "kind": "withdraw", "amount": 25.5, "transfer": "r" });
        let withdrawn = entry(&withdrawn).expect("it is one");
        assert_eq!((withdrawn.amount.cents(), withdrawn.id), (2550, 11));
    }

    #[test]
    fn a_run_that_a_reset_began_is_of_the_transfer_it_was_copied_from() {
        let started = json!({ "eventId": "1", "eventTime": "2026-11-22T12:00:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
            "workflowExecutionStartedEventAttributes": { "originalExecutionRunId": "first" } });
        let reset = json!({ "eventId": "4", "eventTime": "2026-11-22T12:09:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED", "workflowTaskFailedEventAttributes":
            { "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW" } });
        let run = lab::Run {
            run_id: "second".to_owned(),
            status: Status::Running,
            events: vec![started, reset],
            description: Value::Null,
        };
        assert_eq!(original_run(&run), "first");
        assert_eq!(began(&run), "2026-11-22T12:09:00Z");
    }
}
