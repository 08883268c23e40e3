//! What a check judges by: the Event Histories of a stage's transfers, and the bank's ledger.

use std::collections::{BTreeMap, BTreeSet};

use contract::{Amount, Money, transient::is_bank_error};
use serde_json::Value;

use crate::{Deployment, Event, failure_chain, moment::Moment};

/// Everything that is known about a lab at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The transfers that the stage began with and those started since, the oldest first.
    pub transfers: Vec<Transfer>,
    /// The ledger's entries of those transfers, in their order.
    pub entries: Vec<Entry>,
    /// When the bank opened its ledger, in the server's format: it has no entries of earlier transfers.
    pub ledger_since: String,
    /// The services that run, and since when.
    pub services: Vec<Service>,
    /// When the stage was entered, in the server's format; empty if the lab has not entered one yet.
    pub entered: String,
    /// The same in Unix seconds, as the bank records its entries.
    pub entered_at: u64,
    /// When the incident ended, in the server's format, if the facts are of [that moment](Facts::until).
    pub ended: Option<String>,
    /// The numbers of the bank's accounts.
    pub accounts: Vec<String>,
    /// The movements that the bank has out of service: `withdraw`, `deposit`.
    pub outage: Vec<&'static str>,
    /// The transfers that `test --mine --replay` reported as broken by a change at this stage, each with the reason.
    pub broken_replay: BTreeMap<String, String>,
    /// The Worker Deployment of the lab's workers, in a stage that has versions.
    pub deployment: Option<Deployment>,
    /// The [condition](crate::Incident::met) of the incident that the facts are of; none if they are of a stage.
    pub met: Option<fn(&Run) -> bool>,
    /// The ledger's entries since the incident began that belong to no transfer: corrections by hand.
    pub corrections: Vec<Entry>,
    /// The Workflow Ids of the incident's transfers that take or took far longer than a transfer does.
    pub late: BTreeSet<String>,
    /// If a task was due before this moment and no worker has taken it, there is no worker; in the server's format.
    pub overdue: String,
}

/// A transfer, over all runs that a Workflow Reset has started.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its Workflow Id.
    pub workflow_id: String,
    /// Its first run's id, which is how the bank identifies the transfer.
    pub original_run: String,
    /// Its runs, the oldest first. There is at least one.
    pub runs: Vec<Run>,
}

/// One run of a transfer.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its Run Id.
    pub run_id: String,
    /// Whether and how it has closed.
    pub status: Status,
    /// Its Event History.
    pub events: Vec<Value>,
    /// What `DescribeWorkflowExecution` answers about a run in progress; null once it has closed.
    pub description: Value,
}

/// Whether and how a run has closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is in progress.
    Running,
    /// It closed with a result.
    Completed,
    /// It closed with a failure.
    Failed,
    /// It closed in another way: cancelled, terminated, timed out, continued as new.
    Other,
}

/// An entry of the bank's ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub id: u64,
    /// Whose account.
    pub account: String,
    /// `withdraw`, `deposit` or `refund`.
    pub kind: String,
    /// How much was moved; never negative.
    pub amount: Money,
    /// The transfer it was made for: the [original run](Transfer::original_run).
    pub transfer: String,
    /// The run of that transfer, if the request named it.
    pub run: Option<String>,
    /// When the bank made it, in Unix seconds.
    pub time: u64,
}

/// What these entries have withdrawn and neither deposited nor given back; below zero if they gave more.
pub fn in_transit<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Money {
    let cents = entries.into_iter().map(|entry| match &*entry.kind {
        "withdraw" => entry.amount.cents(),
        "deposit" | "refund" => -entry.amount.cents(),
        _ => 0,
    });
    Money::from_cents(cents.sum())
}

/// A service of the lab that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, such as `worker`.
    pub name: String,
    /// When it was started, in the server's format.
    pub since: String,
}

impl Facts {
    /// The facts in these answers.
    ///
    /// `runs` are all runs of the transfers with their Workflow Ids, in any order; `entries` are the bank's ledger entries of
    /// those transfers, as `GET /entries` answers.
    pub fn new(
        runs: Vec<(String, Run)>,
        entries: &[Value],
        ledger_since: String,
        services: Vec<Service>,
    ) -> Facts {
        let mut transfers: BTreeMap<String, Transfer> = BTreeMap::new();
        for (workflow_id, run) in runs {
            let original_run = run.original().to_owned();
            let transfer = transfers.entry(original_run.clone()).or_insert_with(|| Transfer {
                workflow_id,
                original_run,
                runs: Vec::new(),
            });
            transfer.runs.push(run);
        }
        let mut transfers: Vec<Transfer> = transfers.into_values().collect();
        for transfer in &mut transfers {
            transfer.runs.sort_by(|a, b| a.began().cmp(&b.began()));
        }
        transfers.sort_by(|a, b| a.start().cmp(&b.start()));
        let entries = entries.iter().filter_map(Entry::from_json).collect();
        Facts { transfers, entries, ledger_since, services, ..Facts::default() }
    }

    /// The facts of a stage that was entered at this moment and began with these transfers. Other transfers from before
    /// belong to an earlier stage: they neither reach a goal nor keep one open.
    #[must_use]
    pub fn of_stage(mut self, entered: &str, began_with: &[String]) -> Facts {
        let since = Moment::of(entered);
        self.transfers
            .retain(|transfer| began_with.contains(&transfer.workflow_id) || transfer.start() >= since);
        self.entered = entered.to_owned();
        self
    }

    /// The facts as the histories had them at this moment, with its second in Unix time: what came later is left out.
    #[must_use]
    pub fn until(mut self, moment: &str, unix: u64) -> Facts {
        let end = Moment::of(moment);
        for transfer in &mut self.transfers {
            transfer.runs.retain(|run| run.began() <= end);
            for run in &mut transfer.runs {
                run.events.retain(|event| Event::new(event).moment() <= end);
                run.status =
                    run.events.last().map_or(Status::Running, |last| Status::after(Event::new(last)));
            }
        }
        self.transfers.retain(|transfer| !transfer.runs.is_empty());
        self.entries.retain(|entry| entry.time <= unix);
        self.corrections.retain(|entry| entry.time <= unix);
        self.ended = Some(moment.to_owned());
        self
    }

    /// Every run of every transfer.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&Transfer, &Run)> {
        self.transfers.iter().flat_map(|transfer| transfer.runs.iter().map(move |run| (transfer, run)))
    }

    /// The ledger's entries of this transfer, in their order. Without those of a run that was started after the runs
    /// were read: its history is not known yet.
    pub fn entries_of<'a>(&'a self, transfer: &'a Transfer) -> impl Iterator<Item = &'a Entry> {
        let is_known = |run: &String| transfer.runs.iter().any(|known| known.run_id == *run);
        self.entries.iter().filter(move |entry| {
            entry.transfer == transfer.original_run && entry.run.as_ref().is_none_or(is_known)
        })
    }
}

impl Status {
    /// The status of a run whose history so far ends with this event.
    fn after(last: Event<'_>) -> Status {
        match last.kind().strip_prefix("WorkflowExecution") {
            Some("Completed") => Status::Completed,
            Some("Failed") => Status::Failed,
            Some("Canceled" | "Terminated" | "TimedOut" | "ContinuedAsNew") => Status::Other,
            _ => Status::Running,
        }
    }
}

impl Entry {
    /// The entry in the bank's JSON; none if it belongs to no transfer.
    pub(crate) fn from_json(json: &Value) -> Option<Entry> {
        let text = |name: &str| json[name].as_str().map(str::to_owned);
        let amount = Amount::from_json(&json["amount"].to_string()).ok()?;
        Some(Entry {
            id: json["id"].as_u64()?,
            account: text("account_number")?,
            kind: text("kind")?,
            amount: Money::from(amount),
            transfer: text("transfer")?,
            run: text("run"),
            time: json["time"].as_u64().unwrap_or_default(),
        })
    }

    /// The entry in the bank's JSON, if it moved money for no transfer: a correction by hand.
    pub fn correction(json: &Value) -> Option<Entry> {
        let moved = matches!(json["kind"].as_str(), Some("withdraw" | "deposit"));
        let mut json = json.clone();
        if !moved || !json["transfer"].is_null() {
            return None;
        }
        json["transfer"] = "".into();
        Entry::from_json(&json)
    }

    /// How it changed the balance of its account.
    pub fn signed(&self) -> Money {
        let cents = self.amount.cents();
        Money::from_cents(if self.kind == "withdraw" { -cents } else { cents })
    }
}

impl Transfer {
    /// The run that was started last.
    ///
    /// # Panics
    /// If there is no run, contrary to [`Transfer::runs`].
    pub fn last(&self) -> &Run {
        self.runs.last().expect("a transfer has a run")
    }

    /// When it was started.
    pub(crate) fn start(&self) -> Moment<'_> {
        let first = self.runs.first().and_then(|run| run.events().next());
        first.map_or(Moment::of(""), Event::moment)
    }

    /// What it was started with.
    pub fn input(&self) -> &Value {
        const NOTHING: &Value = &Value::Null;
        self.last()
            .events()
            .find(|event| event.is("WorkflowExecutionStarted"))
            .map_or(NOTHING, |e| e.payload("input"))
    }
}

impl Run {
    /// The run with this history; the server gave the description just before it.
    pub fn new(run_id: String, events: Vec<Value>, description: Value) -> Run {
        let status = events.last().map_or(Status::Running, |last| Status::after(Event::new(last)));
        let description = if status == Status::Running { description } else { Value::Null };
        Run { run_id, status, events, description }
    }

    /// The id of the first run of its transfer, which a Workflow Reset copies.
    pub fn original(&self) -> &str {
        let first = self.events().next().map(|started| started.text("originalExecutionRunId"));
        first.filter(|id| !id.is_empty()).unwrap_or(&self.run_id)
    }

    /// The event that it began with: after a reset, the first that was not copied.
    pub fn first_own_event(&self) -> Option<Event<'_>> {
        self.events().rfind(|event| event.is_reset()).or(self.events().next())
    }

    /// When it began.
    fn began(&self) -> Moment<'_> {
        self.first_own_event().map_or(Moment::of(""), Event::moment)
    }

    /// Its Event History.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Event<'_>> {
        self.events.iter().map(Event::new)
    }

    /// The event with this number.
    pub fn event(&self, id: u64) -> Option<Event<'_>> {
        // A whole history has each event at its place.
        let place = usize::try_from(id).ok().and_then(|id| self.events.get(id.checked_sub(1)?));
        let there = place.map(Event::new).filter(|event| event.id() == id);
        there.or_else(|| self.events().find(|event| event.id() == id))
    }

    /// Each call of this Activity Type: the event that scheduled it, and the one that completed it, if there is one.
    pub fn calls<'a>(&'a self, activity: &'a str) -> impl Iterator<Item = (Event<'a>, Option<Event<'a>>)> {
        let scheduled = self.events().filter(move |event| {
            event.is("ActivityTaskScheduled") && event.attributes()["activityType"]["name"] == activity
        });
        scheduled.map(|scheduled| {
            let completed = self.events().find(|event| {
                event.is("ActivityTaskCompleted") && event.refers_to("scheduledEventId") == scheduled.id()
            });
            (scheduled, completed)
        })
    }

    /// How many attempts of its Activities failed because the bank answered that it had a problem of its own.
    pub fn bank_errors(&self) -> u64 {
        let failed = |failure: &Value, attempt: u64| match is_bank_error(&failure_chain(failure)) {
            true => attempt.saturating_sub(1),
            false => 0,
        };
        let started = self.events().filter(|event| event.is("ActivityTaskStarted"));
        let started =
            started.map(|event| failed(&event.attributes()["lastFailure"], event.refers_to("attempt")));
        let pending = self.description["pendingActivities"].as_array().into_iter().flatten();
        let pending = pending
            .map(|pending| failed(&pending["lastFailure"], pending["attempt"].as_u64().unwrap_or_default()));
        started.chain(pending).sum()
    }

    /// Each non-retryable failure of this Activity Type.
    pub(crate) fn refusals<'a>(&'a self, activity: &'a str) -> impl Iterator<Item = Event<'a>> {
        self.events().filter(|event| event.is_non_retryable()).filter(move |event| {
            let scheduled = self.event(event.refers_to("scheduledEventId"));
            scheduled.is_some_and(|scheduled| scheduled.attributes()["activityType"]["name"] == activity)
        })
    }

    /// The event that closed it, if it has closed.
    pub fn close(&self) -> Option<Event<'_>> {
        self.events().next_back().filter(|_| self.status != Status::Running)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_that_belongs_to_no_transfer_is_left_out() {
        let opened = json!({ "id": 1, "account_number": "account_A", "kind": "open", "amount": 1000, "transfer": null });
        assert_eq!(Entry::from_json(&opened), None);
        let withdrawn = json!({ "id": 11, "account_number": "account_A", "kind": "withdraw", "amount": 25.5, "transfer": "r" });
        let withdrawn = Entry::from_json(&withdrawn).expect("it is one");
        assert_eq!((withdrawn.amount.cents(), withdrawn.id), (2550, 11));
    }

    #[test]
    fn a_run_that_a_reset_started_belongs_to_the_transfer_that_was_reset() {
        let started = json!({ "eventId": "1", "eventTime": "2026-11-22T12:00:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED",
            "workflowExecutionStartedEventAttributes": { "originalExecutionRunId": "first" } });
        let reset = json!({ "eventId": "4", "eventTime": "2026-11-22T12:09:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_TASK_FAILED", "workflowTaskFailedEventAttributes":
            { "cause": "WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW" } });
        let completed = json!({ "eventId": "5", "eventTime": "2026-11-22T12:05:00Z",
            "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", "workflowExecutionCompletedEventAttributes": {} });
        let first = Run::new("first".to_owned(), vec![started.clone(), completed], Value::Null);
        let second = Run::new("second".to_owned(), vec![started, reset], Value::Null);
        let runs = vec![("transfer-1".to_owned(), second), ("transfer-1".to_owned(), first)];
        let facts = Facts::new(runs, &[], String::new(), Vec::new());
        let [transfer] = &facts.transfers[..] else { panic!("{facts:?}") };
        let runs: Vec<_> = transfer.runs.iter().map(|run| (&*run.run_id, run.status)).collect();
        assert_eq!(runs, [("first", Status::Completed), ("second", Status::Running)]);
    }

    #[test]
    fn transfers_of_earlier_stages_do_not_count() {
        let run = |id: &str, minute: u64| {
            let started = json!({ "eventId": "1", "eventTime": format!("2026-11-22T12:{minute:02}:00Z"),
                "eventType": "EVENT_TYPE_WORKFLOW_EXECUTION_STARTED" });
            (id.to_owned(), Run::new(id.to_owned(), vec![started], Value::Null))
        };
        let facts = || {
            let runs = vec![run("left-over", 1), run("began-with", 2), run("since", 9)];
            Facts::new(runs, &[], String::new(), Vec::new())
        };
        let ids = |facts: Facts| -> Vec<String> {
            facts.transfers.into_iter().map(|transfer| transfer.workflow_id).collect()
        };
        let began_with = ["began-with".to_owned()];
        assert_eq!(ids(facts().of_stage("2026-11-22T12:05:00Z", &began_with)), ["began-with", "since"]);
        assert_eq!(ids(facts().of_stage("", &[])).len(), 3, "a fresh lab has entered no stage yet");
    }
}
