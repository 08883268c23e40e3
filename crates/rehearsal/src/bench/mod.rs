//! `bench`: how fast the lab is. Figures to look at; nothing is asserted.
//!
//! It measures a copy of the checkout, in `.lab/bench`, with a lab of its own on ports of its own. What a
//! learner writes is only read; the copy and its lab go at the end, also when that comes by Ctrl-C. What
//! a killed measurement has left goes when the next one begins.

pub mod class;
mod page;

use std::{
    env,
    fs::{self, File},
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{self as this_process, Child, Command as Process, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use lab_client::{
    new_workflow_id,
    stuck::{self, Stuck},
    temporal::{Run, Server},
    time,
};
use serde_json::{Value, json};

use checkout::{
    copy,
    project::{LAB_VARIABLE, Project, make_private},
};
use supervisor::{
    attach, build,
    ports::{self, Ports},
    process::{self, Ending, Identity},
    services, signals, temporal_cli,
};
use terminal::stderrln;

/// So many transfers are under way at a time.
const IN_FLIGHT: usize = 50;
/// So many transfers are in the list when the page is measured.
const LISTED: usize = 2_000;
/// So many clients ask the bank at a time.
const CLIENTS: usize = 50;
/// How long the bank is asked.
const LOAD: Duration = Duration::from_secs(3);
/// So many transfers meet the bugs.
const STUCK: usize = 5;
/// How long anything may take.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long a command that is broken off may take to end what it has started.
const GRACE: Duration = Duration::from_secs(40);

/// What was measured.
pub struct Figure {
    /// What it is of.
    pub what: &'static str,
    /// How much.
    pub value: f64,
    /// Of what, such as `ms`.
    pub unit: &'static str,
    /// What it should be, for a person.
    pub goal: &'static str,
}

/// How much is compiled for the measurements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Compile {
    /// Nothing: what is built is measured.
    Nothing,
    /// The command line alone.
    ThisProgram,
    /// Everything, as at a first start.
    Everything,
}

/// Measures with so many transfers.
///
/// # Errors
/// Another measurement is under way, or a command of the lab fails.
pub fn run(project: &Project, transfers: usize, compile: Compile) -> Result<Vec<Figure>> {
    if attach::attach(project)?.is_some() {
        stderrln!("the lab runs, which makes these figures worse; end it before: cargo xtask lab stop");
    }
    let folder = project.root.join(".lab/bench");
    make_private(&folder).with_context(|| format!("could not make {}", folder.display()))?;
    let lock = File::open(&folder).with_context(|| format!("could not open {}", folder.display()))?;
    if !files::lock_within(&lock, Duration::ZERO).unwrap_or_default() {
        bail!("another measurement is under way; wait for it and try again");
    }
    let root = folder.join("checkout");
    let lab = Project { lab: root.join(".lab"), root };
    let bench = Bench {
        program: env::current_exe().context("could not tell where this program is")?,
        temporal_cli: temporal_cli::provide(project)?,
        lab,
        child: Arc::default(),
    };
    let broken_off = bench.clone();
    let mut clean_up = Some(move || {
        // Held to the end: from here on nothing else is started.
        let child = broken_off.child();
        if let Some(child) = child.as_ref().filter(|child| process::is_alive(child)) {
            let ending = Ending { grace: GRACE, hurry: &|| false };
            process::end_group(child.pid, None, &ending);
        }
        match broken_off.clear() {
            Ok(()) => stderrln!("the measurement was broken off; nothing of it is left"),
            Err(error) => stderrln!("error: {error:#}"),
        }
        this_process::exit(1);
    });
    signals::listen(move || {
        if let Some(clean_up) = clean_up.take() {
            clean_up();
        }
    })?;

    bench.clear()?;
    let measured = bench.copy(project, compile).and_then(|()| measure(&bench, transfers, compile));
    let cleared = {
        let _not_twice = bench.child();
        bench.clear()
    };
    let figures = measured?;
    cleared.map(|()| figures)
}

fn measure(bench: &Bench, transfers: usize, compile: Compile) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut add = |what, value, unit, goal| {
        stderrln!("{what}: {value:.3} {unit}");
        figures.push(Figure { what, value, unit, goal });
    };
    if compile != Compile::Nothing {
        add("cargo xtask --help from clean", bench.compile()?, "s", "under 10");
    }
    if compile == Compile::Everything {
        add("clean build and first start", timed(|| bench.first_start())?, "s", "under 240");
        bench.xtask(&["lab", "stop"])?;
        add("target/ after it", bench.size_of_target()?, "GB", "under 1");
    }

    stderrln!("starting a lab for the measurements");
    bench.xtask(&["stage", "fix-activity", "--bare"])?;
    bench.start(&["--fresh"])?;
    let mut starts = Vec::new();
    for _ in 0..3 {
        bench.xtask(&["lab", "stop"])?;
        starts.push(timed(|| bench.start(&[]))?);
    }
    add("lab start --detach to ready, everything built", median(&mut starts), "s", "under 1.5");
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(timed(|| bench.xtask(&["lab", "status"]))?);
    }
    add("lab status", median(&mut statuses), "s", "under 0.2");

    let server = bench.server()?;
    let mut alone = Vec::new();
    for _ in 0..20 {
        alone.push(timed(|| bench.transfer(&server))?);
    }
    add("one transfer alone", median(&mut alone), "s", "under 0.15");
    let before = bench.cpu();
    let took = timed(|| bench.many(&server, transfers))?;
    let cpu: Vec<f64> = bench.cpu().iter().zip(&before).map(|(after, before)| after - before).collect();
    add("transfers, 50 in flight", transfers as f64 / took, "/s", "over 20.8");
    for (what, seconds) in
        ["CPU of temporal a transfer", "CPU of account-api a transfer", "CPU of worker a transfer"]
            .into_iter()
            .zip(cpu)
    {
        add(what, seconds * 1000.0 / transfers as f64, "ms", "");
    }
    if LISTED > transfers {
        stderrln!("making {LISTED} transfers for the page's list");
        bench.many(&server, LISTED - transfers)?;
    }
    page::measure(bench, &server, &mut add)?;
    add("deposits and withdrawals, 50 clients", bench.load()?, "/s", "over 5000");

    let source = bench.lab.root.join(lab::LIVE_WORKFLOW);
    let text = fs::read_to_string(&source).context("could not read the workflow module")?;
    let ready = bench.ready_since()?;
    let edited = timed(|| {
        fs::write(&source, format!("{text}// A line for the measurement.\n"))?;
        until("the edited worker polls", || bench.ready_since().is_ok_and(|now| now > ready))
    })?;
    add("edit of workflow.rs to the new worker polling", edited, "s", "under 5");

    bench.xtask(&["stage", "jerry", "--bare"])?;
    let runs = (0..STUCK).map(|_| bench.begin(&server)).collect::<Result<Vec<Run>>>()?;
    until("the workflow bug shows", || attempts(&server, &runs).iter().all(|&attempt| attempt > 3))?;
    bench.xtask(&["stage", "fix-workflow", "--bare"])?;
    until("the activity bug shows", || {
        runs.iter().all(|run| {
            stuck::look(&server, run).unwrap_or_default().iter().any(|stuck| stuck.activity.is_some())
        })
    })?;
    let ready = bench.ready_since()?;
    let mut moved = Vec::new();
    for run in &runs {
        let events = server.last_events(run)?;
        let completed = |event: &&Value| event["eventType"] == "EVENT_TYPE_WORKFLOW_TASK_COMPLETED";
        // The first that the mended worker completed, so the oldest that came after it was ready.
        let times = events.iter().filter(completed).filter_map(|event| time_of(&event["eventTime"]));
        moved.extend(times.filter(|&at| at > ready).reduce(f64::min).map(|at| at - ready));
    }
    add("mended worker polls to a stuck transfer moving on", median(&mut moved), "s", "under 1.5");

    until("the activity bug goes on", || attempts(&server, &runs).iter().all(|&attempt| attempt > 4))?;
    bench.xtask(&["stage", "fix-activity", "--bare"])?;
    let begin = now();
    bench.xtask(&["retry"])?;
    let mut done = Vec::new();
    for run in &runs {
        server.wait_closed(run)?;
        let closed = server.describe(run)?;
        done.extend(time_of(&closed["workflowExecutionInfo"]["closeTime"]).map(|at| at - begin));
    }
    add("retry to a transfer stuck on the activity bug done", median(&mut done), "s", "under 0.5");
    Ok(figures)
}

/// The checkout that is measured, and its lab.
#[derive(Clone)]
struct Bench {
    lab: Project,
    program: PathBuf,
    temporal_cli: PathBuf,
    /// What has been started and not ended yet; it leads a process group.
    child: Arc<Mutex<Option<Identity>>>,
}

impl Bench {
    /// What runs at the moment. While this is held, nothing else is started, and nothing is broken off.
    fn child(&self) -> MutexGuard<'_, Option<Identity>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Copies the checkout, with what cargo has compiled in it.
    fn copy(&self, project: &Project, compile: Compile) -> Result<()> {
        let _not_broken_off_midway = self.child();
        let to = &self.lab.root;
        make_private(to).with_context(|| format!("could not make {}", to.display()))?;
        copy::sources(&project.root, to)
            .with_context(|| format!("could not copy the project to {}", to.display()))?;
        let compiled = self.program.parent().unwrap_or(Path::new("target/debug"));
        if compile != Compile::Everything && copy::compiled(compiled, to).is_err() {
            stderrln!("what is compiled already cannot be linked to, so everything is compiled anew");
            let _ = fs::remove_dir_all(to.join("target"));
        }
        Ok(())
    }

    /// Ends the measured lab, if it runs, and removes the copy.
    fn clear(&self) -> Result<()> {
        if self.lab.in_lab("lab.json").exists() {
            let output = self.command(&["lab", "stop"]).output().context("could not run this program")?;
            if !output.status.success() {
                bail!("the measured lab does not end: {}", String::from_utf8_lossy(&output.stderr));
            }
        }
        match fs::remove_dir_all(&self.lab.root) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", self.lab.root.display()))
            }
            _ => Ok(()),
        }
    }

    /// This program, in the measured checkout.
    fn command(&self, arguments: &[&str]) -> Process {
        let mut command = Process::new(&self.program);
        command.args(arguments).env("CARGO_MANIFEST_DIR", self.lab.root.join("xtask"));
        self.prepare(&mut command);
        command
    }

    /// Cargo, in the measured checkout.
    fn cargo(&self, arguments: &[&str]) -> Process {
        let mut command = build::bare_cargo();
        command.args(arguments);
        self.prepare(&mut command);
        command
    }

    fn prepare(&self, command: &mut Process) {
        command.current_dir(&self.lab.root).env_remove(LAB_VARIABLE).env_remove("CARGO_TARGET_DIR");
        command.env(temporal_cli::CLI_VARIABLE, &self.temporal_cli);
        // A group of its own: a Ctrl-C comes to this process, which ends the others in order.
        command.stdin(Stdio::null()).process_group(0);
    }

    /// Runs a command to its end.
    fn run(&self, mut command: Process) -> Result<()> {
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

    /// Has this program do something in the measured lab.
    fn xtask(&self, arguments: &[&str]) -> Result<()> {
        self.run(self.command(arguments))
    }

    fn start(&self, flags: &[&str]) -> Result<()> {
        self.xtask(&[&["lab", "start", "--detach"], flags].concat())
    }

    /// What a learner types first in a fresh clone.
    fn first_start(&self) -> Result<()> {
        self.run(self.cargo(&["xtask", "lab", "start", "--detach"]))
    }

    /// In GB; what cargo has linked twice is counted once.
    fn size_of_target(&self) -> Result<f64> {
        let output = Process::new("du").arg("-sk").arg(self.lab.root.join("target")).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let kib: f64 =
            text.split_whitespace().next().unwrap_or_default().parse().context("du said no size")?;
        Ok(kib * 1024.0 / 1e9)
    }

    fn ports(&self) -> Result<Ports> {
        Ok(attach::attach_running(&self.lab)?.ports)
    }

    fn server(&self) -> Result<Server> {
        Ok(Server::new(&attach::attach_running(&self.lab)?.endpoints()))
    }

    /// Compiles this program into an empty folder.
    fn compile(&self) -> Result<f64> {
        let target = self.lab.root.join("compile");
        let mut command = self.cargo(&["build", "--locked", "--quiet", "--package", "xtask"]);
        command.env("CARGO_TARGET_DIR", &target);
        let took = timed(|| self.run(command))?;
        let _ = fs::remove_dir_all(&target);
        Ok(took)
    }

    /// Starts a transfer whose accounts have enough for many.
    fn begin(&self, server: &Server) -> Result<Run> {
        server.start_transfer(
            &new_workflow_id(),
            &json!({ "from_account": "account_A", "to_account": "account_B", "amount": 0.01 }),
        )
    }

    fn transfer(&self, server: &Server) -> Result<()> {
        server.wait_closed(&self.begin(server)?)
    }

    /// So many transfers, a fixed number of them at a time.
    fn many(&self, server: &Server, number: usize) -> Result<()> {
        let begun = AtomicUsize::new(0);
        thread::scope(|scope| {
            let work = || -> Result<()> {
                while begun.fetch_add(1, Ordering::Relaxed) < number {
                    self.transfer(server)?;
                }
                Ok(())
            };
            let threads: Vec<_> = (0..IN_FLIGHT).map(|_| scope.spawn(work)).collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a transfer broke off")))
        })
    }

    /// Seconds of CPU that each service has used so far; zero where the system does not tell.
    fn cpu(&self) -> Vec<f64> {
        let state = attach::attach(&self.lab).ok().flatten();
        let used = |name: &str| {
            let services = &state.as_ref()?.services;
            let (_, identity) = services.iter().find(|(service, _)| service == name)?;
            let stat = fs::read_to_string(format!("/proc/{}/stat", identity.pid)).ok()?;
            let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
            let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
            Some(ticks / 100.0)
        };
        services::names().map(|name| used(name).unwrap_or_default()).collect()
    }

    /// The memory that a service holds, in MB; zero where the system does not tell.
    fn memory(&self, name: &str) -> f64 {
        let held = || {
            let services = attach::attach(&self.lab).ok()??.services;
            let (_, identity) = services.into_iter().find(|(service, _)| service == name)?;
            let status = fs::read_to_string(format!("/proc/{}/status", identity.pid)).ok()?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
            Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1024.0)
        };
        held().unwrap_or_default()
    }

    /// When the worker wrote its ready file, in seconds since 1970.
    fn ready_since(&self) -> Result<f64> {
        let file = fs::metadata(self.lab.in_lab("run/worker.ready"))?;
        Ok(seconds(file.modified()?))
    }

    /// Deposits and withdrawals a second that the bank answers to many clients.
    fn load(&self) -> Result<f64> {
        let port = self.ports()?.get(ports::ACCOUNT_API);
        let answered = AtomicUsize::new(0);
        let begin = Instant::now();
        thread::scope(|scope| {
            let threads: Vec<_> = (0..CLIENTS)
                .map(|client| {
                    let answered = &answered;
                    scope.spawn(move || client_of_the_bank(port, client, begin, answered))
                })
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|_| bail!("a client broke off")))
        })?;
        Ok(answered.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64())
    }
}

/// Deposits and withdraws a cent in turn, over one connection, until the time is over.
fn client_of_the_bank(port: u16, client: usize, begin: Instant, answered: &AtomicUsize) -> Result<()> {
    let account = char::from(b'A' + (client % 10) as u8);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("the bank does not listen")?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    for turn in 0_u64.. {
        if begin.elapsed() >= LOAD {
            break;
        }
        let verb = if turn % 2 == 0 { "deposit" } else { "withdraw" };
        let body = r#"{"amount":0.01}"#;
        let request = format!(
            "POST /accounts/account_{account}/{verb} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\
             Content-Type: application/json\r\nIdempotency-Key: \"{client}-{turn}-{}\"\r\n\
             Content-Length: {}\r\n\r\n{body}",
            std::process::id(),
            body.len()
        );
        stream.write_all(request.as_bytes())?;
        let (mut status, mut length) = (String::new(), 0);
        reader.read_line(&mut status)?;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            if header.trim().is_empty() {
                break;
            }
        }
        let mut answer = vec![0; length];
        reader.read_exact(&mut answer)?;
        if !status.contains(" 200 ") {
            bail!("the bank answered {}: {}", status.trim(), String::from_utf8_lossy(&answer));
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn command_line(command: &Process) -> String {
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    arguments.join(" ")
}

/// The attempts that these transfers are stuck at.
fn attempts(server: &Server, runs: &[Run]) -> Vec<u64> {
    let attempt =
        |run| stuck::look(server, run).unwrap_or_default().first().map_or(0, |stuck: &Stuck| stuck.attempt);
    runs.iter().map(attempt).collect()
}

fn until(what: &str, is_so: impl Fn() -> bool) -> Result<()> {
    let begin = Instant::now();
    while !is_so() {
        if begin.elapsed() > TIMEOUT {
            bail!("waited in vain until {what}");
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<f64> {
    let begin = Instant::now();
    work()?;
    Ok(begin.elapsed().as_secs_f64())
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn seconds(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn now() -> f64 {
    seconds(SystemTime::now())
}

fn time_of(value: &Value) -> Option<f64> {
    time::parse_rfc3339(value.as_str()?)
}
