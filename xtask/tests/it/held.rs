//! A lab that can be held at any phase, and the checks after it was killed there.
//!
//! Its parts are stand-ins that wait while a file of their name is in the folder `hold`, and signal that with another file. So a
//! test kills at a known phase, not after a guessed time.

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

/// The files that a stopped lab may have: locks, settings, databases, logs, versions of the worker, and what stops Nix.
const KEPT: [&str; 14] = [
    checkout::project::NO_COPY,
    "backup",
    "bank.db",
    "lock",
    "logs",
    "ports.json",
    "run",
    "stage.json",
    "stage.lock",
    "temporal.db",
    "versions",
    "versions.json",
    "cli.lock",
    "worker-Cargo.toml",
];

impl Checkout {
    /// Holds a part at a phase: `version` (the CLI when asked for its version), `build`, `worker` or another service (listening, but not
    /// responding), or `stop` (the worker after TERM).
    pub(crate) fn hold(&self, what: &str) {
        let _ = fs::remove_file(self.path(&format!("hold/{what}.here")));
        self.write(&format!("hold/{what}"), "");
    }

    /// Waits until the part has reached the phase.
    #[track_caller]
    pub(crate) fn wait_for_held(&self, what: &str) {
        eventually(&format!("{what} is held"), || self.path(&format!("hold/{what}.here")).exists());
    }

    /// Releases everything.
    pub(crate) fn let_go(&self) {
        let _ = fs::remove_dir_all(self.path("hold"));
    }

    /// Waits for the supervisor's state file.
    pub(crate) fn state_now(&self) -> Option<Value> {
        serde_json::from_slice(&fs::read(self.path(".lab/lab.json")).ok()?).ok()
    }

    /// The pid of `supervisor`, of a service or of the build.
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

    /// Whether all services are running.
    pub(crate) fn is_ready(&self) -> bool {
        self.state_now().is_some_and(|state| state["ready"] == true)
    }

    /// The processes whose folder, program or arguments are in this checkout.
    pub(crate) fn processes(&self) -> BTreeMap<u32, String> {
        let myself = std::process::id();
        let pids = fs::read_dir("/proc").expect("this is Linux").flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|&pid| pid != myself).filter_map(|pid| Some((pid, self.process_of_it(pid)?))).collect()
    }

    /// The arguments of a process, if it belongs to this checkout. A zombie has neither arguments nor a folder.
    fn process_of_it(&self, pid: u32) -> Option<String> {
        let link = |name: &str| fs::read_link(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let root = self.root.to_str().expect("it is text");
        let is_inside = |path: PathBuf| path.starts_with(&self.root);
        (is_inside(link("cwd")) || is_inside(link("exe")) || words.contains(root)).then_some(words)
    }

    /// Every file of the checkout with its content, except the lab's folder, build output, and `hold`.
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

    /// Asserts that the checkout has no processes, and that its ports are free.
    #[track_caller]
    pub(crate) fn assert_nothing_runs(&self, when: &str) {
        // Helpers of a killed command, such as `rustc --version`, end by themselves.
        let mut left = self.processes();
        eventually(&format!("{when}: nothing runs, such as {left:#?}"), || {
            left = self.processes();
            left.is_empty()
        });
        // The system closes a killed process's sockets later than its folder entry.
        for port in self.ports {
            let is_free = || TcpListener::bind(("127.0.0.1", port)).is_ok();
            eventually(&format!("{when}: port {port} is free"), is_free);
        }
    }

    /// Asserts that a stopped lab has left only the files that it keeps.
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

    /// Asserts that the next commands work and leave neither processes nor files behind.
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

/// Sends a signal to one process; returns whether it existed.
pub(crate) fn signal(pid: u32, signal: Signal) -> bool {
    kill(Pid::from_raw(i32::try_from(pid).expect("process ids are small")), signal).is_ok()
}

/// A running command, whose output is kept.
pub(crate) struct Running {
    pub(crate) child: Child,
    output: PathBuf,
}

impl Running {
    /// Starts it, with its output in a file of this name.
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
