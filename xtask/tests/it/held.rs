//! A lab that can be held at any phase, and what has to be so after it was killed there.
//!
//! Its parts are stand-ins which wait for as long as a file of their name is in the folder `hold`, and say so by
//! another one. So a test kills at a phase that it has seen, and at no time that it has guessed.

use std::{
    collections::BTreeMap,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::support::{Checkout, eventually, is_alive, pid_in};

/// What a lab that is down may have in its folder: the lock files, what is remembered, the databases, the logs.
const KEPT: [&str; 10] = [
    "backup",
    "bank.db",
    "lock",
    "logs",
    "ports.json",
    "run",
    "stage.json",
    "stage.lock",
    "temporal.db",
    "cli.lock",
];

impl Checkout {
    /// Has that part wait when it comes so far: `version` (the CLI that is asked for its version), `build`, `worker` or
    /// another service (which listens, and does not answer), or `stop` (the worker when it is told to end).
    pub(crate) fn hold(&self, what: &str) {
        let _ = fs::remove_file(self.path(&format!("hold/{what}.here")));
        self.write(&format!("hold/{what}"), "");
    }

    /// Waits until that part has come so far.
    #[track_caller]
    pub(crate) fn wait_for_held(&self, what: &str) {
        eventually(&format!("{what} is held"), || self.path(&format!("hold/{what}.here")).exists());
    }

    /// Lets everything go on.
    pub(crate) fn let_go(&self) {
        let _ = fs::remove_dir_all(self.path("hold"));
    }

    /// What the supervisor has written down, once it has.
    pub(crate) fn state_now(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.path(".lab/lab.json")).ok()?).ok()
    }

    /// The id of the supervisor (by that name), of a service or of the build.
    pub(crate) fn pid_of(&self, name: &str) -> Option<u32> {
        let state = self.state_now()?;
        if name == "supervisor" {
            return Some(pid_in(&state["supervisor"]));
        }
        let services = state["services"].as_array()?;
        services.iter().find(|service| service["name"] == name).map(pid_in)
    }

    /// Kills the supervisor, and waits until it is dead.
    pub(crate) fn kill_supervisor(&self) {
        let supervisor = self.pid_of("supervisor").expect("it is written down");
        assert!(signal(supervisor, Signal::SIGKILL));
        eventually("the supervisor is dead", || !is_alive(supervisor));
    }

    /// Whether everything runs.
    pub(crate) fn is_ready(&self) -> bool {
        self.state_now().is_some_and(|state| state["ready"] == true)
    }

    /// The processes whose folder, program or words are of this checkout.
    pub(crate) fn processes(&self) -> BTreeMap<u32, String> {
        let myself = std::process::id();
        let pids = fs::read_dir("/proc").expect("this is Linux").flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|&pid| pid != myself).filter_map(|pid| Some((pid, self.process_of_it(pid)?))).collect()
    }

    /// The words of that process, if it is of this checkout. A zombie has neither words nor a folder.
    fn process_of_it(&self, pid: u32) -> Option<String> {
        let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let root = self.root.to_str().expect("it is text");
        let is_inside = |path: PathBuf| path.starts_with(&self.root);
        (is_inside(link("cwd")) || is_inside(link("exe")) || words.contains(root)).then_some(words)
    }

    /// Every file of the checkout and what it holds, but for the lab's folder, what is built, and `hold`.
    pub(crate) fn sources(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut found = BTreeMap::new();
        let mut open = vec![self.root.clone()];
        while let Some(folder) = open.pop() {
            for entry in fs::read_dir(&folder).expect("it can be read").flatten() {
                let path = entry.path();
                let name = path.strip_prefix(&self.root).expect("it is inside");
                if [".lab", "target", "hold"].iter().any(|other| name == Path::new(other)) {
                    continue;
                }
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.insert(name.to_owned(), fs::read(&path).expect("it can be read"));
                }
            }
        }
        found
    }

    /// Asserts that no process of the checkout runs, and that all its ports are free.
    #[track_caller]
    pub(crate) fn assert_nothing_runs(&self, when: &str) {
        // What a killed command had asked, such as `rustc --version`, answers and ends by itself.
        let mut left = self.processes();
        eventually(&format!("{when}: nothing runs, such as {left:#?}"), || {
            left = self.processes();
            left.is_empty()
        });
        // The system closes a killed process's sockets after it has forgotten its folder.
        for port in self.ports {
            let is_free = || TcpListener::bind(("127.0.0.1", port)).is_ok();
            eventually(&format!("{when}: port {port} is free"), is_free);
        }
    }

    /// Asserts that a lab which is down has left only what it keeps.
    #[track_caller]
    pub(crate) fn assert_no_litter(&self, when: &str) {
        let names = |folder: &str| -> Vec<String> {
            let entries = fs::read_dir(self.path(folder)).into_iter().flatten().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        };
        let litter: Vec<String> =
            names(".lab").into_iter().filter(|name| !KEPT.contains(&name.as_str())).collect();
        assert!(litter.is_empty(), "{when}: litter in .lab: {litter:?}");
        let logs = names(".lab/logs").into_iter().filter(|name| !name.ends_with(".log"));
        let backups = names(".lab/backup").into_iter().filter(|name| name.starts_with(".new"));
        let litter: Vec<String> = logs.chain(names(".lab/run")).chain(backups).collect();
        assert!(litter.is_empty(), "{when}: litter in the folders of .lab: {litter:?}");
    }

    /// Asserts that the next commands work, and that they leave nothing: neither processes nor files.
    #[track_caller]
    pub(crate) fn assert_the_next_commands_work(&self, when: &str, sources: &BTreeMap<PathBuf, Vec<u8>>) {
        self.let_go();
        let status = self.run(&["lab", "status"]);
        assert_eq!(status.code, Some(0), "{when}: {status:#?}");
        let stop = self.run(&["lab", "stop"]);
        assert_eq!(stop.code, Some(0), "{when}: {stop:#?}");
        self.assert_nothing_runs(when);
        self.assert_no_litter(when);
        assert_eq!(&self.sources(), sources, "{when}: the sources");
        let start = crate::support::outcome(self.start_command(&["--detach"]));
        assert_eq!(start.code, Some(0), "{when}: {start:#?}");
        let stop = self.run(&["lab", "stop"]);
        assert_eq!(stop.code, Some(0), "{when}: {stop:#?}");
        self.assert_nothing_runs(when);
        self.assert_no_litter(when);
    }
}

/// Sends that one process a signal; returns whether it was there.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    kill(Pid::from_raw(i32::try_from(pid).expect("process ids are small")), signal).is_ok()
}

/// A command that is under way; what it says is kept.
pub(crate) struct Running {
    pub(crate) child: Child,
    output: PathBuf,
}

impl Running {
    /// Starts it. What it says goes to a file of that name.
    pub(crate) fn start(checkout: &Checkout, mut command: std::process::Command, name: &str) -> Running {
        let output = checkout.path(&format!("target/{name}.txt"));
        let file = fs::File::create(&output).expect("it can be made");
        command.stdin(Stdio::null()).stderr(file.try_clone().expect("it is open")).stdout(file);
        Running { child: command.spawn().expect("the program is there"), output }
    }

    pub(crate) fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits until it has ended.
    #[track_caller]
    pub(crate) fn wait(&mut self, when: &str) -> ExitStatus {
        let begin = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is this test's own") {
                return status;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{when}: it hangs: {}", self.output());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
