//! Waiting for the transfers of a lab: until some have reached a milestone, or none makes progress any more.

use std::{
    cell::RefCell,
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
    quiet: bool,
}

impl TransferWatch {
    /// Watches the transfers of this lab; quiet, it prints nothing.
    pub(crate) fn new(state: &State, quiet: bool) -> TransferWatch {
        let endpoints = state.endpoints();
        TransferWatch {
            server: Server::new(&endpoints),
            reader: RefCell::new(Reader::new(&endpoints)),
            is_shared: state.remote_service.is_some(),
            quiet,
        }
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
                let which = match there.len() {
                    1 => "it".to_owned(),
                    all if all == among.len() => format!("all {all}"),
                    some => some.to_string(),
                };
                self.tell(format_args!("{which} {}", words(milestone, there.len() == 1)));
                return Ok(there);
            }
            if begin.elapsed() > self.longer_if_shared(MILESTONE_TIMEOUT) {
                bail!(
                    "of {number} transfers, only {} {}; see why: cargo xtask lab status; then enter the stage again",
                    there.len(),
                    words(milestone, there.len() == 1)
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
                self.tell(format_args!("waiting for the transfers under way to come to a rest"));
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
        if !self.quiet {
            stderrln!("{words}");
        }
    }
}

/// What has become of one or of several transfers that have reached the milestone.
fn words(milestone: Milestone, one: bool) -> &'static str {
    match (milestone, one) {
        (Milestone::FailsToWithdraw, true) => "fails to withdraw",
        (Milestone::FailsToWithdraw, false) => "fail to withdraw",
        (Milestone::Stuck, true) => "fails and is tried again",
        (Milestone::Stuck, false) => "fail and are tried again",
        (Milestone::HeldAtDeposit, true) => "has withdrawn, and waits for the bank to take deposits",
        (Milestone::HeldAtDeposit, false) => "have withdrawn, and wait for the bank to take deposits",
        (Milestone::Broken, true) => "does not fit the changed code",
        (Milestone::Broken, false) => "do not fit the changed code",
        (Milestone::RetriesExhausted, true) => "has failed for good",
        (Milestone::RetriesExhausted, false) => "have failed for good",
    }
}
