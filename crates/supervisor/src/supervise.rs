//! The one process that starts a lab's services, supervises them and ends them. The file is long because the processes have one
//! owner: a single loop, which records each before it starts, and whose state no other file changes, except for its part on versions
//! of the worker.
//!
//! Other threads wait for signals, requests, builds and changed files, and send them to that loop as events.

mod version_services;

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{self, Write},
    mem,
    net::TcpListener,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU32, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use contract::PublicHosts;
use lab_client::{
    kept_versions::KeptVersions, link::LinkReport, progress::Progress, start_failure::StartFailure,
    state::RemoteService, supervisor::BuildState, temporal::Server, time,
};
use serde_json::{Value, json};

use crate::{
    attach, blocking,
    build::{self, Built, Failure, Output},
    class_files,
    class_notices::ClassNotices,
    compile_error::CompileError,
    control::{self, Reply, Request},
    deployed::Deployed,
    drill_end, drill_traffic,
    ended_faults::{self, EndedFaults},
    executables::{self, Executables},
    failing, freshness,
    log_copy::{Copier, Flood, Limited, Timed},
    logs, manifest, ports,
    process::{self, Ending, Identity},
    remote_service,
    reporter::Reporter,
    saved_edits,
    services::{self, SERVICES, Service, Setup},
    signals, source_watch,
    stage_entry::StageEntry,
    supervised::{End, FIRST_DELAY, Life, Supervised, describe},
    temporal_cli,
    versions::{self, Version},
    without_temporal,
};
use checkout::{keep, progress, project::Project, stage_lock::StageLock, state};
use lab_client::state::State;

/// No delay is longer.
const LONGEST_DELAY: Duration = Duration::from_secs(10);
/// What to type where the server cannot read its database, after the end of its log.
const UNREADABLE_DATABASE: &str = "\n.lab/temporal.db is damaged, or another version has written it; to start without it, with no \
     transfers and with your code as it is: cargo xtask lab start --fresh";
/// What to type where a port was free when the start chose it, and was taken before the service listened.
const PORT_TAKEN: &str = "\nanother program took its port in the meantime; the next start chooses a free one: cargo xtask lab start";
/// A service that ran for so long starts with the first delay again.
const STABLE: Duration = Duration::from_secs(30);
/// How often we poll while a service is not ready.
const STARTUP_POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How often we poll otherwise.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// How long the server takes to list a transfer that was started.
const LISTED_WITHIN: Duration = Duration::from_secs(1);
/// How long a service may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How often we check that the lab's folder is still there, and that no log is too large.
const OWNERSHIP: Duration = Duration::from_secs(1);
/// How long the last lines of a service may take after it has ended.
const COPIED_WITHIN: Duration = Duration::from_secs(1);

/// The databases of a lab: the server's histories and the bank's ledger.
const DATABASES: [&str; 2] = ["temporal.db", services::LEDGER];

/// What the journal says where a lab has no versions any more.
const LEFT_VERSIONS: &str = "this Temporal Service knows none of the versions that the lab ran, so the lab runs one worker \
     again; to have versions again: cargo xtask stage roll-out";

/// How a lab is to be started.
pub struct Options {
    /// Ports asked for, by name.
    pub ports: BTreeMap<&'static str, u16>,
    /// Begin with empty databases.
    pub fresh: bool,
    /// Deploy the worker when an edit is saved.
    pub watch: bool,
    /// Where the first build is shown.
    pub output: Output,
    /// The Temporal Service to use in place of a server of the lab's own.
    pub remote_service: Option<RemoteService>,
}

/// Runs a lab until it is told to stop. `on_ready` is called once, when everything is.
pub fn run(project: &Project, options: &Options, on_ready: impl FnOnce(&State)) -> Result<()> {
    let public_hosts = PublicHosts::from_env()?;
    let lock = attach::lock(project)?;
    attach::clear_leftovers(project);
    let journal = Journal(logs::open(project, logs::SUPERVISOR)?);
    let is_elsewhere = !remote_service::is_same(project, options.remote_service.as_ref());
    match &options.remote_service {
        Some(remote_service) => remote_service::try_to_join(project, remote_service)?,
        None => remote_service::remember(project, None)?,
    }
    let temporal_cli = temporal_cli::provide_server(project)?;
    // Up to here nothing runs that would have to be ended, and a signal ends this process like any other.
    let (events, inbox) = mpsc::channel();
    let signals_seen = Arc::new(AtomicU32::new(0));
    listen_to_signals(&events, &signals_seen)?;
    let ports = ports::choose(&options.ports, &ports::remembered(project), |moved| journal.note(&moved))?;
    project.write_json(ports::PORTS_FILE, &ports.to_json())?;
    let is_new_there = |service: &RemoteService| remote_service::is_new_there(project, service);
    let fresh = options.fresh || options.remote_service.as_ref().is_some_and(is_new_there);
    let mut versions = KeptVersions::read(&project.lab);
    // At another service nothing is routed to them.
    if fresh || is_elsewhere {
        if !versions.versions.is_empty() {
            journal.note(LEFT_VERSIONS);
        }
        versions = KeptVersions::default();
        versions::write(project, &versions)?;
    }
    // After the versions, which a server without a history does not know.
    if options.fresh {
        empty_databases(project)?;
        // Its transfers are gone, so there is nothing to judge it by.
        if Progress::read(&project.lab).drill.is_some() {
            progress::update(project, |progress| progress.drill = None)?;
        }
    }
    for path in database_files(project) {
        checkout::project::close_if_there(&path)
            .with_context(|| format!("could not restrict {} to this user", path.display()))?;
    }
    // Each build opens its log itself; here only a large one is put aside.
    logs::open(project, logs::BUILD)?;

    let control = TcpListener::bind(("127.0.0.1", 0)).context("could not listen on loopback")?;
    // Readers at a public host have no use for the paths of this machine.
    let checkout = public_hosts.iter().next().is_none().then(|| {
        json!({
            "root": project.root.to_string_lossy(),
            "wsl": env::var("WSL_DISTRO_NAME").ok(),
            "editor_url": env::var("EDITOR_URL").ok(),
        })
    });
    let state = State {
        supervisor: process::identify(std::process::id()).context("the system does not list this process")?,
        control_port: control.local_addr()?.port(),
        token: control::random_hex(16)?,
        ready: false,
        ports: ports.clone(),
        remote_service: options.remote_service.clone(),
        public_hosts,
        services: Vec::new(),
    };
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
        last_version: 0,
        frees_transfers: Arc::default(),
        state,
        journal,
        snapshot: Arc::default(),
        notices: ClassNotices::default(),
        events: events.clone(),
        inbox,
        signals_seen,
        build: Build::new(),
        deployed: Deployed::new(project),
        deployment: Deployment::default(),
        watching: options.watch,
        ended_faults: None,
        fresh,
        lock,
        looked: Instant::now(),
        checkout,
        entering: Vec::new(),
    };
    lab.take_up_versions(versions);
    lab.serve_control(control);
    let changes = events.clone();
    source_watch::watch(project.root.clone(), move |content, is_same| {
        changes.send(Event::Saved { content, is_same }).is_ok()
    });
    let outcome = lab.start(options.output).and_then(|started| {
        if started {
            on_ready(&lab.state);
            let reporter = lab.reporter();
            lab.watch_notices();
            let traffic = lab.drill_traffic();
            let outcome = lab.supervise();
            drop(traffic);
            if let Some(reporter) = reporter {
                let seen = Arc::clone(&lab.signals_seen);
                reporter.stop(&move || seen.load(Ordering::Relaxed) > 1);
            }
            outcome?;
        }
        Ok(())
    });
    lab.stop();
    // A thread of this process may be entering a stage for the page: let it finish exchanging the modules.
    let is_entering = lab.entering.iter().any(|thread| !thread.is_finished());
    let _nobody_exchanges_modules = is_entering.then(|| StageLock::take(project));
    if lab.owns_its_folder() {
        state::remove(project);
    }
    outcome
}

/// Deletes what the lab has done so far; the services must be down.
pub fn empty_databases(project: &Project) -> Result<()> {
    for path in database_files(project).chain([project.in_lab(ended_faults::FILE)]) {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("could not delete {}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The files that SQLite keeps the databases in, also those that exist only at times. Each database comes after the files that
/// belong to it: without its database, the next start would not look for them.
fn database_files(project: &Project) -> impl Iterator<Item = PathBuf> {
    DATABASES.into_iter().flat_map(|database| {
        ["-wal", "-shm", "-journal", ""].map(|ending| project.in_lab(&format!("{database}{ending}")))
    })
}

/// What the loop handles.
enum Event {
    /// A signal asks the lab to end.
    Signal,
    /// A command asks for something.
    Request(Request, Reply),
    /// The worker's source was saved.
    Saved {
        /// Its fingerprint.
        content: u64,
        /// Whether it is the same as before.
        is_same: bool,
    },
    /// A build in progress has linked this executable.
    Linked(String, PathBuf),
    /// A build of this content has ended; whether of everything.
    Built(u64, Built, Part),
}

/// `.lab/logs/supervisor.log`.
struct Journal(File);

impl Journal {
    fn note(&self, words: &str) {
        // A full disk does not stop the lab.
        let _ = Timed::new(&self.0).write_all(format!("{words}\n").as_bytes());
    }
}

/// When the steps of the last deployment ended, in seconds since 1970; for `bench`.
#[derive(Default)]
struct Deployment {
    /// The watch noticed the edit.
    noticed: f64,
    /// Cargo ended.
    built: f64,
    /// The old worker ended.
    stopped: f64,
    /// The new worker polls.
    polls: f64,
}

/// What a build is of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    /// The services that do not contain the SDK, which takes most of a first build: they start before it.
    WithoutWorker,
    Everything,
}

/// What is to be deployed by whoever waits for a build.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deploys {
    /// The one worker, which has no version.
    Worker,
    /// One more version of it, or the code of the version with this number.
    Version(Option<u32>),
}

/// The build in progress, and what follows it.
struct Build {
    /// Where it is shown.
    output: Output,
    /// Its process group.
    group: Option<Identity>,
    /// When the last build began, in seconds since 1970.
    begun: f64,
    /// When the last one ended.
    ended: Instant,
    /// The content that is being built.
    building: Option<u64>,
    /// The content of the last build.
    built: Option<u64>,
    /// Why that build failed, if it did.
    failure: Option<Failure>,
    /// Whether to build once more after this one.
    again: bool,
    /// What runs if a build fails that must end before the next start.
    fallback: Option<Executables>,
    /// Who waits for the worker of the next finished build.
    waiting: Vec<(Deploys, Reply)>,
}

impl Build {
    fn new() -> Build {
        Build {
            output: Output::Log,
            group: None,
            begun: 0.0,
            ended: Instant::now(),
            building: None,
            built: None,
            failure: None,
            again: false,
            fallback: None,
            waiting: Vec::new(),
        }
    }
}

struct Supervisor {
    setup: Setup,
    /// Also each version of the worker, in place of the worker without a version.
    services: Vec<Supervised>,
    /// The highest number that a version has had.
    last_version: u32,
    /// Whether the thread is to go on that ends the routing to versions which the lab does not run; see [`Supervisor::free_transfers`].
    frees_transfers: Arc<AtomicBool>,
    state: State,
    journal: Journal,
    /// What `status` is answered, also while the loop is busy.
    snapshot: Arc<Mutex<Value>>,
    /// The instructor's notices to the class.
    notices: ClassNotices,
    events: Sender<Event>,
    inbox: Receiver<Event>,
    signals_seen: Arc<AtomicU32>,
    build: Build,
    deployed: Deployed,
    deployment: Deployment,
    /// Whether saved edits are deployed.
    watching: bool,
    /// What the bank's last restart ended.
    ended_faults: Option<EndedFaults>,
    /// Whether the transfers at a remote service still have to be terminated, since the lab starts with an empty history.
    fresh: bool,
    /// Held while this is the lab's supervisor.
    lock: File,
    /// When the lock was last checked.
    looked: Instant,
    /// Where the checkout is, for links to an editor.
    checkout: Option<Value>,
    /// The threads that exchange modules for the page.
    entering: Vec<thread::JoinHandle<()>>,
}

impl Supervisor {
    /// Starts everything; returns whether it got there, or was told to stop on the way.
    fn start(&mut self, output: Output) -> Result<bool> {
        self.build.output = output;
        self.begin_build(if build::is_first(&self.setup.project) {
            Part::WithoutWorker
        } else {
            Part::Everything
        });
        loop {
            if !self.handle_events(STARTUP_POLL_INTERVAL)? {
                return Ok(false);
            }
            self.tick()?;
            if self.is_settled() {
                break;
            }
            if let Some(late) = self.services.iter().find(|service| {
                service.version.is_none()
                    && service.child.is_some()
                    && service.life != Life::Running
                    && service.begun.elapsed() > READY_WITHIN
            }) {
                bail!(
                    "{} was not ready within {}{}",
                    late.name(),
                    terminal::duration(READY_WITHIN.as_secs_f64()),
                    self.quote(late.name(), None)
                );
            }
        }
        self.state.ready = true;
        if let Err(error) = self.record() {
            // What is recorded while the lab ends, and maybe finds room, must not say that it is ready.
            self.state.ready = false;
            return Err(error);
        }
        Ok(true)
    }

    /// Whether everything runs, but for a worker whose code does not compile, and for a version that does not start.
    fn is_settled(&self) -> bool {
        let is_missing = |service: &Supervised| match service.version {
            Some(_) => service.restarts > 0 || service.begun.elapsed() > READY_WITHIN,
            None => service.life == Life::Stopped && self.build.failure.is_some(),
        };
        self.services.iter().all(|service| service.life == Life::Running || is_missing(service))
    }

    /// Keeps everything running until told to stop. After the start, no service that ends ends the lab.
    fn supervise(&mut self) -> Result<()> {
        loop {
            if !self.handle_events(if self.is_settled() { POLL_INTERVAL } else { STARTUP_POLL_INTERVAL })? {
                return Ok(());
            }
            self.tick()?;
        }
    }

    /// Waits so long for events and handles them; returns false when the lab is to stop.
    fn handle_events(&mut self, wait: Duration) -> Result<bool> {
        let mut next = self.inbox.recv_timeout(wait);
        loop {
            match next {
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return Ok(true),
                Ok(Event::Signal) => return Ok(false),
                // Its answer is that this process ends.
                Ok(Event::Request(Request::Stop, _)) => return Ok(false),
                Ok(Event::Request(request, reply)) => self.handle_request(request, reply),
                Ok(Event::Saved { content, is_same }) => self.handle_save(content, is_same),
                Ok(Event::Linked(name, path)) => self.handle_linked(name, path),
                Ok(Event::Built(_, built, Part::WithoutWorker)) if built.failure.is_none() => {
                    self.journal.note("the bank and the page are built; now the Temporal SDK and the worker");
                    self.begin_build(Part::Everything);
                }
                Ok(Event::Built(content, built, _)) => self.handle_built(content, built)?,
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
            Request::Status
            | Request::Stop
            | Request::Help(_)
            | Request::WithoutTemporal
            | Request::Compare(_) => {}
            Request::Restart(name) => {
                // All versions of the worker are the worker.
                let is_it = |one: &Supervised, name: &str| [one.name(), one.service.name].contains(&name);
                let mut chosen: Vec<usize> = (0..self.services.len())
                    .filter(|&at| name.as_deref().is_none_or(|name| is_it(&self.services[at], name)))
                    .collect();
                if let Some(name) = name.filter(|_| chosen.is_empty()) {
                    let _ =
                        reply.send(Err(format!("no service {name} is running; see: cargo xtask lab status")));
                    return;
                }
                chosen.reverse();
                // A worker that does not compile starts once it does.
                chosen.retain(|&at| self.services[at].life != Life::Stopped);
                if chosen.is_empty() {
                    let _ = reply.send(Err(format!(
                        "the worker was not restarted: {}; see: cargo xtask lab logs build",
                        self.build.failure.as_ref().map(Failure::to_string).unwrap_or_default()
                    )));
                    return;
                }
                for &at in &chosen {
                    self.end(at);
                    self.services[at].plan_restart();
                    self.publish();
                }
                drop(self.answer_when_running(&chosen, reply));
            }
            Request::Rebuild => self.build_for(Deploys::Worker, reply),
            Request::DeployVersion(over) => match over.map_or(Ok(0), |number| self.find_version(number)) {
                Ok(_) => self.build_for(Deploys::Version(over), reply),
                Err(error) => drop(reply.send(Err(error))),
            },
            Request::Retire(number) => {
                let _ = reply.send(self.retire(number));
            }
            Request::Watch(on) => {
                self.watching = on;
                self.publish();
                if on {
                    // An edit that waits is deployed as if it were saved now.
                    self.handle_save(source_watch::fingerprint(&self.setup.project.root), true);
                }
                let _ = reply.send(Ok(json!({ "undeployed": self.deployed.is_outdated().deployed })));
            }
            Request::Enter { stage, choice } => {
                self.journal.note(&format!("entering {stage}"));
                self.exchange_modules(reply, move |project, state| {
                    let stage = named(&stage)?;
                    Ok(StageEntry::new(project, state, true).enter(stage, choice)?.to_json(stage))
                });
            }
            Request::Question(stage) => self.exchange_modules(reply, move |project, state| {
                StageEntry::new(project, state, true).question(named(&stage)?)
            }),
            Request::Restore(id) => {
                self.journal.note(&format!("restoring the saved edit {id}"));
                self.exchange_modules(reply, move |project, state| saved_edits::restore(project, state, &id));
            }
            Request::Hint => self.exchange_modules(reply, |project, _| {
                let progress = progress::update(project, |progress| {
                    progress.hints = (progress.hints + 1).min(progress.stage.text.hints().len());
                })?;
                Ok(json!({ "hints": progress.hints }))
            }),
            Request::EndDrill { gives_up: true } => self.exchange_modules(reply, |project, state| {
                drill_end::give_up(project, state).map(|()| json!({ "ended": true }))
            }),
            Request::EndDrill { gives_up: false } => self.exchange_modules(reply, |project, state| {
                let report = drill_end::finish(project, state)?;
                Ok(json!({ "ended": report.is_reached(), "report": report.to_json() }))
            }),
            Request::Empty => {
                self.journal.note("resetting the databases");
                if let Err(error) = self.end_transfers() {
                    let _ = reply.send(Err(format!("{error:#}; your lab was not reset")));
                    return;
                }
                // The modules may have changed too: the services start after the build.
                self.build.fallback = self.setup.executables.take().or(self.build.fallback.take());
                if self.build.building.is_some() {
                    self.build.again = true;
                } else {
                    self.begin_build(Part::Everything);
                }
                self.end_all(Life::Restarting);
                match empty_databases(&self.setup.project).and_then(|()| self.leave_versions()) {
                    Ok(()) => {
                        let all: Vec<usize> = (0..self.services.len()).collect();
                        let sender = self.answer_when_running(&all, reply);
                        // A build that fails is an error, although the worker from before runs.
                        self.build.waiting.push((Deploys::Worker, sender));
                    }
                    Err(error) => {
                        let _ = reply.send(Err(format!("{error:#}")));
                    }
                }
            }
        }
    }

    /// Works on the modules for the page, on a thread of its own, which asks this loop to build, as a command would. If the lab ends
    /// meanwhile, the thread ends too, and entering the stage again does the rest.
    fn exchange_modules(
        &mut self,
        reply: Reply,
        work: impl FnOnce(&Project, &State) -> Result<Value> + Send + 'static,
    ) {
        let (project, state) = (self.setup.project.clone(), self.state.clone());
        self.entering.retain(|thread| !thread.is_finished());
        self.entering.push(thread::spawn(move || {
            let _ = reply.send(work(&project, &state).map_err(|error| format!("{error:#}")));
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
            self.services[at].ends.forget();
            self.services[at].waiting.push((Instant::now(), sender.clone()));
        }
        thread::spawn(move || {
            let failure = receiver.iter().find_map(Result::err);
            let _ = reply.send(failure.map_or_else(|| Ok(json!({ "ok": true })), Err));
        });
        sender
    }

    /// Builds, and then deploys that.
    fn build_for(&mut self, deploys: Deploys, reply: Reply) {
        self.build.waiting.push((deploys, reply));
        if self.build.building.is_some() {
            self.build.again = true;
        } else {
            self.begin_build(Part::Everything);
        }
    }

    fn handle_save(&mut self, content: u64, is_same: bool) {
        if !self.watching {
            return;
        }
        match (self.build.building, self.build.built) {
            (Some(building), _) => self.build.again |= building != content,
            // What failed is built again when it is saved again: now there may be space on the disk. It is not when a failed build is seen
            // late to have been a change.
            (None, Some(built)) if built == content && !(is_same && self.build.failure.is_some()) => {}
            (None, _) => {
                self.journal.note("the worker's source was saved: building");
                self.deployment.noticed = time::now().as_secs_f64();
                self.begin_build(Part::Everything);
            }
        }
    }

    fn begin_build(&mut self, part: Part) {
        let output = self.build.output;
        let content = source_watch::fingerprint(&self.setup.project.root);
        self.build.building = Some(content);
        self.build.begun = time::now().as_secs_f64();
        self.build.again = false;
        let events = self.events.clone();
        let (project, child) = (self.setup.project.clone(), self.spawn_build(part));
        thread::spawn(move || {
            let linked = events.clone();
            let on_executable = move |name: &str, path: &Path| {
                let _ = linked.send(Event::Linked(name.to_owned(), path.to_owned()));
            };
            let built = child.and_then(|child| build::finish_gated(&project, child, output, on_executable));
            let built = built.unwrap_or_else(|error| Built {
                failure: Some(Failure::NoCargo(format!("{error:#}"))),
                ..Built::default()
            });
            let _ = events.send(Event::Built(content, built, part));
        });
        self.publish();
    }

    /// Starts cargo, once it is recorded.
    fn spawn_build(&mut self, part: Part) -> Result<Child> {
        let mut binaries = services::binaries(self.setup.remote_service.as_ref());
        binaries.retain(|&name| part == Part::Everything || services::WITHOUT_SDK.contains(&name));
        let mut child =
            build::gated(&self.setup.project, &binaries, self.build.output, &self.state.supervisor)?;
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

    /// In a first build, what is linked starts, while the rest is compiled. The worker is deployed when the build has ended.
    fn handle_linked(&mut self, name: String, path: PathBuf) {
        if self.build.built.is_none() && name != services::WORKER {
            self.setup.executables.get_or_insert_default().0.insert(name, path);
        }
    }

    fn handle_built(&mut self, content: u64, built: Built) -> Result<()> {
        self.build.building = None;
        self.build.output = Output::Log;
        self.build.built = Some(content);
        self.build.ended = Instant::now();
        self.build.group = None;
        self.record_or_note();
        // A version keeps the code that it was built from, so that must still be in place.
        let keeps_code = self.build.waiting.iter().any(|(deploys, _)| *deploys != Deploys::Worker);
        let is_changed = || source_watch::fingerprint(&self.setup.project.root) != content;
        if self.build.again || built.failure.is_none() && keeps_code && is_changed() {
            self.begin_build(Part::Everything);
            return Ok(());
        }
        let Built { mut executables, failure } = built;
        self.build.failure = failure;
        let fallback = self.build.fallback.take();
        let waiting = mem::take(&mut self.build.waiting);
        let Some(failure) = &self.build.failure else {
            if source_watch::fingerprint(&self.setup.project.root) == content {
                manifest::keep(&self.setup.project);
            }
            self.deployed.deploy(&self.setup.project, &mut executables, content);
            self.setup.executables = Some(executables);
            if self.state.ready {
                self.deployment.built = time::now().as_secs_f64();
                self.deploy(content, waiting);
            } else if self.find(services::WORKER).is_some_and(|at| self.services[at].child.is_some()) {
                // It was started with an earlier build, and is not ready yet.
                self.restart(services::WORKER, Vec::new());
            }
            self.publish();
            return Ok(());
        };
        if !self.state.ready {
            if !self.owns_its_folder() {
                bail!("{}", self.lost_its_folder());
            }
            return self.start_without_worker(executables);
        }
        self.setup.executables = self.setup.executables.take().or(fallback);
        let has_worker = self.has_versions()
            || self.setup.executables.as_ref().is_some_and(|all| all.get(services::WORKER).is_some());
        let runs = match has_worker {
            true if self.has_versions() => "the deployed versions still run",
            true => "the worker still runs the previous code",
            false => "no worker is running",
        };
        let then = if self.watching { "fix it and save" } else { "fix it, then: cargo xtask lab deploy" };
        self.journal.note(&format!("{failure}; {runs}; {then}"));
        for (_, reply) in waiting {
            let _ = reply.send(Err(format!("{failure}; {runs}; see: cargo xtask lab logs build")));
        }
        if !has_worker {
            self.stop_worker();
        }
        self.publish();
        Ok(())
    }

    /// Starts what was built although the worker does not compile. The worker starts once it does.
    fn start_without_worker(&mut self, mut executables: Executables) -> Result<()> {
        let failure = self.build.failure.as_ref().map(Failure::to_string).unwrap_or_default();
        let needed = services::binaries(self.setup.remote_service.as_ref());
        // What the worker's manifest keeps cargo from looking at is still good, but not the worker: it would run old code.
        if matches!(self.build.failure, Some(Failure::Manifest(_))) {
            let others = needed.iter().copied().filter(|&name| name != services::WORKER);
            executables.0.extend(build::earlier(&self.setup.project, others));
        }
        if needed.iter().any(|&name| name != services::WORKER && executables.get(name).is_none()) {
            bail!("{failure}, so the lab did not start; fix it, then: cargo xtask lab start");
        }
        self.setup.executables = Some(executables);
        self.stop_worker();
        self.publish();
        Ok(())
    }

    /// The worker has no process until its code compiles.
    fn stop_worker(&mut self) {
        if let Some(at) = self.find(services::WORKER) {
            self.services[at].enter(Life::Stopped);
        }
    }

    /// Ends this service and has the next tick start it again.
    fn restart(&mut self, name: &str, waiting: Vec<Reply>) {
        let Some(at) = self.find(name) else { return };
        self.end(at);
        self.deployment.stopped = time::now().as_secs_f64();
        self.services[at].plan_restart();
        self.services[at].due = Instant::now();
        self.services[at].ends.forget();
        self.services[at].waiting.extend(waiting.into_iter().map(|reply| (Instant::now(), reply)));
    }

    /// Where the service of this name is in the list.
    fn find(&self, name: &str) -> Option<usize> {
        self.services.iter().position(|one| one.name() == name)
    }

    /// Ends a service and takes it off the list.
    fn remove_service(&mut self, at: usize, why: &str) {
        self.end(at);
        self.services.remove(at).disappoint_waiting(why);
    }

    /// Checks every process: reaps it, restarts it, or finds it ready.
    fn tick(&mut self) -> Result<()> {
        if self.looked.elapsed() > OWNERSHIP {
            self.looked = Instant::now();
            if !self.owns_its_folder() {
                bail!("{}", self.lost_its_folder());
            }
            self.look_at_logs();
        }
        self.leave_out_lost_versions();
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
                && self.services[at].is_ready(&self.setup)
            {
                if service.name == services::TEMPORAL {
                    self.meet_service()?;
                    // Nothing records that an earlier lab was interrupted before it had ended the routing.
                    if !self.state.ready && !self.has_versions() {
                        self.free_transfers();
                    }
                }
                let took = terminal::duration(self.services[at].begun.elapsed().as_secs_f64());
                self.services[at].enter(Life::Running);
                if service.name == services::WORKER {
                    self.deployment.polls = time::now().as_secs_f64();
                }
                let place = service.address(&self.setup.ports).map(|place| format!(" on {place}"));
                // There is much to see while the worker is compiled.
                let open = match self.url_of(service) {
                    Some(url) if self.build.building.is_some() && !self.state.ready => {
                        format!("; open {url}")
                    }
                    _ => String::new(),
                };
                self.journal.note(&format!(
                    "{} is ready{} after {took}{open}",
                    self.services[at].name(),
                    place.unwrap_or_default()
                ));
                self.publish();
                self.services[at].answer_waiting();
            }
            let service = &mut self.services[at];
            let is_stable = service.life == Life::Running && service.begun.elapsed() > STABLE;
            if is_stable && service.ends.forget() {
                self.publish();
            }
            self.answer_the_impatient(at);
        }
        Ok(())
    }

    /// Puts large logs aside, and says once of each process that writes more than its log takes.
    fn look_at_logs(&mut self) {
        let services = self.services.iter().map(Supervised::name);
        for name in [logs::SUPERVISOR, logs::BUILD].into_iter().chain(services) {
            logs::put_aside_if_large(&self.setup.project.log(name));
        }
        let mut is_news = false;
        for service in &mut self.services {
            let left_out = service.flood.left_out();
            if service.left_out == 0 && left_out > 0 {
                self.journal.note(&format!(
                    "{0} prints more than 1 MiB a second; the lab leaves out the rest of its log; is there a print in a loop? \
                     see: cargo xtask lab logs {0}",
                    service.name()
                ));
            }
            is_news |= service.left_out != left_out;
            service.left_out = left_out;
        }
        if is_news {
            self.publish();
        }
    }

    /// Asks the gateway which service that is, and resets the lab there, if it is new or is to start empty.
    fn meet_service(&mut self) -> Result<()> {
        let Some(remote_service) = &mut self.setup.remote_service else { return Ok(()) };
        let link = LinkReport::ask(&self.setup.ports.url(ports::TEMPORAL_HTTP))?;
        remote_service::complete(remote_service, &link);
        for made in &link.findings.made {
            self.journal.note(&format!("created {made}, which was missing"));
        }
        self.state.remote_service = self.setup.remote_service.clone();
        self.record()?;
        if !self.state.ready {
            class_files::check_name(&self.setup)?;
        }
        if self.fresh {
            self.end_transfers()?;
            self.fresh = false;
            // What others of this name did there before is not part of this lab.
            let begun = progress::update(&self.setup.project, |progress| {
                *progress = Progress { seed: progress.seed, ..Progress::begin(progress.stage) };
            });
            if let Err(error) = begun {
                self.journal.note(&format!("the stage still counts earlier transfers: {error:#}"));
            }
        }
        remote_service::remember(&self.setup.project, self.setup.remote_service.as_ref())?;
        Ok(())
    }

    /// Terminates the lab's transfers at a remote service: nobody can empty its histories.
    fn end_transfers(&self) -> Result<()> {
        if self.setup.remote_service.is_none() {
            return Ok(());
        }
        let server = Server::new(&self.setup.endpoints());
        let mut ended = 0;
        // The server's list lags behind: a transfer that was started just now is only on the second one.
        for pause in [Duration::ZERO, LISTED_WITHIN] {
            thread::sleep(pause);
            let running = server.own_running().context("could not list the transfers in progress")?;
            for run in &running {
                let was_running = server
                    .terminate(run, "the lab was reset")
                    .with_context(|| format!("could not terminate {}", run.workflow_id))?;
                ended += usize::from(was_running);
            }
        }
        if ended > 0 {
            self.journal.note(&format!("terminated {ended} transfers that were in progress"));
        }
        Ok(())
    }

    /// Starts to report to the class, if this lab is in one.
    fn reporter(&self) -> Option<Reporter> {
        let journal = self.journal.0.try_clone().ok()?;
        Reporter::start(&self.setup, Arc::clone(&self.snapshot), journal)
    }

    /// Starts to poll the class's notices, if this lab is in a class. A new announcement or drill is also a line of the
    /// journal, which an attached `lab start` prints.
    fn watch_notices(&self) {
        let endpoints = self.setup.endpoints();
        let Some(journal) = endpoints.learner.as_ref().and_then(|_| self.journal.0.try_clone().ok()) else {
            return;
        };
        let journal = Journal(journal);
        self.notices.watch(Server::new(&endpoints), move |line| journal.note(line));
    }

    /// Starts the traffic of drills; it ends when what is returned is dropped.
    fn drill_traffic(&self) -> Option<Sender<()>> {
        let journal = self.journal.0.try_clone().map(Journal).ok()?;
        let note = move |words: &str| journal.note(words);
        Some(drill_traffic::start(&self.setup, Arc::clone(&self.snapshot), note))
    }

    /// Answers those who have waited too long for a service. The wait starts after the build.
    fn answer_the_impatient(&mut self, at: usize) {
        if self.build.building.is_some() {
            return;
        }
        let (ended, service) = (self.build.ended, &mut self.services[at]);
        let late = |(since, _): &mut (Instant, Reply)| (*since).max(ended).elapsed() > READY_WITHIN;
        let name = service.name().to_owned();
        for (_, reply) in service.waiting.extract_if(.., late) {
            let _ = reply.send(Err(format!(
                "{name} was not ready within {}; see: cargo xtask lab logs {name}",
                terminal::duration(READY_WITHIN.as_secs_f64())
            )));
        }
    }

    /// A service has ended by itself, or could not be started: it is restarted later.
    fn handle_end(&mut self, at: usize, end: &End) -> Result<()> {
        let name = &*self.services[at].name().to_owned();
        let failure = StartFailure::read(&StartFailure::file_beside(&self.setup.ready_file(name)));
        // Its children end with it.
        self.end(at);
        let log = self.setup.project.log(name);
        let lines = logs::last_lines_since(&log, self.services[at].log_start, failing::LINES);
        let lines: Vec<String> = match end {
            End::Exit(_) => lines.iter().map(|line| terminal::shorten(line, failing::LONGEST)).collect(),
            // What is in its log is of a former run.
            End::NoStart(_) => Vec::new(),
        };
        if !self.state.ready && !self.owns_its_folder() {
            bail!("{}", self.lost_its_folder());
        }
        // A learner can replace or retire a version that does not start, but only in a lab that runs.
        if !self.state.ready && self.services[at].version.is_none() {
            let is_unreadable = name == services::TEMPORAL && dev_server::is_unreadable_database(&lines);
            let ports = self.services[at].service.ports;
            let remedy = if is_unreadable {
                UNREADABLE_DATABASE
            } else if ports.iter().any(|port| !ports::is_free(self.setup.ports.get(port))) {
                PORT_TAKEN
            } else {
                ""
            };
            bail!("{name} {}, so the lab did not start{}{remedy}", end.early(), self.quote(name, failure));
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
        service.is_planned = false;
        service.enter(Life::Restarting);
        service.disappoint_waiting(&format!("{name} {}; see: cargo xtask lab logs {name}", end.early()));
        let how = match end {
            End::Exit(status) => {
                format!("ended ({}) after {}", describe(*status), terminal::duration(ran.as_secs_f64()))
            }
            End::NoStart(_) => end.early(),
        };
        self.journal
            .note(&format!("{name} {how}; restarting it in {}", terminal::duration(delay.as_secs_f64())));
        if ran > STABLE {
            service.ends.forget();
        }
        if service.ends.add(how, lines) {
            self.journal.note(&service.ends.sentence(name));
        }
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
        let name = &*self.services[at].name().to_owned();
        let Some(program) = self.services[at].executable(&self.setup) else { return Ok(()) };
        if let Some(why) = executables::why_unusable(&program) {
            return self.replace_program(at, &program, why);
        }
        self.services[at].is_built_again = false;
        let Some(mut command) = self.services[at].command(&self.setup) else { return Ok(()) };
        if self.owns_its_folder() {
            // Somebody may have tidied up.
            self.setup.project.make_lab()?;
        }
        self.remove_ready_file(name);
        if service.name == services::ACCOUNT_API
            && let Some(ended) = EndedFaults::take(&self.setup.project)
        {
            self.journal.note(&ended.sentence());
            self.ended_faults = Some(ended);
        }
        let log = logs::open(&self.setup.project, name)?;
        let log_start = log.metadata().map_or(0, |file| file.len());
        let flood = Flood::default();
        process::mark(&mut command, &self.state.supervisor);
        let mut gate = process::gated(&process::privately(&command));
        gate.stdin(Stdio::piped());
        let copier = if service.has_timed_log(&self.setup) {
            gate.stdout(log.try_clone()?).stderr(log);
            None
        } else {
            let (output, input) = io::pipe()?;
            gate.stdout(input.try_clone()?).stderr(input);
            Some(Copier::start(output, Limited::new(Timed::new(log), flood.clone())))
        };
        let mut child = gate.spawn().with_context(|| format!("could not start {name}"))?;
        // The writing ends of the pipe are the program's alone.
        drop(gate);
        let go = child.stdin.take();
        let supervised = &mut self.services[at];
        supervised.child = Some(child);
        supervised.copier = copier;
        (supervised.flood, supervised.left_out, supervised.log_start) = (flood, 0, log_start);
        supervised.begun = Instant::now();
        // Recorded before it runs. One that may not run ends by itself.
        self.record()?;
        let_go(go);
        Ok(())
    }

    /// Has the program of a service built again that cannot be run, as after a `cargo clean`.
    fn replace_program(&mut self, at: usize, program: &Path, why: &str) -> Result<()> {
        let service = self.services[at].service;
        let shown = self.setup.project.display(program);
        if self.services[at].version.is_some() {
            // The next tick leaves it out.
            bail!("{shown} {why}");
        }
        let Some(binary) = service.binary(&self.setup) else {
            // The CLI, which cargo does not build.
            let fetched = temporal_cli::fetched(&self.setup.project).filter(|cli| cli != program);
            let fetched =
                fetched.with_context(|| format!("{shown} {why}; to download it: cargo xtask prefetch"))?;
            self.setup.temporal_cli = temporal_cli::with_flags(dev_server::Cli::at(fetched));
            return Ok(());
        };
        if self.build.building.is_some() {
            return Ok(());
        }
        if mem::take(&mut self.services[at].is_built_again) {
            if let Some(failure) = self.build.failure.as_ref().filter(|_| service.name == services::WORKER) {
                self.journal.note(&format!("{shown} {why}, and {failure}; no worker is running"));
                self.setup.executables.iter_mut().for_each(|all| drop(all.0.remove(services::WORKER)));
                self.stop_worker();
                self.publish();
                return Ok(());
            }
            let failure = self.build.failure.as_ref().map(Failure::to_string);
            bail!(
                "{shown} {why}; {}",
                failure.as_deref().unwrap_or("it was built again, but that did not help")
            );
        }
        self.journal.note(&format!("{shown} {why}: building {} again", service.name));
        if program.exists() {
            freshness::distrust(&self.setup.project, binary);
        }
        self.services[at].is_built_again = true;
        self.begin_build(Part::Everything);
        Ok(())
    }

    /// Ends the process of a service, and its group.
    fn end(&mut self, at: usize) {
        let signals_seen = Arc::clone(&self.signals_seen);
        let hurry = move || signals_seen.load(Ordering::Relaxed) > 1;
        let service = &mut self.services[at];
        let Some(mut child) = service.child.take() else { return };
        // Without a process it does not run.
        service.enter(Life::Restarting);
        let ending = Ending { grace: service.service.grace, hurry: &hurry };
        let killed = process::end_group(child.id(), Some(&mut child), &ending);
        let _ = child.wait();
        if let Some(copier) = self.services[at].copier.take() {
            let _ = copier.finish(COPIED_WITHIN);
        }
        // It is not ready any more, and after the last stop no file is left.
        self.remove_ready_file(self.services[at].name());
        if killed {
            let why = if hurry() { "had to stop at once" } else { "did not stop" };
            self.journal.note(&format!("{} {why} and was killed", self.services[at].name()));
        }
        self.record_or_note();
    }

    /// Ends everything, in the reverse order of its start.
    fn end_all(&mut self, into: Life) {
        for at in (0..self.services.len()).rev() {
            self.end(at);
            self.services[at].enter(into);
            self.services[at].is_planned = into == Life::Restarting;
            self.publish();
        }
    }

    fn stop(&mut self) {
        self.journal.note("stopping");
        self.frees_transfers.store(false, Ordering::Relaxed);
        // Compilers may still run when cargo does not.
        if let Some(build) = self.build.group.take().filter(|build| !process::group_is_empty(build.pid)) {
            let signals_seen = Arc::clone(&self.signals_seen);
            let hurry = move || signals_seen.load(Ordering::Relaxed) > 1;
            process::end_group(build.pid, None, &Ending { grace: build::GRACE, hurry: &hurry });
        }
        self.end_all(Life::Stopped);
        self.deployed.remove(&self.setup.project);
        self.journal.note("stopped; none of the lab's processes is left");
    }

    /// Whether the lab's folder is still the one that this process has locked and written to.
    fn owns_its_folder(&self) -> bool {
        let project = &self.setup.project;
        let here = fs::metadata(project.in_lab("lock")).map(|file| (file.dev(), file.ino()));
        let held = self.lock.metadata().map(|file| (file.dev(), file.ino()));
        matches!((here, held), (Ok(here), Ok(held)) if here == held)
            && state::is_recorded(project, &self.state)
    }

    /// Why it ends when it does not own it.
    fn lost_its_folder(&self) -> String {
        format!(
            "{} was deleted or replaced while the lab was running, so the lab stops; start it again with: cargo xtask lab start",
            self.setup.project.display(&self.setup.project.lab)
        )
    }

    /// Records the processes.
    fn record(&mut self) -> Result<()> {
        let alive = |service: &Supervised| {
            let identity = process::identify(service.child.as_ref()?.id())?;
            Some((service.name().to_owned(), identity))
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

    /// Updates the answer to `status`.
    fn publish(&self) {
        let services: Vec<Value> = self.services.iter().map(|service| self.to_json(service)).collect();
        let build = match (self.build.building, self.build.failure.is_some()) {
            (Some(_), _) => BuildState::Building,
            (None, true) => BuildState::Failed,
            (None, false) => BuildState::Ok,
        };
        *self.snapshot.lock().unwrap_or_else(PoisonError::into_inner) = json!({
            "services": services,
            "versions": self.versions().map(Version::to_json).collect::<Vec<_>>(),
            "build": build.name(),
            "build_error": self.build.failure.as_ref().map(Failure::to_string),
            "build_errors": self.build.failure.iter().flat_map(Failure::compile_errors).map(CompileError::to_json).collect::<Vec<_>>(),
            "build_began": self.build.begun,
            "manifest_unusable": matches!(self.build.failure, Some(Failure::Manifest(_))),
            "watch": self.watching,
            "deployment": {
                "noticed": self.deployment.noticed,
                "built": self.deployment.built,
                "stopped": self.deployment.stopped,
                "polls": self.deployment.polls,
            },
            "checkout": self.checkout,
            "ended_faults": self.ended_faults.as_ref().map(EndedFaults::to_json),
        });
    }

    fn to_json(&self, supervised: &Supervised) -> Value {
        let service = supervised.service;
        json!({
            "name": supervised.name(),
            "state": supervised.life.name(),
            "pid": supervised.child.as_ref().map(Child::id),
            "address": service.address(&self.setup.ports),
            "url": self.url_of(service),
            "public_url": self.public_url_of(service),
            "since": time::rfc3339_exact(supervised.since),
            "restarts": supervised.restarts,
            "planned": supervised.is_planned,
            "failing": supervised.ends.to_json(),
            "lines_left_out": supervised.left_out,
        })
    }

    /// The URL at which a browser on another machine opens it, if a proxy forwards it. The lab's own services read the names from the environment.
    fn public_url_of(&self, service: &Service) -> Option<String> {
        service.url_port.and_then(|port| self.state.public_url(port))
    }

    fn url_of(&self, service: &Service) -> Option<String> {
        match &self.setup.remote_service {
            // The gateway's port is for programs; a person opens the service's own UI.
            Some(remote_service) if service.name == services::TEMPORAL => {
                Some(remote_service.ui.clone()).filter(|ui| !ui.is_empty())
            }
            _ => service.url(&self.setup.ports),
        }
    }

    fn serve_control(&self, listener: TcpListener) {
        let (snapshot, events, deployed) =
            (Arc::clone(&self.snapshot), self.events.clone(), self.deployed.clone());
        let project = self.setup.project.clone();
        let notices = self.notices.clone();
        let learner = self.state.learner().map(str::to_owned);
        control::serve(listener, self.state.token.clone(), move |request, reply| match request {
            Request::Status => {
                let mut status = snapshot.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let outdated = deployed.is_outdated();
                status["undeployed"] = json!(outdated.deployed);
                status["unbuilt"] = json!(outdated.built);
                status["edited"] = json!(keep::has_edit(&project).unwrap_or_default());
                status["blocking"] = blocking::of(&status, &project);
                status["class"] = notices.status(learner.as_deref(), &project);
                let _ = reply.send(Ok(status));
            }
            Request::Help(text) => {
                let asked = class_files::answer_help(&project, learner.as_deref(), text.as_deref());
                let _ = reply.send(asked.map_err(|error| format!("{error:#}")));
            }
            // The lab has no part in it.
            Request::WithoutTemporal => {
                let runs = without_temporal::run(&project, Output::Log);
                let _ = reply.send(runs.map(|runs| runs.to_json()).map_err(|error| format!("{error:#}")));
            }
            Request::Compare(id) => {
                let compared = saved_edits::compare(&project, &id);
                let _ = reply.send(compared.map_err(|error| format!("{error:#}")));
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

    /// Why a service did not start, or what it wrote last in this run, for a person to read.
    fn quote(&self, name: &str, failure: Option<StartFailure>) -> String {
        let log = self.setup.project.log(name);
        let start = self.services.iter().find(|one| one.name() == name).map_or(0, |one| one.log_start);
        let last = || logs::last_lines_since(&log, start, 12);
        let lines = failure.map_or_else(last, |failure| failure.lines());
        if lines.is_empty() {
            // Nothing is also what a full disk leaves of it.
            return format!("; it wrote nothing to {}", self.setup.project.display(&log));
        }
        format!("; the end of {}:\n  {}", self.setup.project.display(&log), lines.join("\n  "))
    }
}

/// Opens the gate of a process; see [`process::gated`].
fn let_go(go: Option<ChildStdin>) {
    if let Some(mut go) = go {
        // If it has ended already, the next wait for it shows that.
        let _ = go.write_all(b"go\n");
    }
}

/// The stage of this name.
fn named(stage: &str) -> Result<&'static lab::Stage> {
    lab::stage(stage).with_context(|| format!("there is no stage {stage}, and no drill of that name"))
}

fn listen_to_signals(events: &Sender<Event>, seen: &Arc<AtomicU32>) -> Result<()> {
    let (events, seen) = (events.clone(), Arc::clone(seen));
    signals::listen(move || {
        seen.fetch_add(1, Ordering::Relaxed);
        let _ = events.send(Event::Signal);
    })
}

/// The addresses, as a start and a status print them.
pub fn addresses(state: &State) -> Vec<(&'static str, String)> {
    let ports = &state.ports;
    let ui = state.endpoints().temporal_ui;
    let server = match &state.remote_service {
        None => ports.address(ports::TEMPORAL),
        Some(remote_service) => {
            format!(
                "{}, namespace {}, via {}",
                remote_service.address,
                remote_service.namespace,
                ports.address(ports::TEMPORAL)
            )
        }
    };
    let public = |what, port| Some((what, state.public_url(port)?));
    let mut addresses = vec![("the page", ports.url(ports::TRANSFER_WEB))];
    addresses.extend(public("its public URL", ports::TRANSFER_WEB));
    addresses.extend(Some(("Temporal UI", ui)).filter(|(_, ui)| !ui.is_empty()));
    addresses.extend(public("its public URL", ports::TEMPORAL_UI));
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
