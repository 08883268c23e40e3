//! Sends a lab's reports to its class: those that have news, a sign of life, and the last one.
//!
//! Each report is a write to the service's database, and an action of Temporal Cloud. So the polls of the lab's worker are the sign of
//! life while there are any: the report says so, and the board asks the service for the last poll. The lab itself checks that its worker
//! polls, rather than whether the worker runs: one that is stopped or blocked does not poll.

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
/// How often a lab without news reports or, while its worker polls, only checks that it does and that no other lab has reported.
const SIGN_OF_LIFE: Duration = Duration::from_secs(55);
/// A worker whose last poll is older than these seconds does not poll: a poll lasts up to a minute. With the time until the next check,
/// that is less than the board's [`class::SILENT_AFTER`].
const POLLED_WITHIN: f64 = 75.0;
/// While the worker polls, a report without news is sent this often: twelve in two hours instead of 130. The board's number of attempts
/// is no older, and the results of a class keep a lab that was killed for nearly as long as one that was stopped.
const QUIET_INTERVAL: Duration = Duration::from_mins(10);
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
    /// The last report that was sent.
    sent: Option<Sent>,
    /// Whether the worker polled at the last check.
    worker_polls: bool,
    /// Not before this is sent again what the service has not taken.
    not_before: Instant,
    /// When another lab was seen to report under this name.
    shared: Option<Instant>,
    /// How many seconds this machine's clock is ahead of the service's, if it is wrong; negative if behind.
    pub(crate) clock_ahead: Option<f64>,
}

/// A report that was sent.
struct Sent {
    run_id: String,
    report: Report,
    at: Instant,
    /// The same, in seconds since 1970: an `Instant` stands still while the machine sleeps.
    time: f64,
    /// When the service was last asked for it and for the worker's polls; before that, when it was sent.
    checked: Instant,
}

impl Sent {
    fn is_due_for_check(&self) -> bool {
        self.checked.elapsed() >= SIGN_OF_LIFE
    }

    /// Whether it lacks news that this report has.
    fn lacks_news_of(&self, report: &Report) -> bool {
        self.at.elapsed() >= NEWS_INTERVAL && report.is_news_after(&self.report)
    }
}

impl ReportSender {
    /// One that has sent nothing yet.
    pub(crate) fn new(server: Server, learner: String, journal: File) -> ReportSender {
        ReportSender {
            server,
            learner,
            journal,
            sent: None,
            worker_polls: false,
            not_before: Instant::now(),
            shared: None,
            clock_ahead: None,
        }
    }

    /// Sends a report that has news, or is the next sign of life. Returns whether it has asked the service.
    pub(crate) fn send_if_due(&mut self, report: &mut Report) -> Result<bool> {
        self.complete(report);
        let sent = self.sent.as_ref();
        let is_due = sent.is_none_or(|sent| sent.is_due_for_check() || sent.lacks_news_of(report));
        if !is_due || Instant::now() < self.not_before {
            return Ok(false);
        }
        self.not_before = Instant::now() + NEWS_INTERVAL;
        let is_last = self.check(report)?;
        self.complete(report);
        let now = Instant::now();
        if let Some(sent) = self.sent.as_mut().filter(|_| is_last && report.worker_polls)
            && sent.at.elapsed() < QUIET_INTERVAL
            && !sent.lacks_news_of(report)
        {
            sent.checked = now;
            return Ok(true);
        }
        // One that comes too soon after another lab's is sent a little later.
        if let Some(run_id) = class::send(&self.server, report)? {
            let time = time::now().as_secs_f64();
            self.sent = Some(Sent { run_id, report: report.clone(), at: now, time, checked: now });
        }
        Ok(true)
    }

    /// Adds what only the service knows.
    fn complete(&self, report: &mut Report) {
        report.shared = self.shared.is_some_and(|seen| seen.elapsed() < SHARED_FOR);
        report.worker_polls = self.worker_polls;
    }

    /// Notes whether the worker polls and this machine's clock is right, and another lab that has put its report in place of this one's.
    /// Returns whether the service has the last report that was sent.
    fn check(&mut self, report: &Report) -> Result<bool> {
        let Some(sent) = &self.sent else { return Ok(false) };
        let last = class::last(&self.server, &self.learner)?;
        if let Some(last) = last.as_ref().filter(|last| last.run_id == sent.run_id) {
            self.clock_ahead = last.clock_ahead();
            if sent.is_due_for_check() {
                // By the service's clock: this machine's may be wrong.
                let now = last.taken + time::now().as_secs_f64() - sent.time;
                // A service that does not say who polls gets a report each time.
                let poll = class::last_poll(&self.server, &self.learner).unwrap_or_default();
                self.worker_polls = poll.is_some_and(|poll| now - poll <= POLLED_WITHIN);
            }
            return Ok(true);
        }
        if last.is_some_and(|last| last.report.lab != report.lab) {
            if self.shared.is_none() {
                self.note(&format!(
                    "another lab reports to the class as {0}: one of the two needs another name: cargo xtask lab start --learner NAME",
                    self.learner
                ));
            }
            self.shared = Some(Instant::now());
        }
        Ok(false)
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc, Mutex,
        mpsc::{self, Receiver},
    };

    use lab_client::Endpoints;
    use serde_json::{Value, json};

    use super::*;

    /// The state of a stand-in for a class's Temporal Service.
    struct Service {
        /// The run of the last report, and the report.
        last: (u32, Value),
        /// The seconds from the report until the worker's last poll; none if the service does not say.
        polled_after: Option<u64>,
    }

    /// A sender to a stand-in, which received its first report, and the reports that the stand-in receives.
    struct Trial {
        sender: ReportSender,
        report: Report,
        service: Arc<Mutex<Service>>,
        reports: Receiver<Report>,
    }

    impl Trial {
        fn start() -> Trial {
            let service = Arc::new(Mutex::new(Service { last: (0, Value::Null), polled_after: Some(0) }));
            let (received, reports) = mpsc::channel();
            let state = Arc::clone(&service);
            let address = webtest::web_service(move |request| {
                let mut service = state.lock().expect("no test has panicked");
                if request.head.starts_with("POST") {
                    let order: Value = serde_json::from_str(&request.body).expect("it is JSON");
                    let report = &order["memo"]["fields"]["report"];
                    service.last = (service.last.0 + 1, report.clone());
                    let _ = received.send(Report::from_json(report));
                    return (200, json!({ "runId": service.last.0.to_string() }).to_string());
                }
                if request.head.contains("/task-queues/money-transfer-task-queue-ada?") {
                    let Some(seconds) = service.polled_after else { return (403, "{}".to_owned()) };
                    let time = time::rfc3339(seconds);
                    return (200, json!({ "pollers": [{ "lastAccessTime": time }] }).to_string());
                }
                let (run_id, report) = &service.last;
                let last = json!({
                    "execution": { "workflowId": "learner-ada", "runId": run_id.to_string() },
                    "startTime": time::rfc3339(0),
                    "memo": { "fields": { "report": report } },
                });
                (200, json!({ "workflowExecutionInfo": last }).to_string())
            });
            let server = Server::new(&Endpoints::own(&format!("http://{address}"), "", ""));
            let journal = File::options().write(true).open("/dev/null");
            let mut trial = Trial {
                sender: ReportSender::new(server, "ada".to_owned(), journal.expect("it can be written to")),
                report: Report { learner: "ada".to_owned(), lab: "own".to_owned(), ..Report::default() },
                service,
                reports,
            };
            assert!(!trial.sent_after(0).expect("the first report is sent at once").worker_polls);
            trial
        }

        /// The report that the sender sends when this many more seconds have passed, if any.
        fn sent_after(&mut self, seconds: u64) -> Option<Report> {
            let earlier = |at: &mut Instant| {
                *at = at.checked_sub(Duration::from_secs(seconds)).expect("the machine is up")
            };
            earlier(&mut self.sender.not_before);
            if let Some(sent) = &mut self.sender.sent {
                earlier(&mut sent.at);
                sent.time -= seconds as f64;
                earlier(&mut sent.checked);
            }
            self.sender.send_if_due(&mut self.report).expect("it answers");
            self.reports.try_recv().ok()
        }

        fn polled_after(&self, seconds: Option<u64>) {
            self.service.lock().expect("no request has panicked").polled_after = seconds;
        }
    }

    #[test]
    fn a_lab_whose_worker_polls_reports_only_news_and_every_ten_minutes() {
        let mut trial = Trial::start();
        assert!(trial.sent_after(56).expect("the worker polls, which is news").worker_polls);
        for minute in 1..10 {
            trial.polled_after(Some(minute * 60));
            assert_eq!(trial.sent_after(60), None, "minute {minute}");
        }
        assert!(trial.sent_after(60).expect("ten minutes are over").worker_polls);
        trial.report.wrong = 1;
        assert_eq!(trial.sent_after(3).expect("it has news").wrong, 1);
    }

    #[test]
    fn a_lab_whose_worker_does_not_poll_reports_every_minute() {
        let mut trial = Trial::start();
        assert!(trial.sent_after(56).expect("the worker polls").worker_polls);
        assert!(!trial.sent_after(80).expect("its last poll was 80 s ago").worker_polls);
        trial.polled_after(None);
        for _ in 0..3 {
            assert!(!trial.sent_after(56).expect("the service does not say who polls").worker_polls);
        }
        trial.polled_after(Some(50));
        assert!(trial.sent_after(56).expect("the worker polls again").worker_polls);
    }

    #[test]
    fn a_lab_without_news_finds_another_of_its_name_within_a_minute() {
        let mut trial = Trial::start();
        trial.sent_after(56).expect("the worker polls");
        trial.polled_after(Some(56));
        assert_eq!(trial.sent_after(56), None);
        trial.service.lock().expect("no request has panicked").last = (9, json!({ "lab": "another" }));
        let report = trial.sent_after(56).expect("the other lab is news");
        assert!(report.shared && report.lab == "own");
    }

    #[test]
    fn a_clock_that_is_wrong_is_known_once_the_service_was_asked() {
        let mut trial = Trial::start();
        // The service has taken it at the beginning of 1970.
        trial.report.time = time::rfc3339(120);
        trial.report.wrong = 1;
        trial.sent_after(3).expect("it has news");
        trial.sent_after(56);
        assert_eq!(trial.sender.clock_ahead, Some(120.0));
        trial.report.time = time::rfc3339(1);
        trial.report.wrong = 2;
        trial.sent_after(3).expect("it has news");
        trial.sent_after(56);
        assert_eq!(trial.sender.clock_ahead, None);
    }
}
