//! Waiting for the transfers of a lab: until some have reached a milestone, or none makes progress any more.

use std::{
    cell::{Cell, RefCell},
    io::{self, IsTerminal as _},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use lab::{Facts, Milestone, Transfer};
use lab_client::{
    facts::Reader,
    state::State,
    stuck::{self, Found},
    temporal::Server,
};
use terminal::stderrln;

/// How long transfers may take to reach a stage's milestone: many attempts of an Activity.
const MILESTONE_TIMEOUT: Duration = Duration::from_secs(40);
/// How often they are looked at, which asks for lists. A service that others share answers only so many of these in a second.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const SHARED_POLL_INTERVAL: Duration = Duration::from_millis(500);
/// How long we wait for transfers that make progress: a learner who has started hundreds can wait as well.
const MOVING_FOR: Duration = Duration::from_secs(60);
/// A wait that is longer than this is announced.
const FELT: Duration = Duration::from_secs(2);

/// The transfers of a lab, looked at again and again.
pub(crate) struct TransferWatch {
    server: Server,
    reader: RefCell<Reader>,
    /// Whether others use the same Temporal Service.
    is_shared: bool,
    quiet: Cell<bool>,
}

impl TransferWatch {
    /// Watches the transfers of this lab; quiet, it prints nothing.
    pub(crate) fn new(state: &State, quiet: bool) -> TransferWatch {
        let endpoints = state.endpoints();
        TransferWatch {
            server: Server::new(&endpoints),
            reader: RefCell::new(Reader::new(&endpoints)),
            is_shared: state.remote_service.is_some(),
            quiet: Cell::new(quiet),
        }
    }

    /// Prints nothing from now on.
    pub(crate) fn be_quiet(&self) {
        self.quiet.set(true);
    }

    /// Waits until so many of these transfers have reached the milestone, and returns which.
    pub(crate) fn wait_for(
        &self,
        milestone: Milestone,
        among: &[String],
        number: usize,
    ) -> Result<Vec<String>> {
        let begin = Instant::now();
        loop {
            let mut there = self.those_that(milestone)?;
            there.retain(|id| among.contains(id));
            if there.len() >= number {
                let [one, more] = milestone_words(milestone);
                match there.len() {
                    0 => {}
                    1 if among.len() == 1 => self.tell(format_args!("it {one}")),
                    1 => self.tell(format_args!("1 {one}")),
                    2 if among.len() == 2 => self.tell(format_args!("both {more}")),
                    all if all == among.len() => self.tell(format_args!("all {all} {more}")),
                    some => self.tell(format_args!("{some} {more}")),
                }
                return Ok(there);
            }
            if begin.elapsed() > self.longer_if_shared(MILESTONE_TIMEOUT) {
                let [_, words] = milestone_words(milestone);
                let waited = terminal::duration(begin.elapsed().as_secs_f64());
                bail!(
                    "only {} of {number} transfers {words} after {waited}; see why: cargo xtask lab status",
                    there.len()
                );
            }
            thread::sleep(self.poll_interval());
        }
    }

    /// The transfers that have reached the milestone, by Workflow Id.
    pub(crate) fn those_that(&self, milestone: Milestone) -> Result<Vec<String>> {
        let those = self.transfers()?.into_iter().filter(|transfer| milestone.is_reached(transfer));
        Ok(those.map(|transfer| transfer.workflow_id).collect())
    }

    /// The transfers that are in progress or ended last.
    pub(crate) fn transfers(&self) -> Result<Vec<Transfer>> {
        let runs = self.reader.borrow_mut().latest()?;
        Ok(Facts::new(runs, &[], String::new(), Vec::new()).transfers)
    }

    /// Asks until it is so, as long as a transfer makes progress and for so long after none does any more; but not for ever.
    pub(crate) fn wait_until(&self, within: Duration, is_so: impl Fn(&Found) -> Result<bool>) -> Result<()> {
        let (within, longest) = (self.longer_if_shared(within), self.longer_if_shared(MOVING_FOR));
        let begin = Instant::now();
        let (mut before, mut moved, mut is_told) = (None, begin, false);
        loop {
            let found = stuck::find(&self.server, usize::MAX)?;
            // What the server has not told of may be either.
            if found.unknown.is_empty() {
                if is_so(&found)? {
                    return Ok(());
                }
                let now = Some((found.running, found.events));
                if now != before {
                    (before, moved) = (now, Instant::now());
                }
            }
            if moved.elapsed() >= within || begin.elapsed() >= longest {
                return Ok(());
            }
            // Only on a terminal, where a person would wonder.
            if begin.elapsed() > FELT && !is_told && io::stderr().is_terminal() {
                self.tell(format_args!("waiting for the transfers in progress to settle"));
                is_told = true;
            }
            thread::sleep(self.poll_interval());
        }
    }

    /// A service that many share has more to do, and so has who goes on too early.
    fn longer_if_shared(&self, time: Duration) -> Duration {
        if self.is_shared { 3 * time } else { time }
    }

    fn poll_interval(&self) -> Duration {
        if self.is_shared { SHARED_POLL_INTERVAL } else { POLL_INTERVAL }
    }

    /// Prints a line for the learner, unless this is quiet.
    pub(crate) fn tell(&self, words: std::fmt::Arguments<'_>) {
        if !self.quiet.get() {
            stderrln!("{words}");
        }
    }
}

/// How it is said that a transfer, or that several, have reached the milestone.
pub(crate) fn milestone_words(milestone: Milestone) -> [&'static str; 2] {
    match milestone {
        Milestone::FailsToWithdraw => ["fails to withdraw", "fail to withdraw"],
        Milestone::Stuck => ["is stuck", "are stuck"],
        Milestone::HeldAtDeposit => {
            ["has withdrawn and retries its deposit", "have withdrawn and retry their deposits"]
        }
        Milestone::PausedAtDeposit => {
            ["has withdrawn, and its deposit is paused", "have withdrawn, and their deposits are paused"]
        }
        Milestone::Broken => ["fails with a nondeterminism error", "fail with a nondeterminism error"],
        Milestone::RetriesExhausted => {
            ["has failed: its attempts are used up", "have failed: their attempts are used up"]
        }
    }
}
