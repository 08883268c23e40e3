//! What a check goes by: the Event Histories of the transfers of a stage, and the bank's ledger.

use contract::Money;
use serde_json::Value;

use crate::{Event, moment::Moment};

/// Everything that is known of a lab at one moment.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The transfers that were under way when the stage was entered or were started since, the oldest first.
    pub transfers: Vec<Transfer>,
    /// The ledger's entries of those transfers, in their order.
    pub entries: Vec<Entry>,
    /// When the bank's books were opened, in the server's format: of transfers from before, the ledger knows nothing.
    pub books_since: String,
    /// What runs, and since when.
    pub services: Vec<Service>,
}

/// A transfer, over all runs that a Workflow Reset has started.
#[derive(Clone, Debug)]
pub struct Transfer {
    /// Its Workflow Id.
    pub workflow_id: String,
    /// Its first run's id: the name by which the bank knows the transfer.
    pub original_run: String,
    /// Its runs, the oldest first. There is at least one.
    pub runs: Vec<Run>,
}

/// One run of a transfer.
#[derive(Clone, Debug)]
pub struct Run {
    /// Its Run Id.
    pub run_id: String,
    /// Whether and how it has ended.
    pub status: Status,
    /// Its Event History.
    pub events: Vec<Value>,
    /// What the server says of its present, as `DescribeWorkflowExecution` answers; null once it has ended.
    pub description: Value,
}

/// Whether and how a run has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not yet.
    Running,
    /// With a result.
    Completed,
    /// With a failure.
    Failed,
    /// In another way: cancelled, terminated, timed out, continued as new.
    Otherwise,
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
}

/// A part of the lab that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its name, such as `worker`.
    pub name: String,
    /// When it was started, in the server's format.
    pub since: String,
}

impl Facts {
    /// Every run of every transfer.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (&Transfer, &Run)> {
        self.transfers.iter().flat_map(|transfer| transfer.runs.iter().map(move |run| (transfer, run)))
    }

    /// The ledger's entries of this transfer, in their order.
    pub(crate) fn entries_of<'a>(&'a self, transfer: &'a Transfer) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(|entry| entry.transfer == transfer.original_run)
    }
}

impl Status {
    /// The status of a run whose history so far ends with this event.
    pub fn after(last: Event<'_>) -> Status {
        match last.kind().strip_prefix("WorkflowExecution") {
            Some("Completed") => Status::Completed,
            Some("Failed") => Status::Failed,
            Some("Canceled" | "Terminated" | "TimedOut" | "ContinuedAsNew") => Status::Otherwise,
            _ => Status::Running,
        }
    }
}

impl Transfer {
    /// The run that was started last.
    ///
    /// # Panics
    /// Where there is no run, against what [`Transfer::runs`] says.
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
    /// Its Event History.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = Event<'_>> {
        self.events.iter().map(Event::new)
    }

    /// The event with this number.
    pub fn event(&self, id: u64) -> Option<Event<'_>> {
        self.events().find(|event| event.id() == id)
    }

    /// Each call of this activity type: the events that scheduled it, and those that completed it, if it has.
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

    /// The event that closed it, if it has ended.
    pub fn close(&self) -> Option<Event<'_>> {
        self.events().next_back().filter(|_| self.status != Status::Running)
    }
}
