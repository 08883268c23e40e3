//! The traffic of a drill, on a thread of its own: it starts the transfers that the drill's customers ask for, and has the bank behave as
//! the incident's does. It asks `stage.json` whether there is a drill and the server how far the traffic was, so it continues after
//! a restart of the lab.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;
use checkout::project::Project;
use lab_client::{
    bank::Bank,
    drill_traffic::{self, BURST, MOST},
    kept_versions::is_worker,
    progress::{Progress, is_entering},
    temporal::Server,
};
use serde_json::Value;

use crate::services::{ACCOUNT_API, Setup};

/// How often we look whether there is something to do.
const TICK: Duration = Duration::from_millis(250);
/// The time between two transfers of a burst.
const IN_BURST: Duration = Duration::from_millis(50);
/// The time between two others, for so many of a drill, then until there are so many, and then until there are [`MOST`].
const AT_FIRST: (u32, Duration) = (150, Duration::from_secs(2));
const LATER: (u32, Duration) = (600, Duration::from_secs(8));
const AT_LAST: Duration = Duration::from_secs(30);
/// The time until the next attempt after the server or the bank did not do what was asked.
const RETRY: Duration = Duration::from_secs(1);

/// Starts the traffic of every drill of this lab, until what is returned is dropped. `status` is what `lab status` is answered; `note`
/// writes to the lab's journal.
pub(crate) fn start(
    setup: &Setup,
    status: Arc<Mutex<Value>>,
    note: impl Fn(&str) + Send + 'static,
) -> Sender<()> {
    let (stop, told) = mpsc::channel();
    let mut traffic = Traffic {
        project: setup.project.clone(),
        server: Server::new(&setup.endpoints()),
        bank: Bank::new(&setup.endpoints()),
        status,
        note: Box::new(note),
        drill: None,
    };
    thread::spawn(move || {
        let mut wait = Duration::ZERO;
        while told.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            wait = traffic.step().unwrap_or(RETRY);
        }
    });
    stop
}

struct Traffic {
    project: Project,
    server: Server,
    bank: Bank,
    status: Arc<Mutex<Value>>,
    note: Box<dyn Fn(&str) + Send>,
    drill: Option<Drill>,
}

/// A drill in progress, and how far its traffic is.
struct Drill {
    /// When it was entered, which tells it from others.
    entered: String,
    /// The number of the next transfer.
    next: u32,
    /// So many more are part of a burst.
    burst: u32,
    /// When the next one is due that is part of none.
    due: Instant,
    /// The process of the bank that was told how to behave.
    bank: Option<u64>,
    /// When the code was built that the last burst was for, as the status has it.
    built: Option<f64>,
}

impl Traffic {
    /// Does what is due, and returns how long to wait then.
    fn step(&mut self) -> Result<Duration> {
        let progress = Progress::read(&self.project.lab);
        let (Some(drill), Some(incident)) = (&progress.drill, progress.stage.incident()) else {
            self.drill = None;
            return Ok(TICK);
        };
        // What enters another stage waits for the transfers in progress.
        if drill.ended.is_some() || is_entering(&self.project.lab) {
            self.drill = None;
            return Ok(TICK);
        }
        let began = drill_traffic::began(&progress);
        let current = match &mut self.drill {
            Some(current) if current.entered == progress.entered => current,
            other => {
                let next = drill_traffic::next_number(&self.server, began)?;
                let how =
                    if next == 0 { "begins".to_owned() } else { format!("continues at transfer {next}") };
                (self.note)(&format!("the traffic of {} {how}", progress.stage.name));
                other.insert(Drill::at(progress.entered, next))
            }
        };
        let status = self.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let (Some(settings), Some(pid)) = (incident.bank, running(&status, |name| name == ACCOUNT_API))
            && current.bank != Some(pid)
        {
            self.bank.change_real_world_mode(&serde_json::from_str(settings)?)?;
            current.bank = Some(pid);
        }
        current.notice_deploy(&status);
        let now = Instant::now();
        if !current.is_due(now) {
            let left = current.due.saturating_duration_since(now);
            return Ok(if left.is_zero() { TICK } else { TICK.min(left) });
        }
        drill_traffic::start(&self.server, drill.seed, began, current.next)?;
        Ok(current.started_one(now))
    }
}

impl Drill {
    fn at(entered: String, next: u32) -> Drill {
        Drill { entered, next, burst: 0, due: Instant::now(), bank: None, built: None }
    }

    /// Begins a burst when a worker runs code that none was for: at the beginning, and after each deploy.
    fn notice_deploy(&mut self, status: &Value) {
        let built = status["deployment"]["built"].as_f64();
        if self.built != built && running(status, is_worker).is_some() {
            self.built = built;
            self.burst = BURST;
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.next < MOST && (self.burst > 0 || now >= self.due)
    }

    /// Counts a transfer that was started; returns how long to wait for the next.
    fn started_one(&mut self, now: Instant) -> Duration {
        self.next += 1;
        self.burst = self.burst.saturating_sub(1);
        self.due = now
            + match self.next {
                next if next < AT_FIRST.0 => AT_FIRST.1,
                next if next < LATER.0 => LATER.1,
                _ => AT_LAST,
            };
        if self.burst > 0 { IN_BURST } else { TICK }
    }
}

/// The process of a running service whose name is like this.
fn running(status: &Value, is_it: impl Fn(&str) -> bool) -> Option<u64> {
    let mut services = status["services"].as_array().into_iter().flatten();
    let service =
        services.find(|one| one["state"] == "running" && one["name"].as_str().is_some_and(&is_it))?;
    service["pid"].as_u64()
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        fs,
        sync::atomic::{AtomicBool, AtomicU64, Ordering},
    };

    use lab_client::{
        Endpoints,
        progress::{self, FILE},
    };
    use serde_json::json;

    use super::*;

    /// A lab with a drill whose server and bank this test answers for.
    struct Lab {
        traffic: Traffic,
        folder: tempfile::TempDir,
        status: Arc<Mutex<Value>>,
        started: Arc<Mutex<Vec<String>>>,
        is_down: Arc<AtomicBool>,
        set_up: Arc<AtomicU64>,
    }

    impl Lab {
        fn new() -> Lab {
            let folder = tempfile::tempdir().expect("temporary folders can be made");
            let status = Arc::new(Mutex::new(Value::Null));
            let started = Arc::new(Mutex::new(Vec::new()));
            let (is_down, set_up) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
            let known = (Arc::clone(&started), Arc::clone(&is_down), Arc::clone(&set_up));
            let address = webtest::web_service(move |request| {
                let (started, is_down, set_up) = &known;
                let line = request.head.lines().next().unwrap_or_default();
                let mut started = started.lock().expect("nobody panics");
                match line {
                    _ if is_down.load(Ordering::Relaxed) => (503, "{}".to_owned()),
                    _ if line.starts_with("PUT /real-world-mode") => {
                        set_up.fetch_add(1, Ordering::Relaxed);
                        (200, "{}".to_owned())
                    }
                    _ if line.starts_with("GET") => {
                        // The list lags behind.
                        let listed = started.iter().rev().skip(1);
                        let listed =
                            listed.map(|id| json!({ "execution": { "workflowId": id, "runId": id } }));
                        (200, json!({ "executions": listed.collect::<Vec<_>>() }).to_string())
                    }
                    _ => {
                        let path = line.split([' ', '?']).nth(1).unwrap_or_default();
                        let id = path.rsplit('/').next().unwrap_or_default().to_owned();
                        if started.contains(&id) {
                            return (409, r#"{"message":"already started"}"#.to_owned());
                        }
                        started.push(id);
                        (200, r#"{"runId":"r"}"#.to_owned())
                    }
                }
            });
            let url = format!("http://{address}");
            let endpoints = Endpoints::own(&url, "", &url);
            let traffic = Traffic {
                project: Project { root: folder.path().to_owned(), lab: folder.path().to_owned() },
                server: Server::new(&endpoints),
                bank: Bank::new(&endpoints),
                status: Arc::clone(&status),
                note: Box::new(|_| {}),
                drill: None,
            };
            let lab = Lab { traffic, folder, status, started, is_down, set_up };
            lab.deploy(1.0);
            lab
        }

        fn deploy(&self, built: f64) {
            let service = |name: &str| json!({ "name": name, "state": "running", "pid": built as u64 });
            *self.status.lock().expect("nobody panics") = json!({ "services": [service("worker"), service(ACCOUNT_API)], "deployment": { "built": built } });
        }

        /// Enters a drill at this second, or ends it.
        fn enter(&self, second: u64, ended: bool) {
            let ended = ended.then(|| ("2026-11-22T13:00:00Z".to_owned(), false));
            let progress = Progress {
                entered: format!("2026-11-22T12:00:{second:02}.250Z"),
                drill: Some(progress::Drill { seed: 7, last_entry: 10, ended }),
                ..Progress::begin(&lab::INCIDENTS[0].stage)
            };
            fs::write(self.folder.path().join(FILE), progress.to_json().to_string())
                .expect("it can be written");
        }

        fn steps(&mut self, number: u32) -> Duration {
            let mut wait = Duration::ZERO;
            for _ in 0..number {
                wait = self.traffic.step().unwrap_or(RETRY);
            }
            wait
        }

        fn started(&self) -> usize {
            let started = self.started.lock().expect("nobody panics");
            assert_eq!(started.iter().collect::<BTreeSet<_>>().len(), started.len(), "{started:?}");
            started.len()
        }
    }

    #[test]
    fn a_burst_comes_at_the_beginning_and_after_each_deploy_and_nothing_is_started_twice() {
        let mut lab = Lab::new();
        lab.steps(3);
        assert_eq!(lab.started(), 0, "no drill is on");
        lab.enter(1, false);
        assert_eq!(lab.steps(1), IN_BURST);
        assert_eq!(lab.steps(BURST - 1), TICK);
        lab.steps(3);
        assert_eq!(lab.started(), BURST as usize, "the next one is not due yet");
        lab.deploy(2.0);
        lab.steps(BURST);
        assert_eq!(lab.started(), 2 * BURST as usize);
        // The lab is started again: it continues where it was, although the server's list lags behind.
        lab.traffic.drill = None;
        lab.steps(BURST);
        assert_eq!(lab.started(), 3 * BURST as usize - 1);
        let last = lab.started.lock().expect("nobody panics").last().cloned().expect("some were started");
        assert!(last.ends_with(&format!("-{:08x}", 3 * BURST - 2)), "{last}");
    }

    #[test]
    fn a_start_that_fails_is_tried_again_and_an_ended_drill_has_no_traffic() {
        let mut lab = Lab::new();
        lab.enter(1, false);
        lab.steps(2);
        lab.is_down.store(true, Ordering::Relaxed);
        assert_eq!(lab.steps(2), RETRY);
        lab.is_down.store(false, Ordering::Relaxed);
        lab.steps(1);
        assert_eq!(lab.started(), 3);
        lab.enter(1, true);
        lab.steps(3);
        assert_eq!(lab.started(), 3);
        // Another drill has numbers of its own.
        lab.enter(2, false);
        lab.steps(1);
        let last = lab.started.lock().expect("nobody panics").last().cloned().expect("some were started");
        assert!(last.ends_with("-00000000"), "{last}");
    }

    #[test]
    fn the_bank_is_told_how_to_behave_whenever_it_was_restarted() {
        let Some(incident) = lab::INCIDENTS.iter().find(|incident| incident.bank.is_some()) else { return };
        let mut lab = Lab::new();
        let progress = Progress {
            drill: Some(progress::Drill { seed: 7, last_entry: 10, ended: None }),
            ..Progress::begin(&incident.stage)
        };
        fs::write(lab.folder.path().join(FILE), progress.to_json().to_string()).expect("it can be written");
        lab.steps(3);
        assert_eq!(lab.set_up.load(Ordering::Relaxed), 1);
        lab.deploy(2.0);
        lab.steps(3);
        assert_eq!(lab.set_up.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn the_pace_slows_down_and_a_burst_is_as_fast_at_any_time() {
        let mut drill = Drill::at(String::new(), AT_FIRST.0 - 2);
        let now = Instant::now();
        drill.started_one(now);
        assert!(drill.due == now + AT_FIRST.1 && !drill.is_due(now) && drill.is_due(drill.due));
        drill.started_one(now);
        assert_eq!(drill.due, now + LATER.1);
        drill.next = LATER.0 - 1;
        drill.started_one(now);
        assert!(drill.due == now + AT_LAST && !drill.is_due(now) && drill.is_due(drill.due));
        drill.burst = BURST;
        assert!(drill.is_due(now));
        drill.next = MOST;
        assert!(!drill.is_due(drill.due));
    }
}
