//! A learner's lab tells the class how it does, and what help its learner asks for.
//!
//! On a thread of its own, by way of the gateway: whatever the class's Temporal Service does or does not answer, the lab goes on.
//! It looks at the service soon after the gateway has counted a move, and otherwise seldom. A look begins with how many transfers
//! there are by status, one small question. More is asked for where something is stuck, and the goals are judged where something has
//! moved.

use std::{
    fs::{self, File},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Error, Result};
use lab::Facts;
use lab_client::{
    class::{self, Drill, Goal, Help, Report},
    drill_report::{Conclusion, DrillReport},
    facts::Reader,
    http::is_transient,
    moves::{self, Looks, Pace},
    progress::{self, Progress},
    stuck,
    supervisor::{self, BuildState},
    temporal::{Server, running_of, transfers},
    time,
};
use serde_json::{Value, json};

use crate::{
    class_files::{self, help, lab_id},
    class_progress::ClassProgress,
    report_sender::{FAREWELL, ReportSender},
    services::Setup,
    stuck_since::{StuckSince, name_of},
};
use checkout::project::Project;

/// How often the lab's own files, its status and the gateway's counter are read, and whether it stops.
const TICK: Duration = Duration::from_millis(250);
/// How often the service is asked after a look has found something new.
const BUSY: Duration = Duration::from_secs(2);
/// So long after it has found something new a lab is busy.
const BUSY_FOR: Duration = Duration::from_secs(20);
/// How often it is asked otherwise: a class shares how many lists its service answers. Retries of a stuck transfer are moves, too.
const PACE: Pace = Pace {
    busy: Duration::from_secs(10),
    busy_for: Duration::from_secs(15),
    quiet: Duration::from_secs(60),
    uncounted: Duration::from_secs(10),
};
/// The goals are judged at the next look after this long, also if it finds nothing new, while transfers are in progress.
const JUDGE: Duration = Duration::from_secs(30);
/// So many transfers are looked at for what they are stuck on.
const LOOKED_AT: usize = 10;

/// The thread that reports.
pub struct Reporter {
    stop: Sender<()>,
    stopped: Receiver<()>,
}

impl Reporter {
    /// Begins to report, if this lab is a learner's in a class. `status` is what `lab status` is answered.
    pub fn start(setup: &Setup, status: Arc<Mutex<Value>>, journal: File) -> Option<Reporter> {
        let endpoints = setup.endpoints();
        let learner = endpoints.learner.clone()?;
        let (stop, told) = mpsc::channel();
        let (gone, stopped) = mpsc::channel();
        let mut lab = Lab {
            project: setup.project.clone(),
            sender: ReportSender::new(Server::new(&endpoints), learner.clone(), journal),
            learner,
            id: String::new(),
            server: Server::new(&endpoints),
            gateway: endpoints.temporal_http.clone(),
            reader: Reader::new(&endpoints),
            status,
            moved: Signs::default(),
            judged: None,
            goals: ("", Vec::new(), 0),
            drill: None,
            since: StuckSince::default(),
            progress: None,
            in_trouble: false,
            clock_ahead: class_files::clock_ahead(&setup.project),
        };
        thread::spawn(move || {
            lab.report_until(&told);
            let _ = gone.send(());
        });
        Some(Reporter { stop, stopped })
    }

    /// Has a last report sent, that the lab stops; waits for it, but not for long, and not once a second signal asks the lab to stop now.
    pub fn stop(self, hurry: &dyn Fn() -> bool) {
        let begin = Instant::now();
        let _ = self.stop.send(());
        while begin.elapsed() < FAREWELL && !hurry() {
            match self.stopped.recv_timeout(Duration::from_millis(20)) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => return,
            }
        }
    }
}

/// What changes where something has moved.
#[derive(Clone, Debug, Default, PartialEq)]
struct Signs {
    counts: Value,
    status: Value,
    stage: String,
    stuck: Vec<(String, String)>,
}

/// The lab that is reported of.
struct Lab {
    project: Project,
    learner: String,
    id: String,
    server: Server,
    /// The URL of the gateway.
    gateway: String,
    reader: Reader,
    status: Arc<Mutex<Value>>,
    sender: ReportSender,
    /// What the last look has seen.
    moved: Signs,
    /// When the goals were judged last, and whether once more is due, as lists lag behind.
    judged: Option<(Instant, bool)>,
    /// The stage's name, its goals, and how many transfers do what none should.
    goals: (&'static str, Vec<Goal>, u64),
    /// The learner's drill, if the lab is at one.
    drill: Option<Drill>,
    /// Since when what is stuck is.
    since: StuckSince,
    /// When the last new goal was reached, and how many questions were asked; `None` until the last report has been read.
    progress: Option<ClassProgress>,
    /// Whether the journal tells of trouble already.
    in_trouble: bool,
    /// How wrong this machine's clock was last.
    clock_ahead: Option<f64>,
}

impl Lab {
    fn report_until(&mut self, told: &Receiver<()>) {
        let mut report = None;
        let mut files = (String::new(), None);
        let mut status = Value::Null;
        let mut looks = Looks::new(PACE);
        let (mut looked, mut busy) = (Instant::now(), Instant::now());
        loop {
            let (now_files, now_status) = (self.files(), signs_of(&self.status()));
            if now_status != status {
                status = now_status;
                busy = Instant::now();
            }
            let is_due = looks.is_due(moves::counter(&self.gateway), Instant::now());
            let is_busy = busy.elapsed() < BUSY_FOR && looked.elapsed() >= BUSY;
            if is_due || is_busy || now_files != files {
                files = now_files;
                let looked_at = self.look();
                // From its end on: a service that is slow is not asked without a pause.
                looked = Instant::now();
                looks.note_look(looked, looked_at.is_ok());
                match looked_at {
                    Ok((seen, has_moved)) => {
                        if has_moved {
                            busy = Instant::now();
                        }
                        report = Some(seen);
                    }
                    Err(error) => self.note_trouble(&error),
                }
            }
            if let Some(report) = &mut report {
                report.help.clone_from(&files.1);
                if let Some(progress) = &mut self.progress {
                    progress.count_question(report);
                }
                report.time = time::rfc3339_exact(time::now());
                match self.sender.send_if_due(report) {
                    Ok(has_asked) => {
                        self.end_trouble(has_asked);
                        self.keep_clock();
                    }
                    Err(error) => self.note_trouble(&error),
                }
            }
            match told.recv_timeout(TICK) {
                Err(RecvTimeoutError::Timeout) => {}
                _ => break,
            }
        }
        // Another look may take longer than the lab waits.
        if let Some(report) = &report {
            self.sender.say_farewell(report.clone());
        }
        // What was reached in the last moment counts, too.
        self.judged = None;
        if let Ok((last, _)) = self.look()
            && report.is_none_or(|report| last.is_news_after(&report))
        {
            self.sender.say_farewell(last);
        }
    }

    /// What the learner has changed by a command, without asking anybody.
    fn files(&self) -> (String, Option<Help>) {
        let stage = fs::read_to_string(self.project.in_lab(progress::FILE)).unwrap_or_default();
        (stage, help(&self.project))
    }

    fn status(&self) -> Value {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How the lab does, and whether that is news.
    fn look(&mut self) -> Result<(Report, bool)> {
        if self.id.is_empty() {
            self.id = lab_id(&self.project)?;
        }
        if self.progress.is_none() {
            let last = class::last(&self.server, &self.learner)?.map(|held| held.report);
            let last = last.filter(|last| last.lab == self.id);
            self.progress = Some(last.as_ref().map(ClassProgress::resume).unwrap_or_default());
        }
        let progress = Progress::read(&self.project.lab);
        let counts = self.server.counts(&transfers())?;
        let running = running_of(&counts);
        let stuck = match running {
            0 => Vec::new(),
            _ => {
                let found = stuck::find(&self.server, LOOKED_AT)?;
                // Otherwise what is stuck would be reported as if it were not.
                if let Some((_, error)) = found.unknown.into_iter().find(|(_, error)| is_transient(error)) {
                    return Err(error);
                }
                found.stuck
            }
        };
        let status = self.status();
        let signs = Signs {
            counts,
            stage: progress.to_json().to_string(),
            stuck: stuck.iter().map(name_of).collect(),
            status: signs_of(&status),
        };
        let has_moved = signs != self.moved;
        let is_due = match self.judged {
            None => true,
            Some((last, again)) => again || (running > 0 && last.elapsed() > JUDGE),
        };
        // Where the bank is down, the goals stay as they were, and the rest is reported.
        if has_moved || is_due {
            let is_judged = self.judge(&progress, &status).is_ok();
            // If not, the next look tries again.
            self.judged = is_judged.then(|| (Instant::now(), has_moved));
        }
        if self.goals.0 != progress.stage.name {
            let open = |goal: &lab::Goal| Goal { says: goal.says.to_owned(), reached: false };
            self.goals = (progress.stage.name, progress.stage.goals.iter().map(open).collect(), 0);
            self.drill = None;
        }
        let mut report = Report {
            learner: self.learner.clone(),
            lab: self.id.clone(),
            stage: progress.stage.name.to_owned(),
            goals: self.goals.1.clone(),
            done: progress.done.clone(),
            wrong: self.goals.2,
            stuck: self.since.longest(&self.server, &stuck),
            stuck_transfers: stuck.len() as u64,
            transfers: running,
            build: BuildState::of(&status),
            help: help(&self.project),
            ..Report::default()
        };
        if let Some(progress) = &mut self.progress {
            progress.complete(&mut report, self.drill.clone(), &time::rfc3339_exact(time::now()));
        }
        self.moved = signs;
        Ok((report, has_moved))
    }

    /// Judges the goals as `check` does.
    fn judge(&mut self, progress: &Progress, status: &Value) -> Result<()> {
        let facts = self.reader.read(progress, supervisor::services(status))?;
        let report = lab::Report::of(progress.stage, &facts);
        let goals = report.stage.goals.iter().zip(&report.verdicts);
        let goals =
            goals.map(|(goal, verdict)| Goal { says: goal.says.to_owned(), reached: verdict.is_reached() });
        self.goals = (report.stage.name, goals.collect(), report.wrong.len() as u64);
        self.drill = drill_of(progress, &facts);
        Ok(())
    }

    /// Keeps how wrong this machine's clock is, for `lab status`.
    fn keep_clock(&mut self) {
        let ahead = self.sender.clock_ahead.map(f64::round);
        // Without the file, only the status lacks it.
        if ahead != self.clock_ahead && class_files::keep_clock(&self.project, ahead).is_ok() {
            self.clock_ahead = ahead;
        }
    }

    /// Notes the first of several failures in the journal.
    fn note_trouble(&mut self, error: &Error) {
        if !self.in_trouble {
            self.in_trouble = true;
            self.sender.note(&format!("the class is not told how this lab does, for now: {error:#}"));
        }
    }

    /// Notes the end of the failures, once the service has taken a report or a question.
    fn end_trouble(&mut self, has_asked: bool) {
        if self.in_trouble && has_asked {
            self.in_trouble = false;
            self.sender.note("the class is told again how this lab does");
        }
    }
}

/// What of a lab's status is news. A service that starts again and again, or prints all the time, is none.
fn signs_of(status: &Value) -> Value {
    let services = status["services"].as_array().into_iter().flatten();
    let names: Vec<&Value> = services.map(|service| &service["name"]).collect();
    json!({ "build": status["build"], "deployment": status["deployment"], "services": names })
}

/// The drill that a lab is at, by these facts.
fn drill_of(progress: &Progress, facts: &Facts) -> Option<Drill> {
    let seed = progress.drill.as_ref()?.seed;
    let report = DrillReport::of(progress, facts, &[]);
    let whole = |seconds: Option<f64>| seconds.map(|seconds| seconds as u64);
    Some(Drill {
        seed,
        incident: progress.stage.name.to_owned(),
        started: progress.entered.clone(),
        hit: report.hits as u64,
        mitigated: whole(report.mitigated),
        recovered: whole(report.recovered),
        hints: report.hints as u64,
        gave_up: report.conclusion == Conclusion::GaveUp,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{
        collections::VecDeque,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
    };

    use super::*;
    use crate::class_files::ask_for_help;
    use lab_client::{
        Endpoints,
        state::{Ports, RemoteService},
    };

    /// A service that takes reports, and a bank without entries. The first answers to reports are these.
    fn class(first: &[u16]) -> (u16, Receiver<Report>) {
        let mut first: VecDeque<u16> = first.iter().copied().collect();
        let (taken, reports) = mpsc::channel();
        let address = webtest::web_service(move |request| {
            let mut status = 200;
            if request.head.starts_with("POST") {
                status = first.pop_front().unwrap_or(200);
                let order: Value = serde_json::from_str(&request.body).expect("it is JSON");
                if status == 200 {
                    let _ = taken.send(Report::from_json(&order["memo"]["fields"]["report"]));
                }
            }
            (status, r#"{"runId": "r", "entries": [], "executions": []}"#.to_owned())
        });
        (address.port(), reports)
    }

    /// A lab whose service and bank are at that port.
    pub(crate) fn lab_at(port: u16, name: &str, learner: Option<&str>) -> (Setup, File) {
        let root = std::env::temp_dir().join(format!("xtask-reporter-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).expect("temporary folders can be made");
        let journal = File::create(root.join("journal")).expect("it can be made");
        let ports = ["temporal-http", "account-api"].map(|name| (name.to_owned(), port));
        let setup = Setup {
            project: Project { root: root.clone(), lab: root },
            ports: Ports(ports.into()),
            temporal_cli: dev_server::Cli::at("temporal"),
            remote_service: Some(RemoteService {
                namespace: "default".to_owned(),
                learner: learner.map(str::to_owned),
                ..RemoteService::default()
            }),
            executables: None,
        };
        (setup, journal)
    }

    fn status() -> Arc<Mutex<Value>> {
        Arc::new(Mutex::new(json!({ "build": "ok", "services": [] })))
    }

    #[test]
    fn a_lab_reports_at_its_start_with_news_and_at_its_end() {
        // Another lab's report may have been a moment ago.
        let (port, reports) = class(&[429, 429]);
        let (setup, journal) = lab_at(port, "all", Some("ada"));
        let Endpoints { namespace, .. } = setup.endpoints();
        assert_eq!(namespace, "default");
        let reporter = Reporter::start(&setup, status(), journal).expect("it is a learner's");
        let next = || reports.recv_timeout(Duration::from_secs(60)).expect("it reports");
        let first = next();
        assert_eq!((&*first.learner, &*first.stage), ("ada", lab::STAGES[0].name));
        assert_eq!(first.build, Some(BuildState::Ok));
        assert_eq!(first.goals.len(), lab::STAGES[0].goals.len());
        assert!(!first.stopped && first.help.is_none());

        let asked = Help::new("which file?", "2026-11-22T12:00:00Z");
        ask_for_help(&setup.project, asked.as_ref()).expect("it can be written");
        assert_eq!(next().help, asked);
        ask_for_help(&setup.project, None).expect("it can be taken back");
        assert_eq!(next().help, None);

        reporter.stop(&|| false);
        let last = next();
        assert!(last.stopped && last.lab == first.lab, "{last:?}");
        fs::remove_dir_all(&setup.project.root).expect("it is there");
    }

    /// The counters of a stand-in for a class's service and the bank, and which of them fail.
    #[derive(Default)]
    struct StandIn {
        /// Each move starts a transfer, which completes at once or stays in progress.
        moves: AtomicU64,
        completes: AtomicBool,
        counts: AtomicU64,
        bank_requests: AtomicU64,
        failed: AtomicU64,
        bank_fails: AtomicBool,
        service_fails: AtomicBool,
    }

    impl StandIn {
        /// Starts it. Returns its port, and the reports that it takes.
        fn start(self: &Arc<StandIn>) -> (u16, Receiver<Report>) {
            let (sent, reports) = mpsc::channel();
            let stand_in = Arc::clone(self);
            let address = webtest::web_service(move |request| {
                let moves = stand_in.moves.load(Ordering::SeqCst);
                let line = request.head.lines().next().unwrap_or_default();
                let is_bank = line.contains("/entries");
                if is_bank {
                    stand_in.bank_requests.fetch_add(1, Ordering::SeqCst);
                }
                let fails = if is_bank { &stand_in.bank_fails } else { &stand_in.service_fails };
                if fails.load(Ordering::SeqCst) && !line.contains("/link") {
                    stand_in.failed.fetch_add(1, Ordering::SeqCst);
                    return (503, "{}".to_owned());
                }
                let answer = match line {
                    _ if line.contains("/link") => {
                        json!({ "address": "", "namespace": "", "answers": true, "moves": moves })
                    }
                    _ if line.contains("workflow-count") => {
                        stand_in.counts.fetch_add(1, Ordering::SeqCst);
                        let completes = stand_in.completes.load(Ordering::SeqCst);
                        let status = if completes { "Completed" } else { "Running" };
                        json!({ "groups": [{ "groupValues": [status], "count": moves.to_string() }] })
                    }
                    _ => json!({ "runId": "r", "entries": [], "executions": [] }),
                };
                if line.starts_with("POST") {
                    let order: Value = serde_json::from_str(&request.body).expect("it is JSON");
                    let _ = sent.send(Report::from_json(&order["memo"]["fields"]["report"]));
                }
                (200, answer.to_string())
            });
            (address.port(), reports)
        }
    }

    /// Waits until this is so.
    fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
        let begin = Instant::now();
        while !is_so() {
            assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_quiet_lab_asks_the_service_seldom_and_reports_soon_after_a_move() {
        let stand_in = Arc::<StandIn>::default();
        let (port, reports) = stand_in.start();
        let (setup, journal) = lab_at(port, "quiet", Some("ada"));
        let reporter = Reporter::start(&setup, status(), journal).expect("it is a learner's");
        let next = |within| reports.recv_timeout(Duration::from_secs(within)).expect("it reports");
        assert_eq!(next(60).transfers, 0);
        let asked = || stand_in.counts.load(Ordering::SeqCst);
        let is_quiet = || {
            let before = asked();
            thread::sleep(PACE.busy + BUSY);
            asked() == before
        };
        assert!((0..20).any(|_| is_quiet()), "it still asks, {} times by now", asked());
        stand_in.moves.store(1, Ordering::SeqCst);
        // The next sign of life may come first.
        while next(20).transfers != 1 {}
        reporter.stop(&|| false);
        fs::remove_dir_all(&setup.project.root).expect("it is there");
    }

    #[test]
    fn goals_that_could_not_be_judged_are_judged_at_the_next_look() {
        let stand_in = Arc::<StandIn>::default();
        let (port, reports) = stand_in.start();
        let (setup, journal) = lab_at(port, "judged", Some("ada"));
        let reporter = Reporter::start(&setup, status(), journal).expect("it is a learner's");
        let of = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        // Two looks after the last that judged the goals, so none is due.
        let (mut asked, mut looks) = (0, 0);
        wait_until("the goals are judged again and again", || {
            if of(&stand_in.bank_requests) > asked {
                (asked, looks) = (of(&stand_in.bank_requests), of(&stand_in.counts));
            }
            asked > 0 && of(&stand_in.counts) >= looks + 2
        });
        stand_in.bank_fails.store(true, Ordering::SeqCst);
        stand_in.completes.store(true, Ordering::SeqCst);
        stand_in.moves.store(1, Ordering::SeqCst);
        // Each judgement ends with its first request that fails.
        wait_until("the goals are judged only once", || of(&stand_in.bank_requests) >= asked + 3);
        reporter.stop(&|| true);
        drop(reports);
        fs::remove_dir_all(&setup.project.root).expect("it is there");
    }

    #[test]
    fn the_end_of_an_outage_is_noted_only_once_the_service_answers() {
        let stand_in = Arc::<StandIn>::default();
        let (port, reports) = stand_in.start();
        let (setup, journal) = lab_at(port, "outage", Some("ada"));
        let reporter = Reporter::start(&setup, status(), journal).expect("it is a learner's");
        reports.recv_timeout(Duration::from_secs(60)).expect("it reports");
        stand_in.service_fails.store(true, Ordering::SeqCst);
        let noted = || fs::read_to_string(setup.project.in_lab("journal")).unwrap_or_default();
        // A question is news: it cannot be sent, while every other tick has nothing to send.
        let asked = Help::new("which file?", "2026-11-22T12:00:00Z");
        ask_for_help(&setup.project, asked.as_ref()).expect("it can be written");
        wait_until("nothing was noted", || noted().contains("for now"));
        wait_until("it does not try again", || stand_in.failed.load(Ordering::SeqCst) >= 5);
        assert_eq!(noted().lines().count(), 1, "{}", noted());
        stand_in.service_fails.store(false, Ordering::SeqCst);
        wait_until("the end was not noted", || noted().contains("is told again"));
        reporter.stop(&|| true);
        fs::remove_dir_all(&setup.project.root).expect("it is there");
    }

    #[test]
    fn a_service_that_is_silent_is_noted_once_and_holds_up_no_end() {
        let (setup, journal) = lab_at(1, "silent", Some("ada"));
        let reporter = Reporter::start(&setup, status(), journal).expect("it is a learner's");
        let noted = || fs::read_to_string(setup.project.in_lab("journal")).unwrap_or_default();
        wait_until("nothing was noted", || !noted().is_empty());
        // As after a second Ctrl-C: nothing is waited for.
        reporter.stop(&|| true);
        let noted = noted();
        assert!(noted.lines().count() == 1 && noted.contains("for now"), "{noted}");
        fs::remove_dir_all(&setup.project.root).expect("it is there");
    }

    #[test]
    fn who_is_in_no_class_reports_nothing() {
        let (setup, journal) = lab_at(1, "nobody", None);
        assert!(Reporter::start(&setup, status(), journal).is_none());
        fs::remove_dir_all(&setup.project.root).expect("it is there");
    }
}
