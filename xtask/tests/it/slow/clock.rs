//! A wall clock that jumps by hours and days, in both directions, while a lab runs and between commands.
//!
//! libfaketime changes the time of each process by an offset from a file.

use std::{
    fs,
    io::{BufRead, BufReader},
    iter,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, SystemTime},
};

use serde_json::Value;
use webtest::skip;

use crate::support::{Checkout, Outcome, eventually, outcome, service};

/// The library, if installed.
fn libfaketime() -> Option<PathBuf> {
    let under = |folder: &str| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let found = under("/usr/lib")
        .map(|folder| folder.join("faketime/libfaketimeMT.so.1"))
        .find(|path| path.is_file());
    if found.is_none() {
        skip("another time needs Debian's faketime");
    }
    found
}

/// The clock of a checkout.
struct Clock<'a> {
    checkout: &'a Checkout,
    library: PathBuf,
    /// The name of the shared memory of this clock's processes.
    memory: String,
    /// The process that owns the shared memory.
    keeper: Child,
}

impl<'a> Clock<'a> {
    /// A clock with the right time; none without the library.
    fn of(checkout: &'a Checkout) -> Option<Clock<'a>> {
        let library = libfaketime()?;
        // The library has a memory that processes share, named after the one that made it, and there is no doing
        // without. One that is killed leaves its own behind, and whoever gets that number next is ended by the library
        // when the memory that it was told of is gone as well. So there is one, for all of them, for as long as they
        // run; a number with something left behind is passed over.
        let (keeper, memory) = iter::repeat_with(|| keep_memory(&library))
            .take(100)
            .find(|(_, memory)| !memory.is_empty())
            .expect("/dev/shm can be written and is not full of what libfaketime left behind");
        // The compiler's allocator and the library deadlock.
        checkout.write_program("bin/rustc", "#!/bin/sh\nunset LD_PRELOAD\nexec rustc \"$@\"\n");
        let clock = Clock { checkout, library, memory, keeper };
        clock.jump("+0");
        Some(clock)
    }

    /// Sets it to an offset from the right time, or to a fixed time.
    fn jump(&self, to: &str) {
        // Readers see either the old or the new file.
        self.checkout.write("target/clock.new", format!("{to}\n"));
        fs::rename(self.checkout.path("target/clock.new"), self.checkout.path("target/clock"))
            .expect("it is this test's own");
    }

    /// Makes a command and its children use this clock.
    fn outcome(&self, mut command: Command) -> Outcome {
        command.env("LD_PRELOAD", &self.library).env("FAKETIME_SHARED", &self.memory);
        command.env("FAKETIME_TIMESTAMP_FILE", self.checkout.path("target/clock"));
        // Only the wall clock, neither the monotonic clock nor file times.
        command
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1")
            .env("FAKETIME_NO_CACHE", "1");
        command.env_remove("FAKETIME").env("RUSTC", self.checkout.path("bin/rustc"));
        outcome(command)
    }

    /// Runs `cargo xtask` with these arguments and this clock.
    fn run(&self, arguments: &[&str]) -> Outcome {
        self.outcome(self.checkout.xtask(arguments))
    }

    /// Runs `lab start --detach` with this clock.
    fn start(&self) -> Outcome {
        self.outcome(self.checkout.start_command(&["--detach"]))
    }
}

impl Drop for Clock<'_> {
    fn drop(&mut self) {
        // It ends with its input, and removes the shared memory.
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A process that owns the library's shared memory, and the memory's name, which is empty if there is none.
fn keep_memory(library: &Path) -> (Child, String) {
    // Debian's sh would end without the library's cleanup.
    let mut command = Command::new("bash");
    command.args(["-c", "echo \"$FAKETIME_SHARED\"; read -r _"]).env("LD_PRELOAD", library);
    command.env_remove("FAKETIME_SHARED").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut keeper = command.spawn().expect("there is a shell");
    let mut memory = String::new();
    let said = keeper.stdout.as_mut().expect("it is piped");
    BufReader::new(said).read_line(&mut memory).expect("it says something or ends");
    (keeper, memory.trim().to_owned())
}

/// The number of automatic restarts.
fn restarts(status: &Value) -> u64 {
    let services = status["services"].as_array().expect("there is a list");
    services.iter().map(|service| service["restarts"].as_u64().expect("it is a number")).sum()
}

#[test]
fn a_clock_that_jumps_under_a_lab_restarts_nothing_and_hangs_nothing() {
    let checkout = Checkout::with_stand_in_server("clock");
    let Some(clock) = Clock::of(&checkout) else { return };
    let run = |arguments: &[&str]| clock.run(arguments);
    clock.start().ok();
    let looks_right = |when: &str| {
        let told = run(&["lab", "status"]).ok();
        assert!(!told.contains("for -") && told.matches(" running ").count() == 4, "{when}: {told}");
        let status = run(&["lab", "status", "--json"]).json();
        assert_eq!(restarts(&status), 0, "{when}: {status}");
    };
    let mut since = String::new();
    for (number, by) in ["+3600", "-3600", "+400d", "-400d", "+1d"].into_iter().enumerate() {
        let pids = checkout.pids();
        clock.jump(by);
        looks_right(by);
        assert_eq!(checkout.pids(), pids, "{by}");
        // Requests work: an edit is built, a stage is entered, a service is restarted.
        checkout.write(lab::LIVE_WORKFLOW, format!("// edit {number}"));
        let worker = checkout.pid_of("worker");
        eventually("the edit is built", || checkout.pid_of("worker").is_some_and(|now| Some(now) != worker));
        eventually("it runs", || run(&["lab", "status", "--json"]).json()["build"] == "ok");
        run(&["stage", if number % 2 == 0 { "fix-workflow" } else { "fix-activity" }, "--bare"]).ok();
        run(&["lab", "restart", "account-api"]).ok();
        looks_right(by);
        // The lab does use that clock: its days and hours, whatever the time of day.
        let status = run(&["lab", "status", "--json"]).json();
        let now = service(&status, "account-api")["since"].as_str().expect("it has one").to_owned();
        assert_ne!(now[..13], since[..since.len().min(13)], "{by}");
        since = now;
    }
    run(&["lab", "stop"]).ok();
    checkout.assert_nothing_runs("after the jumps");
}

#[test]
fn after_a_jump_of_the_clock_a_running_lab_is_not_taken_for_a_dead_one() {
    let checkout = Checkout::with_stand_in_server("clock-between");
    let Some(clock) = Clock::of(&checkout) else { return };
    let run = |arguments: &[&str]| clock.run(arguments);
    for (start, then) in [("+2d", "-2d"), ("-2d", "+2d")] {
        clock.jump(start);
        clock.start().ok();
        clock.jump(then);
        assert_eq!(service(&run(&["lab", "status", "--json"]).json(), "worker")["state"], "running");
        assert!(clock.start().fails_with(1).contains("runs already"));
        // A killed lab is recognized.
        checkout.kill_supervisor();
        assert!(run(&["lab", "status"]).stderr.contains("ended what it left running"));
        checkout.assert_nothing_runs(then);
        clock.start().ok();
        run(&["lab", "stop"]).ok();
        checkout.assert_nothing_runs(then);
    }
}

#[test]
fn backups_of_the_same_and_of_a_repeated_second_are_all_kept() {
    let checkout = Checkout::without_server("clock-backups");
    let Some(clock) = Clock::of(&checkout) else { return };
    let mut written = Vec::new();
    // The clock stops, goes back, and reaches the same second again.
    for time in ["2026-11-22 12:05:01", "2026-11-22 12:05:01", "2026-11-21 12:05:01", "2026-11-22 12:05:01"] {
        for stage in ["fix-workflow", "fix-activity"] {
            let edit = format!("edit {}", written.len());
            checkout.write(lab::LIVE_WORKFLOW, &edit);
            clock.jump(time);
            clock.run(&["stage", stage]).ok();
            written.push(edit);
        }
    }
    let list = checkout.run(&["stage", "restore", "--json"]).json();
    let list = list["backups"].as_array().expect("there is a list");
    assert_eq!(list.len(), written.len(), "{list:#?}");
    let is_of_that_second = |backup: &&Value| backup["time"] == "2026-11-22T12:05:01Z";
    assert_eq!(list.iter().filter(is_of_that_second).count(), 6, "{list:#?}");
    for edit in written {
        let is_it = |backup: &Value| {
            let folder = backup["folder"].as_str().expect("it has a folder");
            fs::read_to_string(format!("{folder}/workflow.rs")).is_ok_and(|saved| saved == edit)
        };
        assert!(list.iter().any(is_it), "{edit} is lost: {list:#?}");
    }
}

/// Cargo compares file times: files older than the last build count as unchanged.
#[test]
fn an_edit_after_the_clock_went_back_is_built() {
    let checkout = Checkout::new("clock-edit");
    checkout.start();
    // As after a build in the future.
    let ahead = SystemTime::now() + Duration::from_secs(3600);
    let mut open = vec![checkout.path("target/debug/.fingerprint")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("it is there").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else {
                let file = fs::File::open(entry.path()).expect("it is this test's own");
                file.set_modified(ahead).expect("it is this test's own");
            }
        }
    }
    for (from, to) in [("one", "two"), ("two", "three")] {
        let source = checkout.read_text("crates/worker/src/main.rs");
        checkout
            .write("crates/worker/src/main.rs", source.replace(&format!("\"{from}\""), &format!("\"{to}\"")));
        eventually("the edit runs", || checkout.log("worker").contains(&format!("version {to}")));
    }
}

/// As after `cp -p`, `rsync -a` or `mv`.
#[test]
fn an_edit_that_keeps_an_earlier_time_is_built() {
    let checkout = Checkout::new("clock-earlier");
    checkout.start();
    let source = checkout.read_text("crates/worker/src/main.rs");
    checkout.write("crates/worker/edited.rs", source.replace("\"one\"", "\"two\""));
    let edited = checkout.path("crates/worker/edited.rs");
    let file = fs::File::options().append(true).open(&edited).expect("it is this test's own");
    file.set_modified(SystemTime::UNIX_EPOCH).expect("it is this test's own");
    fs::rename(edited, checkout.path("crates/worker/src/main.rs")).expect("it is this test's own");
    eventually("the edit runs", || checkout.log("worker").contains("version two"));
}
