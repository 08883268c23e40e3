//! A shadow of the checkout, with a lab of its own: what is rehearsed in it leaves a learner's files and a
//! running lab alone.
//!
//! The lab in it is a real one, started and asked by this very program. Only nothing is compiled: what its
//! supervisor calls as cargo names executables that are there already, and its worker is `stage_worker`,
//! which runs whichever stage's modules are in place.

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
use serde_json::Value;

use crate::{reserved_ports::ReservedPorts, stand_in_cargo};
use checkout::project::{self, Project};
use lab_client::state::State;
use supervisor::{
    executables::Executables,
    ports::{self, PORTS},
    process::{self, Ending, Identity},
    signals, temporal_cli,
};
use terminal::stderrln;

/// In a shadow: whose it is.
const OWNER: &str = "owner.json";
/// How long a command has to end by itself, on a busy machine and a busy service.
pub const COMMAND_TIMEOUT: Duration = Duration::from_secs(240);
/// How long one has that is told to.
const GRACE: Duration = Duration::from_secs(15);
/// How often is looked whether one has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);
/// Its output is read to its end soon after, unless something that it has left running holds it open.
const REST: Duration = Duration::from_secs(2);

/// Said when a rehearsal was interrupted.
pub const INTERRUPTED: &str = "it was interrupted";

/// What a command did.
#[derive(Debug)]
pub struct Printed {
    /// Its lines, of standard output and standard error as they came.
    pub lines: Vec<String>,
    /// Whether its exit code says that it worked.
    pub ok: bool,
}

impl Printed {
    /// The JSON that it reported.
    pub fn json(&self) -> Option<Value> {
        let objects = self.lines.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        objects.into_iter().find(Value::is_object)
    }
}

/// A shadow and its lab, which is stopped with it.
pub struct Shadow {
    /// Where things are in it.
    pub project: Project,
    /// This program.
    program: PathBuf,
    /// What its lab runs as the server.
    pub temporal_cli: PathBuf,
    /// The ports of its lab; none of one that earlier rehearsals have left.
    ports: Option<ReservedPorts>,
    interrupted: Arc<AtomicBool>,
}

impl Shadow {
    /// Makes one of this checkout, with the executables that its lab is to run, in a folder of the lab's that is
    /// for this kind of rehearsal. Shadows that earlier ones of that kind have left are taken away.
    pub fn make(
        original: &Project,
        kind: &str,
        executables: &Executables,
        temporal_cli: PathBuf,
    ) -> Result<Shadow> {
        Shadow::make_one(original, kind, 0, executables, temporal_cli)
    }

    /// As [`Shadow::make`], for one of several at a time, each with a number of its own.
    pub fn make_one(
        original: &Project,
        kind: &str,
        number: u16,
        executables: &Executables,
        temporal_cli: PathBuf,
    ) -> Result<Shadow> {
        let all = original.in_lab(kind);
        project::make_private(&all)
            .with_context(|| format!("could not make the folder {}", all.display()))?;
        let interrupted = Arc::<AtomicBool>::default();
        let shadow = |root: PathBuf| -> Result<Shadow> {
            Ok(Shadow {
                project: Project { lab: root.join(".lab"), root },
                program: std::env::current_exe().context("could not tell where this program is")?,
                temporal_cli: temporal_cli.clone(),
                ports: None,
                interrupted: Arc::clone(&interrupted),
            })
        };
        // One takes away and makes at a time: a folder without its owner's name is not taken for a left one.
        let lock = project::open_private(&all.join("lock"), OpenOptions::new().write(true))
            .context("could not make the lock file of rehearsals")?;
        lock.lock().context("could not lock the folder of rehearsals")?;
        for left in left_over(&all) {
            shadow(left)?.remove()?;
        }
        let name = match number {
            0 => std::process::id().to_string(),
            number => format!("{}-{number}", std::process::id()),
        };
        let mut shadow = shadow(all.join(name))?;
        shadow.ports = Some(ReservedPorts::of(number)?);
        let root = &shadow.project.root;
        shadow.fill(original, executables).with_context(|| format!("could not write {}", root.display()))?;
        let seen = Arc::clone(&shadow.interrupted);
        signals::listen(move || seen.store(true, Ordering::Relaxed))?;
        Ok(shadow)
    }

    /// The least that a checkout is: the folders that it is known by, the live modules, and a cargo.
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
        // For rustc, whose version a start looks at.
        let toolchain = "rust-toolchain.toml";
        if original.root.join(toolchain).is_file() {
            fs::copy(original.root.join(toolchain), root.join(toolchain))?;
        }
        stand_in_cargo::install(root, executables)
    }

    /// Starts the lab, on ports that are free, with these further words.
    pub fn start(&self, words: &[String]) -> Result<()> {
        let mut arguments = vec!["lab".to_owned(), "start".to_owned(), "--detach".to_owned()];
        arguments.extend(words.iter().cloned());
        // Texts have links to a UI that is on this machine. Nobody follows them here.
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

    /// Runs a command in the shadow to its end, or until it has taken too long or the rehearsal is to end.
    pub fn output(&self, command: Command) -> Result<Printed> {
        self.output_unless(command, &|| self.is_interrupted())
    }

    /// The lab that runs in the shadow.
    pub fn state(&self) -> Result<State> {
        State::read(&self.project.lab).context("the lab of the rehearsal does not run any more")
    }

    /// Puts these texts over the live modules, as an editor saves a file. Returns whether that changes anything.
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

    /// Sleeps, or says that the rehearsal is to end.
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

    /// Whether the rehearsal is to end.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Stops the lab and takes the shadow away.
    pub fn remove(self) -> Result<()> {
        self.stop()?;
        let root = &self.project.root;
        fs::remove_dir_all(root).with_context(|| format!("could not delete {}", root.display()))
    }

    /// Stops the lab, whatever else has happened: not even an interruption keeps it from that.
    pub fn stop(&self) -> Result<()> {
        if State::read(&self.project.lab).is_none() {
            return Ok(());
        }
        let mut command = self.command();
        command.args(["lab", "stop"]);
        let stopped = self.output_unless(command, &|| false)?;
        if !stopped.ok {
            bail!("the lab of the rehearsal was not stopped:\n  {}", stopped.lines.join("\n  "));
        }
        Ok(())
    }

    fn output_unless(&self, mut command: Command, is_over: &dyn Fn() -> bool) -> Result<Printed> {
        // This program sees to that by itself, and a start may have been asked to go by the user's own settings.
        let is_another = command.get_program() != self.program.as_os_str();
        if is_another {
            dev_server::forget_settings(&mut command);
        }
        if let Some(state) = State::read(&self.project.lab).filter(|_| is_another) {
            command.env("TEMPORAL_ADDRESS", state.ports.address(ports::TEMPORAL));
            command.env("TEMPORAL_NAMESPACE", state.endpoints().namespace);
        }
        let root = &self.project.root;
        command
            .current_dir(root)
            .env("CARGO_MANIFEST_DIR", root.join("xtask"))
            .env("CARGO", root.join("cargo"))
            .env("TMPDIR", root.join("tmp"));
        command
            .env(temporal_cli::CLI_VARIABLE, &self.temporal_cli)
            .env(project::LAB_VARIABLE, &self.project.lab);
        // As it is for a learner: a failure without a stack of calls. Without colours, as texts are.
        command.env("RUST_BACKTRACE", "0").env("NO_COLOR", "1");
        let (reader, writer) = io::pipe().context("could not make a pipe")?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
        // A Ctrl-C is for the rehearsal, which then ends what it has started.
        command.process_group(0);
        let name = command.get_program().display().to_string();
        let mut child = command.spawn().with_context(|| format!("could not run {name}"))?;
        // With it the writing ends of the pipe are closed here.
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
                bail!(
                    "it did not end within {} s; until then it printed:\n{text}",
                    COMMAND_TIMEOUT.as_secs()
                );
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

/// The shadows whose rehearsals do not run any more.
fn left_over(all: &Path) -> Vec<PathBuf> {
    let is_in_use = |shadow: &Path| {
        let owner = fs::read_to_string(shadow.join(OWNER)).unwrap_or_default();
        let owner = serde_json::from_str(&owner).ok().as_ref().and_then(Identity::from_json);
        owner.is_some_and(|owner| process::is_alive(&owner))
    };
    let entries = fs::read_dir(all).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir() && !is_in_use(path)).collect()
}

/// Reads all of it, on a thread of its own.
fn read(mut pipe: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}
