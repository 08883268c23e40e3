//! Kills a process in a phase, and checks what is left.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use lab_client::{
    kept_versions::{KeptVersions, service_of},
    state::{SERVICES, WORKER},
};
use nix::sys::signal::Signal;

use super::*;
use crate::{
    held::{Running, signal},
    support::{Checkout, eventually, is_alive, service},
};

/// How long an automatic cleanup may take on a busy machine.
const SOON: Duration = Duration::from_secs(30);

/// A lab at the phase at which it is killed.
struct Lab<'a> {
    checkout: &'a Checkout,
    what: What,
    when: When,
    /// `lab start`, detached or not.
    start: Running,
    /// The running `stage NAME`.
    stage: Option<Running>,
    /// For messages.
    words: String,
}

impl<'a> Lab<'a> {
    /// Starts a lab and holds it at this phase. `number` makes each edit different.
    #[track_caller]
    fn reach(checkout: &'a Checkout, what: What, when: When, words: &str, number: usize) -> Lab<'a> {
        let flags: &[&str] = if what == Foreground { &[] } else { &["--detach"] };
        let mut command = checkout.start_command(flags);
        match when {
            Version => {
                checkout.hold("version");
                // Only a CLI on PATH is asked.
                let path = format!(
                    "{}:{}",
                    checkout.path("bin").display(),
                    std::env::var("PATH").expect("it is set")
                );
                command.env_remove("BUGLAB_TEMPORAL_CLI").env("PATH", path);
            }
            Building => checkout.hold("build"),
            TemporalStarts => checkout.hold("temporal"),
            BankStarts => checkout.hold("account-api"),
            WorkerStarts => checkout.hold("worker"),
            PageStarts => checkout.hold("transfer-web"),
            Stopping => {
                checkout.hold("stop");
                if what == Start {
                    // So that there is a start to interrupt while the worker runs.
                    checkout.hold("transfer-web");
                }
            }
            Ready | Rebuilding | Swapping => {}
        }
        let start = Running::start(checkout, command, "start");
        let mut lab = Lab { checkout, what, when, start, stage: None, words: words.to_owned() };
        match when {
            Version => checkout.wait_for_held("version"),
            Building => checkout.wait_for_held("build"),
            TemporalStarts => checkout.wait_for_held("temporal"),
            BankStarts => checkout.wait_for_held("account-api"),
            WorkerStarts => {
                checkout.wait_for_held("worker");
                lab.eventually("each version is started", || checkout.pid_of(&worker(checkout)).is_some());
            }
            PageStarts => checkout.wait_for_held("transfer-web"),
            Ready | Rebuilding | Swapping | Stopping => lab.go_on_from_ready(number),
        }
        if what == Temporal && when == Building {
            lab.eventually("the server is started", || checkout.pid_of("temporal").is_some());
        }
        lab
    }

    #[track_caller]
    fn go_on_from_ready(&mut self, number: usize) {
        let checkout = self.checkout;
        if self.what == Start {
            checkout.wait_for_held("transfer-web");
            // It ignores TERM once it is ready. The log also has the words of the labs before.
            let ready_file = |name: &String| checkout.path(&format!(".lab/run/{name}.ready"));
            self.eventually("the worker is ready", || {
                workers(checkout).iter().all(|name| ready_file(name).exists())
            });
            signal(self.start.child.id(), Signal::SIGTERM);
            checkout.wait_for_held("stop");
            return;
        }
        self.eventually("it is ready", || checkout.is_ready());
        if self.what != Foreground {
            assert!(self.start.wait(&self.words).success(), "{}: {}", self.words, self.start.output());
        }
        let is_stage = self.when == Swapping || self.what == Stage;
        if self.when == Rebuilding || is_stage {
            checkout.hold("build");
        }
        if self.when == Rebuilding {
            let mut text = checkout.read(lab::LIVE_WORKFLOW);
            text.extend(format!("// edit {number}\n").bytes());
            checkout.write(lab::LIVE_WORKFLOW, text);
        }
        if is_stage {
            let other = if number.is_multiple_of(2) { "fix-workflow" } else { "fix-activity" };
            let command = checkout.xtask(&["stage", other, "--bare"]);
            self.stage = Some(Running::start(checkout, command, "stage"));
        }
        if self.when == Rebuilding || is_stage {
            checkout.wait_for_held("build");
        }
        if self.when == Stopping {
            assert!(signal(checkout.pid_of("supervisor").expect("it is written down"), Signal::SIGTERM));
            checkout.wait_for_held("stop");
        }
    }

    /// The process to kill.
    fn victim(&self) -> u32 {
        let recorded = |name: &str| {
            let pid = self.checkout.pid_of(name);
            pid.unwrap_or_else(|| panic!("{}: no {name} in {:?}", self.words, self.checkout.state_now()))
        };
        match self.what {
            Supervisor => recorded("supervisor"),
            Foreground | Start => self.start.child.id(),
            Temporal => recorded("temporal"),
            Bank => recorded("account-api"),
            Worker => recorded(&worker(self.checkout)),
            Page => recorded("transfer-web"),
            Build => recorded("build"),
            Stage => self.stage.as_ref().expect("a stage is entered").child.id(),
        }
    }

    fn kill(&mut self, how: How) {
        let victim = self.victim();
        let send = |what: Signal| assert!(signal(victim, what), "{}: it is gone already", self.words);
        match how {
            Int => send(Signal::SIGINT),
            Term => send(Signal::SIGTERM),
            Hup => send(Signal::SIGHUP),
            Kill => send(Signal::SIGKILL),
            IntTwice => {
                send(Signal::SIGINT);
                // It may have ended at the first. The phase `Stopping` tests the second one.
                signal(victim, Signal::SIGINT);
            }
        }
    }

    /// Checks the outcome.
    #[track_caller]
    fn settle(&mut self, then: Then) {
        let checkout = self.checkout;
        match then {
            Ends => {
                if matches!(self.what, Temporal | Bank | Stage) && self.when == Stopping {
                    // The lab still waits for the worker.
                    checkout.let_go();
                }
                if matches!(self.what, Start) && self.when == Stopping {
                    // Here too, unless it was the second signal.
                    self.eventually("the start is over", || !is_alive(self.start.child.id()));
                    checkout.let_go();
                }
                let begin = Instant::now();
                loop {
                    let left = self.processes();
                    if left.is_empty() {
                        break;
                    }
                    assert!(begin.elapsed() < SOON, "{}: goes on: {left:#?}", self.words);
                    thread::sleep(Duration::from_millis(10));
                }
                if let Some(stage) = self.stage.as_mut().filter(|_| self.what != Stage) {
                    assert_eq!(stage.wait(&self.words).code(), Some(1), "{}: {}", self.words, stage.output());
                }
                let status = self.start.wait(&self.words);
                let was_ready = matches!(self.when, Ready | Rebuilding | Swapping | Stopping);
                if self.what != Foreground && (!was_ready || self.what == Start) {
                    assert!(!status.success(), "{}: {}", self.words, self.start.output());
                }
                // The next command has nothing to clean up.
                checkout.assert_nothing_runs(&self.words);
                checkout.assert_no_litter(&self.words);
            }
            IsCleared => {
                let supervisor = || checkout.pid_of("supervisor").expect("it is written down");
                self.eventually("it is dead", || !is_alive(supervisor()) && !is_alive(self.start.child.id()));
                let status = checkout.run(&["lab", "status"]);
                assert_eq!(status.code, Some(0), "{}: {status:#?}", self.words);
                assert!(status.stderr.contains("ended what it left running"), "{}: {status:#?}", self.words);
                if let Some(stage) = &mut self.stage {
                    assert_eq!(stage.wait(&self.words).code(), Some(1), "{}: {}", self.words, stage.output());
                }
                checkout.assert_nothing_runs(&self.words);
                checkout.assert_no_litter(&self.words);
            }
            GoesOn => self.settle_running(),
        }
    }

    #[track_caller]
    fn settle_running(&mut self) {
        let checkout = self.checkout;
        if self.what == Build {
            let compiler = || checkout.processes().into_values().any(|words| words.contains("sleep 600"));
            self.eventually("the compiler is over", || !compiler());
            if let Some(stage) = &mut self.stage {
                assert_eq!(stage.wait(&self.words).code(), Some(1), "{}: {}", self.words, stage.output());
            }
        }
        if self.what == Worker && matches!(self.when, Rebuilding | Swapping) {
            // If the build ends before the death is noticed, the service is replaced, which does not count as a restart.
            let status = || checkout.run(&["lab", "status", "--json"]).json();
            self.eventually("its death is noticed", || {
                service(&status(), &worker(checkout))["restarts"] != 0
            });
        }
        checkout.let_go();
        self.eventually("it is ready", || checkout.is_ready());
        let what = self.what;
        self.eventually("everything runs", || {
            let status = checkout.run(&["lab", "status", "--json"]).json();
            let names = services(checkout);
            let runs = names.iter().all(|name| service(&status, name)["state"] == "running");
            let restarts = |name: &str| service(&status, name)["restarts"].as_u64().expect("it is a number");
            let restarted = match what {
                Temporal => restarts("temporal"),
                Bank => restarts("account-api"),
                Worker => restarts(&worker(checkout)),
                Page => restarts("transfer-web"),
                _ => 1,
            };
            // A killed build never counts as a successful one.
            let is_over =
                if what == Build { status["build"] == "failed" } else { status["build"] != "building" };
            runs && restarted > 0 && is_over
        });
        if let Some(stage) = &mut self.stage {
            stage.wait(&self.words);
        }
        // A just detected edit restarts the worker once more.
        let number = services(checkout).len() + 1;
        self.eventually("nothing but the lab's processes runs", || checkout.processes().len() == number);
    }

    /// The checkout's processes, without those of this test.
    fn processes(&mut self) -> BTreeMap<u32, String> {
        let _ = self.start.child.try_wait();
        let mut processes = self.checkout.processes();
        if let Some(stage) = &mut self.stage {
            let _ = stage.child.try_wait();
            processes.remove(&stage.child.id());
        }
        processes
    }

    #[track_caller]
    fn eventually(&self, what: &str, is_so: impl FnMut() -> bool) {
        let say = format!("{}: {what}", self.words);
        eventually(&say, is_so);
    }
}

/// The services that run the worker's code: the worker, or each version of it.
fn workers(checkout: &Checkout) -> Vec<String> {
    let versions = KeptVersions::read(&checkout.path(".lab")).versions;
    match versions.is_empty() {
        true => vec![WORKER.to_owned()],
        false => versions.into_iter().map(|version| service_of(version.number)).collect(),
    }
}

/// The one of them that is killed.
fn worker(checkout: &Checkout) -> String {
    workers(checkout).pop().expect("there is one")
}

/// All services.
fn services(checkout: &Checkout) -> Vec<String> {
    let others = SERVICES.into_iter().filter(|&name| name != WORKER).map(str::to_owned);
    others.chain(workers(checkout)).collect()
}

/// Tests these pairs of a phase one after the other, in a separate checkout.
fn try_pairs(name: &str, whats: &[What], when: When) {
    try_pairs_in(&Checkout::with_stand_in_server(&format!("matrix-{name}")), whats, when);
}

/// The same in a lab that runs two versions of the worker, for what the worker has a part in.
fn try_pairs_with_versions(name: &str, when: When) {
    let checkout = Checkout::with_stand_in_server(&format!("matrix-versions-{name}"));
    checkout.run(&["stage", "roll-out"]).ok();
    checkout.start();
    assert_eq!([checkout.deploy_version(), checkout.deploy_version()], [1, 2]);
    checkout.run(&["lab", "stop"]).ok();
    let mut whats = tried(when);
    whats.retain(|what| [Supervisor, Foreground, Start, Worker, Build].contains(what));
    try_pairs_in(&checkout, &whats, when);
    assert_eq!(workers(&checkout), ["worker@1", "worker@2"]);
}

fn try_pairs_in(checkout: &Checkout, whats: &[What], when: When) {
    let mut number = 0;
    for &what in whats {
        let Try(tries) = pair(what, when) else { panic!("{what:?} {when:?} is not tried") };
        let is_version = worker(checkout) != WORKER;
        for (hows, then) in tries {
            // A lab starts although one of its versions does not.
            let then = if is_version && (what, when) == (Worker, WorkerStarts) { &GoesOn } else { then };
            for &how in *hows {
                number += 1;
                let words = format!("{what:?} {when:?} {how:?}");
                let begin = Instant::now();
                let mut lab = Lab::reach(checkout, what, when, &words, number);
                lab.kill(how);
                lab.settle(*then);
                let sources: BTreeMap<PathBuf, Vec<u8>> = checkout.sources();
                checkout.assert_the_next_commands_work(&words, &sources);
                drop(lab);
                println!("{words}: {then:?}, {:?}", begin.elapsed());
            }
        }
    }
}

/// The tests of a phase.
fn tried(when: When) -> Vec<What> {
    WHATS.into_iter().filter(|&what| matches!(pair(what, when), Try(_))).collect()
}

#[test]
fn while_the_cli_is_asked_for_its_version() {
    try_pairs("version", &tried(Version), Version);
}

#[test]
fn while_the_first_build_is_running() {
    try_pairs("building", &tried(Building), Building);
}

#[test]
fn while_the_server_listens_and_is_not_ready() {
    try_pairs("temporal-starts", &tried(TemporalStarts), TemporalStarts);
}

#[test]
fn while_the_bank_listens_and_is_not_ready() {
    try_pairs("bank-starts", &tried(BankStarts), BankStarts);
}

#[test]
fn while_the_worker_is_not_ready() {
    try_pairs("worker-starts", &tried(WorkerStarts), WorkerStarts);
}

#[test]
fn while_the_page_listens_and_is_not_ready() {
    try_pairs("page-starts", &tried(PageStarts), PageStarts);
}

#[test]
fn while_everything_runs() {
    try_pairs("ready", &tried(Ready), Ready);
}

#[test]
fn while_an_edit_is_built() {
    try_pairs("rebuilding", &tried(Rebuilding), Rebuilding);
}

#[test]
fn while_a_stage_is_entered() {
    try_pairs("swapping", &tried(Swapping), Swapping);
}

#[test]
fn while_it_ends() {
    try_pairs("stopping", &tried(Stopping), Stopping);
}

#[test]
fn while_a_version_is_not_ready() {
    try_pairs_with_versions("starts", WorkerStarts);
}

#[test]
fn while_versions_run() {
    try_pairs_with_versions("ready", Ready);
}

#[test]
fn while_an_edit_is_built_beside_versions() {
    try_pairs_with_versions("rebuilding", Rebuilding);
}

#[test]
fn while_versions_end() {
    try_pairs_with_versions("stopping", Stopping);
}
