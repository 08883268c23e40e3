//! All transfers of the server, newest first, and the progress of those that are visible on a page.
//!
//! The server is asked for as little as possible. Two counts show whether any transfer has started or closed; only then is the
//! list of new ones read. A history is read when its transfer becomes visible, and again only when it has grown.

use std::{
    collections::{BTreeSet, HashMap},
    mem,
    time::{Duration, Instant},
};

use anyhow::{Error, Result, bail};
use contract::WORKFLOW_TYPE;
use lab::Status;
use lab_client::{
    facts::{quoted, read_history, read_run},
    http::{is_silence, is_transient},
    side_by_side,
    temporal::{Listed, Run, Server, running_of, transfers},
    time,
};
use serde_json::{Value, json};

use crate::{
    attempts::Attempts,
    row::{outline, row},
};

/// The largest number of runs listed, the newest ones.
const MOST: usize = 10_000;
/// How many of the newest transfers may not have set their search attributes yet.
const UNSORTED: usize = 50;
/// How long to wait before asking a server again that did not answer.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long to wait before reading a transfer in progress again whose history could not be read.
const UNREADABLE_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// The server's list lags behind by less than this, in seconds.
const LAG: f64 = 5.0;
/// The largest number of transfers in progress that one request reads again.
const RUNNING_AT_ONCE: usize = 200;
/// How long the server may take to list a transfer that was started.
const LISTED_WITHIN: Duration = Duration::from_secs(60);
/// A result younger than this is reused.
const FRESH: Duration = Duration::from_millis(200);

/// A description younger than this counts as the present one: more than the interval after a move on a shared service.
const DESCRIBED: Duration = Duration::from_secs(5);

/// A part of the list, which starts with the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Window {
    /// The number of newer transfers before it.
    pub(crate) offset: usize,
    /// The largest number of transfers in it.
    pub(crate) limit: usize,
}

impl Window {
    fn has(self, at: usize) -> bool {
        (self.offset..self.offset + self.limit).contains(&at)
    }
}

/// Which transfers a request is about.
#[derive(Clone, Debug)]
pub(crate) enum Which {
    /// This many of the newest.
    Newest(usize),
    /// Those of an account, by their Run Ids, and the newest, whose search attributes may not be set yet.
    OfAccount(BTreeSet<String>),
}

impl Which {
    /// Whether it includes the transfer at this index of the list.
    fn has(&self, at: usize, listed: &Listed) -> bool {
        match self {
            Which::Newest(number) => at < *number,
            Which::OfAccount(ids) => at < UNSORTED || ids.contains(&listed.run.run_id),
        }
    }
}

/// What is known of the transfers.
pub(crate) struct Transfers {
    server: Server,
    listed: HashMap<String, Listed>,
    /// Those that were started here so recently that the server may not list them yet.
    started: Vec<(Run, Instant)>,
    read: HashMap<String, Read>,
    /// The transfers, newest first: the Run Ids of each, newest first.
    order: Vec<Vec<String>>,
    /// Increases with every change here.
    version: u64,
    /// The server's counts at the last list.
    counts: Value,
    synced: Option<Instant>,
    /// When the server last failed to answer.
    silent: Option<Instant>,
}

/// A run whose history was read.
struct Read {
    /// Its history, while it may still grow.
    history: Option<lab::Run>,
    attempts: Attempts,
    row: Value,
    /// When it was read.
    at: Instant,
}

impl Transfers {
    /// The transfers of this server, none of them read yet.
    pub(crate) fn new(server: Server) -> Transfers {
        Transfers {
            server,
            listed: HashMap::new(),
            started: Vec::new(),
            read: HashMap::new(),
            order: Vec::new(),
            version: 0,
            counts: Value::Null,
            synced: None,
            silent: None,
        }
    }

    /// Updates the list of transfers.
    ///
    /// # Errors
    /// The server does not answer. The list stays as it was.
    pub(crate) fn sync(&mut self) -> Result<()> {
        if self.synced.is_some_and(|at| at.elapsed() < FRESH) {
            return Ok(());
        }
        // Otherwise, while the server hangs, concurrent requests would wait for it one after the other.
        if self.silent.is_some_and(|at| at.elapsed() < RETRY_DELAY) {
            bail!("it did not answer a moment ago");
        }
        let outcome = self.ask_for_list();
        self.silent = outcome.as_ref().err().filter(|error| is_silence(error)).map(|_| Instant::now());
        outcome
    }

    fn ask_for_list(&mut self) -> Result<()> {
        let all = transfers();
        let counts = self.server.counts(&all)?;
        if self.counts != counts || !self.agrees_with(&counts) {
            if self.listed.is_empty() || !self.take_news(&all)? || !self.agrees_with(&counts) {
                self.take_all(&all)?;
            }
            self.counts = counts;
            self.put_in_order();
        }
        self.synced = Some(Instant::now());
        Ok(())
    }

    /// Whether the list has as many runs, and as many running ones, as the server counts.
    fn agrees_with(&self, counts: &Value) -> bool {
        let number = |count: &Value| count.as_str().and_then(|count| count.parse().ok()).unwrap_or(0_usize);
        let running = usize::try_from(running_of(counts)).unwrap_or(usize::MAX);
        let known = self.listed.values().filter(|listed| listed.status == "RUNNING").count();
        (self.listed.len(), known) == (number(&counts["count"]), running) || self.listed.len() >= MOST
    }

    /// Lists runs started or closed since the last list. Returns false if there was no earlier list.
    fn take_news(&mut self, all: &str) -> Result<bool> {
        let latest = |time: fn(&Listed) -> f64| self.listed.values().map(time).fold(0.0, f64::max);
        let started = latest(|listed| listed.start);
        let closed = latest(|listed| listed.close.unwrap_or_default()).max(started);
        if started <= LAG {
            return Ok(false);
        }
        let since = |seconds: f64| time::rfc3339_exact(Duration::from_secs_f64(seconds - LAG));
        let (started, closed) = (since(started), since(closed));
        let query = format!("{all} AND (StartTime >= \"{started}\" OR CloseTime >= \"{closed}\")");
        for listed in self.server.listed(&query, MOST)? {
            self.take(listed);
        }
        Ok(true)
    }

    fn take_all(&mut self, all: &str) -> Result<()> {
        let list = self.server.listed(all, MOST)?;
        let now = time::now().as_secs_f64();
        let there: BTreeSet<String> = list.iter().map(|listed| listed.run.run_id.clone()).collect();
        // A run started just now may not be on the list yet.
        self.listed.retain(|id, listed| there.contains(id) || listed.start > now - LAG);
        let listed = &self.listed;
        self.read.retain(|id, _| listed.contains_key(id));
        for listed in list {
            self.take(listed);
        }
        Ok(())
    }

    /// Adds a listed run, unless its history already showed that it is closed.
    fn take(&mut self, listed: Listed) {
        let has_ended = self.listed.get(&listed.run.run_id).is_some_and(|known| known.status != "RUNNING");
        if !has_ended {
            self.listed.insert(listed.run.run_id.clone(), listed);
        }
    }

    /// Adds a transfer that was started just now.
    pub(crate) fn note_started(&mut self, run: Run) {
        let start = time::now().as_secs_f64();
        self.started.retain(|(_, at)| at.elapsed() < LISTED_WITHIN);
        self.started.push((run.clone(), Instant::now()));
        self.take(Listed { run, status: "RUNNING".to_owned(), start, close: None });
        self.put_in_order();
    }

    fn put_in_order(&mut self) {
        let mut transfers: HashMap<&str, Vec<&Listed>> = HashMap::new();
        for listed in self.listed.values() {
            transfers.entry(&listed.run.workflow_id).or_default().push(listed);
        }
        let newer =
            |a: &&Listed, b: &&Listed| b.start.total_cmp(&a.start).then(a.run.run_id.cmp(&b.run.run_id));
        let mut transfers: Vec<Vec<&Listed>> = transfers.into_values().collect();
        transfers.iter_mut().for_each(|runs| runs.sort_by(newer));
        transfers.sort_by(|a, b| newer(&a[0], &b[0]));
        let ids = |runs: Vec<&Listed>| runs.into_iter().map(|listed| listed.run.run_id.clone()).collect();
        self.order = transfers.into_iter().map(ids).collect();
        self.version += 1;
    }

    /// The transfers of the bank's current ledger, and everything in progress, newest first.
    fn shown(&self, opened: f64) -> impl Iterator<Item = (&Listed, usize)> {
        self.order.iter().filter_map(move |runs| {
            let listed = self.listed.get(runs.first()?)?;
            let first = runs.last().and_then(|first| self.listed.get(first))?;
            // The bank records whole seconds: within that second, only terminated runs belong to the old ledger.
            let is_swept =
                listed.status == "TERMINATED" && listed.close.is_some_and(|close| close < opened + 1.0);
            let is_shown = listed.status == "RUNNING" || (first.start >= opened && !is_swept);
            is_shown.then_some((listed, runs.len()))
        })
    }

    /// Reads the progress of the transfers in these windows.
    ///
    /// # Errors
    /// The server does not answer. What was read so far is kept.
    pub(crate) fn look(&mut self, windows: &BTreeSet<Window>, opened: f64) -> Result<()> {
        let is_in_view = |at: usize| windows.iter().any(|window| window.has(at));
        let farthest = windows.iter().map(|window| window.offset + window.limit).max().unwrap_or_default();
        let wanted = self
            .shown(opened)
            .take(farthest)
            .enumerate()
            .filter(|(at, (listed, _))| is_in_view(*at) && self.may_have_changed(listed))
            .map(|(_, (listed, runs))| (listed.clone(), runs))
            .collect();
        self.read(wanted)
    }

    /// The transfers of this account.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) fn of_account(&self, account: &str) -> Result<Which> {
        let account = quoted(account);
        let query = format!("{} AND (from_account={account} OR to_account={account})", transfers());
        let runs = self.server.list(&query, MOST)?;
        Ok(Which::OfAccount(runs.into_iter().map(|run| run.run_id).collect()))
    }

    /// The requested transfers, newest first.
    fn asked<'a>(&'a self, which: &'a Which, opened: f64) -> impl Iterator<Item = (&'a Listed, usize)> {
        let shown = self.shown(opened).enumerate();
        shown.filter(|(at, (listed, _))| which.has(*at, listed)).map(|(_, listed)| listed)
    }

    /// Reads up to `at_most` of these transfers that were not read yet. Returns whether those were all.
    ///
    /// # Errors
    /// The server does not answer. What was read so far is kept.
    pub(crate) fn read_some(&mut self, which: &Which, at_most: usize, opened: f64) -> Result<bool> {
        let unread = self.asked(which, opened).filter(|(listed, _)| {
            self.read.get(&listed.run.run_id).is_none_or(|read| {
                // It is listed as closed, but its close event was not read.
                read.history.is_some() && listed.status != "RUNNING"
            })
        });
        let wanted: Vec<_> = unread.take(at_most).map(|(listed, runs)| (listed.clone(), runs)).collect();
        let is_all = wanted.len() < at_most;
        self.read(wanted)?;
        Ok(is_all)
    }

    /// Reads those of these transfers again that are in progress; if there are very many, the ones not read for longest.
    ///
    /// # Errors
    /// The server does not answer. What was read so far is kept.
    pub(crate) fn read_running(&mut self, which: &Which, opened: f64) -> Result<()> {
        let mut running: Vec<_> = self
            .asked(which, opened)
            .filter_map(|(listed, runs)| {
                let read = self.read.get(&listed.run.run_id)?;
                let is_due = read.history.is_some() && read.at.elapsed() > FRESH;
                is_due.then(|| (read.at, (listed.clone(), runs)))
            })
            .collect();
        running.sort_by_key(|(at, _)| *at);
        self.read(running.into_iter().take(RUNNING_AT_ONCE).map(|(_, wanted)| wanted).collect())
    }

    /// The runs that were started here just now.
    pub(crate) fn started(&self) -> impl Iterator<Item = Run> {
        self.started.iter().map(|(run, _)| run.clone())
    }

    /// The runs in progress on the list.
    pub(crate) fn running(&self) -> Vec<Run> {
        let running = self.listed.values().filter(|listed| listed.status == "RUNNING");
        running.map(|listed| listed.run.clone()).collect()
    }

    /// The descriptions of the runs in progress that were read a moment ago, and the other runs in progress.
    pub(crate) fn descriptions(&self) -> (Vec<Value>, Vec<Run>) {
        let (mut described, mut others) = (Vec::new(), Vec::new());
        for run in self.running() {
            match self.read.get(&run.run_id).filter(|read| read.at.elapsed() < DESCRIBED) {
                // Without a history to read again, it has closed since it was listed.
                Some(read) => {
                    described.extend(read.history.as_ref().map(|history| history.description.clone()))
                }
                None => others.push(run),
            }
        }
        (described, others)
    }

    /// Drops the runs in progress, after all of them were terminated.
    pub(crate) fn forget_running(&mut self) {
        self.listed.retain(|_, listed| listed.status != "RUNNING");
        self.read.retain(|_, read| read.history.is_none());
        self.counts = Value::Null;
        self.synced = None;
        self.put_in_order();
    }

    fn may_have_changed(&self, listed: &Listed) -> bool {
        let may_be_readable =
            |read: &Read| listed.status == "RUNNING" && read.at.elapsed() > UNREADABLE_RETRY_INTERVAL;
        let read = self.read.get(&listed.run.run_id);
        read.is_none_or(|read| read.history.is_some() || may_be_readable(read))
    }

    fn read(&mut self, wanted: Vec<(Listed, usize)>) -> Result<()> {
        let (server, read) = (&self.server, &self.read);
        let answers = side_by_side::try_map(&wanted, |(listed, _)| {
            let history = if listed.status == "RUNNING" {
                let before = read.get(&listed.run.run_id).and_then(|read| read.history.as_ref());
                read_run(server, &listed.run, before)
            } else {
                read_history(server, &listed.run, Value::Null)
            };
            match history {
                Err(error) if is_transient(&error) => Err(error),
                // One unreadable history must not hide the others.
                answer => Ok(answer),
            }
        })?;
        for ((listed, runs), answer) in wanted.into_iter().zip(answers) {
            match answer {
                Ok(history) => self.note(listed, runs, history),
                Err(error) => self.note_unreadable(listed, runs, &error),
            }
        }
        Ok(())
    }

    /// Records a run whose history cannot be read, because the server cannot write its input as JSON or the run was deleted.
    fn note_unreadable(&mut self, listed: Listed, runs: usize, error: &Error) {
        let mut row = outline(&listed, runs, &self.server);
        row["failure"] = json!(format!("cannot read its Event History: {error:#}"));
        let read = Read { history: None, attempts: Attempts::default(), row, at: Instant::now() };
        self.read.insert(listed.run.run_id, read);
        self.version += 1;
    }

    fn note(&mut self, listed: Listed, runs: usize, history: lab::Run) {
        let id = listed.run.run_id.clone();
        let mut attempts =
            self.read.get_mut(&id).map(|read| mem::take(&mut read.attempts)).unwrap_or_default();
        let row = row(&listed, runs, &history, &mut attempts, &self.server);
        if let Some(known) = self.listed.get_mut(&id) {
            row["status"].as_str().unwrap_or_default().clone_into(&mut known.status);
            known.close = row["close_time"].as_f64();
        }
        if self.read.get(&id).is_none_or(|read| read.row != row) {
            self.version += 1;
        }
        let history = (history.status == Status::Running).then_some(history);
        self.read.insert(id, Read { history, attempts, row, at: Instant::now() });
    }

    /// The row of a transfer, as of the last read.
    fn row(&self, listed: &Listed, runs: usize) -> Value {
        match self.read.get(&listed.run.run_id) {
            Some(read) => {
                let mut row = read.row.clone();
                row["runs"] = json!(runs);
                row["status"] = json!(listed.status);
                row["close_time"] = json!(listed.close);
                row
            }
            None => outline(listed, runs, &self.server),
        }
    }

    /// The rows of these transfers, newest first.
    pub(crate) fn rows(&self, which: &Which, opened: f64) -> Vec<Value> {
        self.asked(which, opened).map(|(listed, runs)| self.row(listed, runs)).collect()
    }

    /// The current row of this transfer; none if the server does not have it.
    ///
    /// # Errors
    /// The server does not answer.
    pub(crate) fn one(&mut self, workflow_id: &str) -> Result<Option<Value>> {
        let latest = Run { workflow_id: workflow_id.to_owned(), run_id: String::new() };
        let Some(description) = self.server.describe_if_there(&latest)? else { return Ok(None) };
        let info = &description["workflowExecutionInfo"];
        if info["type"]["name"] != WORKFLOW_TYPE {
            return Ok(None);
        }
        let Some(listed) = Listed::from_json(info) else { return Ok(None) };
        let id = listed.run.run_id.clone();
        if !self.listed.contains_key(&id) {
            self.take(listed.clone());
            self.put_in_order();
        }
        let runs = self.order.iter().find(|runs| runs.first() == Some(&id)).map_or(1, Vec::len);
        if self.may_have_changed(&listed) {
            self.read(vec![(listed.clone(), runs)])?;
        }
        // The history may have a close event that is newer than the description.
        let listed = self.listed.get(&id).unwrap_or(&listed);
        Ok(Some(self.row(listed, runs)))
    }

    /// Increases with every change here.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The event for a window.
    pub(crate) fn event(&self, window: Window, opened: f64) -> Value {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        let shown: Vec<(&Listed, usize)> = self.shown(opened).collect();
        for (listed, _) in &shown {
            *counts.entry(&listed.status).or_default() += 1;
        }
        let count = |status: &str| counts.get(status).copied().unwrap_or_default();
        let rows: Vec<Value> = shown
            .iter()
            .skip(window.offset)
            .take(window.limit)
            .map(|(listed, runs)| self.row(listed, *runs))
            .collect();
        json!({
            "offset": window.offset,
            "limit": window.limit,
            "total": shown.len(),
            "running": count("RUNNING"),
            "completed": count("COMPLETED"),
            "failed": shown.len() - count("RUNNING") - count("COMPLETED"),
            "stuck_in_window": rows.iter().filter(|row| row["stuck"].is_object()).count(),
            "rows": rows,
        })
    }
}
