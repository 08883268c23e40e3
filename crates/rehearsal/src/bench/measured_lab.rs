//! The measured copy of the checkout, and its lab.

use std::{
    env, fs, io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use checkout::{
    copy,
    project::{LAB_VARIABLE, Project, make_private},
};
use dev_server::Cli;
use lab_client::{
    new_workflow_id,
    temporal::{Run, Server},
};
use serde_json::{Value, json};
use supervisor::{
    attach, cargo,
    control::{self, Request},
    ports::Ports,
    process::{self, Ending, Identity},
    temporal_cli,
};
use terminal::stderrln;

use super::{process_usage::ProcessUsage, timing::timed};

/// How many transfers are in progress at a time.
pub(super) const IN_FLIGHT: usize = 50;
/// The SDK's default for how many Workflows a worker caches.
const CACHED: &str = "1000";
/// How long an interrupted command may take to end what it has started.
const GRACE: Duration = Duration::from_secs(40);

/// What to compile for the measurements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compile {
    /// Nothing: measure what is built already.
    Nothing,
    /// The command line only.
    ThisProgram,
    /// Everything, as at a first start.
    Everything,
}

/// The measured checkout, and its lab. Clones share the running process.
#[derive(Clone)]
pub(super) struct MeasuredLab {
    project: Project,
    program: PathBuf,
    temporal_cli: Cli,
    /// The running command, which leads a process group.
    child: Arc<Mutex<Option<Identity>>>,
}

impl MeasuredLab {
    /// A measured lab for this folder, where nothing exists yet.
    pub(super) fn at(root: PathBuf, temporal_cli: Cli) -> Result<MeasuredLab> {
        Ok(MeasuredLab {
            project: Project { lab: root.join(".lab"), root },
            program: env::current_exe().context("could not find this program's path")?,
            temporal_cli,
            child: Arc::default(),
        })
    }

    /// Copies the checkout, including cargo's build output.
    pub(super) fn copy(&self, project: &Project, compile: Compile) -> Result<()> {
        let _not_interrupted_midway = self.child();
        let to = &self.project.root;
        make_private(to).with_context(|| format!("could not make {}", to.display()))?;
        copy::sources(&project.root, to)
            .with_context(|| format!("could not copy the project to {}", to.display()))?;
        let compiled = self.program.parent().unwrap_or(Path::new("target/debug"));
        if compile != Compile::Everything && copy::compiled(compiled, to).is_err() {
            stderrln!("could not hard-link the existing build output, so everything is compiled again");
            let _ = fs::remove_dir_all(to.join("target"));
        }
        Ok(())
    }

    /// Stops the lab if it runs, and removes the copy.
    pub(super) fn clear(&self) -> Result<()> {
        let _not_twice = self.child();
        self.remove()
    }

    /// Ends the running command, then does the same as [`MeasuredLab::clear`]. Nothing is started after it: `then` must exit the process.
    pub(super) fn interrupt(&self, then: impl FnOnce(Result<()>)) {
        let child = self.child();
        if let Some(child) = child.as_ref().filter(|child| process::is_alive(child)) {
            let ending = Ending { grace: GRACE, hurry: &|| false };
            process::end_group(child.pid, None, &ending);
        }
        then(self.remove());
    }

    /// Runs `cargo xtask` with these words in the measured checkout.
    pub(super) fn xtask(&self, words: &[&str]) -> Result<()> {
        self.run(self.command(words))
    }

    /// Starts the lab, with a worker that caches Workflows as those of production do.
    pub(super) fn start(&self, flags: &[&str]) -> Result<()> {
        let mut command = self.command(&[&["lab", "start", "--detach"], flags].concat());
        command.env(contract::WORKFLOW_CACHE_VARIABLE, CACHED);
        self.run(command)
    }

    /// Starts the lab as a learner does.
    pub(super) fn start_as_shipped(&self, flags: &[&str]) -> Result<()> {
        self.xtask(&[&["lab", "start", "--detach"], flags].concat())
    }

    /// Runs what a learner types first in a fresh clone.
    pub(super) fn first_start(&self) -> Result<()> {
        self.run(self.cargo(&["xtask", "lab", "start", "--detach"]))
    }

    /// Compiles `xtask` into an empty folder.
    pub(super) fn compile(&self) -> Result<()> {
        let mut command = self.cargo(&["build", "--locked", "--quiet", "--package", "xtask"]);
        command.env("CARGO_TARGET_DIR", self.project.root.join("compile"));
        self.run(command)
    }

    /// The size of `target/` in GB; hard links are counted once.
    pub(super) fn size_of_target(&self) -> Result<f64> {
        let output = Command::new("du").arg("-sk").arg(self.project.root.join("target")).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kib: f64 =
            text.split_whitespace().next().unwrap_or_default().parse().context("du printed no size")?;
        Ok(kib * 1024.0 / 1e9)
    }

    /// The live Workflow module.
    pub(super) fn workflow_module(&self) -> PathBuf {
        self.project.root.join(lab::LIVE_WORKFLOW)
    }

    /// When the worker wrote its ready file, in seconds since 1970.
    pub(super) fn ready_since(&self) -> Result<f64> {
        let file = fs::metadata(self.project.ready_file("worker"))?;
        let since = file.modified()?.duration_since(std::time::UNIX_EPOCH);
        Ok(since.map_or(0.0, |since| since.as_secs_f64()))
    }

    /// The ports of the running lab.
    pub(super) fn ports(&self) -> Result<Ports> {
        Ok(attach::attach_running(&self.project)?.ports)
    }

    /// The status of its supervisor.
    pub(super) fn status(&self) -> Result<Value> {
        control::ask(&attach::attach_running(&self.project)?, &Request::Status)
    }

    /// Its Temporal server.
    pub(super) fn server(&self) -> Result<Server> {
        Ok(Server::new(&attach::attach_running(&self.project)?.endpoints()))
    }

    /// Starts a transfer between accounts that can cover many.
    pub(super) fn begin(&self, server: &Server) -> Result<Run> {
        server.start_transfer(
            &new_workflow_id(),
            &json!({ "from_account": "account_A", "to_account": "account_B", "amount": 0.01 }),
        )
    }

    /// Times a transfer from its start to its completion.
    pub(super) fn transfer(&self, server: &Server) -> Result<()> {
        server.wait_closed(&self.begin(server)?)
    }

    /// Runs this many transfers, [`IN_FLIGHT`] at a time, and returns how many seconds each took.
    pub(super) fn transfers(&self, server: &Server, number: usize) -> Result<Vec<f64>> {
        let begun = AtomicUsize::new(0);
        thread::scope(|scope| {
            let work = || -> Result<Vec<f64>> {
                let mut took = Vec::new();
                while begun.fetch_add(1, Ordering::Relaxed) < number {
                    took.push(timed(|| self.transfer(server))?);
                }
                Ok(took)
            };
            let threads: Vec<_> = (0..IN_FLIGHT).map(|_| scope.spawn(work)).collect();
            let mut all = Vec::new();
            for thread in threads {
                let took =
                    thread.join().unwrap_or_else(|_| bail!("a thread that started transfers panicked"));
                all.extend(took?);
            }
            Ok(all)
        })
    }

    /// The CPU time of a service so far, in seconds; zero if unknown.
    pub(super) fn cpu(&self, service: &str) -> f64 {
        let used = || {
            let services = attach::attach(&self.project).ok()??.services;
            let (_, identity) = services.into_iter().find(|(name, _)| name == service)?;
            Some(ProcessUsage::of(identity.pid)?.cpu)
        };
        used().unwrap_or_default()
    }

    /// Locks the running process. While the lock is held, nothing is started or interrupted.
    fn child(&self) -> MutexGuard<'_, Option<Identity>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self) -> Result<()> {
        if self.project.in_lab("lab.json").exists() {
            let output = self.command(&["lab", "stop"]).output().context("could not run this program")?;
            if !output.status.success() {
                bail!("could not stop the measured lab: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        match fs::remove_dir_all(&self.project.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", self.project.root.display()))
            }
            _ => Ok(()),
        }
    }

    /// This program, in the measured checkout.
    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).env("CARGO_MANIFEST_DIR", self.project.root.join("xtask"));
        self.prepare(&mut command);
        command
    }

    /// Cargo, in the measured checkout.
    fn cargo(&self, words: &[&str]) -> Command {
        let mut command = cargo::bare();
        command.args(words);
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(&self.project.root).env_remove(LAB_VARIABLE).env_remove("CARGO_TARGET_DIR");
        command.env(temporal_cli::CLI_VARIABLE, self.temporal_cli.path());
        // A separate process group: this process handles Ctrl-C and ends the others in order.
        command.stdin(Stdio::null()).process_group(0);
    }

    /// Runs a command to its end.
    fn run(&self, mut command: Command) -> Result<()> {
        let mut spawn = || -> io::Result<Child> {
            let mut started = self.child();
            let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
            *started = process::identify(child.id());
            Ok(child)
        };
        let output = spawn().and_then(Child::wait_with_output);
        *self.child() = None;
        let output = output.with_context(|| format!("could not run {}", command_line(&command)))?;
        if !output.status.success() {
            bail!("{} failed: {}", command_line(&command), String::from_utf8_lossy(&output.stderr));
        }
        Ok(())
    }
}

fn command_line(command: &Command) -> String {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    arguments.join(" ")
}
