//! The one process that starts a lab's services, watches over them and ends them. The file is long because the processes have one
//! owner: a single loop, which records each before it starts, and whose state no other file changes.
//!
//! Other threads wait for signals, requests, builds and changed files, and send what they see to that loop as events.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    mem,
    net::TcpListener,
    os::unix::{fs::MetadataExt, process::ExitStatusExt},
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use lab_client::{
    link::LinkReport, progress::Progress, start_failure::StartFailure, state::RemoteService,
    supervisor::BuildState, temporal::Server, time,
};
use serde_json::{Value, json};

use crate::{
    attach,
    build::{self, Output},
    class_files,
    control::{self, Reply, Request},
    entry_plan::Choice,
    executables::Executables,
    logs, ports,
    process::{self, Ending, Identity},
    remote_service,
    reporter::Reporter,
    services::{self, SERVICES, Service, Setup},
    signals, source_watch,
    stage_entry::StageEntry,
    temporal_cli, without_temporal,
};
use checkout::{progress, project::Project, stage_lock::StageLock, state};
use lab_client::state::State;

/// The first delay before a service that has died is started again; it doubles.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// No delay is longer.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// After running so long, the next death is a first one again.
const STABLE: Duration = Duration::from_secs(30);
/// How often a service that is not ready yet is looked at.
const STARTUP_POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How often the rest is.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long a service may take to become ready before whoever waits for it is told.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often is looked whether the lab's folder is still there.
const OWNERSHIP: Duration = Duration::from_secs(1);

/// The files of a lab that hold what it has done: the server's history and the bank's books.
const DATABASES: [&str; 2] = ["temporal.db", "bank.db"];

/// How a lab is to be started.
pub struct Options {
    /// Ports asked for, by name.
    pub ports: BTreeMap<&'static str, u16>,
    /// Begin with empty databases.
    pub fresh: bool,
    /// Rebuild the worker when its source changes.
    pub watch: bool,
    /// Where the first build is shown.
    pub output: Output,
    /// The Temporal Service to use in place of a server of the lab's own.
    pub remote_service: Option<RemoteService>,
}

/// Runs a lab until it is told to stop. `on_ready` is called once, when everything is.
pub fn run(project: &Project, options: &Options, on_ready: impl FnOnce(&State)) -> Result<()> {
    let lock = attach::lock(project)?;
    attach::clear_leftovers(project);
    let journal = Journal(logs::open(project, logs::SUPERVISOR)?);
    let temporal_cli = temporal_cli::provide(project)?;
    // Up to here nothing runs that would have to be ended, and a signal ends this process like any other.
    let (events, inbox) = mpsc::channel();
    let signals_seen = Arc::new(AtomicU32::new(0));
    listen_to_signals(&events, &signals_seen)?;
    let ports = ports::choose(&options.ports, &ports::remembered(project), |moved| journal.note(&moved))?;
    project.write_json(ports::PORTS_FILE, &ports.to_json())?;
    // The bank knows nothing of transfers that a lab before this one has left at a remote service.
    let is_new_there = |remote_service: &RemoteService| !remote_service::is_last(project, remote_service);
    let fresh = options.fresh || options.remote_service.as_ref().is_some_and(is_new_there);
    if options.fresh {
        empty_databases(project)?;
    }
    for path in database_files(project) {
        checkout::project::close_if_there(&path)
            .with_context(|| format!("could not keep {} to this user", path.display()))?;
    }
    // The log of builds is opened anew by each build; here only a large one is put aside.
    logs::open(project, logs::BUILD)?;

    let control = TcpListener::bind(("127.0.0.1", 0)).context("could not listen on loopback")?;
    let state = State {
        supervisor: process::identify(std::process::id())
            .context("the system does not tell of this process")?,
        control_port: control.local_addr()?.port(),
        token: control::random_hex(16)?,
        ready: false,
        ports: ports.clone(),
        remote_service: options.remote_service.clone(),
        services: Vec::new(),
    };
    if options.remote_service.is_none() {
        remote_service::remember(project, None)?;
    }
    state::write(project, &state)?;

    let mut lab = Supervisor {
        setup: Setup {
            project: project.clone(),
            ports,
            temporal_cli,
            remote_service: options.remote_service.clone(),
            executables: None,
        },
        services: SERVICES.iter().map(Supervised::new).collect(),
        state,
        journal,
        snapshot: Arc::default(),
        events: events.clone(),
        inbox,
        signals_seen,
        build: Build::new(),
        watching: options.watch,
        fresh,
        lock,
        looked: Instant::now(),
        entering: Vec::new(),
    };
    lab.serve_control(control);
    if options.watch {
        let events = events.clone();
        source_watch::watch(project.root.clone(), move |content| {
            events.send(Event::Changed(content)).is_ok()
        });
    }
    let outcome = lab.start(options.output).and_then(|started| {
        if started {
            on_ready(&lab.state);
            let reporter = lab.reporter();
            let outcome = lab.supervise();
            if let Some(reporter) = reporter {
                let seen = Arc::clone(&lab.signals_seen);
                reporter.stop(&move || seen.load(Ordering::Relaxed) > 1);
            }
            outcome?;
        }
        Ok(())
    });
    lab.stop();
    // A stage is entered for the page on a thread of this process: its modules are not to be left half exchanged.
    let is_entering = lab.entering.iter().any(|thread| !thread.is_finished());
    let _nobody_exchanges_modules = is_entering.then(|| StageLock::take(project));
    if lab.owns_its_folder() {
        state::remove(project);
    }
    outcome
}

/// Deletes what the lab has done so far; the services must be down.
pub fn empty_databases(project: &Project) -> Result<()> {
    for path in database_files(project) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("could not delete {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The files that SQLite keeps the databases in, also those that are there only at times; each database after what
/// belongs to it, as one that is deleted before is missed by the next start.
fn database_files(project: &Project) -> impl Iterator<Item = PathBuf> {
    DATABASES.into_iter().flat_map(|database| {
        ["-wal", "-shm", "-journal", ""].map(|ending| project.in_lab(&format!("{database}{ending}")))
    })
}

/// What the loop is told.
enum Event {
    /// A signal asks the lab to end.
    Signal,
    /// A command asks for something.
    Request(Request, Reply),
    /// The worker's source has this content now.
    Changed(u64),
    /// The build of this content is over.
    Built(u64, Result<Executables, String>),
}

/// `.lab/logs/supervisor.log`.
struct Journal(File);

impl Journal {
    fn note(&self, words: &str) {
        // Nothing better can be done about a full disk than to go on.
        let _ = (&self.0).write_all(format!("{words}\n").as_bytes());
    }
}

/// How far a service is, by its name in `lab status`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Stopped,
    Starting,
    Running,
    Restarting,
}

impl Life {
    fn name(self) -> &'static str {
        match self {
            Life::Stopped => "stopped",
            Life::Starting => "starting",
            Life::Running => "running",
            Life::Restarting => "restarting",
        }
    }
}

/// A service and its process.
struct Supervised {
    service: &'static Service,
    child: Option<Child>,
    life: Life,
    /// When it came to that state, since 1970.
    since: Duration,
    /// When its process was started.
    begun: Instant,
    /// When its next process is to be started, if it has none.
    due: Instant,
    delay: Duration,
    /// How often it died and was started again.
    restarts: u32,
    /// Who wants to know when it runs, and since when.
    waiting: Vec<(Instant, Reply)>,
}

impl Supervised {
    fn new(service: &'static Service) -> Supervised {
        let now = Instant::now();
        Supervised {
            service,
            child: None,
            life: Life::Starting,
            since: time::now(),
            begun: now,
            due: now,
            delay: FIRST_DELAY,
            restarts: 0,
            waiting: Vec::new(),
        }
    }

    fn enter(&mut self, life: Life) {
        if self.life != life {
            self.life = life;
            self.since = time::now();
        }
    }
}

/// Why a service has no process.
enum End {
    Exit(ExitStatus),
    NoStart(String),
}

impl End {
    /// What that is for someone who waits for the service.
    fn early(&self) -> String {
        match self {
            End::Exit(status) => format!("ended before it was ready ({})", describe(*status)),
            End::NoStart(error) => format!("could not be started ({error})"),
        }
    }
}

/// The build under way, and what comes after it.
struct Build {
    /// Its process group.
    group: Option<Identity>,
    /// When the last one was over.
    ended: Instant,
    /// The content that is being built.
    building: Option<u64>,
    /// The content of the last build.
    built: Option<u64>,
    /// Whether that build failed.
    failed: bool,
    /// Whether to build once more after this one.
    again: bool,
    /// What runs should that build fail, where it has to come before the next start.
    fallback: Option<Executables>,
    /// Who wants the worker of the next finished build.
    waiting: Vec<Reply>,
}

impl Build {
    fn new() -> Build {
        Build {
            group: None,
            ended: Instant::now(),
            building: None,
            built: None,
            failed: false,
            again: false,
            fallback: None,
            waiting: Vec::new(),
        }
    }
}

struct Supervisor {
    setup: Setup,
    services: Vec<Supervised>,
    state: State,
    journal: Journal,
    /// What `status` is answered, also while the loop is busy.
    snapshot: Arc<Mutex<Value>>,
    events: Sender<Event>,
    inbox: Receiver<Event>,
    signals_seen: Arc<AtomicU32>,
    build: Build,
    watching: bool,
    /// Whether the transfers at a remote service still have to be ended, since the lab starts afresh.
    fresh: bool,
    /// Says that this is the lab's only supervisor.
    lock: File,
    /// When the lock was last looked at.
    looked: Instant,
    /// What enters stages for the page.
    entering: Vec<thread::JoinHandle<()>>,
}

impl Supervisor {
    /// Starts everything; returns whether it got there, or was told to stop on the way.
    fn start(&mut self, output: Output) -> Result<bool> {
        let begin = Instant::now();
        self.begin_build(output);
        loop {
            if !self.handle_events(STARTUP_POLL_INTERVAL)? {
                return Ok(false);
            }
            self.tick()?;
            if self.services.iter().all(|service| service.life == Life::Running) {
                break;
            }
            if let Some(late) = self.services.iter().find(|service| {
                service.child.is_some()
                    && service.life != Life::Running
                    && service.begun.elapsed() > READY_WITHIN
            }) {
                bail!(
                    "{} was not ready after {}{}",
                    late.service.name,
                    terminal::duration(READY_WITHIN.as_secs_f64()),
                    self.quote(late.service.name, None)
                );
            }
        }
        self.state.ready = true;
        if let Err(error) = self.record() {
            // What is recorded while the lab ends, and maybe finds room, must not say that it is ready.
            self.state.ready = false;
            return Err(error);
        }
        self.journal.note(&format!(
            "everything is ready after {}",
            terminal::duration(begin.elapsed().as_secs_f64())
        ));
        Ok(true)
    }

    /// Keeps everything running until told to stop. Once everything was ready, nothing that a service
    /// does ends the lab.
    fn supervise(&mut self) -> Result<()> {
        loop {
            let settled = self.services.iter().all(|service| service.life == Life::Running);
            if !self.handle_events(if settled { POLL_INTERVAL } else { STARTUP_POLL_INTERVAL })? {
                return Ok(());
            }
            self.tick()?;
        }
    }

    /// Waits so long for events and handles what has come; returns false when the lab is to stop.
    fn handle_events(&mut self, wait: Duration) -> Result<bool> {
        let mut next = self.inbox.recv_timeout(wait);
        loop {
            match next {
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(true),
                Ok(Event::Signal) => return Ok(false),
                // Its answer is that this process ends.
                Ok(Event::Request(Request::Stop, _)) => return Ok(false),
                Ok(Event::Request(request, reply)) => self.handle_request(request, reply),
                Ok(Event::Changed(content)) => self.handle_change(content),
                Ok(Event::Built(content, result)) => self.handle_built(content, result)?,
            }
            next = self.inbox.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
    }

    fn handle_request(&mut self, request: Request, reply: Reply) {
        if !self.state.ready {
            let _ = reply.send(Err("the lab is still starting; try again when it is ready".to_owned()));
            return;
        }
        match request {
            // Handled before it comes here.
            Request::Status | Request::Stop | Request::WithoutTemporal => {}
            Request::Restart(name) => {
                let mut chosen: Vec<usize> = (0..self.services.len())
                    .filter(|&at| name.as_deref().is_none_or(|name| name == self.services[at].service.name))
                    .collect();
                chosen.reverse();
                for &at in &chosen {
                    self.end(at);
                    self.services[at].enter(Life::Restarting);
                    self.publish();
                }
                drop(self.answer_when_running(&chosen, reply));
            }
            Request::Rebuild => {
                self.build.waiting.push(reply);
                if self.build.building.is_some() {
                    self.build.again = true;
                } else {
                    self.begin_build(Output::Log);
                }
            }
            Request::Enter { stage, choice } => self.enter_stage(stage, choice, reply),
            Request::Empty => {
                self.journal.note("emptying the databases");
                if let Err(error) = self.end_transfers() {
                    let _ = reply.send(Err(format!("{error:#}; nothing was changed")));
                    return;
                }
                // The modules may have been changed with them: what is built starts after the build.
                self.build.fallback = self.setup.executables.take().or(self.build.fallback.take());
                if self.build.building.is_some() {
                    self.build.again = true;
                } else {
                    self.begin_build(Output::Log);
                }
                self.end_all(Life::Restarting);
                match empty_databases(&self.setup.project) {
                    Ok(()) => {
                        let all: Vec<usize> = (0..self.services.len()).collect();
                        let sender = self.answer_when_running(&all, reply);
                        // A build that fails is no success, also when what ran before runs again.
                        self.build.waiting.push(sender);
                    }
                    Err(error) => {
                        let _ = reply.send(Err(format!("{error:#}")));
                    }
                }
            }
        }
    }

    /// Enters a stage for the page, on a thread of its own: that asks this loop to build, as a command would. Should the lab end
    /// meanwhile, so does the thread, and a stage that is entered again does the rest.
    fn enter_stage(&mut self, name: String, choice: Choice, reply: Reply) {
        self.journal.note(&format!("entering the stage {name}"));
        let (project, state) = (self.setup.project.clone(), self.state.clone());
        self.entering.retain(|thread| !thread.is_finished());
        self.entering.push(thread::spawn(move || {
            let entered =
                lab::stage(&name).with_context(|| format!("there is no stage {name}")).and_then(|stage| {
                    let entered = StageEntry::new(&project, &state, true).enter(stage, choice)?;
                    Ok(entered.to_json(stage))
                });
            let _ = reply.send(entered.map_err(|error| format!("{error:#}")));
        }));
    }

    /// Answers once all of these run, and whatever else holds the reply that is returned has sent its own
    /// or dropped it. They are started by the next ticks.
    fn answer_when_running(&mut self, chosen: &[usize], reply: Reply) -> Reply {
        // Each holds a sender; the last one to run answers for all.
        let (sender, receiver) = mpsc::channel::<Result<Value, String>>();
        for &at in chosen {
            self.services[at].due = Instant::now();
            self.services[at].delay = FIRST_DELAY;
            self.services[at].waiting.push((Instant::now(), sender.clone()));
        }
        thread::spawn(move || {
            let failure = receiver.iter().find_map(Result::err);
            let _ = reply.send(failure.map_or_else(|| Ok(json!({ "ok": true })), Err));
        });
        sender
    }

    fn handle_change(&mut self, content: u64) {
        match (self.build.building, self.build.built) {
            (Some(building), _) => self.build.again |= building != content,
            (None, Some(built)) if built == content => {}
            (None, _) => {
                self.journal.note("the worker's source has changed: building");
                self.begin_build(Output::Log);
            }
        }
    }

    fn begin_build(&mut self, output: Output) {
        let content = source_watch::fingerprint(&self.setup.project.root);
        self.build.building = Some(content);
        self.build.again = false;
        let events = self.events.clone();
        let child = self.spawn_build(output);
        thread::spawn(move || {
            let result = child.and_then(build::finish_gated).map_err(|error| format!("{error:#}"));
            let _ = events.send(Event::Built(content, result));
        });
        self.publish();
    }

    /// Starts cargo, once it is recorded.
    fn spawn_build(&mut self, output: Output) -> Result<Child> {
        let mut child = build::gated(
            &self.setup.project,
            &services::binaries(self.setup.remote_service.as_ref()),
            output,
            &self.state.supervisor,
        )?;
        let go = child.stdin.take();
        self.build.group = process::identify(child.id());
        if let Err(error) = self.record() {
            // Not let go, it ends by itself.
            drop(go);
            let _ = child.wait();
            self.build.group = None;
            return Err(error);
        }
        let_go(go);
        Ok(child)
    }

    fn handle_built(&mut self, content: u64, result: Result<Executables, String>) -> Result<()> {
        self.build.building = None;
        self.build.built = Some(content);
        self.build.ended = Instant::now();
        self.build.group = None;
        self.record_or_note();
        if self.build.again {
            self.begin_build(Output::Log);
            return Ok(());
        }
        self.build.failed = result.is_err();
        let fallback = self.build.fallback.take();
        let waiting = mem::take(&mut self.build.waiting);
        match result {
            Ok(executables) => {
                self.setup.executables = Some(executables);
                if self.state.ready {
                    self.journal.note("built: restarting the worker");
                    let worker: Vec<usize> = (0..self.services.len())
                        .filter(|&at| self.services[at].service.name == services::WORKER)
                        .collect();
                    for &at in &worker {
                        self.end(at);
                        self.services[at].enter(Life::Restarting);
                        self.services[at].due = Instant::now();
                        let waiting = waiting.iter().map(|reply| (Instant::now(), reply.clone()));
                        self.services[at].waiting.extend(waiting);
                    }
                }
            }
            Err(error) if !self.state.ready => {
                if !self.owns_its_folder() {
                    bail!("{}", self.lost_its_folder());
                }
                if error != build::FAILED {
                    bail!("{error}, so the lab did not start");
                }
                let log = self.setup.project.log(logs::BUILD);
                bail!(
                    "{error}, so the lab did not start; the compiler says why above, or in {}",
                    self.setup.project.display(&log)
                );
            }
            Err(error) => {
                self.setup.executables = self.setup.executables.take().or(fallback);
                let log = self.setup.project.display(&self.setup.project.log(logs::BUILD));
                self.journal.note(&format!(
                    "{error}: the worker from before goes on; mend it and save, or see {log}"
                ));
                for reply in waiting {
                    let _ = reply.send(Err(format!(
                        "{error}, and the worker from before goes on; see: cargo xtask lab logs build"
                    )));
                }
            }
        }
        self.publish();
        Ok(())
    }

    /// Looks at every process: reaps, starts again, finds ready.
    fn tick(&mut self) -> Result<()> {
        if self.looked.elapsed() > OWNERSHIP {
            self.looked = Instant::now();
            if !self.owns_its_folder() {
                bail!("{}", self.lost_its_folder());
            }
        }
        for at in 0..self.services.len() {
            let exited = self.services[at].child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if let Some(status) = exited {
                self.handle_end(at, &End::Exit(status))?;
            }
            let service = self.services[at].service;
            if self.services[at].child.is_none() && self.services[at].due <= Instant::now() {
                if let Err(error) = self.spawn(at) {
                    self.services[at].begun = Instant::now();
                    self.handle_end(at, &End::NoStart(format!("{error:#}")))?;
                }
            } else if self.services[at].child.is_some()
                && self.services[at].life != Life::Running
                && (service.is_ready)(&self.setup)
            {
                if service.name == services::TEMPORAL {
                    self.meet_service()?;
                }
                let took = terminal::duration(self.services[at].begun.elapsed().as_secs_f64());
                self.services[at].enter(Life::Running);
                let place = service.address(&self.setup.ports).map(|place| format!(" on {place}"));
                self.journal.note(&format!(
                    "{} is ready{} after {took}",
                    service.name,
                    place.unwrap_or_default()
                ));
                self.publish();
                for (_, reply) in mem::take(&mut self.services[at].waiting) {
                    let _ = reply.send(Ok(json!({ "ok": true })));
                }
            }
            self.answer_the_impatient(at);
        }
        Ok(())
    }

    /// Learns from the gateway which service that is, and has the lab begin anew there, where it is to.
    fn meet_service(&mut self) -> Result<()> {
        let Some(remote_service) = &mut self.setup.remote_service else { return Ok(()) };
        let link = LinkReport::ask(&self.setup.ports.url(ports::TEMPORAL_HTTP))?;
        remote_service::complete(remote_service, &link);
        for made in &link.findings.made {
            self.journal.note(&format!("made {made}, which the service lacked"));
        }
        self.state.remote_service = self.setup.remote_service.clone();
        self.record()?;
        if !self.state.ready {
            class_files::check_name(&self.setup)?;
        }
        if mem::take(&mut self.fresh) {
            self.end_transfers()?;
            // What others of this name have done there before is no part of this lab.
            let begun =
                progress::update(&self.setup.project, |progress| *progress = Progress::begin(progress.stage));
            if let Err(error) = begun {
                self.journal.note(&format!("the stage still counts what was there before: {error:#}"));
            }
        }
        // Only one that was met: a mistyped one is not to be tried again at each start.
        remote_service::remember(&self.setup.project, self.setup.remote_service.as_ref())?;
        Ok(())
    }

    /// Ends the lab's transfers at a remote service: nobody can empty its history.
    fn end_transfers(&self) -> Result<()> {
        if self.setup.remote_service.is_none() {
            return Ok(());
        }
        let server = Server::new(&self.setup.endpoints());
        let running = server.running().context("could not ask for the transfers under way")?;
        for run in &running {
            server
                .terminate(run, "the lab begins anew")
                .with_context(|| format!("could not end {}", run.workflow_id))?;
        }
        if !running.is_empty() {
            self.journal.note(&format!("ended {} transfers that were under way", running.len()));
        }
        Ok(())
    }

    /// Begins to tell the class how this lab does, if it is in one.
    fn reporter(&self) -> Option<Reporter> {
        let journal = self.journal.0.try_clone().ok()?;
        Reporter::start(&self.setup, Arc::clone(&self.snapshot), journal)
    }

    /// Answers those who have waited too long for a service. While it is built, the wait has not begun.
    fn answer_the_impatient(&mut self, at: usize) {
        if self.build.building.is_some() {
            return;
        }
        let (ended, service) = (self.build.ended, &mut self.services[at]);
        let late = |(since, _): &mut (Instant, Reply)| (*since).max(ended).elapsed() > READY_WITHIN;
        let name = service.service.name;
        for (_, reply) in service.waiting.extract_if(.., late) {
            let _ = reply.send(Err(format!(
                "{name} was not ready after {}; see cargo xtask lab logs {name}",
                terminal::duration(READY_WITHIN.as_secs_f64())
            )));
        }
    }

    /// A service has ended by itself, or could not be started: it is started again later.
    fn handle_end(&mut self, at: usize, end: &End) -> Result<()> {
        let name = self.services[at].service.name;
        let failure = StartFailure::read(&StartFailure::file_beside(&self.setup.ready_file(name)));
        // Whoever it has started goes with it.
        self.end(at);
        if !self.state.ready {
            if !self.owns_its_folder() {
                bail!("{}", self.lost_its_folder());
            }
            bail!("{name} {}, so the lab did not start{}", end.early(), self.quote(name, failure));
        }
        let ran = self.services[at].begun.elapsed();
        let service = &mut self.services[at];
        if ran > STABLE {
            service.delay = FIRST_DELAY;
        }
        let delay = service.delay;
        service.due = Instant::now() + delay;
        service.delay = (delay * 2).min(LONGEST_DELAY);
        service.restarts += 1;
        service.enter(Life::Restarting);
        for (_, reply) in mem::take(&mut service.waiting) {
            let _ = reply.send(Err(format!("{name} {}; see cargo xtask lab logs {name}", end.early())));
        }
        let how = match end {
            End::Exit(status) => {
                format!("ended ({}) after {}", describe(*status), terminal::duration(ran.as_secs_f64()))
            }
            End::NoStart(_) => end.early(),
        };
        self.journal
            .note(&format!("{name} {how}; starting it again in {}", terminal::duration(delay.as_secs_f64())));
        self.publish();
        Ok(())
    }

    /// Starts a service, if everything that it needs is there.
    fn spawn(&mut self, at: usize) -> Result<()> {
        let service = self.services[at].service;
        let runs = |name: &&str| {
            self.services.iter().any(|other| other.service.name == *name && other.life == Life::Running)
        };
        let is_met = service.name == services::TEMPORAL || self.setup.knows_its_namespace();
        if !service.after.iter().all(runs) || !is_met {
            return Ok(());
        }
        let Some(program) = service.executable(&self.setup) else { return Ok(()) };
        if self.owns_its_folder() {
            // Somebody may have tidied up.
            self.setup.project.make_lab()?;
        }
        self.remove_ready_file(service.name);
        let log = logs::open(&self.setup.project, service.name)?;
        let mut command = Command::new(program);
        command.args((service.arguments)(&self.setup)).current_dir((service.folder)(&self.setup));
        // The gateway goes by them: they name the service that it is to lead to.
        if service.name != services::TEMPORAL || self.setup.remote_service.is_none() {
            dev_server::forget_settings(&mut command);
        }
        command.envs((service.environment)(&self.setup));
        process::mark(&mut command, &self.state.supervisor);
        let mut gate = process::gated(&process::privately(&command));
        gate.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        let mut child = gate.spawn().with_context(|| format!("could not start {}", service.name))?;
        let go = child.stdin.take();
        let supervised = &mut self.services[at];
        supervised.child = Some(child);
        supervised.begun = Instant::now();
        // Recorded first, let go then. One that is not let go ends by itself.
        self.record()?;
        let_go(go);
        Ok(())
    }

    /// Ends the process of a service, and its group.
    fn end(&mut self, at: usize) {
        let signals_seen = Arc::clone(&self.signals_seen);
        let hurry = move || signals_seen.load(Ordering::Relaxed) > 1;
        let service = &mut self.services[at];
        let Some(mut child) = service.child.take() else { return };
        // Whoever asks in the meantime: without a process it does not run.
        service.enter(Life::Restarting);
        let ending = Ending { grace: service.service.grace, hurry: &hurry };
        let killed = process::end_group(child.id(), Some(&mut child), &ending);
        let _ = child.wait();
        // It is ready no more, and after the last stop nothing is left lying about.
        self.remove_ready_file(self.services[at].service.name);
        if killed {
            let why = if hurry() { "was to end at once" } else { "did not end by itself" };
            self.journal.note(&format!("{} {why} and was killed", self.services[at].service.name));
        }
        self.record_or_note();
    }

    /// Ends everything, in the reverse order of its start.
    fn end_all(&mut self, into: Life) {
        for at in (0..self.services.len()).rev() {
            self.end(at);
            self.services[at].enter(into);
            self.publish();
        }
    }

    fn stop(&mut self) {
        self.journal.note("stopping");
        // Compilers may be there still when cargo is not.
        if let Some(build) = self.build.group.take().filter(|build| !process::group_is_empty(build.pid)) {
            let signals_seen = Arc::clone(&self.signals_seen);
            let hurry = move || signals_seen.load(Ordering::Relaxed) > 1;
            process::end_group(build.pid, None, &Ending { grace: build::GRACE, hurry: &hurry });
        }
        self.end_all(Life::Stopped);
        self.journal.note("stopped; nothing of the lab runs any more");
    }

    /// Whether the lab's folder is still the one that this process has locked and written to.
    fn owns_its_folder(&self) -> bool {
        let project = &self.setup.project;
        let here = fs::metadata(project.in_lab("lock")).map(|file| (file.dev(), file.ino()));
        let held = self.lock.metadata().map(|file| (file.dev(), file.ino()));
        matches!((here, held), (Ok(here), Ok(held)) if here == held)
            && state::is_recorded(project, &self.state)
    }

    /// Why it ends when it does not own it any more.
    fn lost_its_folder(&self) -> String {
        format!(
            "{} was deleted or replaced while the lab ran, so the lab ends; start it again with: cargo xtask lab start",
            self.setup.project.display(&self.setup.project.lab)
        )
    }

    /// Writes down which processes there are.
    fn record(&mut self) -> Result<()> {
        let alive = |service: &Supervised| {
            let identity = process::identify(service.child.as_ref()?.id())?;
            Some((service.service.name.to_owned(), identity))
        };
        let build = self.build.group.clone().map(|identity| (logs::BUILD.to_owned(), identity));
        self.state.services = self.services.iter().filter_map(alive).chain(build).collect();
        self.publish();
        if !self.owns_its_folder() {
            bail!("{}", self.lost_its_folder());
        }
        state::write(&self.setup.project, &self.state)
    }

    fn record_or_note(&mut self) {
        if let Err(error) = self.record() {
            self.journal.note(&format!("error: {error:#}"));
        }
    }

    /// Renews what `status` is answered.
    fn publish(&self) {
        let services: Vec<Value> = self.services.iter().map(|service| self.to_json(service)).collect();
        let build = match (self.build.building, self.build.failed) {
            (Some(_), _) => BuildState::Building,
            (None, true) => BuildState::Failed,
            (None, false) => BuildState::Ok,
        };
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) =
            json!({ "services": services, "build": build.name(), "watch": self.watching });
    }

    fn to_json(&self, supervised: &Supervised) -> Value {
        let service = supervised.service;
        json!({
            "name": service.name,
            "state": supervised.life.name(),
            "pid": supervised.child.as_ref().map(Child::id),
            "address": service.address(&self.setup.ports),
            "url": self.url_of(service),
            "since": time::rfc3339_exact(supervised.since),
            "restarts": supervised.restarts,
        })
    }

    fn url_of(&self, service: &Service) -> Option<String> {
        match &self.setup.remote_service {
            // The gateway's port is for programs; what a person opens is the service's own UI.
            Some(remote_service) if service.name == services::TEMPORAL => {
                Some(remote_service.ui.clone()).filter(|ui| !ui.is_empty())
            }
            _ => service.url(&self.setup.ports),
        }
    }

    fn serve_control(&self, listener: TcpListener) {
        let (snapshot, events) = (Arc::clone(&self.snapshot), self.events.clone());
        let project = self.setup.project.clone();
        control::serve(listener, self.state.token.clone(), move |request, reply| match request {
            Request::Status => {
                let status = snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let _ = reply.send(Ok(status));
            }
            // The lab has no part in it.
            Request::WithoutTemporal => {
                let runs = without_temporal::run(&project, Output::Log);
                let _ = reply.send(runs.map(|runs| runs.to_json()).map_err(|error| format!("{error:#}")));
            }
            // Without a loop to take it, the reply is dropped, and that is an answer too.
            request => drop(events.send(Event::Request(request, reply))),
        });
    }

    /// Removes what a service writes when it is ready, or why it did not start.
    fn remove_ready_file(&self, name: &str) {
        let ready = self.setup.ready_file(name);
        let _ = fs::remove_file(StartFailure::file_beside(&ready));
        let _ = fs::remove_file(ready);
    }

    /// Why a service did not start, or else the last lines of its log, for a person to read.
    fn quote(&self, name: &str, failure: Option<StartFailure>) -> String {
        let log = self.setup.project.log(name);
        let lines = failure.map_or_else(|| logs::last_lines(&log, 12), |failure| failure.lines());
        format!("; the end of {}:\n  {}", self.setup.project.display(&log), lines.join("\n  "))
    }
}

/// Opens the gate of a process; see [`process::gated`].
fn let_go(go: Option<ChildStdin>) {
    if let Some(mut go) = go {
        // One that has died already is seen when it is waited for.
        let _ = go.write_all(b"go\n");
    }
}

fn listen_to_signals(events: &Sender<Event>, seen: &Arc<AtomicU32>) -> Result<()> {
    let (events, seen) = (events.clone(), Arc::clone(seen));
    signals::listen(move || {
        seen.fetch_add(1, Ordering::Relaxed);
        let _ = events.send(Event::Signal);
    })
}

fn describe(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "for no reason given".to_owned(),
    }
}

/// The addresses, as a start and a status print them.
pub fn addresses(state: &State) -> Vec<(&'static str, String)> {
    let ports = &state.ports;
    let ui = state.endpoints().temporal_ui;
    let server = match &state.remote_service {
        None => ports.address(ports::TEMPORAL),
        Some(remote_service) => {
            format!(
                "{}, namespace {}, by {}",
                remote_service.address,
                remote_service.namespace,
                ports.address(ports::TEMPORAL)
            )
        }
    };
    let mut addresses = vec![("the page", ports.url(ports::TRANSFER_WEB))];
    addresses.extend(Some(("Temporal UI", ui)).filter(|(_, ui)| !ui.is_empty()));
    addresses.extend([("Temporal server", server), ("account API", ports.url(ports::ACCOUNT_API))]);
    if let Some(learner) = state.learner() {
        addresses.push(("learner", learner.to_owned()));
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_deleted_after_its_log_as_the_bank_misses_one_that_is_gone_before() {
        let project = Project { root: "/lab".into(), lab: "/lab/.lab".into() };
        let files: Vec<_> = database_files(&project).collect();
        for database in DATABASES {
            let at = |ending: &str| {
                files
                    .iter()
                    .position(|file| *file == project.in_lab(&format!("{database}{ending}")))
                    .expect("it is one")
            };
            assert!(["-wal", "-shm", "-journal"].iter().all(|ending| at(ending) < at("")), "{files:?}");
        }
    }
}
