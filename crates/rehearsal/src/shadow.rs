//! A shadow of the checkout with a separate lab, so that a rehearsal does not touch a learner's files and running lab.
//!
//! Its lab is a real one, started and queried by this program. But nothing is compiled: the `cargo` that its supervisor calls names
//! existing executables, and its worker is `stage_worker`, which runs the installed stage's modules.

use std::{
    fs::{self, OpenOptions},
    io::{self, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use dev_server::Cli;
use serde_json::Value;

use crate::{reserved_ports::ReservedPorts, stand_in_cargo};
use checkout::project::{self, Project};
use lab_client::state::State;
use supervisor::{
    executables::Executables,
    ports::PORTS,
    process::{self, Ending, Identity},
    signals, temporal_cli,
};
use terminal::stderrln;

/// The file in a shadow that names its owner.
const OWNER: &str = "owner.json";
/// How long a command may take on a busy machine and a busy service.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(240);
/// How long a command may take to end after a signal.
const GRACE: Duration = Duration::from_secs(15);
/// How often to check whether a command has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// How long to read output after a command has ended: a process that it left running may hold the pipe open.
const REST: Duration = Duration::from_secs(2);

/// The error of an interrupted rehearsal.
pub const INTERRUPTED: &str = "interrupted";

/// The outcome of a command.
#[derive(Debug)]
pub struct Printed {
    /// Its lines of standard output and standard error, in order.
    pub lines: Vec<String>,
    /// Whether its exit code is 0.
    pub ok: bool,
}

impl Printed {
    /// The JSON that it printed.
    pub fn json(&self) -> Option<Value> {
        let objects = self.lines.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects.into_iter().find(Value::is_object)
    }
}

/// A shadow and its lab. Dropping it stops the lab.
pub struct Shadow {
    /// The paths in it.
    pub project: Project,
    /// This program.
    program: PathBuf,
    /// The Temporal CLI that its lab runs.
    temporal_cli: Cli,
    /// The ports of its lab; none for a shadow left by an earlier rehearsal.
    ports: Option<ReservedPorts>,
    interrupted: Arc<AtomicBool>,
}

impl Shadow {
    /// Creates a shadow of this checkout in the lab's folder for this kind of rehearsal, with the executables for its lab. Removes
    /// shadows left by earlier rehearsals of that kind.
    pub fn make(
        original: &Project,
        kind: &str,
        executables: &Executables,
        temporal_cli: Cli,
    ) -> Result<Shadow> {
        Shadow::make_one(original, kind, 0, executables, temporal_cli)
    }

    /// Like [`Shadow::make`], for one of several concurrent rehearsals, each with its own number.
    pub fn make_one(
        original: &Project,
        kind: &str,
        number: u16,
        executables: &Executables,
        temporal_cli: Cli,
    ) -> Result<Shadow> {
        let all = original.in_lab(kind);
        project::make_private(&all)
            .with_context(|| format!("could not make the folder {}", all.display()))?;
        let interrupted = Arc::<AtomicBool>::default();
        let shadow = |root: PathBuf| -> Result<Shadow> {
            Ok(Shadow {
                project: Project { lab: root.join(".lab"), root },
                program: std::env::current_exe().context("could not find this program's path")?,
                temporal_cli: temporal_cli.clone(),
                ports: None,
                interrupted: Arc::clone(&interrupted),
            })
        };
        // Locked, so that a folder which does not have its owner's name yet is not taken for a leftover.
        let lock = project::open_private(&all.join("lock"), OpenOptions::new().write(true))
            .context("could not create the lock file of rehearsals")?;
        lock.lock().context("could not lock the folder of rehearsals")?;
        for left in left_over(&all) {
            shadow(left)?.remove()?;
        }
        let name = match number {
            0 => std::process::id().to_string(),
            number => format!("{}-{number}", std::process::id()),
        };
        let root = all.join(name);
        // Kept by an earlier rehearsal of this process, in which a learner failed.
        if root.exists() {
            shadow(root.clone())?.remove()?;
        }
        let mut shadow = shadow(root)?;
        shadow.ports = Some(ReservedPorts::of(number)?);
        let root = &shadow.project.root;
        shadow.fill(original, executables).with_context(|| format!("could not write {}", root.display()))?;
        let seen = Arc::clone(&shadow.interrupted);
        signals::listen(move || seen.store(true, Ordering::Relaxed))?;
        Ok(shadow)
    }

    /// Writes a minimal checkout: the folders that identify it, the live modules, and a cargo.
    fn fill(&self, original: &Project, executables: &Executables) -> io::Result<()> {
        let root = &self.project.root;
        project::make_private(root)?;
        let owner = process::identify(std::process::id()).map(|owner| owner.to_json());
        fs::write(root.join(OWNER), owner.unwrap_or_default().to_string())?;
        fs::create_dir_all(root.join("xtask"))?;
        fs::create_dir_all(root.join("tmp"))?;
        fs::create_dir_all(root.join("crates/worker/src"))?;
        let first = &lab::STAGES[0];
        self.put_in_place(&[
            (lab::LIVE_WORKFLOW, first.workflow.source),
            (lab::LIVE_ACTIVITIES, first.activities.source),
        ])?;
        // For rustc, whose version a start checks.
        let toolchain = "rust-toolchain.toml";
        if original.root.join(toolchain).is_file() {
            fs::copy(original.root.join(toolchain), root.join(toolchain))?;
        }
        stand_in_cargo::install(root, executables)
    }

    /// Starts the lab on free ports, with these additional flags.
    pub fn start(&self, words: &[String]) -> Result<()> {
        let mut arguments = vec!["lab".to_owned(), "start".to_owned(), "--detach".to_owned()];
        arguments.extend(words.iter().cloned());
        // The texts' links point to a UI on this machine; nothing follows them here.
        let is_given = |flag: &str| words.iter().any(|word| word == flag);
        if (is_given("--profile") || is_given("--address")) && !is_given("--ui") {
            arguments.extend(["--ui", "http://127.0.0.1:8233"].map(str::to_owned));
        }
        for (flag, port) in
            PORTS.iter().filter_map(|row| row.flag).zip(self.ports.iter().flat_map(ReservedPorts::free))
        {
            arguments.extend([format!("--{flag}"), port.to_string()]);
        }
        let started = self.xtask(&arguments)?;
        if !started.ok {
            bail!("the lab did not start:\n  {}", started.lines.join("\n  "));
        }
        Ok(())
    }

    /// `cargo xtask` in the shadow.
    pub fn xtask<S: AsRef<str>>(&self, words: &[S]) -> Result<Printed> {
        let mut command = self.command();
        command.args(words.iter().map(AsRef::as_ref));
        self.output(command)
    }

    /// This program, without arguments.
    pub fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// Runs a command in the shadow until it ends, times out or the rehearsal is interrupted.
    pub fn output(&self, command: Command) -> Result<Printed> {
        self.output_unless(command, &|| self.is_interrupted())
    }

    /// The running lab of the shadow.
    pub fn state(&self) -> Result<State> {
        State::read(&self.project.lab).context("the rehearsal's lab has stopped")
    }

    /// Writes these texts to the live modules as an editor saves a file. Returns whether that changed anything.
    pub fn put_in_place(&self, modules: &[(&str, &str)]) -> io::Result<bool> {
        let mut changed = false;
        for (path, source) in modules {
            let path = self.project.root.join(path);
            if fs::read(&path).is_ok_and(|content| content == source.as_bytes()) {
                continue;
            }
            fs::write(&path, source)?;
            changed = true;
        }
        Ok(changed)
    }

    /// Sleeps; an error if the rehearsal is interrupted.
    pub fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.is_interrupted() {
                bail!("{INTERRUPTED}");
            }
            thread::sleep(POLL_INTERVAL.min(time));
        }
        Ok(())
    }

    /// Whether the rehearsal is interrupted.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Stops the lab and removes the shadow.
    pub fn remove(self) -> Result<()> {
        self.stop()?;
        let root = &self.project.root;
        fs::remove_dir_all(root).with_context(|| format!("could not delete {}", root.display()))
    }

    /// Stops the lab, even after an interruption.
    pub fn stop(&self) -> Result<()> {
        if State::read(&self.project.lab).is_none() {
            return Ok(());
        }
        let mut command = self.command();
        command.args(["lab", "stop"]);
        let stopped = self.output_unless(command, &|| false)?;
        if !stopped.ok {
            bail!("could not stop the rehearsal's lab:\n  {}", stopped.lines.join("\n  "));
        }
        Ok(())
    }

    fn output_unless(&self, mut command: Command, is_over: &dyn Fn() -> bool) -> Result<Printed> {
        let root = &self.project.root;
        command
            .current_dir(root)
            .env("CARGO_MANIFEST_DIR", root.join("xtask"))
            .env("CARGO", root.join("cargo"))
            .env("TMPDIR", root.join("tmp"));
        command
            .env(temporal_cli::CLI_VARIABLE, self.temporal_cli.path())
            .env(project::LAB_VARIABLE, &self.project.lab);
        // As for a learner: failures without a backtrace. Without colours, as in the texts.
        command.env("RUST_BACKTRACE", "0").env("NO_COLOR", "1");
        let (reader, writer) = io::pipe().context("could not create a pipe")?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        // Ctrl-C reaches only the rehearsal, which then ends what it has started.
        command.process_group(0);
        let name = command.get_program().display().to_string();
        let mut child = command.spawn().with_context(|| format!("could not run {name}"))?;
        // Dropping it closes this process's writing ends of the pipe.
        drop(command);
        let output = read(reader);
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait().context("could not wait for a command")? {
                let bytes = output.recv_timeout(REST).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                return Ok(Printed {
                    lines: text.lines().map(str::to_owned).collect(),
                    ok: status.success(),
                });
            }
            let late = begin.elapsed() > COMMAND_TIMEOUT;
            if late || is_over() {
                let ending = Ending { grace: GRACE, hurry: &|| false };
                process::end_group(child.id(), Some(&mut child), &ending);
                let _ = child.wait();
                if !late {
                    bail!("{INTERRUPTED}");
                }
                let bytes = output.recv_timeout(REST).unwrap_or_default();
                let text = String::from_utf8_lossy(&bytes);
                bail!("it did not end within {} s; its output so far:\n{text}", COMMAND_TIMEOUT.as_secs());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

impl Drop for Shadow {
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            stderrln!("error: {error:#}");
        }
    }
}

/// The shadows whose rehearsals are no longer running.
fn left_over(all: &Path) -> Vec<PathBuf> {
    let is_in_use = |shadow: &Path| {
        let owner = fs::read_to_string(shadow.join(OWNER)).unwrap_or_default();
        let owner = serde_json::from_str(&owner).ok().as_ref().and_then(Identity::from_json);
        owner.is_some_and(|owner| process::is_alive(&owner))
    };
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !is_in_use(path)).collect()
}

/// Reads to the end on a separate thread.
fn read(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}
