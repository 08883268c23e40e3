//! Sends a lab's reports to its class: those that have news, a sign of life, and the last one.

use std::{
    fs::File,
    io::Write,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use lab_client::{
    class::{self, Report},
    temporal::Server,
    time,
};

use crate::log_copy::Timed;

/// How soon a report with news may follow another.
const NEWS_INTERVAL: Duration = Duration::from_secs(2);
/// A lab that lives reports at least this often.
const SIGN_OF_LIFE: Duration = Duration::from_secs(55);
/// So long another lab of the same name is told of after it was seen.
const SHARED_FOR: Duration = Duration::from_secs(150);
/// How long the last report may hold up the end of the lab.
pub(crate) const FAREWELL: Duration = Duration::from_secs(3);
/// How often the last report is retried.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// What sends the reports of one lab.
pub(crate) struct ReportSender {
    server: Server,
    learner: String,
    journal: File,
    /// The last report that was sent: its run, what it says, and when.
    sent: Option<(String, Report, Instant)>,
    /// Not before this is sent again what the service has not taken.
    not_before: Instant,
    /// When another lab was seen to report under this name.
    shared: Option<Instant>,
}

impl ReportSender {
    /// One that has sent nothing yet.
    pub(crate) fn new(server: Server, learner: String, journal: File) -> ReportSender {
        ReportSender { server, learner, journal, sent: None, not_before: Instant::now(), shared: None }
    }

    /// Sends a report that has news, or is the next sign of life.
    pub(crate) fn send_if_due(&mut self, report: &mut Report) -> Result<()> {
        report.shared = self.shared.is_some_and(|seen| seen.elapsed() < SHARED_FOR);
        let is_due = match &self.sent {
            None => true,
            Some((_, before, at)) => {
                at.elapsed() >= SIGN_OF_LIFE
                    || (at.elapsed() >= NEWS_INTERVAL && report.is_news_after(before))
            }
        };
        if !is_due || Instant::now() < self.not_before {
            return Ok(());
        }
        self.not_before = Instant::now() + NEWS_INTERVAL;
        self.look_for_another(report)?;
        report.shared = self.shared.is_some_and(|seen| seen.elapsed() < SHARED_FOR);
        // One that comes too soon after another lab's is sent a little later.
        if let Some(run_id) = class::send(&self.server, report)? {
            self.sent = Some((run_id, report.clone(), Instant::now()));
        }
        Ok(())
    }

    /// Notes another lab that has put its report in place of this one's.
    fn look_for_another(&mut self, report: &Report) -> Result<()> {
        let Some((run_id, ..)) = &self.sent else { return Ok(()) };
        let last = class::last(&self.server, &self.learner)?;
        if last.is_some_and(|last| last.run_id != *run_id && last.report.lab != report.lab) {
            if self.shared.is_none() {
                self.note(&format!(
                    "another lab reports to the class as {0}: one of the two needs another name: cargo xtask lab start --learner NAME",
                    self.learner
                ));
            }
            self.shared = Some(Instant::now());
        }
        Ok(())
    }

    /// Tells that the lab stops. Right after another report the service refuses it, so we retry for a while.
    pub(crate) fn say_farewell(&self, mut report: Report) {
        let begin = Instant::now();
        (report.stopped, report.time) = (true, time::rfc3339_exact(time::now()));
        // What is stuck goes on being stuck without its worker, but nobody is looking at it.
        while begin.elapsed() < FAREWELL && matches!(class::send(&self.server, &report), Ok(None)) {
            thread::sleep(RETRY_INTERVAL);
        }
    }

    /// Writes a line to the lab's journal.
    pub(crate) fn note(&self, words: &str) {
        let _ = Timed::new(&self.journal).write_all(format!("{words}\n").as_bytes());
    }
}
